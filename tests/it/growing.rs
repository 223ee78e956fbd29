//! A long run: segments are made as the index grows, and an end by Ctrl-C loses nothing.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::signals::ignores;
use crate::support::{Place, Ran, sample};

/// Of so many images a run makes a segment though more is coming, with room for what is counted between
/// two looks.
const ENOUGH: u64 = 16_384 + 4_096;

/// Files of the run: links to one small picture, which is encoded once, and a few others.
const LINKS: u64 = ENOUGH + 4_000;

fn many(place: &Place) -> u64 {
    let picture = image::open(sample("gravel.jpg")).unwrap();
    let first = place.photo("00000.png");
    picture.crop_imm(0, 0, 48, 48).save(&first).unwrap();
    for i in 1..LINKS {
        let path = place.photo(&format!("{i:05}.png"));
        if fs::hard_link(&first, &path).is_err() {
            fs::copy(&first, path).unwrap();
        }
    }
    for i in 0..20 {
        let path = place.photo(&format!("other-{i:02}.png"));
        picture.crop_imm(10 * i, 50, 48, 48).save(path).unwrap();
    }
    LINKS + 20
}

fn segments(place: &Place) -> Vec<PathBuf> {
    match fs::read_dir(place.index_dir().join("segments")) {
        Ok(listed) => listed
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "segment"))
            .collect(),
        Err(_) => Vec::new(),
    }
}

/// A run that cannot come to its end: nobody reads what it tells of the last thousands of files, and
/// what is not read holds it up. It is held up after it made its first segment.
fn held_after_a_segment(place: &Place) -> (Child, BufReader<ChildStdout>) {
    let mut run = place
        .command()
        .args(["index", "photos", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::with_capacity(512, run.stdout.take().unwrap());
    let mut committed = 0;
    while committed < ENOUGH {
        let mut line = String::new();
        assert_ne!(
            lines.read_line(&mut line).unwrap(),
            0,
            "it ended at {committed}"
        );
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] == "committed" {
            committed += event["changes"].as_u64().unwrap();
        }
    }
    while segments(place).is_empty() {
        assert!(
            run.try_wait().unwrap().is_none(),
            "it ended without a segment"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    (run, lines)
}

/// Ends a run that is held up, by Ctrl-C.
fn interrupt(mut run: Child, mut lines: BufReader<ChildStdout>) -> Ran {
    let told = std::process::Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status()
        .unwrap();
    assert!(told.success());
    // It says so at once, and is still held up.
    let mut said = BufReader::new(run.stderr.take().unwrap());
    let mut stderr = String::new();
    while !stderr.contains("stopping after what is under way") {
        assert_ne!(said.read_line(&mut stderr).unwrap(), 0, "{stderr}");
    }
    let mut stdout = String::new();
    lines.read_to_string(&mut stdout).unwrap();
    said.read_to_string(&mut stderr).unwrap();
    let status = run.wait().unwrap().code().unwrap_or(-1);
    Ran {
        status,
        stdout,
        stderr,
    }
}

fn stats(place: &Place) -> (u64, u64) {
    let status = place.run(&["status", "--json"]).ended(0).json_lines();
    let stat = |name: &str| status[0]["stats"][name].as_u64().unwrap();
    (stat("images"), stat("segments"))
}

#[test]
fn a_long_run_makes_segments_as_it_goes_and_an_interrupted_one_is_gone_on_with() {
    if ignores(2) {
        eprintln!("SKIPPED: these tests were started with SIGINT ignored");
        return;
    }
    let place = Place::new();
    let all = many(&place);
    let (run, lines) = held_after_a_segment(&place);
    // Whoever searches meanwhile has the segment, and is answered.
    let (images, made) = stats(&place);
    assert!(
        images >= ENOUGH && images < all && made == 1,
        "{images} {made}"
    );
    let nearest = place.nearest(&place.photo("00000.png"), 1);
    assert!(nearest[0].ends_with(".png"), "{nearest:?}");

    let ended = interrupt(run, lines).ended(130);
    assert!(ended.stderr.contains("what was done is kept"), "{ended:?}");
    let added = ended.summary()["added"].as_u64().unwrap();
    assert!(added >= images && added < all, "{added} of {all}");
    assert_eq!(stats(&place).0, added);
    place.run(&["check"]).ended(0);

    let rest = place.index();
    assert_eq!(rest["unchanged"], added, "{rest}");
    assert_eq!(rest["added"], all - added, "{rest}");
    assert_eq!(stats(&place).0, all);
    place.run(&["check"]).ended(0);
    let nearest = place.nearest(&place.photo("other-07.png"), 1);
    assert_eq!(nearest, ["other-07.png"]);
}
