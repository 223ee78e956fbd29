//! The command line of imgsearch.

// Bad files and bad input are errors, never panics.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

mod cli;
mod environment;
mod serve;
mod typed;

fn main() -> std::process::ExitCode {
    if let Some(status) = imgsearch::decode::run_if_asked() {
        return std::process::ExitCode::from(status);
    }
    environment::prepare();
    std::process::ExitCode::from(cli::main(std::env::args_os().collect()))
}
