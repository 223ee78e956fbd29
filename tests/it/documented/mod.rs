//! The documentation: what its console blocks show is what the program prints, its reference is current, and no page
//! is left out of the table of contents.
//!
//! A block of `docs/*.md` that is marked as `console` is run: a line after `$ ` is a command for a shell, the lines below
//! are what it prints (standard output and error together). A line `…` stands for any number of lines, and `…` at the end
//! of a line for anything. Durations, rates and dates may differ. A command without lines below must only succeed.
//!
//! A comment above a block arranges what a reader would have done already, or does meanwhile:
//! `<!-- before: COMMAND -->` runs first; with `<!-- meanwhile: COMMAND -->`, the block's last command runs until that one
//! is done, and is then ended. `$SHOWN` is the file with what it has printed.

mod pages;
mod reference;
mod shell;
mod similar;

use std::fs;
use std::path::{Path, PathBuf};

use pages::blocks;
use shell::Shell;

/// Returns the pages of the documentation, by name.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    pages
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Runs the blocks of a page. Returns their number, or what differs.
fn run_page(name: &str, text: &str) -> Result<usize, String> {
    let blocks = blocks(text)?;
    let shell = Shell::new();
    for block in &blocks {
        let place = |line: usize| format!("{name}:{line}");
        for command in &block.before {
            let (status, printed) = shell.run(command);
            if status != 0 {
                return Err(format!(
                    "{}: {command}\nended with {status}:\n{printed}",
                    place(block.line)
                ));
            }
        }
        for (i, step) in block.steps.iter().enumerate() {
            let last = i + 1 == block.steps.len();
            let (status, printed) = match &block.meanwhile {
                Some(meanwhile) if last => shell.run_while(&step.command, meanwhile)?,
                _ => shell.run(&step.command),
            };
            let place = place(step.line);
            // 1 means that nothing was found, or that something differs.
            if !(status == 0 || status == 1 || status == 130) {
                return Err(format!("{place}: ended with {status}:\n{printed}"));
            }
            let shown = &step.shown;
            if !shown.is_empty() && !similar::similar(shown, &printed) {
                return Err(format!(
                    "{place}: `{}` prints\n\n{printed}\nbut the page shows\n\n{shown}",
                    step.command
                ));
            }
        }
    }
    Ok(blocks.len())
}

#[test]
fn the_console_blocks_print_what_they_show() {
    // A folder, a home and a port for each page.
    let pages = pages();
    let run = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        run_page(&name, &fs::read_to_string(path).unwrap())
    };
    let results: Vec<Result<usize, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = pages
            .iter()
            .map(|path| scope.spawn(move || run(path)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let wrong: Vec<&String> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    assert!(
        wrong.is_empty(),
        "{}",
        wrong
            .iter()
            .map(|text| text.as_str())
            .collect::<Vec<_>>()
            .join("\n\n")
    );
    let blocks: usize = results.into_iter().flatten().sum();
    assert!(blocks >= 20, "{blocks} blocks");
}

#[test]
fn a_page_that_shows_something_else_is_noticed() {
    let page = |shown: &str| format!("```console\n$ imgsearch index photos\n{shown}\n```\n");
    let right = "16 added; 9.9 s, 1 images/s\n…";
    assert_eq!(run_page("page", &page(right)), Ok(1));
    let wrong = run_page("page", &page("15 added; 9.9 s, 1 images/s\n…")).unwrap_err();
    assert!(
        wrong.starts_with("page:2: ") && wrong.contains("16 added"),
        "{wrong}"
    );
    let unfinished = run_page("page", &page("16 added; 9.9 s, 1 images/s")).unwrap_err();
    assert!(unfinished.contains("encoder: built-in"), "{unfinished}");
    let failing = run_page("page", "```console\n$ imgsearch no-such-command\n```\n").unwrap_err();
    assert!(failing.contains("ended with 2"), "{failing}");
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = fs::read_to_string(folder().join("SUMMARY.md")).unwrap();
    for path in pages() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let listed = name == "SUMMARY.md" || contents.contains(&format!("]({name})"));
        assert!(listed, "docs/SUMMARY.md does not list {name}");
    }
}

#[test]
fn links_lead_to_files_that_exist() {
    let mut links = 0;
    for path in pages() {
        let text = fs::read_to_string(&path).unwrap();
        for link in pages::links(&text) {
            let file = link.split('#').next().unwrap();
            let there = file.is_empty() || folder().join(file).exists();
            assert!(there, "{}: there is no {link}", path.display());
            links += 1;
        }
    }
    assert!(links > 20, "{links} links");
}
