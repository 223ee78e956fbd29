//! `imgsearch runtime`.

use imgsearch::onnx::{InstallOptions, Runtime, install};
use serde_json::json;

use super::args::{Global, RuntimeArgs, RuntimeCommand};
use super::output::with_path;
use super::setup::engine_options;
use super::streams::{out, say};
use super::{Outcome, Result};

pub fn run(global: &Global, args: &RuntimeArgs) -> Result {
    if let Some(RuntimeCommand::Install { cuda }) = args.command {
        if global.offline {
            return Err("installing needs the network; run it without --offline".into());
        }
        let library = install(&InstallOptions::new(cuda, Some(|text| say!("{text}"))))?;
        if args.json {
            out!("{}", with_path(json!({}), "library", &library));
        } else {
            out!("{}", library.display());
        }
        return Ok(Outcome::Done);
    }
    let runtime = Runtime::load(&engine_options(global, None).runtime())?;
    if args.json {
        let found = json!({
            "version": runtime.version(),
            "found": runtime.found(),
            "providers": runtime.providers(),
        });
        out!("{}", with_path(found, "library", runtime.library()));
    } else {
        out!("library    {}", runtime.library().display());
        out!("version    {}", runtime.version());
        out!("found      {}", found(runtime));
        out!("providers  {}", runtime.providers().join(", "));
    }
    Ok(Outcome::Done)
}

fn found(runtime: &Runtime) -> &'static str {
    use imgsearch::onnx::FoundBy;
    match runtime.found() {
        FoundBy::Named => "named by an option or variable",
        FoundBy::Offered => "in a package that imgsearch was installed with",
        FoundBy::BesideExecutable => "next to the executable",
        FoundBy::Cache => "in the cache folder",
        FoundBy::System => "by the loader of the system",
        FoundBy::PythonPackage => "in the Python package onnxruntime",
        FoundBy::Fetched => "downloaded now",
        _ => "elsewhere",
    }
}
