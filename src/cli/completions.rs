//! `imgsearch completions` and `imgsearch man`: what shells and `man` need, from the definition of the arguments.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};

use super::args::{Cli, CompletionsArgs, ManArgs};
use super::output::{counted, shown};
use super::streams::{self, say};
use super::{Outcome, Result};

const NAME: &str = "imgsearch";

pub fn run(args: &CompletionsArgs) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    streams::bytes(&script);
    Ok(Outcome::Done)
}

pub fn man(args: &ManArgs) -> Result {
    let mut root = Cli::command();
    root.build();
    let Some(folder) = &args.output else {
        streams::bytes(&page(&root, NAME)?);
        return Ok(Outcome::Done);
    };
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", shown(path));
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let pages = pages(&root, NAME)?;
    for (name, text) in &pages {
        let path = folder.join(name);
        let written = fs::File::create(&path).and_then(|mut file| file.write_all(text));
        written.map_err(|error| failed(&path, error))?;
    }
    let count = counted(pages.len(), "page", "pages");
    say!("wrote {count} to {}", shown(folder));
    Ok(Outcome::Done)
}

/// Returns the manual of a command and of those below it, each with the name of its file.
fn pages(command: &Command, name: &str) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut pages = vec![(PathBuf::from(format!("{name}.1")), page(command, name)?)];
    for below in command.get_subcommands() {
        if !below.is_hide_set() && below.get_name() != "help" {
            pages.extend(self::pages(below, &format!("{name}-{}", below.get_name()))?);
        }
    }
    Ok(pages)
}

fn page(command: &Command, name: &str) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let titled = command.clone().display_name(name.to_owned());
    clap_mangen::Man::new(titled)
        .title(name)
        .render(&mut text)?;
    Ok(text)
}
