//! The command line of imgsearch.

// Bad files and bad input are errors, never panics.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

mod cli;
mod serve;
mod typed;

fn main() -> std::process::ExitCode {
    // First, while there is no other thread.
    imgsearch::onnx::disable_telemetry();
    cli::main()
}
