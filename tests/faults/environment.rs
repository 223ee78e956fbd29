//! Environments that only the preloaded library can make: a disk that is closed to writing, slow files, a clock
//! that goes back.

use std::process::Output;

use crate::scenarios::{Sandbox, Scenario};
use crate::state::{State, audit};

type Case = fn(&Sandbox, &[Scenario]) -> Result<(), String>;

pub const CASES: [(&str, Case); 4] = [
    ("nothing is written elsewhere", elsewhere),
    ("a folder that is closed to writing", closed),
    ("files that come slowly", slow),
    ("a clock that goes back ten years", back),
];

/// Checks that commands change nothing outside of the index.
fn elsewhere(sandbox: &Sandbox, scenarios: &[Scenario]) -> Result<(), String> {
    let log = sandbox.dir.join("elsewhere.log");
    for scenario in scenarios {
        sandbox.set(scenario.template.as_deref());
        let output = sandbox
            .disturbed("none", 0)
            .env("FAULT_FOLDER", "/")
            .env("FAULT_LOG", &log)
            .args(&scenario.arguments)
            .output()
            .unwrap();
        ended_as(sandbox, scenario, &output)?;
        let listed = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
        std::fs::remove_file(&log).map_err(|error| error.to_string())?;
        // Each line: a number, the change, and the file.
        let index = sandbox.index().to_string_lossy().into_owned();
        let path = |line: &&str| -> String { line.splitn(3, ' ').skip(2).collect() };
        let strange = listed.lines().find(|line| {
            let path = path(line);
            !path.starts_with(&index) && !path.starts_with("/dev/")
        });
        if let Some(line) = strange {
            return Err(format!("{}: {line}", scenario.name));
        }
        if !listed.lines().any(|line| path(&line).starts_with(&index)) {
            return Err(format!("{}: nothing was listed", scenario.name));
        }
    }
    Ok(())
}

fn expect(output: &Output, status: i32, part: &str) -> Result<(), String> {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(status) && said.contains(part) && !said.contains("panicked") {
        return Ok(());
    }
    Err(format!(
        "it ended with {:?} instead of {status} and said: {said}",
        output.status
    ))
}

/// Checks that commands that read work on a closed disk, and that those that write report the error and change
/// nothing.
fn closed(sandbox: &Sandbox, scenarios: &[Scenario]) -> Result<(), String> {
    let scenario = scenarios
        .iter()
        .find(|scenario| scenario.name == "re-encode");
    let scenario = scenario.ok_or("there is no such scenario")?;
    sandbox.set(scenario.template.as_deref());
    let run = |arguments: &[&str]| {
        sandbox
            .disturbed("closed", 0)
            .args(arguments)
            .output()
            .unwrap()
    };
    expect(&run(&["query", "photos/001.jpg"]), 0, "")?;
    expect(&run(&["status"]), 0, "")?;
    expect(&run(&["check"]), 0, "")?;
    let index = sandbox.index();
    let place = index.to_string_lossy();
    for writes in [
        &["index", "photos"][..],
        &["remove", "photos/some"],
        &["optimize"],
        &["index", "--reencode", "--encoder", "other.onnx"],
    ] {
        expect(&run(writes), 2, &place).map_err(|why| format!("{writes:?}: {why}"))?;
    }
    audit(&index)?;
    match State::read(&index)? == scenario.before {
        true => Ok(()),
        false => Err("the index is not as it was".to_owned()),
    }
}

/// Checks that the result is the same if each read takes a while, as over a network.
fn slow(sandbox: &Sandbox, scenarios: &[Scenario]) -> Result<(), String> {
    let scenario = scenarios.first().ok_or("there is no scenario")?;
    sandbox.set(scenario.template.as_deref());
    let output = sandbox
        .disturbed("none", 0)
        .env("FAULT_SLOW", "15")
        .env(
            "SLOW_FOLDER",
            std::fs::canonicalize(sandbox.dir.join("photos")).unwrap(),
        )
        .args(&scenario.arguments)
        .output()
        .unwrap();
    ended_as(sandbox, scenario, &output)
}

/// Checks a run during which the clock goes back, and a next run that is earlier than the last.
fn back(sandbox: &Sandbox, scenarios: &[Scenario]) -> Result<(), String> {
    let scenario = scenarios.first().ok_or("there is no scenario")?;
    sandbox.set(scenario.template.as_deref());
    let behind = |at: usize| {
        let mut command = sandbox.disturbed("back", at);
        command.env("FAULT_BACK", "315360000");
        command
    };
    let output = behind(30).args(&scenario.arguments).output().unwrap();
    ended_as(sandbox, scenario, &output)?;
    let again = behind(0).args(&scenario.arguments).output().unwrap();
    ended_as(sandbox, scenario, &again)?;
    expect(&behind(0).arg("status").output().unwrap(), 0, "")
}

fn ended_as(sandbox: &Sandbox, scenario: &Scenario, output: &Output) -> Result<(), String> {
    if !matches!(output.status.code(), Some(0 | 1)) {
        return expect(output, 0, "");
    }
    audit(&sandbox.index())?;
    match State::read(&sandbox.index())? == scenario.after {
        true => Ok(()),
        false => Err("the index is not as it should be".to_owned()),
    }
}
