//! `docs/commands.md` holds the help of every command, and units for systemd in the pages are those of the packages.

use std::fs;
use std::process::Command;

use super::folder;

const INTRODUCTION: &str = "# Commands\n\n\
    The help of every command, as `imgsearch help COMMAND` prints it. The global options, which every command has, are \
    only under the first heading.\n";

/// Returns what a command prints with `--help`.
fn help(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_imgsearch"))
        .args(words)
        .arg("--help")
        .env_remove("COLUMNS")
        .env_remove("IMGSEARCH_INDEX")
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the commands that a help text lists.
fn listed(help: &str) -> Vec<&str> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

/// Removes the options that every command has.
fn remove_global(lines: &mut Vec<&str>) {
    let start = lines.iter().position(|line| *line == "Global options:");
    let start = start.expect("each command has global options");
    let below = lines[start + 1..]
        .iter()
        .position(|line| !line.is_empty() && !line.starts_with(' '));
    let end = below.map_or(lines.len(), |below| start + 1 + below);
    lines.drain(start..end);
}

/// Writes the section of a command and of those below it.
fn describe(words: &[&str], page: &mut String) {
    let text = help(words);
    let level = "#".repeat(2 + words.len().saturating_sub(1));
    let name = [&["imgsearch"], words].concat().join(" ");
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    if !words.is_empty() {
        remove_global(&mut lines);
    }
    page.push_str(&format!(
        "\n{level} {name}\n\n```text\n{}\n```\n",
        lines.join("\n").trim_end()
    ));
    for below in listed(&text) {
        describe(&[words, &[below]].concat(), page);
    }
}

#[test]
fn the_reference_is_what_the_commands_print() {
    let mut page = INTRODUCTION.to_owned();
    describe(&[], &mut page);
    assert!(page.matches("\n## imgsearch ").count() > 20, "{page}");
    let path = folder().join("commands.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    let differing = stored.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(
        stored == page,
        "docs/commands.md is not what the commands print ({differing:?}); renew it with \
         UPDATE_DOCS=1 cargo test --test it documented"
    );
}

#[test]
fn the_pages_show_the_units_of_the_packages() {
    for (page, name) in [("serve.md", "imgsearch"), ("watch.md", "imgsearch-watch")] {
        let text = fs::read_to_string(folder().join(page)).unwrap();
        let (_, after) = text.split_once("```ini\n").unwrap();
        let (unit, _) = after.split_once("```").unwrap();
        let packaged = folder().join(format!("../packages/{name}.service"));
        let packaged = fs::read_to_string(packaged).unwrap();
        assert_eq!(
            unit.replace("%h/.cargo/bin/", "/usr/bin/"),
            packaged,
            "{page}"
        );
    }
}
