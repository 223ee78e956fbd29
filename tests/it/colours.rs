//! Colours: never in a pipe unless they are asked for.

use crate::support::{Place, ran};

const ESCAPE: &str = "\u{1b}[";

#[test]
fn a_pipe_has_colours_only_if_they_are_asked_for() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    let run = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.command();
        command.args(words).envs(variables.iter().copied());
        let ran = ran(command.output().unwrap());
        (ran.stdout.contains(ESCAPE), ran.stderr.contains(ESCAPE))
    };
    let found = &["query", "photos/cat.jpg"][..];
    let failed = &["query", "photos/none.jpg"][..];
    let usage = &["query", "--no-such-option"][..];
    let help = &["--help"][..];
    let always = ("CLICOLOR_FORCE", "1");
    let no = ("NO_COLOR", "1");
    for (words, on_stdout, on_stderr) in [
        (found, true, false),
        (failed, false, true),
        (usage, false, true),
        (help, true, false),
    ] {
        let coloured = (on_stdout, on_stderr);
        let plain = (false, false);
        assert_eq!(run(words, &[]), plain, "{words:?}");
        assert_eq!(run(words, &[always]), coloured, "{words:?}");
        assert_eq!(run(words, &[always, no]), plain, "{words:?}");
        let with = |when: &'static str| [&["--color", when], words].concat();
        assert_eq!(run(&with("always"), &[no]), coloured, "{words:?}");
        assert_eq!(run(&with("never"), &[always]), plain, "{words:?}");
        assert_eq!(run(&with("auto"), &[]), plain, "{words:?}");
    }
    // What programs read has none in any case.
    for format in ["--json", "--paths", "-0"] {
        let words = ["query", "photos/cat.jpg", format, "--color", "always"];
        assert_eq!(run(&words, &[]), (false, false), "{format}");
    }
}

#[test]
fn a_name_cannot_colour_an_error() {
    let place = Place::new();
    let refused = place
        .run(&["--color", "always", "encode", "a\u{1b}[31mb.jpg"])
        .ended(1);
    assert!(
        refused
            .stderr
            .starts_with("\u{1b}[1;31mimgsearch:\u{1b}[0m "),
        "{refused:?}"
    );
    assert!(!refused.stderr.contains("\u{1b}[31mb"), "{refused:?}");
}
