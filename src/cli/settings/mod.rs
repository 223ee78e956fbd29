//! Settings: options that hold for every run, from a file and from the environment.
//!
//! Every option of every command can be one, except those that say what a single run is about ([`TYPED_ONLY`]). The
//! definition of the arguments says which there are, so there is no second list. A value of the file counts less than one
//! of the environment, and both count less than what is typed. They take the place of an option's default, so clap
//! checks and reads them as what is typed.

mod environment;
mod file;
mod known;

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::{Arg, ArgMatches, Command};

pub use known::{Setting, all, leaf};
#[cfg(test)]
pub use tests::parse_file;

use super::args::Global;
use file::Place;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of the file, from 1.
    File { line: usize },
    /// A variable of the environment.
    Environment { variable: String },
}

/// A setting that has a value.
#[derive(Debug, Clone)]
pub struct Entry {
    pub setting: Setting,
    /// One value, or several for an option that can be repeated.
    pub values: Vec<OsString>,
    pub origin: Origin,
    /// Whether something else reads it.
    pub read_elsewhere: bool,
}

/// All settings that have a value.
#[derive(Debug, Default)]
pub struct Settings {
    /// The file, whether or not it exists; `None` if none is read.
    pub file: Option<PathBuf>,
    pub exists: bool,
    pub entries: Vec<Entry>,
    /// What is wrong with them, each with its place.
    pub problems: Vec<String>,
    /// Variables that look like settings and are none.
    pub strangers: Vec<String>,
}

/// What was typed for one command.
pub struct Typed {
    /// The command's name, or its names: `train head`.
    pub command: Vec<String>,
    /// The options that were typed, by their ids.
    pub ids: HashSet<String>,
    /// Flags that were typed with `=false`, by their names.
    pub off: HashSet<String>,
}

impl Typed {
    pub fn of(matches: &ArgMatches, off: HashSet<String>) -> Self {
        let mut command = Vec::new();
        let mut matches = matches;
        while let Some((name, below)) = matches.subcommand() {
            command.push(name.to_owned());
            matches = below;
        }
        let is_typed = |id: &&clap::Id| {
            matches.value_source(id.as_str()) == Some(clap::parser::ValueSource::CommandLine)
        };
        let ids = matches.ids().filter(is_typed);
        Self {
            command,
            ids: ids.map(ToString::to_string).collect(),
            off,
        }
    }
}

/// The index that the file names, for commands that are suggested: they need not name it again.
static STANDING_INDEX: OnceLock<PathBuf> = OnceLock::new();

/// Returns whether commands use this index even if none is typed.
pub fn is_standing_index(index: &Path) -> bool {
    STANDING_INDEX
        .get()
        .is_some_and(|standing| standing == index)
}

impl Settings {
    /// Reads the file and the environment.
    pub fn read(root: &Command, global: &Global) -> Self {
        let mut settings = Self::default();
        let known = all(root);
        let mut values: BTreeMap<(Vec<String>, String), Entry> = BTreeMap::new();
        match file::find(global) {
            Ok(place) => settings.take_file(root, place, &known, &mut values),
            Err(problem) => settings.problems.push(problem),
        }
        for entry in environment::read(root, &known, &mut settings.problems) {
            values.insert(entry.setting.sort_key(), entry);
        }
        settings.strangers = environment::strangers(&known);
        settings.entries = values.into_values().collect();
        let index =
            |entry: &&Entry| entry.setting.command.is_empty() && entry.setting.id == "index";
        if let Some(entry) = settings.entries.iter().find(index)
            && let Some(value) = entry.values.first()
        {
            // A process reads its settings once.
            STANDING_INDEX.get_or_init(|| PathBuf::from(value));
        }
        settings
    }

    fn take_file(
        &mut self,
        root: &Command,
        place: Place,
        known: &[Setting],
        values: &mut BTreeMap<(Vec<String>, String), Entry>,
    ) {
        let Some(path) = place.path else { return };
        match std::fs::read(&path) {
            Ok(bytes) => {
                self.exists = true;
                for entry in file::parse(root, known, &path, &bytes, &mut self.problems) {
                    values.insert(entry.setting.sort_key(), entry);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !place.required => {}
            Err(error) => self.problems.push(format!(
                "the configuration file {} cannot be read: {error}",
                path.display()
            )),
        }
        self.file = Some(path);
    }

    /// Returns the definition of the arguments with the settings in place of the defaults, or `None` if none concerns
    /// this command.
    pub fn applied(&self, root: Command, typed: &Typed) -> Option<Command> {
        let concern = |entry: &&Entry| {
            let of = &entry.setting.command;
            !entry.read_elsewhere
                && (of.is_empty() || *of == typed.command)
                && !typed.ids.contains(&entry.setting.id)
                && !typed.off.contains(&entry.setting.key)
        };
        let mut entries: Vec<&Entry> = self.entries.iter().filter(concern).collect();
        if entries.is_empty() {
            return None;
        }
        let excluded = excluded(&root, typed);
        entries.retain(|entry| !excluded.contains(&entry.setting.id));
        let applied = entries.into_iter().fold(root, |root, entry| {
            with_default(
                root,
                &entry.setting.command,
                &entry.setting.id,
                &entry.values,
            )
        });
        Some(applied)
    }
}

/// Returns the ids of the options that do not go with what was typed: it counts more than a setting.
fn excluded(root: &Command, typed: &Typed) -> HashSet<String> {
    let mut built = root.clone();
    built.build();
    let Some(command) = leaf(&built, &typed.command) else {
        return HashSet::new();
    };
    let arguments: Vec<&Arg> = command.get_arguments().collect();
    let is_typed = |arg: &Arg| typed.ids.contains(arg.get_id().as_str());
    let mut excluded = HashSet::new();
    for arg in &arguments {
        for other in command.get_arg_conflicts_with(arg) {
            if is_typed(arg) {
                excluded.insert(other.get_id().to_string());
            }
            if is_typed(other) {
                excluded.insert(arg.get_id().to_string());
            }
        }
    }
    for group in command.get_groups() {
        let exclusive = !group.clone().is_multiple();
        if exclusive && group.get_args().any(|id| typed.ids.contains(id.as_str())) {
            excluded.extend(group.get_args().map(ToString::to_string));
        }
    }
    excluded
}

/// Gives an option of a command another default.
fn with_default(root: Command, command: &[String], id: &str, values: &[OsString]) -> Command {
    match command.split_first() {
        Some((first, rest)) => {
            root.mut_subcommand(first, |below| with_default(below, rest, id, values))
        }
        None => root.mut_arg(id, |arg| {
            arg.default_values(values.iter().map(|value| kept(value)))
        }),
    }
}

/// Returns a value for as long as the process lives, as clap wants it. There is one for each setting.
fn kept(value: &OsStr) -> &'static OsStr {
    Box::leak(value.to_owned().into_boxed_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a file as a run does.
    pub fn parse_file(
        root: &Command,
        path: &Path,
        bytes: &[u8],
        problems: &mut Vec<String>,
    ) -> Vec<Entry> {
        file::parse(root, &all(root), path, bytes, problems)
    }
}
