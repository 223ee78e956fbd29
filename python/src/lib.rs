//! The native part of the Python package `imgsearch`.
//!
//! It sees what every program sees of the library, and the program's own command line, which it includes. What
//! Python is good at (many kinds of arguments, documentation, tables) is in `../package/imgsearch`, so a function here
//! takes and returns plain values: numbers, paths, bytes, tuples, arrays and JSON.
//!
//! No function holds the interpreter while it works. What may take long runs on a thread of its own (`progress.rs`),
//! so that Ctrl-C works and a callback runs on the caller's thread. After a fork, everything is refused
//! (`process.rs`).

// Bad files and bad input are errors, never panics.
#![deny(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../src/cli/mod.rs"]
mod cli;
#[path = "../../src/serve/mod.rs"]
mod serve;
#[path = "../../src/typed/mod.rs"]
mod typed;

mod answers;
mod encoder;
mod errors;
mod index;
mod library;
mod pictures;
mod process;
mod program;
mod progress;
mod training;

/// The native part of the package `imgsearch`.
#[pyo3::pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use super::encoder::Encoder;
    #[pymodule_export]
    use super::index::{Index, build_index};
    #[pymodule_export]
    use super::library::Library;
    #[pymodule_export]
    use super::program::{default_dir, offer_runtime_folder, run_program, runtime, version};
    #[pymodule_export]
    use super::training::{evaluate, train};
}
