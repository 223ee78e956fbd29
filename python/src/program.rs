//! The command line, and where ONNX Runtime comes from.

use std::ffi::OsString;
use std::path::PathBuf;

use imgsearch::decode;
use imgsearch::onnx::{self, Runtime, RuntimeOptions};
use pyo3::prelude::*;

use crate::errors::raised;
use crate::{cli, process};

/// Runs the command that the arguments name, the first of which is the program. Returns its exit status.
#[pyfunction]
pub fn run_program(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
    // The program is this module, so it is started again through Python.
    let python: OsString = py.import("sys")?.getattr("executable")?.extract()?;
    decode::set_sandbox_command(vec![python, "-m".into(), "imgsearch".into()]);
    Ok(py.detach(|| decode::run_if_asked().unwrap_or_else(|| cli::main(arguments))))
}

/// Offers a folder to look for ONNX Runtime in, before all others.
#[pyfunction]
pub fn offer_runtime_folder(folder: PathBuf) {
    onnx::offer_runtime_folder(folder);
}

/// Loads ONNX Runtime, and returns its file and version.
#[pyfunction]
pub fn runtime(py: Python<'_>) -> PyResult<(PathBuf, String)> {
    process::check()?;
    py.detach(|| {
        let runtime = Runtime::load(&RuntimeOptions::default()).map_err(raised)?;
        Ok((runtime.library().to_owned(), runtime.version().to_owned()))
    })
}

/// Returns the version.
#[pyfunction]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Returns the folder of the user's index.
#[pyfunction]
pub fn default_dir() -> PyResult<PathBuf> {
    imgsearch::default_dir().map_err(raised)
}
