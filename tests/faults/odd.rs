//! Worlds that only a library before the program can make: a disk that is closed, files that come
//! slowly, a clock that goes back.

use std::process::Output;

use crate::scenes::{Scene, Stage};
use crate::state::{State, audit};

type Case = fn(&Stage, &[Scene]) -> Result<(), String>;

pub const CASES: [(&str, Case); 3] = [
    ("a folder that is closed to writing", closed),
    ("files that come slowly", slow),
    ("a clock that goes back ten years", back),
];

fn told(output: &Output, status: i32, part: &str) -> Result<(), String> {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(status) && said.contains(part) && !said.contains("panicked") {
        return Ok(());
    }
    Err(format!(
        "it ended with {:?} instead of {status} and said: {said}",
        output.status
    ))
}

/// Whoever may only read is answered; what would write says where it cannot, and nothing changes.
fn closed(stage: &Stage, scenes: &[Scene]) -> Result<(), String> {
    let Some(scene) = scenes.iter().find(|scene| scene.name == "re-encode") else {
        return Ok(());
    };
    stage.set(scene.template.as_deref());
    let run = |arguments: &[&str]| {
        stage
            .disturbed("closed", 0)
            .args(arguments)
            .output()
            .unwrap()
    };
    told(&run(&["query", "photos/001.jpg"]), 0, "")?;
    told(&run(&["status"]), 0, "")?;
    told(&run(&["check"]), 0, "")?;
    let index = stage.index();
    let place = index.to_string_lossy();
    for writes in [
        &["index", "photos"][..],
        &["remove", "photos/some"],
        &["optimize"],
        &["index", "--reencode", "--encoder", "other.onnx"],
    ] {
        told(&run(writes), 2, &place).map_err(|why| format!("{writes:?}: {why}"))?;
    }
    audit(&index)?;
    match State::read(&index)? == scene.before {
        true => Ok(()),
        false => Err("the index is not as it was".to_owned()),
    }
}

/// Each read takes a while, as over a network; what comes out is the same.
fn slow(stage: &Stage, scenes: &[Scene]) -> Result<(), String> {
    let Some(scene) = scenes.first() else {
        return Ok(());
    };
    stage.set(scene.template.as_deref());
    let output = stage
        .disturbed("none", 0)
        .env("FAULT_SLOW", "15")
        .env(
            "SLOW_FOLDER",
            std::fs::canonicalize(stage.dir.join("photos")).unwrap(),
        )
        .args(&scene.arguments)
        .output()
        .unwrap();
    ended_as(stage, scene, &output)
}

/// The clock goes back in the middle of a run, and the next run is of before the last.
fn back(stage: &Stage, scenes: &[Scene]) -> Result<(), String> {
    let Some(scene) = scenes.first() else {
        return Ok(());
    };
    stage.set(scene.template.as_deref());
    let behind = |at: usize| {
        let mut command = stage.disturbed("back", at);
        command.env("FAULT_BACK", "315360000");
        command
    };
    let output = behind(30).args(&scene.arguments).output().unwrap();
    ended_as(stage, scene, &output)?;
    let again = behind(0).args(&scene.arguments).output().unwrap();
    ended_as(stage, scene, &again)?;
    told(&behind(0).arg("status").output().unwrap(), 0, "")
}

fn ended_as(stage: &Stage, scene: &Scene, output: &Output) -> Result<(), String> {
    if !matches!(output.status.code(), Some(0 | 1)) {
        return told(output, 0, "");
    }
    audit(&stage.index())?;
    match State::read(&stage.index())? == scene.after {
        true => Ok(()),
        false => Err("the index is not as it should be".to_owned()),
    }
}
