//! `imgsearch runtime`.

use imgsearch::onnx::{InstallOptions, Runtime, install};
use serde_json::json;

use super::args::{Global, RuntimeArgs, RuntimeCommand};
use super::setup::engine_options;
use super::{Outcome, Result};

pub fn run(global: &Global, args: &RuntimeArgs) -> Result {
    if let Some(RuntimeCommand::Install { cuda }) = args.command {
        if global.offline {
            return Err("installing needs the network; leave --offline out".into());
        }
        let library = install(&InstallOptions::new(cuda, Some(|text| eprintln!("{text}"))))?;
        if args.json {
            println!("{}", json!({"library": library.to_string_lossy()}));
        } else {
            println!("{}", library.display());
        }
        return Ok(Outcome::Done);
    }
    let runtime = Runtime::load(&engine_options(global, None).runtime())?;
    if args.json {
        println!(
            "{}",
            json!({
                "library": runtime.library().to_string_lossy(),
                "version": runtime.version(),
                "found": runtime.found(),
                "providers": runtime.providers(),
            })
        );
    } else {
        println!("library    {}", runtime.library().display());
        println!("version    {}", runtime.version());
        println!("found      {}", found(runtime));
        println!("providers  {}", runtime.providers().join(", "));
    }
    Ok(Outcome::Done)
}

fn found(runtime: &Runtime) -> &'static str {
    use imgsearch::onnx::FoundBy;
    match runtime.found() {
        FoundBy::Named => "as it was named",
        FoundBy::BesideExecutable => "beside the executable",
        FoundBy::Cache => "in the cache folder",
        FoundBy::System => "by the system's loader",
        FoundBy::PythonPackage => "in the Python package onnxruntime",
        FoundBy::Fetched => "fetched just now",
        _ => "elsewhere",
    }
}
