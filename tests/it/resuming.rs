//! Interrupted training: its checkpoint is kept, and it resumes with the same images only.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::Place;

const TRAIN: [&str; 17] = [
    "train",
    "images",
    "-o",
    "own.onnx",
    "--kind",
    "simple",
    "--code",
    "4",
    "--bits",
    "8",
    "--epochs",
    "1000000",
    "--patience",
    "1000000",
    "--no-charts",
    "--batch",
    "8",
];

fn images() -> Vec<u8> {
    let mut idx = vec![0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 8, 0, 0, 0, 8];
    idx.extend((0..40 * 64).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
    idx
}

fn folder(place: &Place) -> PathBuf {
    place.photos().with_file_name("")
}

/// Trains, and interrupts as Ctrl-C does after the first epoch; returns which epoch that was.
fn interrupted(place: &Place, more: &[&str]) -> u64 {
    let mut child = place
        .command()
        .args(TRAIN)
        .args(more)
        .arg("--json")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut first = None;
    for line in lines {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["event"] == "epoch" && first.is_none() {
            first = event["report"]["epoch"].as_u64();
            let sent = Command::new("kill")
                .args(["-INT", &child.id().to_string()])
                .status()
                .unwrap();
            assert!(sent.success());
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    first.unwrap()
}

#[test]
fn a_checkpoint_is_not_deleted_without_a_request() {
    let place = Place::new();
    let folder = folder(&place);
    fs::write(folder.join("images"), images()).unwrap();
    let checkpoint = folder.join("own.checkpoint");
    assert_eq!(interrupted(&place, &[]), 1);
    let left = fs::read(&checkpoint).unwrap();

    let refused = place.run(&TRAIN).ended(2).stderr;
    assert!(
        refused.contains("--resume") && refused.contains("--restart"),
        "{refused}"
    );
    assert_eq!(fs::read(&checkpoint).unwrap(), left);

    assert!(interrupted(&place, &["--resume"]) > 1);
    assert_eq!(interrupted(&place, &["--restart"]), 1);
    assert!(checkpoint.exists());
}

#[test]
fn a_run_resumes_with_the_same_images_only() {
    let place = Place::new();
    let folder = folder(&place);
    fs::write(folder.join("images"), images()).unwrap();
    interrupted(&place, &[]);
    let left = fs::read(folder.join("own.checkpoint")).unwrap();
    // The same number of images, with one pixel changed.
    let mut others = images();
    *others.last_mut().unwrap() ^= 1;
    fs::write(folder.join("images"), &others).unwrap();
    let resume: Vec<&str> = TRAIN.iter().chain(&["--resume"]).copied().collect();
    let refused = place.run(&resume).ended(2).stderr;
    assert!(refused.contains("other images"), "{refused}");
    assert_eq!(fs::read(folder.join("own.checkpoint")).unwrap(), left);
}

#[test]
fn files_of_other_programs_are_not_taken_for_a_checkpoint() {
    let place = Place::new();
    let folder = folder(&place);
    fs::write(folder.join("images"), images()).unwrap();
    let foreign = folder.join("own.checkpoint");
    fs::write(&foreign, "of another program").unwrap();
    for more in [&[][..], &["--resume"], &["--restart"]] {
        let arguments: Vec<&str> = TRAIN.iter().chain(more).copied().collect();
        let refused = place.run(&arguments).ended(2).stderr;
        assert!(refused.contains("is in the way"), "{refused}");
        assert_eq!(fs::read(&foreign).unwrap(), b"of another program");
    }
    for name in ["own.checkpoint", "own.json"] {
        let mut arguments = TRAIN;
        arguments[3] = name;
        let refused = place.run(&arguments).ended(2).stderr;
        assert!(refused.contains("name the encoder otherwise"), "{refused}");
    }
    assert!(!Path::new(&folder.join("own.json")).exists());
}
