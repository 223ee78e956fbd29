//! Streams that are closed, full or gone: no command panics, and its work is complete.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::{Place, Ran, ran, sample, sample_names};

/// Saves parts of the samples, as many as training needs, in a folder for each class.
fn training_place() -> Place {
    let place = Place::new();
    for name in sample_names() {
        let image = image::open(sample(&name)).unwrap().thumbnail(160, 160);
        let class = place.photo(name.trim_end_matches(".jpg"));
        fs::create_dir(&class).unwrap();
        for i in 0..3u32 {
            let part = image.crop_imm(i * 5, 0, image.width() - 15, image.height() - 15);
            part.save(class.join(format!("{i}.jpg"))).unwrap();
        }
    }
    place
}

/// Every command with its exit status; each prints to stdout if it can.
const COMMANDS: &[(&[&str], i32)] = &[
    (&["--help"], 0),
    (&["--version"], 0),
    (&["query", "--help"], 0),
    (&["no-such-command"], 2),
    (&["index", "photos", "--json"], 0),
    (&["index", "photos"], 0),
    (&["index", "--reencode", "--json"], 0),
    (
        &["query", "photos/cat/0.jpg", "photos/cat/1.jpg", "--explain"],
        0,
    ),
    (&["query", "photos/cat/0.jpg", "--json"], 0),
    (&["query", "photos/cat/0.jpg", "-0"], 0),
    (
        &["query", "photos/none.jpg", "photos/cat/0.jpg", "--paths"],
        1,
    ),
    (&["query", "photos/none.jpg"], 2),
    (&["status"], 0),
    (&["status", "--json"], 0),
    (&["status", "--damaged"], 0),
    (&["encode", "photos/cat/0.jpg", "photos/cat/1.jpg"], 0),
    (&["encode", "photos/cat/0.jpg", "--json"], 0),
    (&["optimize", "--rebuild", "--json"], 0),
    (&["optimize"], 0),
    (&["check"], 0),
    (&["check", "--json"], 0),
    (&["config"], 0),
    (&["config", "--json"], 0),
    (&["runtime"], 0),
    (&["runtime", "--json"], 0),
    (&["remove", "photos/no such.jpg", "--json"], 1),
    (&["remove", "photos/no such.jpg"], 1),
    (&["adapt", "--dry-run", "--views", "0", "--epochs", "1"], 0),
    (
        &[
            "train", "photos", "-o", "my.onnx", "--views", "0", "--epochs", "1",
        ],
        0,
    ),
    (
        &[
            "train",
            "photos",
            "-o",
            "my.onnx",
            "--views",
            "0",
            "--epochs",
            "1",
            "--json",
            "--no-charts",
        ],
        0,
    ),
    (
        &[
            "train",
            "photos",
            "-o",
            "deep.onnx",
            "--kind",
            "deep",
            "--side",
            "8",
            "--layers",
            "16",
            "--code",
            "4",
            "--bits",
            "8",
            "--epochs",
            "1",
            "--batch",
            "16",
        ],
        0,
    ),
    (&["eval", "photos", "--no-baselines"], 0),
    (&["eval", "--copies", "photos/cat", "--json"], 0),
];

/// Returns a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn run(place: &Place, arguments: &[&str], stdout: Stdio, stderr: Stdio) -> Ran {
    let mut command = place.command();
    command.args(arguments).stdout(stdout).stderr(stderr);
    ran(command.spawn().unwrap().wait_with_output().unwrap())
}

#[test]
fn a_reader_that_has_seen_enough_changes_nothing() {
    let place = training_place();
    place.index();
    for (arguments, status) in COMMANDS {
        let ended = run(&place, arguments, unread(), Stdio::piped());
        assert_eq!(ended.status, *status, "{arguments:?}: {ended:?}");
        for complaint in ["panicked", "pipe", "standard output"] {
            let complains = ended.stderr.to_lowercase().contains(complaint);
            assert!(!complains, "{arguments:?}: {ended:?}");
        }
    }
    // The files were written.
    for file in ["my.onnx", "my.codes.png", "deep.onnx"] {
        assert!(place.photos().with_file_name(file).exists(), "{file}");
    }
}

#[test]
fn messages_that_nobody_reads_change_nothing() {
    let place = training_place();
    place.index();
    for (arguments, status) in COMMANDS {
        let ended = run(&place, arguments, Stdio::piped(), unread());
        assert_eq!(ended.status, *status, "{arguments:?}: {ended:?}");
        let prints = ended.stdout.len() > 4;
        // These print to stderr what they did, or have nothing to list.
        let quiet = matches!(arguments[0], "optimize" | "index" | "remove");
        let quiet = quiet && !arguments.contains(&"--json") || arguments.contains(&"--damaged");
        let expected = *status != 2 && !quiet;
        assert_eq!(prints, expected, "{arguments:?}: {ended:?}");
    }
}

#[cfg(unix)]
#[test]
fn streams_that_are_closed_from_the_start_change_nothing() {
    let place = training_place();
    place.index();
    let before = place.run(&["status", "--json"]).ended(0).json_lines();
    for (arguments, status) in COMMANDS {
        // The slow ones were tried above; these open files of an index.
        if matches!(arguments[0], "train" | "adapt" | "eval") {
            continue;
        }
        let mut command = place.command();
        let program = PathBuf::from(command.get_program());
        let index = place.index_dir();
        command = std::process::Command::new("sh");
        command
            .current_dir(place.photos().with_file_name(""))
            .env("IMGSEARCH_INDEX", index)
            .args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh"])
            .arg(program)
            .args(*arguments);
        let ended = command.status().unwrap();
        assert_eq!(ended.code(), Some(*status), "{arguments:?}");
    }
    // No result was written to a file that was opened in place of a stream.
    place.run(&["check"]).ended(0);
    let after = place.run(&["status", "--json"]).ended(0).json_lines();
    assert_eq!(after[0]["stats"]["images"], before[0]["stats"]["images"]);
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_a_full_disk_loses_are_an_error() {
    let place = training_place();
    place.index();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for (arguments, status) in COMMANDS {
        if matches!(arguments[0], "train" | "adapt") {
            continue;
        }
        let normal = place.run(arguments);
        assert_eq!(normal.status, *status, "{arguments:?}: {normal:?}");
        let ended = run(&place, arguments, full().into(), Stdio::piped());
        assert!(
            !ended.stderr.contains("panicked"),
            "{arguments:?}: {ended:?}"
        );
        let reported = ended.stderr.contains("cannot write to standard output: ");
        if normal.stdout.is_empty() {
            assert_eq!(
                (ended.status, reported),
                (*status, false),
                "{arguments:?}: {ended:?}"
            );
        } else {
            assert_eq!(
                (ended.status, reported),
                (2, true),
                "{arguments:?}: {ended:?}"
            );
        }
        // On stderr alone, it does not matter.
        let ended = run(&place, arguments, Stdio::piped(), full().into());
        assert_eq!(ended.status, *status, "{arguments:?}: {ended:?}");
    }
}

/// A run completes even if nobody reads its output, and what it does is kept.
#[test]
fn a_run_completes_although_nobody_reads_its_events() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg"]);
    let ended = run(
        &place,
        &["index", "photos", "--json"],
        unread(),
        Stdio::piped(),
    );
    assert_eq!(ended.status, 0, "{ended:?}");
    assert_eq!(place.index()["unchanged"], 3);
}

#[test]
fn a_name_in_a_message_cannot_move_the_cursor() {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let name = "photos/no\x1b[2Jsuch\u{9b}.jpg";
    for arguments in [
        &["query", name][..],
        &["query", name, "photos/cat.jpg"],
        &["encode", name],
        &["index", name],
    ] {
        let reported = place.run(arguments).stderr;
        assert!(
            reported.contains("\\u{1b}[2Jsuch"),
            "{arguments:?}: {reported:?}"
        );
        let moves = |c: char| c.is_control() && c != '\n';
        assert!(!reported.contains(moves), "{arguments:?}: {reported:?}");
    }
}

#[test]
fn every_print_goes_through_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = ["src", "index/src", "onnx/src", "train/src"]
        .map(|folder| root.join(folder))
        .to_vec();
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Test files may print, for example that a test is skipped.
                if !path.ends_with("tests") {
                    folders.push(path);
                }
                continue;
            }
            let of_tests = path.file_name().is_some_and(|name| name == "tests.rs");
            let is_source = path.extension().is_some_and(|extension| extension == "rs");
            // The process that decodes speaks to its parent through these.
            let is_pipe = path.ends_with("src/decode/sandbox/child.rs");
            if !is_source || of_tests || is_pipe || path.ends_with("src/cli/streams.rs") {
                continue;
            }
            looked_at += 1;
            let text = fs::read_to_string(&path).unwrap();
            let (code, _tests) = text.split_once("\nmod tests {").unwrap_or((&text, ""));
            let comment = |line: &&str| line.trim_start().starts_with("//");
            // Asking clap where its message belongs prints nothing.
            let code = code.replace("use_stderr()", "");
            for line in code.lines().filter(|line| !comment(line)) {
                for print in ["print!(", "println!(", "dbg!(", "stdout()", "stderr()"] {
                    assert!(!line.contains(print), "{}: {line}", path.display());
                }
            }
        }
    }
    assert!(looked_at > 100, "{looked_at}");
}
