//! Settings: the configuration file, the environment and what is typed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{Place, Ran, ran};

/// A place with a configuration file.
struct User(Place);

impl User {
    fn with(text: &str) -> Self {
        let user = Self(Place::with(&["cat.jpg", "coffee.jpg", "coins.jpg"]));
        user.write(text);
        user
    }

    fn file(&self) -> PathBuf {
        self.0.photos().with_file_name("config.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = self.0.command();
        command.env("IMGSEARCH_CONFIG", self.file());
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.run_with(words, &[])
    }

    fn run_with(&self, words: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = self.command();
        command.args(words).envs(variables.iter().copied());
        ran(command.output().unwrap())
    }

    fn found(&self, words: &[&str], variables: &[(&str, &str)]) -> usize {
        let ran = self.run_with(
            &[&["query", "photos/cat.jpg", "--paths"], words].concat(),
            variables,
        );
        ran.ended(0).stdout.lines().count()
    }
}

fn setting(shown: &Value, name: &str) -> Value {
    let settings = shown["settings"].as_array().unwrap();
    let found = settings.iter().find(|setting| setting["name"] == name);
    found.unwrap_or_else(|| panic!("{name}: {shown}")).clone()
}

#[test]
fn the_file_counts_less_than_the_environment_and_that_less_than_what_is_typed() {
    let user = User::with("[query]\nk = 1\n");
    user.0.index();
    assert_eq!(user.found(&[], &[]), 1);
    assert_eq!(user.found(&[], &[("IMGSEARCH_QUERY_K", "2")]), 2);
    assert_eq!(user.found(&["-k", "3"], &[("IMGSEARCH_QUERY_K", "2")]), 3);
    assert_eq!(user.found(&[], &[("IMGSEARCH_QUERY_K", "")]), 1);
    assert_eq!(user.found(&["--no-config"], &[]), 3);
    assert_eq!(user.found(&["--config", "/dev/null"], &[]), 3);
    let alias = user.run(&["search", "photos/cat.jpg", "--paths"]).ended(0);
    assert_eq!(alias.stdout.lines().count(), 1);

    let shown = |words: &[&str], variables: &[(&str, &str)]| {
        let ran = user.run_with(&[&["config", "--json"], words].concat(), variables);
        ran.ended(0).json_lines()[0].clone()
    };
    let of_file = shown(&[], &[]);
    assert_eq!(of_file["file"], user.file().to_str().unwrap());
    let k = setting(&of_file, "query.k");
    assert_eq!(
        (&k["from"], &k["line"], &k["values"][0]),
        (&"file".into(), &2.into(), &"1".into())
    );
    assert_eq!(setting(&of_file, "threads")["from"], "default");
    let index = setting(&of_file, "index");
    assert_eq!(
        (&index["from"], &index["variable"]),
        (&"environment".into(), &"IMGSEARCH_INDEX".into())
    );
    let of_variable = shown(&[], &[("IMGSEARCH_QUERY_K", "2")]);
    assert_eq!(
        setting(&of_variable, "query.k")["variable"],
        "IMGSEARCH_QUERY_K"
    );
    let typed = setting(&shown(&["--threads", "2"], &[]), "threads");
    assert_eq!(
        (&typed["from"], &typed["values"][0]),
        (&"typed".into(), &"2".into())
    );
    let all = shown(&["--all"], &[]);
    assert_eq!(setting(&all, "query.by")["values"][0], "both");
    let text = user.run(&["config"]).ended(0).stdout;
    assert!(text.contains("line 2 of the file"), "{text}");
}

#[test]
fn flags_lists_and_paths_can_be_set_and_a_flag_can_be_turned_off() {
    let user = User::with("[index]\nignore = ['coffee*', 'coins*']\nhidden = true\n");
    fs::copy(user.0.photo("cat.jpg"), user.0.photo(".hidden.jpg")).unwrap();
    let walked = |words: &[&str], variables: &[(&str, &str)]| {
        let ran = user.run_with(&[&["index", "photos", "--json"], words].concat(), variables);
        let events = ran.ended(0).json_lines();
        let planned = events.iter().find(|event| event["event"] == "planned");
        planned.unwrap()["plan"]["found"].as_u64().unwrap()
    };
    assert_eq!(walked(&[], &[]), 2);
    // What is typed takes the place of a list.
    assert_eq!(walked(&["--ignore", "cat*"], &[]), 3);
    assert_eq!(walked(&["--hidden=false"], &[]), 1);
    assert_eq!(walked(&[], &[("IMGSEARCH_INDEX_HIDDEN", "no")]), 1);
    assert_eq!(
        walked(&["--hidden=true"], &[("IMGSEARCH_INDEX_HIDDEN", "no")]),
        2
    );
    let refused = user.run(&["status", "--hidden=false"]).ended(2);
    assert!(
        refused.stderr.contains("unexpected argument"),
        "{refused:?}"
    );
    // A path begins at the root or at home.
    let index = user.0.photos().with_file_name("other index");
    user.write(&format!("index = '{}'\n", index.display()));
    let mut command = user.command();
    let ran = ran(command
        .env_remove("IMGSEARCH_INDEX")
        .args(["index", "photos"])
        .output()
        .unwrap());
    assert!(ran.ended(0).stderr.contains("other index"));
}

#[test]
fn a_setting_yields_to_an_option_that_excludes_it() {
    let user = User::with("[query]\nno-expand = true\njson = true\n[index]\nkeep-missing = true\n");
    user.0.index();
    let paths = user.run(&["query", "photos/cat.jpg", "--paths"]).ended(0);
    assert!(paths.stdout.starts_with('/'), "{paths:?}");
    user.run(&["query", "photos/cat.jpg", "--expand", "2", "--paths"])
        .ended(0);
    assert_eq!(
        user.run(&["query", "photos/cat.jpg"])
            .ended(0)
            .json_lines()
            .len(),
        1
    );
    fs::remove_file(user.0.photo("coffee.jpg")).unwrap();
    user.run(&["index"]).ended(0);
    assert_eq!(user.0.images(), 3);
    user.run(&["index", "--prune"]).ended(0);
    assert_eq!(user.0.images(), 2);
}

#[test]
fn a_mistake_names_the_file_and_the_line_and_nothing_is_done() {
    let user =
        User::with("threads = 2\n\nthread = 2\n[query]\nby = 'colour'\n[index]\nprune = true\n");
    let refused = user.run(&["index", "photos"]).ended(2);
    for part in [
        "config.toml:3: thread is no setting; is threads meant?",
        "config.toml:5: query.by = 'colour': choose one of",
        "config.toml:7: index.prune is no setting",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    assert!(
        refused.stderr.contains("imgsearch config edit"),
        "{refused:?}"
    );
    assert!(!user.0.index_dir().exists());
    // These work all the same.
    for words in [
        &["--help"][..],
        &["index", "--help"],
        &["--version"],
        &["completions", "bash"],
        &["man"],
        &["status", "--no-config", "--help"],
    ] {
        user.run(words).ended(0);
    }
    let shown = user.run(&["config", "--json"]).ended(1);
    assert_eq!(
        shown.json_lines()[0]["problems"].as_array().unwrap().len(),
        3
    );
    let variable = user
        .run_with(&["status", "--no-config"], &[("IMGSEARCH_THREADS", "many")])
        .ended(2);
    assert!(
        variable
            .stderr
            .contains("the variable IMGSEARCH_THREADS: invalid digit"),
        "{variable:?}"
    );
    let strange = user
        .run_with(&["config", "--no-config"], &[("IMGSEARCH_THREAD", "1")])
        .ended(0);
    assert!(
        strange.stderr.contains("IMGSEARCH_THREAD is no setting"),
        "{strange:?}"
    );
    let missing = user.run(&["status", "--config", "none.toml"]).ended(2);
    assert!(
        missing.stderr.contains("none.toml cannot be read"),
        "{missing:?}"
    );
}

#[test]
fn a_new_file_says_everything_in_comments_and_is_not_written_twice() {
    let user = User::with("");
    fs::remove_file(user.file()).unwrap();
    let config = |words: &[&str]| {
        let file = user.file();
        user.0
            .run(&[&["config", "--config", file.to_str().unwrap()], words].concat())
    };
    assert!(config(&["path"]).ended(0).stdout.ends_with("config.toml\n"));
    config(&["init"]).ended(0);
    let text = fs::read_to_string(user.file()).unwrap();
    assert!(
        text.contains("[query]\n") && text.contains("# k = 10\n"),
        "{text}"
    );
    assert_eq!(config(&["--json"]).ended(0).json_lines()[0]["exists"], true);
    let refused = config(&["init"]).ended(2);
    assert!(
        refused.stderr.contains("imgsearch config edit"),
        "{refused:?}"
    );
}

#[cfg(unix)]
#[test]
fn an_editor_with_arguments_edits_the_file_and_mistakes_are_said() {
    let user = User::with("");
    let editor = "sh -c 'printf \"%s\\n\" threads=2 \"$0\" >> \"$1\"'";
    let edit = |line: &str| {
        let editor = format!("{editor} {line}");
        user.run_with(
            &["config", "edit"],
            &[("VISUAL", &editor), ("EDITOR", "false")],
        )
    };
    edit("offline=true").ended(0);
    let refused = edit("nonsense").ended(1);
    assert!(refused.stderr.contains("config.toml:"), "{refused:?}");
    let refused = user
        .run_with(&["config", "edit"], &[("VISUAL", "no-such-editor")])
        .ended(2);
    assert!(
        refused.stderr.contains("set VISUAL or EDITOR"),
        "{refused:?}"
    );
}
