//! The command line of imgsearch.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
