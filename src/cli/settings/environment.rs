//! Settings in the environment: `IMGSEARCH_` and the name in capitals.

use std::ffi::OsString;

use clap::Command;

use super::known::Setting;
use super::{Entry, Origin};

/// Variables that are no options.
const OTHERS: &[&str] = &["IMGSEARCH_CONFIG", "IMGSEARCH_TOKEN"];

/// The variable of every program that loads ONNX Runtime. The library reads it, and accepts no relative path there.
const ORT: &str = "ORT_DYLIB_PATH";

/// Returns the settings that the environment has. An empty variable counts as unset.
pub fn read(root: &Command, known: &[Setting], problems: &mut Vec<String>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for setting in known {
        let variable = setting.variable();
        let mut read_elsewhere = false;
        let (variable, value) = match set(&variable) {
            Some(value) => (variable, value),
            None if setting.command.is_empty() && setting.id == "ort_library" => match set(ORT) {
                Some(value) => {
                    read_elsewhere = true;
                    (ORT.to_owned(), value)
                }
                None => continue,
            },
            None => continue,
        };
        let checked = of_flag(setting, value).and_then(|value| {
            setting.check(root, std::slice::from_ref(&value))?;
            Ok(value)
        });
        match checked {
            Ok(value) => entries.push(Entry {
                setting: setting.clone(),
                values: vec![value],
                origin: Origin::Environment { variable },
                read_elsewhere,
            }),
            Err(reason) => problems.push(format!("the variable {variable}: {reason}")),
        }
    }
    entries
}

/// Returns the variables with our prefix that are no settings, sorted.
pub fn strangers(known: &[Setting]) -> Vec<String> {
    let mut strangers: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("IMGSEARCH_") && !OTHERS.contains(&name.as_str()))
        .filter(|name| known.iter().all(|setting| setting.variable() != *name))
        .collect();
    strangers.sort();
    strangers
}

fn set(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|value| !value.is_empty())
}

/// Returns a value as clap reads it: that of a flag is true or false.
fn of_flag(setting: &Setting, value: OsString) -> Result<OsString, String> {
    if !setting.is_flag {
        return Ok(value);
    }
    let word = value.to_string_lossy().to_lowercase();
    match word.as_str() {
        "1" | "true" | "yes" | "on" => Ok("true".into()),
        "0" | "false" | "no" | "off" => Ok("false".into()),
        _ => Err(format!("it is true or false, not {word:?}")),
    }
}
