//! Foreign code stays out: files in the working folder, or in a folder that everybody can write to, are neither run
//! nor loaded, and a package with another hash is not kept.
//!
//! Code that must not run leaves a mark if it does. Linux only.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::network::built;
use crate::support::{Place, Ran, ran};

/// Where an installed ONNX Runtime for the processor is, below a cache folder.
const KEPT: &str = "imgsearch/onnxruntime-1.32.0";

struct Trap {
    place: Place,
    folder: PathBuf,
    mark: PathBuf,
}

impl Trap {
    fn new() -> Self {
        let place = Place::new();
        let folder = place.photos().with_file_name("");
        for name in ["home", "links", "cache"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        Self {
            mark: folder.join("mark"),
            folder,
            place,
        }
    }

    /// Runs as a user without ONNX Runtime, whose pip finds packages only in `links`.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command();
        command
            .env("HOME", self.folder.join("home"))
            .env("XDG_CACHE_HOME", self.folder.join("cache"))
            .env("PIP_NO_INDEX", "1")
            .env("PIP_FIND_LINKS", self.folder.join("links"))
            .env_remove("ORT_DYLIB_PATH")
            .args(arguments);
        command
    }

    /// Builds a library that leaves a mark when it is loaded, and reports its version.
    fn library(&self, path: &Path, version: &str) {
        let source = self.folder.join("library.c");
        let code = format!(
            r#"
            #include <stdio.h>
            static const void *api(unsigned version) {{ return 0; }}
            static const char *version(void) {{ return "{version}"; }}
            static const struct {{ const void *(*api)(unsigned); const char *(*version)(void); }} base = {{api, version}};
            const void *OrtGetApiBase(void) {{ return &base; }}
            __attribute__((constructor)) static void loaded(void) {{ fclose(fopen("{}", "a")); }}
            "#,
            self.mark.display()
        );
        fs::write(&source, code).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        built(&source, path.parent().unwrap(), name);
    }

    fn script(&self, path: &str, what: &str) -> PathBuf {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, what).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[track_caller]
    fn untouched(&self, done: &Ran) {
        assert!(!self.mark.exists(), "foreign code ran: {done:?}");
    }

    fn marked(&self) -> bool {
        let there = self.mark.exists();
        let _ = fs::remove_file(&self.mark);
        there
    }
}

#[test]
fn files_in_the_working_folder_are_not_run_or_loaded() {
    let trap = Trap::new();
    let mark = trap.mark.display();
    let python = format!("open('{mark}', 'a')\n");
    for name in [
        "pip.py",
        "runpy.py",
        "importlib.py",
        "sitecustomize.py",
        "usercustomize.py",
        "onnxruntime.py",
        "start.py",
    ] {
        fs::write(trap.folder.join(name), &python).unwrap();
    }
    let shell = format!("#!/bin/sh\n: >> '{mark}'\n");
    for name in [
        "python3", "python", "pip3", "pip", "bash", "env", "start.sh",
    ] {
        trap.script(name, &shell);
    }
    trap.library(&trap.folder.join("libonnxruntime.so"), "1.32.0");
    fs::copy(
        trap.folder.join("libonnxruntime.so"),
        trap.folder.join("libonnxruntime.so.1"),
    )
    .unwrap();
    let path = std::env::var("PATH").unwrap();
    for arguments in [&["runtime", "install"][..], &["runtime", "--offline"]] {
        let mut command = trap.command(arguments);
        // As a wrong shell profile may set them: an empty part means the working folder.
        let done = ran(command
            .env("PATH", format!(":.:{path}"))
            .env("PYTHONPATH", ":")
            .env("PYTHONSTARTUP", "start.py")
            .env("BASH_ENV", "start.sh")
            .env("LD_LIBRARY_PATH", ":.")
            .output()
            .unwrap());
        trap.untouched(&done);
        if arguments == ["runtime", "install"] {
            // The real pip ran, and searched where it was supposed to.
            assert!(done.stderr.contains("No matching distribution"), "{done:?}");
        }
    }
    // A variable with a relative path is refused, but an option with one is accepted.
    let mut command = trap.command(&["runtime", "--offline"]);
    let done = ran(command
        .env("ORT_DYLIB_PATH", "libonnxruntime.so")
        .output()
        .unwrap())
    .ended(2);
    trap.untouched(&done);
    assert!(done.stderr.contains("relative path"), "{}", done.stderr);
    let mut command = trap.command(&["runtime", "--ort-library", "libonnxruntime.so"]);
    command.output().unwrap();
    assert!(trap.marked(), "the trap does not work");
}

#[test]
fn a_folder_that_everybody_can_write_to_decides_nothing() {
    let trap = Trap::new();
    let kept = trap.folder.join("cache").join(KEPT);
    fs::create_dir_all(&kept).unwrap();
    trap.library(&kept.join("libonnxruntime.so.1.32.0"), "1.32.0");
    let tools = trap.script(
        "tools/python3",
        &format!("#!/bin/sh\n: >> '{}'\n", trap.mark.display()),
    );
    let tools = tools.parent().unwrap();
    let open =
        |folder: &Path, mode| fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = trap.command(arguments);
        command.env("PATH", format!("{}:{path}", tools.display()));
        ran(command.output().unwrap())
    };
    open(tools, 0o777);
    open(&kept, 0o777);
    let done = run(&["runtime", "--offline"]);
    trap.untouched(&done);
    let done = run(&["runtime", "install"]).ended(2);
    trap.untouched(&done);
    open(&trap.folder.join("cache/imgsearch"), 0o777);
    let done = run(&["runtime", "install"]).ended(2);
    trap.untouched(&done);
    assert!(
        done.stderr.contains("everybody can write"),
        "{}",
        done.stderr
    );

    open(&trap.folder.join("cache/imgsearch"), 0o755);
    open(&kept, 0o755);
    run(&["runtime", "--offline"]);
    assert!(trap.marked(), "the trap does not work");
    fs::remove_dir_all(&kept).unwrap();
    open(tools, 0o755);
    run(&["runtime", "install"]);
    assert!(trap.marked(), "the trap does not work");
}

#[test]
fn a_package_with_another_hash_is_refused_by_pip_and_by_imgsearch() {
    let trap = Trap::new();
    let kept = trap.folder.join("cache").join(KEPT);
    let wheel = if cfg!(target_arch = "x86_64") {
        "onnxruntime-1.32.0-cp312-cp312-manylinux_2_28_x86_64.whl"
    } else {
        "onnxruntime-1.32.0-cp312-cp312-manylinux_2_28_aarch64.whl"
    };
    let wheel = trap.folder.join("links").join(wheel);
    fs::write(&wheel, "another package").unwrap();
    let done = ran(trap.command(&["runtime", "install"]).output().unwrap()).ended(2);
    assert!(
        done.stderr
            .contains("its hash is another (pip found that out)"),
        "{}",
        done.stderr
    );
    assert!(!kept.exists());

    // A pip that checks nothing, as an old or broken one may.
    let careless = format!(
        "#!/bin/sh\nwhile [ \"$1\" != --dest ]; do shift; done\nexec /bin/cp '{}' \"$2\"\n",
        wheel.display()
    );
    let tools = trap.script("tools/python3", &careless);
    let mut command = trap.command(&["runtime", "install"]);
    let done = ran(command
        .env("PATH", tools.parent().unwrap())
        .output()
        .unwrap())
    .ended(2);
    assert!(
        done.stderr.contains("its hash is another (it is "),
        "{}",
        done.stderr
    );
    assert!(!kept.exists());
    let left = fs::read_dir(trap.folder.join("cache/imgsearch")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn the_newest_usable_library_is_used() {
    let trap = Trap::new();
    let installed = trap.place.run(&["runtime", "--json"]).ended(0).json_lines();
    let installed = installed[0]["library"].as_str().unwrap();
    let kept = trap.folder.join("cache").join(KEPT);
    fs::create_dir_all(&kept).unwrap();
    let good = kept.join("libonnxruntime.so.1.32.0");
    fs::copy(installed, &good).unwrap();
    for (name, tried) in [
        // Sorts after 1.32.0 as text.
        ("libonnxruntime.so.1.9.0", false),
        // Comes first, but is too old whatever its name says, so the next is tried.
        ("libonnxruntime.so.1.99.0", true),
    ] {
        trap.library(&kept.join(name), "1.9.0");
        let done = ran(trap
            .command(&["runtime", "--json", "--offline"])
            .output()
            .unwrap())
        .ended(0);
        assert_eq!(
            done.json_lines()[0]["library"].as_str().unwrap(),
            good.to_str().unwrap()
        );
        assert_eq!(trap.marked(), tried, "{name}");
    }
}
