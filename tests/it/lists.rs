//! Lists of files: `--files-from` for the commands that take many.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::support::{Place, Ran, ran};

fn run(place: &Place, words: &[&str], list: &[u8]) -> Ran {
    let mut command = place.command();
    command.args(words).stdin(Stdio::piped());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(list).unwrap();
    ran(child.wait_with_output().unwrap())
}

#[test]
fn a_list_names_what_is_indexed_queried_removed_and_restored() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "coins.jpg"]);
    run(
        &place,
        &["index", "--files-from", "-"],
        b"photos/cat.jpg\r\nphotos/coffee.jpg\n",
    )
    .ended(0);
    assert_eq!(place.images(), 2);
    run(
        &place,
        &["index", "--files-from", "-", "photos/coins.jpg"],
        b"photos/cat.jpg\0photos/coffee.jpg\0",
    )
    .ended(0);
    assert_eq!(place.images(), 3);
    // Each image is a question of its own, and nothing in a list is words.
    let asked = run(
        &place,
        &["query", "--files-from", "-", "--json", "-k", "1"],
        b"photos/cat.jpg\nphotos/coffee.jpg\n",
    );
    assert_eq!(asked.ended(0).json_lines().len(), 2);
    let words = run(
        &place,
        &["query", "--files-from", "-"],
        b"coffee on a beach\n",
    )
    .ended(2);
    assert!(words.stderr.contains("coffee on a beach"), "{words:?}");
    fs::write(place.photo("list"), "photos/cat.jpg\n").unwrap();
    let removed = place
        .run(&["remove", "--files-from", "photos/list"])
        .ended(0);
    assert!(
        removed
            .stderr
            .contains("imgsearch remove --undo --files-from photos/list"),
        "{removed:?}"
    );
    assert_eq!(place.images(), 2);
    place
        .run(&["restore", "--files-from", "photos/list"])
        .ended(0);
    assert_eq!(place.images(), 3);
}

#[test]
fn an_empty_list_is_no_order_for_everything() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    for command in ["index", "remove", "restore", "query"] {
        let refused = run(&place, &[command, "--files-from", "-"], b"\n\n").ended(2);
        assert!(
            refused.stderr.contains("names no file"),
            "{command}: {refused:?}"
        );
        let refused = place.run(&[command, "--files-from", "no list"]).ended(2);
        assert!(
            refused.stderr.contains("the list no list cannot be read"),
            "{command}: {refused:?}"
        );
    }
    assert_eq!(place.images(), 2);
}
