//! Walks of temporary folders. Files named as images are candidates, whatever their content.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// A temporary folder, by its real path.
struct Place {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

impl Place {
    fn with(files: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let place = Self { _dir: dir, root };
        for file in files {
            place.file(file, b"listed by its name");
        }
        place
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn file(&self, path: &str, content: &[u8]) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[cfg(unix)]
    fn link(&self, path: &str, target: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    fn walk_with(&self, names: &[&str], options: &WalkOptions) -> Walked {
        let names: Vec<PathBuf> = names.iter().map(|name| self.at(name)).collect();
        let walked = walk(&names, options).unwrap();
        check(&names, options).unwrap();
        walked
    }

    /// Returns the candidates below this folder, as one text.
    fn seen(&self, walked: &Walked) -> String {
        let names: Vec<&str> = walked
            .candidates
            .iter()
            .map(|candidate| candidate.path.strip_prefix(&self.root).unwrap())
            .map(|path| path.to_str().unwrap())
            .collect();
        names.join(" ")
    }

    #[track_caller]
    fn assert_walk(&self, names: &[&str], expected: &str) -> Walked {
        let walked = self.walk_with(names, &WalkOptions::default());
        assert_eq!(self.seen(&walked), expected);
        assert_eq!(walked.errors, []);
        walked
    }
}

fn ignoring(patterns: &[&str]) -> WalkOptions {
    WalkOptions {
        ignore: patterns.iter().map(ToString::to_string).collect(),
        ..WalkOptions::default()
    }
}

#[test]
fn a_file_is_an_image_by_its_extension_or_its_content() {
    let place = Place::with(&["a.jpg", "notes.txt", "empty"]);
    place.file("photo", b"\x89PNG\r\n\x1a\n and the rest");
    place.file("empty", b"");
    let walked = place.assert_walk(&[""], "a.jpg photo");
    assert_eq!(walked.others, [place.at("empty"), place.at("notes.txt")]);
}

#[test]
fn many_files_in_many_folders_are_each_found_once() {
    let names: Vec<String> = (0..1500)
        .map(|i| {
            format!(
                "{:02}/{}{i:04}.jpg",
                i % 37,
                if i % 3 == 0 { "in/" } else { "" }
            )
        })
        .chain((0..700).map(|i| format!("{i:03}.jpg")))
        .collect();
    let place = Place::with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut expected: Vec<PathBuf> = names.iter().map(|name| place.at(name)).collect();
    expected.sort();
    let walked = place.walk_with(&["", "05", "05/in"], &WalkOptions::default());
    let found: Vec<PathBuf> = walked.candidates.into_iter().map(|c| c.path).collect();
    assert_eq!(found, expected);
    assert_eq!(walked.roots, std::slice::from_ref(&place.root));
}

#[test]
fn patterns_of_one_run_leave_out_and_take_back() {
    let place = Place::with(&[
        "a.png",
        "keep.png",
        "b.jpg",
        "cache/c.jpg",
        "cache/keep.png",
    ]);
    let seen = |patterns: &[&str]| place.seen(&place.walk_with(&[""], &ignoring(patterns)));
    assert_eq!(
        seen(&["!keep.png"]),
        "a.png b.jpg cache/c.jpg cache/keep.png keep.png"
    );
    assert_eq!(
        seen(&["*.png", "!keep.png"]),
        "b.jpg cache/c.jpg cache/keep.png keep.png"
    );
    assert_eq!(seen(&["cache/", "*.png"]), "b.jpg");
    // A pattern does not override an ignore file.
    place.file(IGNORE_FILE, b"*.jpg\n");
    assert_eq!(seen(&["!*.jpg", "a.png"]), "cache/keep.png keep.png");
    // Named files, as by a shell's `*`.
    let walked = place.walk_with(&["a.png", "keep.png", "b.jpg"], &ignoring(&["a*"]));
    assert_eq!(place.seen(&walked), "keep.png");
    assert_eq!(walked.left_out, [place.at("b.jpg")]);
}

#[test]
fn a_hidden_file_is_found_if_it_is_named_or_a_rule_brings_it_back() {
    let place = Place::with(&[".a.jpg", ".h/b.jpg", ".h/in/c.jpg", "d.jpg"]);
    place.assert_walk(&[""], "d.jpg");
    place.assert_walk(&["", ".h/in", ".a.jpg"], ".a.jpg .h/in/c.jpg d.jpg");
    place.file(IGNORE_FILE, b"!.h\n");
    place.assert_walk(&[""], ".h/b.jpg .h/in/c.jpg d.jpg");
    let hidden = WalkOptions {
        hidden: true,
        ..WalkOptions::default()
    };
    assert_eq!(
        place.seen(&place.walk_with(&[""], &hidden)),
        ".a.jpg .h/b.jpg .h/in/c.jpg d.jpg"
    );
}

#[test]
fn what_systems_and_programs_make_for_themselves_is_hidden() {
    let place = Place::with(&[
        "a.jpg",
        "@eaDir/a.jpg",
        "$Recycle.bin/b.jpg",
        "p/__MACOSX/c.jpg",
    ]);
    place.assert_walk(&[""], "a.jpg");
    let hidden = WalkOptions {
        hidden: true,
        ..WalkOptions::default()
    };
    let seen = place.seen(&place.walk_with(&[""], &hidden));
    assert_eq!(seen.split(' ').count(), 4, "{seen}");
    // Named, it is walked.
    place.assert_walk(&["@eaDir"], "@eaDir/a.jpg");
}

#[test]
fn ignore_files_of_the_folders_above_hold_for_what_is_named() {
    let place = Place::with(&["p/a.jpg", "p/private/b.jpg", "p/q/c.jpg", "p/q/d.png"]);
    place.file("p/.imgsearchignore", b"private/\n*.png\n");
    place.assert_walk(&["p/q"], "p/q/c.jpg");
    let walked = place.assert_walk(&["p/private", "p/private/b.jpg", "p/q/d.png"], "");
    assert_eq!(
        walked.left_out,
        [
            place.at("p/private"),
            place.at("p/private/b.jpg"),
            place.at("p/q/d.png")
        ]
    );
}

#[test]
fn is_ignored_knows_what_ignore_files_leave_out_without_a_walk() {
    let place = Place::with(&["p/a.jpg", "p/private/deep/b.jpg", "p/.h/c.png", "p/x/d.jpg"]);
    place.file("p/.imgsearchignore", b"private/\n*.png\n");
    place.file("p/bad/.imgsearchignore", b"a[b\n");
    let walked = place.walk_with(&["p"], &ignoring(&["x"]));
    for ignored in [
        "p/private/deep/b.jpg",
        "p/private/gone/for/good.jpg",
        "p/.h/c.png",
        "p/new.png",
    ] {
        assert!(walked.is_ignored(&place.at(ignored)), "{ignored}");
    }
    for not in [
        "p/a.jpg",
        "p/x/d.jpg",
        "p/.h/c.jpg",
        "p/bad/e.jpg",
        "q/z.png",
    ] {
        assert!(!walked.is_ignored(&place.at(not)), "{not}");
    }
    let below = place.walk_with(&["p/private"], &WalkOptions::default());
    assert!(below.is_ignored(&place.at("p/private/deep/b.jpg")));
    assert!(!Walked::listed(Vec::new(), vec![place.at("p")]).is_ignored(&place.at("p/new.png")));
}

#[test]
fn a_bad_ignore_file_closes_its_folder_and_no_other() {
    let place = Place::with(&["a.jpg", "bad/b.jpg", "bad/in/c.jpg", "good/d.jpg"]);
    place.file("bad/.imgsearchignore", b"fine.jpg\nprivate[.jpg\n");
    let walked = place.walk_with(&[""], &WalkOptions::default());
    assert_eq!(place.seen(&walked), "a.jpg good/d.jpg");
    assert_eq!(walked.errors.len(), 1, "{:?}", walked.errors);
    assert_eq!(walked.errors[0].0, place.at("bad"));
    assert!(walked.errors[0].1.contains("line 2"), "{:?}", walked.errors);
    // The same for every folder below it, however often it is named.
    let walked = place.walk_with(&["bad/in", "bad/b.jpg"], &WalkOptions::default());
    assert_eq!(
        (place.seen(&walked), walked.errors.len()),
        (String::new(), 1)
    );
    assert_eq!(walked.errors[0].0, place.at("bad"));
}

#[test]
fn walking_and_checking_refuse_the_same() {
    let place = Place::with(&["a.jpg"]);
    for (name, options) in [
        ("nowhere", WalkOptions::default()),
        ("a.jpg/below", WalkOptions::default()),
        ("", ignoring(&["a[b"])),
    ] {
        let names = [place.at(name)];
        let walking = walk(&names, &options).unwrap_err().to_string();
        let checking = check(&names, &options).unwrap_err().to_string();
        assert_eq!(walking, checking);
    }
}

#[cfg(unix)]
mod links {
    use super::*;

    #[test]
    fn each_folder_is_walked_once_under_its_real_name_or_the_smallest() {
        let place = Place::with(&["p/real/a.jpg", "out/b.jpg", "out/in/c.jpg"]);
        for (link, target) in [
            ("p/a-link", "real"),
            ("p/z-out", "../out"),
            ("p/m-out", "../out"),
            ("p/n-in", "../out/in"),
            ("out/round", "."),
            ("out/in/back", "../../p"),
        ] {
            place.link(link, target);
        }
        place.assert_walk(&["p"], "p/m-out/b.jpg p/m-out/in/c.jpg p/real/a.jpg");
        // Real names take precedence over links, wherever they are.
        place.assert_walk(&["p", "out"], "out/b.jpg out/in/c.jpg p/real/a.jpg");
        // A link to a part of another link's target.
        place.link("p/c-in", "../out/in");
        place.assert_walk(&["p"], "p/c-in/c.jpg p/m-out/b.jpg p/real/a.jpg");
    }

    #[test]
    fn a_link_found_through_a_link_is_followed_in_the_order_of_its_name() {
        let place = Place::with(&["x/a.jpg", "y/b.jpg", "p/c.jpg"]);
        place.link("p/k", "../x");
        place.link("p/l", "../y");
        place.link("x/y", "../y");
        place.assert_walk(&["p"], "p/c.jpg p/k/a.jpg p/k/y/b.jpg");
        place.link("p/j", "../y");
        place.assert_walk(&["p"], "p/c.jpg p/j/b.jpg p/k/a.jpg");
    }

    #[test]
    fn a_link_to_a_folder_that_contains_it_is_not_followed() {
        let place = Place::with(&["neighbour.jpg", "p/a.jpg", "p/in/b.jpg", "out/c.jpg"]);
        place.link("p/up", "..");
        place.link("p/in/top", "/");
        place.link("p/out", "../out");
        // The same with a detour.
        place.link("out/home", "..");
        place.link("out/top", "/");
        place.assert_walk(&["p"], "p/a.jpg p/in/b.jpg p/out/c.jpg");
        // A folder that contains another root does not contain the link.
        let place = Place::with(&["pics/a/1.jpg", "pics/b/2.jpg"]);
        place.link("links/all", "../pics");
        place.assert_walk(&["links", "pics/a"], "links/all/b/2.jpg pics/a/1.jpg");
    }

    #[test]
    fn a_link_to_a_hidden_or_ignored_image_is_an_image_of_its_own() {
        let place = Place::with(&[
            ".git/annex/x.jpg",
            ".git/annex/y.jpg",
            "private/z.jpg",
            "a.jpg",
        ]);
        place.file(IGNORE_FILE, b"private/\n");
        for (link, target) in [
            ("cat.jpg", ".git/annex/x.jpg"),
            ("copy/cat.jpg", "../.git/annex/x.jpg"),
            ("dog.jpg", ".git/annex/y.jpg"),
            ("shown.jpg", "private/z.jpg"),
            ("same.jpg", "a.jpg"),
            ("twice.jpg", "cat.jpg"),
        ] {
            place.link(link, target);
        }
        place.assert_walk(
            &[""],
            "a.jpg cat.jpg copy/cat.jpg dog.jpg shown.jpg twice.jpg",
        );
        place.link("visible", ".git");
        place.assert_walk(
            &[""],
            "a.jpg shown.jpg visible/annex/x.jpg visible/annex/y.jpg",
        );
    }

    #[test]
    fn a_name_is_that_of_the_walk_around_it() {
        let place = Place::with(&["b/cat.jpg", "a/own.jpg", "a/.h/x.jpg", "out/in/c.jpg"]);
        place.link("a/link.jpg", "../b/cat.jpg");
        place.link("a/same.jpg", "own.jpg");
        place.link("a/annexed.jpg", ".h/x.jpg");
        place.link("a/out", "../out");
        place.link("a/up", "..");
        place.assert_walk(&["a"], "a/annexed.jpg a/link.jpg a/out/in/c.jpg a/own.jpg");
        for (named, expected) in [
            ("a/link.jpg", "a/link.jpg"),
            ("a/same.jpg", "a/own.jpg"),
            ("a/annexed.jpg", "a/annexed.jpg"),
            ("a/out", "a/out/in/c.jpg"),
            ("a/up/b", "b/cat.jpg"),
            ("a/out/../b", "b/cat.jpg"),
        ] {
            place.assert_walk(&[named], expected);
        }
        // A loop gets the name of its target. If links are not followed, named links get the name of their target,
        // too.
        let walked = place.walk_with(&["a/up"], &WalkOptions::default());
        assert_eq!(walked.roots, std::slice::from_ref(&place.root));
        let no_follow = WalkOptions {
            no_follow: true,
            ..WalkOptions::default()
        };
        let walked = place.walk_with(&["a/link.jpg", "a/out", "a"], &no_follow);
        assert_eq!(place.seen(&walked), "a/own.jpg b/cat.jpg out/in/c.jpg");
        // A name and its target in one run are one image.
        place.assert_walk(&["a/link.jpg", "b"], "b/cat.jpg");
    }

    #[test]
    fn a_broken_link_is_reported_unless_it_is_left_out() {
        let place = Place::with(&["a.jpg"]);
        place.link("broken.jpg", "nowhere");
        place.link("round", "round");
        place.link(".hidden.jpg", "nowhere");
        let walked = place.walk_with(&[""], &WalkOptions::default());
        let reported: Vec<&Path> = walked
            .errors
            .iter()
            .map(|(path, _)| path.as_path())
            .collect();
        assert_eq!(reported, [place.at("broken.jpg"), place.at("round")]);
        let walked = place.walk_with(&[""], &ignoring(&["broken.*", "round/"]));
        assert_eq!(walked.errors, []);
        place.file(IGNORE_FILE, b"broken.jpg\nround\n");
        place.assert_walk(&[""], "a.jpg");
    }

    #[test]
    fn pipes_devices_and_sockets_are_not_opened() {
        let place = Place::with(&["a.jpg"]);
        let made = std::process::Command::new("mkfifo")
            .args([place.at("pipe"), place.at("pipe.jpg")])
            .status()
            .unwrap();
        assert!(made.success());
        let _socket = std::os::unix::net::UnixListener::bind(place.at("socket")).unwrap();
        place.link("endless", "/dev/zero");
        place.link("to-pipe", "pipe");
        place.assert_walk(&[""], "a.jpg");
        let walked = place.walk_with(&["pipe", "endless"], &WalkOptions::default());
        let reported: Vec<&Path> = walked
            .errors
            .iter()
            .map(|(path, _)| path.as_path())
            .collect();
        assert_eq!(reported, [place.at("endless"), place.at("pipe")]);
    }

    #[test]
    fn names_need_not_be_valid_unicode() {
        use std::os::unix::ffi::OsStrExt;
        let place = Place::with(&[]);
        let name = std::ffi::OsStr::from_bytes(b"\xff\xfe.jpg");
        if let Err(error) = fs::write(place.root.join(name), "x") {
            eprintln!("skipped: this file system takes no such name: {error}");
            return;
        }
        let found = |options: &WalkOptions| place.walk_with(&[""], options).candidates.len();
        assert_eq!(found(&WalkOptions::default()), 1);
        assert_eq!(found(&ignoring(&["*.jpg"])), 0);
    }
}
