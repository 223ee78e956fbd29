//! `-v` and `--log-file`: what is decided, and why.

use std::fs;

use crate::support::{Place, ran};

#[test]
fn decisions_are_said_only_if_asked_and_never_on_stdout() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    fs::write(place.photo("broken.jpg"), b"\xff\xd8\xff\xe0 torn").unwrap();
    fs::write(place.photo("draft.jpg"), "left out").unwrap();
    fs::write(place.photo("notes.txt"), "no image").unwrap();
    let words = ["index", "photos", "--ignore", "draft*", "--json"];
    let silent = place.run(&words).ended(1);
    assert!(!silent.stderr.contains("info:"), "{silent:?}");
    fs::remove_dir_all(place.index_dir()).unwrap();
    let told = place.run(&[&words[..], &["-v"]].concat()).ended(1);
    let each_line_is_json = told.json_lines().len() > 1;
    assert!(each_line_is_json);
    for part in [
        "info: encoder name=",
        "info: ONNX Runtime version=",
        "broken.jpg",
        "info: walked",
    ] {
        assert!(told.stderr.contains(part), "{part}: {told:?}");
    }
    assert!(!told.stderr.contains("debug:"), "{told:?}");
    let more = place.run(&[&words[..], &["-vv"]].concat()).stderr;
    for (name, why) in [
        ("draft.jpg", "a pattern leaves it out"),
        ("notes.txt", "no image"),
    ] {
        let line = more.lines().find(|line| line.contains(name));
        assert!(
            line.is_some_and(|line| line.contains(why)),
            "{name}: {more}"
        );
    }
    let refused = place.run(&["status", "-v", "-q"]).ended(2);
    assert!(refused.stderr.contains("--quiet"), "{refused:?}");
}

#[test]
fn a_log_file_grows_and_holds_no_token() {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let log = place.photos().with_file_name("log");
    let run = |words: &[&str]| {
        let mut command = place.command();
        command.args(["--log-file", "log"]).args(words);
        command.env("IMGSEARCH_TOKEN", "s3cret-token-of-the-test");
        ran(command.output().unwrap())
    };
    let found = run(&["query", "photos/cat.jpg", "--paths"]).ended(0);
    assert_eq!(found.stderr, "");
    assert_eq!(found.stdout.lines().count(), 1);
    let first = fs::read_to_string(&log).unwrap();
    let is_line =
        |line: &str| line.starts_with("20") && line.contains("Z ") && line.contains(" imgsearch");
    assert!(
        first.lines().count() > 2 && first.lines().all(is_line),
        "{first}"
    );
    run(&["status"]).ended(0);
    let both = fs::read_to_string(&log).unwrap();
    assert!(both.starts_with(&first) && both.len() > first.len());
    assert!(!both.contains("s3cret"), "{both}");
    let refused = place
        .run(&["--log-file", "no folder/log", "status"])
        .ended(2);
    assert!(refused.stderr.contains("no folder/log"), "{refused:?}");
}
