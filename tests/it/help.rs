//! The help of every command: each option is under its own heading.

use crate::support::Place;

/// Returns the heading above an option in a help text.
fn heading_of(help: &str, option: &str) -> String {
    let mut heading = "";
    for line in help.lines() {
        if !line.starts_with(' ') && line.ends_with(':') {
            heading = line;
        }
        let mut words = line.split([' ', ',']).filter(|word| !word.is_empty());
        if line.starts_with(' ') && words.any(|word| word == option) {
            return heading.to_owned();
        }
    }
    panic!("{option} is missing: {help}");
}

#[test]
fn options_are_under_their_own_headings() {
    let place = Place::new();
    for (command, options) in [
        (
            &["query"][..],
            &[
                ("--under", "Filters:"),
                ("--type", "Filters:"),
                ("--more", "Question:"),
                ("--crop", "Question:"),
                ("--exact", "Search:"),
                ("--by", "Search:"),
                ("--min-similarity", "Search:"),
                ("--json", "Output:"),
                ("--paths", "Output:"),
                ("-0", "Output:"),
                ("--show", "Output:"),
                ("--show-as", "Output:"),
                ("--html", "Output:"),
                ("--open", "Output:"),
                ("--max-seconds", "Limits:"),
                ("--quiet", "Global options:"),
            ][..],
        ),
        (
            &["index"],
            &[
                ("--hidden", "Files:"),
                ("--prune", "Missing files:"),
                ("--json", "Output:"),
            ],
        ),
        (
            &["watch"],
            &[
                ("--poll", "Options:"),
                ("--hidden", "Files:"),
                ("--keep-missing", "Missing files:"),
                ("--no-adapt", "Encoder:"),
                ("--json", "Output:"),
            ],
        ),
        (
            &["serve"],
            &[("--watch", "Watching:"), ("--bind", "Access:")],
        ),
        (
            &["train", "head"],
            &[
                ("--output", "Options:"),
                ("--json", "Output:"),
                ("--hidden", "Files:"),
                ("--trunk", "Trunk:"),
                ("--epochs", "Training:"),
            ],
        ),
        (
            &["import"],
            &[
                ("--output", "Options:"),
                ("--output-name", "Model:"),
                ("--mean", "Model:"),
                ("--train", "Head:"),
                ("--json", "Output:"),
            ],
        ),
        (
            &["train", "copies"],
            &[("--json", "Output:"), ("--views", "Training:")],
        ),
        (
            &["train", "autoencoder"],
            &[
                ("--json", "Output:"),
                ("--hidden", "Files:"),
                ("--kind", "Design:"),
                ("--grey", "Input:"),
                ("--resume", "Interrupted runs:"),
            ],
        ),
        (
            &["adapt"],
            &[("--json", "Output:"), ("--code", "Training:")],
        ),
        (
            &["eval"],
            &[("--json", "Output:"), ("--max-memory", "Limits:")],
        ),
        (&["reconstruct"], &[("--json", "Output:")]),
        (&["status"], &[("--json", "Output:")]),
    ] {
        let help = place.run(&[command, &["-h"]].concat()).ended(0).stdout;
        for (option, heading) in options {
            assert_eq!(&heading_of(&help, option), heading, "{command:?} {option}");
        }
    }
}

#[test]
fn the_old_spelling_of_train_says_how_it_was_read() {
    let place = Place::new();
    let refused = place
        .run(&[
            "train", "photos", "--for", "copies", "-o", "f", "--epochs", "2",
        ])
        .ended(2)
        .stderr;
    assert!(
        refused.contains("read as `imgsearch train copies`"),
        "{refused}"
    );
    let refused = place
        .run(&["train", "copies", "photos", "-o", "f", "--epochs", "2"])
        .ended(2)
        .stderr;
    assert!(!refused.contains("read as"), "{refused}");
}

#[test]
fn a_subcommand_of_train_does_what_its_old_spelling_did() {
    let place = Place::new();
    let mut idx = vec![0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 8, 0, 0, 0, 8];
    idx.extend((0..40 * 64).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
    std::fs::write(place.photos().with_file_name("images"), idx).unwrap();
    let trained = |words: &[&str], output: &str| {
        let shared = [
            "images",
            "--kind",
            "simple",
            "--code",
            "4",
            "--bits",
            "8",
            "--epochs",
            "2",
            "--batch",
            "8",
            "--no-charts",
            "--json",
            "-o",
            output,
        ];
        let lines = place.run(&[words, &shared].concat()).ended(0).json_lines();
        lines.last().unwrap()["fingerprint"].clone()
    };
    let new = trained(&["train", "autoencoder"], "new.onnx");
    assert!(new.is_string());
    assert_eq!(new, trained(&["train"], "old.onnx"));
}

#[test]
fn shells_and_man_get_what_they_need() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.run(&["completions", shell]).ended(0).stdout;
        for word in ["duplicates", "min-similarity"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    place.run(&["completions", "tcsh"]).ended(2);
    let page = place.run(&["man"]).ended(0).stdout;
    assert!(page.contains(".TH imgsearch 1"), "{page}");
    place.run(&["man", "-o", "pages"]).ended(0);
    let page = std::fs::read_to_string(
        place
            .index_dir()
            .with_file_name("pages/imgsearch-train-head.1"),
    )
    .unwrap();
    assert!(page.contains("imgsearch\\-train\\-head"), "{page}");
    let pages = std::fs::read_dir(place.index_dir().with_file_name("pages"))
        .unwrap()
        .count();
    assert!(pages > 20, "{pages}");
}
