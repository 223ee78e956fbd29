//! The command line: what was typed, turned into calls of the library, and their results printed.
//!
//! stdout carries results, stderr everything else. Exit statuses are decided here, but for a
//! second Ctrl-C (`setup.rs`): 0 found, 1 nothing found or some files failed, 2 error, 130 interrupted.

mod adapt;
mod args;
mod charts;
mod check;
mod encode;
mod eval;
mod filter;
mod forgetting;
mod html;
mod index;
mod optimize;
mod output;
mod pixels;
mod query;
mod reconstruct;
mod remove;
mod restore;
mod runtime;
mod setup;
mod status;
mod train;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use args::{Cli, Command};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All went well.
    Done,
    /// Nothing was found, or some files failed.
    Lacking,
    /// The person stopped it.
    Interrupted,
}

/// A command's result; an error is printed as it is.
pub type Result<T = Outcome> = std::result::Result<T, Box<dyn std::error::Error>>;

pub fn main() -> ExitCode {
    let started = Instant::now();
    let cli = Cli::parse();
    let global = &cli.global;
    let result = match &cli.command {
        Command::Index(args) => index::run(global, args),
        Command::Query(args) => query::run(global, args, started),
        Command::Status(args) => status::run(global, args),
        Command::Remove(args) => remove::run(global, args),
        Command::Restore(args) => restore::run(global, args),
        Command::Encode(args) => encode::run(global, args),
        Command::Train(args) => train::run(global, args),
        Command::Reconstruct(args) => reconstruct::run(global, args),
        Command::Adapt(args) => adapt::run(global, args),
        Command::Eval(args) => eval::run(global, args),
        Command::Optimize(args) => optimize::run(global, args),
        Command::Check(args) => check::run(global, args),
        Command::Runtime(args) => runtime::run(global, args),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Lacking) => ExitCode::from(1),
        Ok(Outcome::Interrupted) => ExitCode::from(130),
        // Whoever reads the results has seen enough, as `head` does.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            if matches!(
                error.downcast_ref::<imgsearch::Error>(),
                Some(imgsearch::Error::Interrupted)
            ) {
                eprintln!("interrupted");
                return ExitCode::from(130);
            }
            eprintln!("imgsearch: {error}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
