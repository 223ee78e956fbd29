//! Which settings there are, and which values they take.

use std::error::Error as _;
use std::ffi::OsString;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command, ValueHint};

/// Options that say what a single run is about: what it works on, what it deletes or overwrites, secrets. They are
/// typed.
const TYPED_ONLY: &[&str] = &[
    "apply",
    "calibrate",
    "config",
    "crop",
    "dry_run",
    "files_from",
    "force",
    "forever",
    "help",
    "id",
    "less",
    "list",
    "more",
    "new_password",
    "no_config",
    "npy",
    "null",
    "output",
    "prune",
    "rebuild",
    "reencode",
    "repair",
    "restart",
    "resume",
    "text",
    "token",
    "undo",
    "version",
    "yes",
];

/// Commands without settings.
const WITHOUT: &[&str] = &["collections", "completions", "config", "help", "man"];

/// An option that can have a value in the file or in the environment.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The names of its command; none for an option of every command.
    pub command: Vec<String>,
    /// Its id for clap.
    pub id: String,
    /// Its name in the file: that of the option.
    pub key: String,
    /// Whether it is true or false.
    pub is_flag: bool,
    /// Whether it takes several values.
    pub is_list: bool,
    /// Whether its values are paths.
    pub is_path: bool,
}

impl Setting {
    /// Returns its whole name, such as `query.min-similarity`.
    pub fn name(&self) -> String {
        let mut names = self.command.clone();
        names.push(self.key.clone());
        names.join(".")
    }

    /// Returns its variable, such as `IMGSEARCH_QUERY_MIN_SIMILARITY`.
    pub fn variable(&self) -> String {
        let name = self.name().replace(['.', '-'], "_");
        format!("IMGSEARCH_{}", name.to_uppercase())
    }

    /// Returns what identifies it and sorts it: those of every command first.
    pub fn sort_key(&self) -> (Vec<String>, String) {
        (self.command.clone(), self.key.clone())
    }

    /// Returns its option in a definition of the arguments.
    pub fn option<'a>(&self, root: &'a Command) -> Option<&'a Arg> {
        let command = leaf(root, &self.command)?;
        command
            .get_arguments()
            .find(|arg| arg.get_id() == self.id.as_str())
    }

    /// Checks values as clap would, and returns what is wrong with them.
    pub fn check(&self, root: &Command, values: &[OsString]) -> Result<(), String> {
        let Some(option) = self.option(root) else {
            return Ok(());
        };
        let parser: ValueParser = option.get_value_parser().clone();
        let mut probe = Arg::new("value")
            .long("value")
            .action(ArgAction::Append)
            .value_parser(parser);
        if let Some(delimiter) = option.get_value_delimiter() {
            probe = probe.value_delimiter(delimiter);
        }
        let words = values.iter().map(|value| {
            let mut word = OsString::from("--value=");
            word.push(value);
            word
        });
        let command = Command::new("setting")
            .no_binary_name(true)
            .disable_help_flag(true)
            .arg(probe);
        match command.try_get_matches_from(words) {
            Ok(_) => Ok(()),
            Err(error) => Err(reason(&error)),
        }
    }
}

fn reason(error: &clap::Error) -> String {
    if let Some(source) = error.source() {
        return source.to_string();
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
            format!("choose one of {}", valid.join(", "))
        }
        _ => "it takes no such value".to_owned(),
    }
}

/// Returns the command of these names.
pub fn leaf<'a>(root: &'a Command, names: &[String]) -> Option<&'a Command> {
    names
        .iter()
        .try_fold(root, |command, name| command.find_subcommand(name))
}

/// Returns all settings that there are.
pub fn all(root: &Command) -> Vec<Setting> {
    let mut found = Vec::new();
    collect(root, &mut Vec::new(), &mut found);
    found
}

fn collect(command: &Command, names: &mut Vec<String>, found: &mut Vec<Setting>) {
    let options = command.get_arguments().filter(|arg| {
        let id = arg.get_id().as_str();
        !arg.is_positional()
            && !arg.is_required_set()
            && !TYPED_ONLY.contains(&id)
            // Below, they are those of the command above.
            && (names.is_empty() || !arg.is_global_set())
    });
    found.extend(options.map(|arg| {
        let id = arg.get_id().to_string();
        Setting {
            command: names.clone(),
            key: arg.get_long().map_or_else(|| id.clone(), ToOwned::to_owned),
            is_flag: matches!(arg.get_action(), ArgAction::SetTrue),
            is_list: matches!(arg.get_action(), ArgAction::Append)
                || arg.get_value_delimiter().is_some(),
            is_path: arg.get_value_hint() == ValueHint::AnyPath,
            id,
        }
    }));
    for below in command.get_subcommands() {
        let name = below.get_name();
        if !below.is_hide_set() && !WITHOUT.contains(&name) {
            names.push(name.to_owned());
            collect(below, names, found);
            names.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::Cli;

    #[test]
    fn what_a_run_is_about_is_no_setting() {
        let names: Vec<String> = all(&Cli::command()).iter().map(Setting::name).collect();
        for name in [
            "index",
            "threads",
            "query.k",
            "query.min-similarity",
            "index.ignore",
            "train.head.epochs",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        }
        for name in [
            "config",
            "index.prune",
            "remove.forever",
            "duplicates.apply",
            "serve.token",
            "encode.files-from",
            "encode.npy",
        ] {
            assert!(!names.iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn every_name_of_an_option_that_is_typed_only_is_one_of_an_option() {
        let mut root = Cli::command();
        root.build();
        fn has(command: &Command, id: &str) -> bool {
            command.get_arguments().any(|arg| arg.get_id() == id)
                || command.get_subcommands().any(|below| has(below, id))
        }
        for id in TYPED_ONLY {
            assert!(has(&root, id), "{id}");
        }
    }

    #[test]
    fn variables_are_told_apart() {
        let settings = all(&Cli::command());
        let mut variables: Vec<String> = settings.iter().map(Setting::variable).collect();
        variables.sort();
        let before = variables.len();
        variables.dedup();
        assert_eq!(variables.len(), before);
    }
}
