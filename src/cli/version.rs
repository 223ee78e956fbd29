//! `imgsearch --version`: what a report of a problem has to say.
//!
//! It works without network and without a usable installation: what cannot be found out is said in its place.

use imgsearch::onnx::{EncoderFile, Runtime, RuntimeOptions};

/// The commit that was built, if the source had one: `build.rs`, or whoever packages it, sets the variable.
const COMMIT: Option<&str> = option_env!("IMGSEARCH_COMMIT");

/// Returns the lines of `--version`, without the last line break.
pub fn long() -> String {
    let mut options = RuntimeOptions::default();
    options.offline = true;
    let runtime = match Runtime::load(&options) {
        Ok(runtime) => format!("{}, {}", runtime.version(), runtime.library().display()),
        Err(error) => {
            let error = error.to_string();
            let first = error.lines().next().unwrap_or_default();
            format!("none ({first}); imgsearch runtime install fetches it")
        }
    };
    let encoder = match EncoderFile::default_encoder() {
        Ok(file) => {
            let info = file.info();
            format!("{}, {}", info.name, info.fingerprint)
        }
        Err(error) => format!("none ({error})"),
    };
    let commit = COMMIT
        .filter(|commit| !commit.is_empty())
        .unwrap_or("unknown");
    format!(
        "{}\ncommit        {commit}\nONNX Runtime  {runtime}\nencoder       {encoder}",
        short()
    )
}

/// Returns the line of `-V`.
pub fn short() -> String {
    format!("imgsearch {}", env!("CARGO_PKG_VERSION"))
}
