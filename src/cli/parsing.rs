//! From what was typed, and the settings, to the arguments of a command.

use std::collections::HashSet;
use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};

use super::args::{Cli, Command as Named, old_train};
use super::settings::{Settings, Typed};
use super::streams::{self, out, say};
use super::{colours, version};

/// What the arguments say.
pub enum Parsed {
    /// A command to run.
    Run(Box<Run>),
    /// Help, the version or an error was printed; the exit status.
    Ended(u8),
}

/// A command with its settings.
pub struct Run {
    pub cli: Cli,
    pub settings: Settings,
    pub typed: Typed,
}

/// Reads the arguments, the first of which is the program, the configuration file and the environment.
pub fn parse(arguments: Vec<OsString>) -> Parsed {
    let (arguments, old) = old_train::rewritten(arguments);
    let root = Cli::command().color(colours::of_clap(colours::typed(&arguments)));
    let (plain, off) = without_values(&root, &arguments);
    let ended = |error: &clap::Error| {
        if error.kind() == ErrorKind::DisplayVersion {
            return version(&arguments);
        }
        let status = streams::usage(error);
        if let Some(training) = old.filter(|_| error.use_stderr()) {
            say!("\n{}", training.hint());
        }
        status
    };
    let read = |root: &Command, words: &[OsString]| -> Result<(Cli, ArgMatches), clap::Error> {
        let matches = root.clone().try_get_matches_from(words)?;
        Ok((Cli::from_arg_matches(&matches)?, matches))
    };
    let (cli, matches) = match read(&root, &plain) {
        Ok(read) => read,
        Err(error) => return Parsed::Ended(ended(&error)),
    };
    let typed = Typed::of(&matches, off);
    let index_is_typed = cli.global.index.is_some();
    if let Some(error) = not_a_flag(&root, &typed, &arguments) {
        return Parsed::Ended(ended(&error));
    }
    // These need no settings, and explain or write what completes them.
    if matches!(cli.command, Named::Completions(_) | Named::Man(_)) {
        return Parsed::Run(Box::new(Run {
            cli,
            settings: Settings::default(),
            typed,
        }));
    }
    let settings = Settings::read(&root, &cli.global);
    let shows_settings = matches!(cli.command, Named::Config(_));
    if !settings.problems.is_empty() && !shows_settings {
        colours::choose(cli.global.color, streams::is_seen(), streams::is_watched());
        return Parsed::Ended(refused(&settings));
    }
    let mut cli = match settings
        .applied(root, &typed)
        .map(|root| read(&root, &plain))
    {
        None => cli,
        Some(Ok((cli, _))) => cli,
        Some(Err(error)) => return Parsed::Ended(ended(&error)),
    };
    cli.global.index_is_typed = index_is_typed;
    Parsed::Run(Box::new(Run {
        cli,
        settings,
        typed,
    }))
}

/// Says what is wrong with the settings.
fn refused(settings: &Settings) -> u8 {
    for problem in &settings.problems {
        streams::complain(format_args!("{problem}"));
    }
    say!(
        "imgsearch config shows all settings, imgsearch config edit opens the file, and --no-config leaves it out"
    );
    2
}

/// Prints the version: a line for `-V`, and what a report of a problem has to say for `--version`.
fn version(arguments: &[OsString]) -> u8 {
    if arguments.iter().any(|word| word == "--version") {
        out!("{}", version::long());
    } else {
        out!("{}", version::short());
    }
    match streams::finish() {
        Ok(()) => 0,
        Err(error) => {
            streams::complain(format_args!("{error}"));
            2
        }
    }
}

/// Takes the value from flags that are typed with one: `--hidden=true` is `--hidden`, and `--hidden=false` is left out.
/// Returns the arguments, and the names of the flags that are off.
fn without_values(root: &Command, arguments: &[OsString]) -> (Vec<OsString>, HashSet<String>) {
    let mut plain = Vec::with_capacity(arguments.len());
    let mut off = HashSet::new();
    let mut ended = false;
    for word in arguments {
        ended |= word == "--";
        let flag = word
            .to_str()
            .filter(|_| !ended)
            .and_then(|word| word.strip_prefix("--")?.split_once('='))
            .filter(|(_, value)| matches!(*value, "true" | "false"))
            .filter(|(name, _)| is_flag(root, name));
        match flag {
            Some((name, "true")) => plain.push(format!("--{name}").into()),
            Some((name, _)) => {
                off.insert(name.to_owned());
            }
            None => plain.push(word.clone()),
        }
    }
    (plain, off)
}

/// Returns whether a name is that of a flag of some command, and of no option with a value.
fn is_flag(root: &Command, name: &str) -> bool {
    let mut kinds = Vec::new();
    collect(root, name, &mut kinds);
    !kinds.is_empty() && kinds.iter().all(|is_flag| *is_flag)
}

fn collect(command: &Command, name: &str, kinds: &mut Vec<bool>) {
    let options = command.get_arguments();
    let named = options.filter(|arg| arg.get_long() == Some(name));
    kinds.extend(named.map(|arg| matches!(arg.get_action(), ArgAction::SetTrue)));
    for below in command.get_subcommands() {
        collect(below, name, kinds);
    }
}

/// Returns clap's error if a flag that was typed with `=false` is none of this command.
fn not_a_flag(root: &Command, typed: &Typed, arguments: &[OsString]) -> Option<clap::Error> {
    if typed.off.is_empty() {
        return None;
    }
    let mut built = root.clone();
    built.build();
    let command = super::settings::leaf(&built, &typed.command)?;
    let known = |name: &String| {
        let mut options = command.get_arguments();
        options.any(|arg| arg.get_long() == Some(name.as_str()))
    };
    if typed.off.iter().all(known) {
        return None;
    }
    root.clone().try_get_matches_from(arguments).err()
}
