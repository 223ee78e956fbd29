//! A long run makes segments while the index grows, and Ctrl-C loses nothing.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::signals::ignores;
use crate::support::{Place, Ran, sample};

/// Number of images after which a run makes a segment although more are coming, with room for those between two
/// checks.
const ENOUGH: u64 = 16_384 + 4_096;

/// Files of the run: links to one small image, which is encoded once, and a few others.
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

/// Starts a run that cannot end: nobody reads its events about the last thousands of files, so it blocks after it
/// has made its first segment.
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

/// Ends a blocked run with Ctrl-C.
fn interrupt(mut run: Child, mut lines: BufReader<ChildStdout>) -> Ran {
    let sent = std::process::Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    // It prints this at once, and is still blocked.
    let mut said = BufReader::new(run.stderr.take().unwrap());
    let mut stderr = String::new();
    while !stderr.contains("stopping after the images that are being processed") {
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
fn a_long_run_makes_segments_meanwhile_and_an_interrupted_one_is_resumed() {
    if ignores(2) {
        eprintln!("SKIPPED: these tests were started with SIGINT ignored");
        return;
    }
    let place = Place::new();
    let all = many(&place);
    let (run, lines) = held_after_a_segment(&place);
    // Queries meanwhile use the segment.
    let (images, made) = stats(&place);
    assert!(
        images >= ENOUGH && images < all && made == 1,
        "{images} {made}"
    );
    let nearest = place.nearest(&place.photo("00000.png"), 1);
    assert!(nearest[0].ends_with(".png"), "{nearest:?}");

    let ended = interrupt(run, lines).ended(130);
    assert!(
        ended.stderr.contains("the images indexed so far are kept"),
        "{ended:?}"
    );
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
