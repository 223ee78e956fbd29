//! Collections: `--index NAME` and `imgsearch collections`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Place, Ran, ran};

/// A place with a data folder of its own, and no index that a variable names.
struct User(Place);

impl User {
    fn new() -> Self {
        Self(Place::with(&["cat.jpg", "coffee.jpg"]))
    }

    fn data(&self) -> PathBuf {
        self.0.photos().with_file_name("data")
    }

    fn here(&self, name: &str) -> PathBuf {
        self.0.photos().with_file_name(name)
    }

    fn command(&self) -> Command {
        let mut command = self.0.command();
        command
            .env_remove("IMGSEARCH_INDEX")
            .env("XDG_DATA_HOME", self.data());
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        ran(self.command().args(words).output().unwrap())
    }

    /// Returns the folder of the index that commands use.
    fn index(&self, name: &str) -> PathBuf {
        let status = self.run(&["status", "--json", "--index", name]).ended(0);
        status.json_lines()[0]["dir"].as_str().unwrap().into()
    }
}

#[test]
fn a_name_makes_a_collection_in_the_data_folder_and_finds_it_from_everywhere() {
    let user = User::new();
    let made = user
        .run(&["index", "photos", "--index", "holiday"])
        .ended(0);
    let dir = user.data().join("imgsearch/collections/holiday");
    assert!(made.stderr.contains(dir.to_str().unwrap()), "{made:?}");
    assert!(!user.here("holiday").exists());
    assert_eq!(user.index("holiday"), dir);
    let mut elsewhere = user.command();
    elsewhere
        .current_dir(user.data())
        .args(["query", "--index", "holiday", "--paths"]);
    let found = ran(elsewhere.arg(user.0.photo("cat.jpg")).output().unwrap()).ended(0);
    assert!(
        found
            .stdout
            .starts_with(user.0.photo("cat.jpg").to_str().unwrap()),
        "{found:?}"
    );
    let listed = user.run(&["collections"]).ended(0).stdout;
    assert!(
        listed.contains("holiday") && listed.contains("2 images"),
        "{listed}"
    );
    let listed = user.run(&["collections", "--json"]).ended(0).json_lines();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["name"], "holiday");
    assert_eq!(listed[0]["images"], 2);
    assert_eq!(
        listed[0]["folders"][0],
        user.0.photos().canonicalize().unwrap().to_str().unwrap()
    );
    // Suggestions name it as it was typed.
    let removed = user
        .run(&["remove", "--index", "holiday", "photos/cat.jpg"])
        .ended(0);
    assert!(
        removed
            .stderr
            .contains("imgsearch remove --index holiday --undo photos/cat.jpg"),
        "{removed:?}"
    );
    let missing = user
        .run(&["query", "--index", "holidays", "photos/cat.jpg"])
        .ended(2);
    assert!(
        missing
            .stderr
            .contains("imgsearch index --index holidays FOLDER"),
        "{missing:?}"
    );
}

#[test]
fn a_folder_of_the_same_name_is_no_surprise() {
    let user = User::new();
    // Photographs in a folder that is called like the collection.
    fs::rename(user.0.photos(), user.here("holiday")).unwrap();
    user.run(&["index", "--index", "holiday", "holiday"])
        .ended(0);
    let dir = user.data().join("imgsearch/collections/holiday");
    assert_eq!(user.index("holiday"), dir);
    assert_eq!(fs::read_dir(user.here("holiday")).unwrap().count(), 2);
    // An index here that has no name, by its word and by its path.
    user.run(&["index", "--index", "./mine", "holiday"])
        .ended(0);
    assert_eq!(user.index("mine"), PathBuf::from("mine"));
    // An empty folder was made for it.
    fs::create_dir(user.here("empty")).unwrap();
    user.run(&["index", "--index", "empty", "holiday"]).ended(0);
    assert!(fs::read_dir(user.here("empty")).unwrap().count() > 0);
    // Both: neither is chosen.
    user.run(&["index", "--index", "./both", "holiday"])
        .ended(0);
    let mut elsewhere = user.command();
    elsewhere
        .current_dir(user.data())
        .args(["index", "--index", "both"]);
    ran(elsewhere.arg(user.here("holiday")).output().unwrap()).ended(0);
    let refused = user.run(&["status", "--index", "both"]).ended(2);
    assert!(refused.stderr.contains("--index ./both"), "{refused:?}");
    let other = user.data().join("imgsearch/collections/both");
    assert!(
        refused
            .stderr
            .contains(&format!("--index {}", other.display())),
        "{refused:?}"
    );
    assert_eq!(user.index(other.to_str().unwrap()), other);
    assert_eq!(user.index("./both"), PathBuf::from("./both"));
    // The default index has a name, too.
    user.run(&["index", "holiday"]).ended(0);
    assert_eq!(user.index("default"), user.data().join("imgsearch"));
    let listed = user.run(&["collections", "--json"]).ended(0).json_lines();
    let names: Vec<&str> = listed
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["default", "both", "holiday"]);
}

#[test]
fn an_index_elsewhere_gets_a_name_and_loses_it() {
    let user = User::new();
    let none = user.run(&["collections", "add", "work", "index"]).ended(2);
    assert!(none.stderr.contains("no index"), "{none:?}");
    user.run(&["index", "photos", "--index", "./index"])
        .ended(0);
    let added = user.run(&["collections", "add", "work", "index"]).ended(0);
    assert!(
        added.stderr.contains("imgsearch query --index work IMAGE"),
        "{added:?}"
    );
    assert_eq!(user.index("work"), user.here("index"));
    let taken = user.run(&["collections", "add", "work", "index"]).ended(2);
    assert!(
        taken.stderr.contains("imgsearch collections remove work"),
        "{taken:?}"
    );
    for bad in ["default", "a/b", "-", ".x"] {
        let refused = user
            .run(&["collections", "add", "--", bad, "index"])
            .ended(2);
        assert!(refused.stderr.contains("cannot be the name"), "{refused:?}");
    }
    user.run(&["collections", "remove", "work"]).ended(0);
    assert_eq!(user.index("./index"), PathBuf::from("./index"));
    let gone = user.run(&["collections", "remove", "work"]).ended(2);
    assert!(
        gone.stderr.contains("no collection is called \"work\""),
        "{gone:?}"
    );
    user.run(&["collections"]).ended(1);
}

#[test]
fn an_index_in_the_data_folder_is_deleted_only_if_that_is_said() {
    let user = User::new();
    user.run(&["index", "photos", "--index", "holiday"])
        .ended(0);
    let dir = user.data().join("imgsearch/collections/holiday");
    let refused = user.run(&["collections", "remove", "holiday"]).ended(2);
    assert!(
        refused
            .stderr
            .contains("imgsearch collections remove holiday --delete"),
        "{refused:?}"
    );
    assert!(dir.exists());
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    let deleted = user
        .run(&["collections", "remove", "holiday", "--delete"])
        .ended(0);
    assert!(deleted.stderr.contains("notes.txt"), "{deleted:?}");
    assert_eq!(fs::read(dir.join("notes.txt")).unwrap(), b"mine");
    assert!(user.0.photo("cat.jpg").exists());
    user.run(&["collections"]).ended(1);
    // Nothing else lies in the folder of this one.
    user.run(&["index", "photos", "--index", "second"]).ended(0);
    user.run(&["collections", "remove", "second", "--delete"])
        .ended(0);
    assert!(!dir.with_file_name("second").exists());
}
