//! The command line of imgsearch.

// What a file or a user brings is an error, never a panic.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

mod cli;

fn main() -> std::process::ExitCode {
    // First, while there is no other thread.
    imgsearch::onnx::disable_telemetry();
    cli::main()
}
