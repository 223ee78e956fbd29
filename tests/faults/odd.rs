//! Worlds that only a library before the program can make: a disk that is closed, files that come
//! slowly, a clock that goes back.

use std::process::Output;

use crate::scenes::{Scene, Stage};
use crate::state::{State, audit};

type Case = fn(&Stage, &[Scene]) -> Result<(), String>;

pub const CASES: [(&str, Case); 4] = [
    ("nothing is written elsewhere", elsewhere),
    ("a folder that is closed to writing", closed),
    ("files that come slowly", slow),
    ("a clock that goes back ten years", back),
];

/// Whatever a command changes lies in its index.
fn elsewhere(stage: &Stage, scenes: &[Scene]) -> Result<(), String> {
    let log = stage.dir.join("elsewhere.log");
    for scene in scenes {
        stage.set(scene.template.as_deref());
        let output = stage
            .disturbed("none", 0)
            .env("FAULT_FOLDER", "/")
            .env("FAULT_LOG", &log)
            .args(&scene.arguments)
            .output()
            .unwrap();
        ended_as(stage, scene, &output)?;
        let listed = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
        std::fs::remove_file(&log).map_err(|error| error.to_string())?;
        // Each line: a number, what was done, and to which file.
        let index = stage.index().to_string_lossy().into_owned();
        let path = |line: &&str| -> String { line.splitn(3, ' ').skip(2).collect() };
        let strange = listed.lines().find(|line| {
            let path = path(line);
            !path.starts_with(&index) && !path.starts_with("/dev/")
        });
        if let Some(line) = strange {
            return Err(format!("{}: {line}", scene.name));
        }
        if !listed.lines().any(|line| path(&line).starts_with(&index)) {
            return Err(format!("{}: nothing was listed", scene.name));
        }
    }
    Ok(())
}

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
    let scene = scenes.iter().find(|scene| scene.name == "re-encode");
    let scene = scene.ok_or("there is no such scene")?;
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
    let scene = scenes.first().ok_or("there is no scene")?;
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
    let scene = scenes.first().ok_or("there is no scene")?;
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
