//! The command line: turns arguments into calls of the library, and prints the results.
//!
//! stdout carries results, stderr everything else (`streams.rs`). Exit statuses are decided here, except for a
//! second Ctrl-C (`signals.rs`): 0 found, 1 nothing found or some files failed, 2 error, 130 interrupted. The
//! library's errors state facts; `hints.rs` says what to do next.

mod adapt;
mod args;
mod arrays;
mod calibration;
mod charts;
mod check;
mod collections;
mod colours;
mod compare;
mod completions;
mod config;
mod decided;
mod destination;
mod duplicates;
mod duplicates_action;
mod encode;
mod eval;
mod eval_duplicates;
mod eval_groups;
mod eval_words;
mod file_list;
mod foreign;
mod forgetting;
mod groups;
mod hints;
mod html;
mod import;
mod index;
mod log;
mod map;
mod optimize;
mod outliers;
mod output;
mod parsing;
mod pictures;
mod progress;
mod query;
mod question;
mod reconstruct;
mod remove;
mod restore;
mod restoring;
mod runtime;
mod serve;
mod settings;
mod setup;
mod shared;
mod signals;
mod status;
mod streams;
mod topics;
mod train;
mod vary;
mod version;
mod watch;
mod weighted;

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use args::{Command, Global};
use parsing::{Parsed, Run};
use streams::say;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything succeeded.
    Done,
    /// Nothing was found, or some files failed.
    Partial,
    /// The user stopped it.
    Interrupted,
}

/// The result of a command. An error is printed with its hint.
pub type Result<T = Outcome, E = Box<dyn Error>> = std::result::Result<T, E>;

/// The arguments as they were typed.
static TYPED: OnceLock<Vec<OsString>> = OnceLock::new();

/// Runs the command that `arguments` name, the first of which is the program. Returns the exit status. A process
/// calls it once.
pub fn main(arguments: Vec<OsString>) -> u8 {
    let started = Instant::now();
    let run = match parsing::parse(TYPED.get_or_init(|| arguments).clone()) {
        Parsed::Run(run) => run,
        Parsed::Ended(status) => return status,
    };
    let global = &run.cli.global;
    colours::choose(global.color, streams::is_seen(), streams::is_watched());
    let result = match log::start(global) {
        Ok(()) => dispatch(&run, started),
        Err(error) => Err(error.into()),
    };
    let status = match result {
        Ok(Outcome::Done) => 0,
        Ok(Outcome::Partial) => 1,
        Ok(Outcome::Interrupted) => 130,
        Err(error) if is_interruption(&*error) => {
            say!("interrupted");
            130
        }
        Err(error) => {
            say_error(&*error, global.index.as_deref());
            2
        }
    };
    match streams::finish() {
        // Whoever interrupts may also close the terminal.
        Err(error) if status != 130 => {
            streams::complain(format_args!("{error}"));
            2
        }
        _ => status,
    }
}

/// Runs the command.
fn dispatch(run: &Run, started: Instant) -> Result {
    let global: &Global = &run.cli.global;
    match &run.cli.command {
        Command::Index(args) => index::run(global, args),
        Command::Query(args) => query::run(global, args, started),
        Command::Serve(args) => serve::run(global, args),
        Command::Watch(args) => watch::run(global, args),
        Command::Status(args) => status::run(global, args),
        Command::Remove(args) => remove::run(global, args),
        Command::Restore(args) => restore::run(global, args),
        Command::Duplicates(args) => duplicates::run(global, args),
        Command::Compare(args) => compare::run(global, args),
        Command::Groups(args) => groups::run(global, args),
        Command::Outliers(args) => outliers::run(global, args),
        Command::Map(args) => map::run(global, args),
        Command::Topics(args) => topics::run(global, args),
        Command::Encode(args) => encode::run(global, args),
        Command::Train(args) => train::run(global, args),
        Command::Import(args) => import::run(global, args),
        Command::Reconstruct(args) => reconstruct::run(global, args),
        Command::Adapt(args) => adapt::run(global, args),
        Command::Eval(args) => eval::run(global, args),
        Command::Optimize(args) => optimize::run(global, args),
        Command::Check(args) => check::run(global, args),
        Command::Runtime(args) => runtime::run(global, args),
        Command::Config(args) => config::run(global, args, run),
        Command::Collections(args) => collections::run(global, args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => completions::man(args),
    }
}

/// Prints an error, and below it what to do about it. `index` is the index that an option names.
fn say_error(error: &(dyn Error + 'static), index: Option<&Path>) {
    streams::complain(format_args!("{error}"));
    if let Some(hint) = hints::hint(error, index) {
        say!("{hint}");
    }
}

fn is_interruption(error: &(dyn Error + 'static)) -> bool {
    matches!(
        error.downcast_ref::<imgsearch::Error>(),
        Some(imgsearch::Error::Interrupted)
    )
}
