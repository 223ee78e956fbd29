//! What `check` finds in the database and the encoder's copy, and reading a read-only index.

use std::fs;
use std::process::Command;

use crate::support::{Place, ran, sample};

fn encoder_copy(place: &Place) -> std::path::PathBuf {
    let mut listed = fs::read_dir(place.index_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    listed
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "onnx")
        })
        .unwrap()
}

#[test]
fn a_lost_copy_of_the_encoder_is_reported_and_written_again() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    place.run(&["check"]).ended(0);
    let copy = encoder_copy(&place);
    let whole = fs::read(&copy).unwrap();
    for damaged in [None, Some(&whole[..whole.len() / 2])] {
        fs::remove_file(&copy).unwrap();
        if let Some(bytes) = damaged {
            fs::write(&copy, bytes).unwrap();
        }
        let ill = place.run(&["check"]).ended(1).stdout;
        assert!(
            ill.contains("copy of its encoder") && !ill.contains("no problem found"),
            "{ill}"
        );
        let mended = place.run(&["check", "--repair"]).ended(0).stdout;
        assert!(mended.contains("no problem found"), "{mended}");
        assert!(fs::read(&copy).unwrap() == whole);
    }
}

#[test]
fn a_damaged_code_is_reported_and_read_again() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    let database = rusqlite::Connection::open(place.index_dir().join("imgsearch.sqlite")).unwrap();
    let rotted = database
        .execute(
            "UPDATE contents SET code = zeroblob(length(code)) WHERE id =
             (SELECT content FROM images WHERE id = (SELECT min(id) FROM images))",
            (),
        )
        .unwrap();
    assert_eq!(rotted, 1);
    drop(database);
    let ill = place.run(&["check"]).ended(1).stdout;
    assert!(
        ill.contains("1 stored code does not match") && !ill.contains("no problem found"),
        "{ill}"
    );
    // No segment has the code, so the file has to be read again.
    let repaired = place.run(&["check", "--repair"]);
    assert!(
        repaired.stdout.contains("imgsearch index"),
        "{}",
        repaired.stdout
    );
    place.run(&["check"]).ended(1);
    place.index();
    let well = place.run(&["check"]).ended(0).stdout;
    assert!(well.contains("no problem found"), "{well}");
    for name in ["cat.jpg", "coffee.jpg"] {
        assert_eq!(place.nearest(&sample(name), 1), [name]);
    }
}

/// Returns a read-only copy of an index that has a log, but not the file with which one is usually read.
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_copy_shows_what_its_log_holds() {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let index = place.index_dir();
    // An open reader prevents that the log is emptied when the program ends.
    let reader = imgsearch::index::Reader::open(&index).unwrap();
    assert_eq!(reader.paths().unwrap().len(), 1);
    fs::copy(sample("coffee.jpg"), place.photo("coffee.jpg")).unwrap();
    place.index();
    let copy = place.photos().with_file_name("copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(&index).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.to_string_lossy().ends_with("-shm") {
            fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
        }
    }
    drop(reader);
    assert!(
        fs::metadata(copy.join("imgsearch.sqlite-wal"))
            .unwrap()
            .len()
            > 0
    );
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && ! touch \"$1/x\" && \
                  exec \"$2\" --index \"$1\" status --json";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command.arg(&copy).arg(env!("CARGO_BIN_EXE_imgsearch"));
    let probe = Command::new("unshare").args(["--mount", "true"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a folder cannot be mounted read-only here");
        return;
    }
    let reported = ran(command.output().unwrap()).ended(0);
    let status: serde_json::Value = serde_json::from_str(&reported.stdout).unwrap();
    assert!(status.to_string().contains("\"images\":2"), "{status}");
}

/// Overwrites the stored code of an image, as a failing disk may.
fn rot(place: &Place, name: &str) {
    let database = rusqlite::Connection::open(place.index_dir().join("imgsearch.sqlite")).unwrap();
    let changed = database
        .execute(
            "UPDATE contents SET code = zeroblob(length(code))
             WHERE id = (SELECT content FROM images WHERE CAST(path AS TEXT) LIKE '%/' || ?1)",
            [name],
        )
        .unwrap();
    assert_eq!(changed, 1);
}

fn checked(place: &Place, arguments: &[&str], status: i32) -> serde_json::Value {
    let reported = place
        .run(&[&["check", "--json"], arguments].concat())
        .ended(status);
    reported.json_lines().pop().unwrap()
}

#[test]
fn a_damaged_code_is_reported_and_restored_from_a_segment() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg", "grass.jpg"]);
    place.index();
    place.run(&["optimize"]).ended(0);
    place.run(&["check"]).ended(0);
    rot(&place, "cat.jpg");
    let ill = place.run(&["check"]).ended(1).stdout;
    assert!(
        ill.contains("1 stored code does not match its checksum; images: ")
            && ill.contains("imgsearch check --repair")
            && !ill.contains("no problem found"),
        "{ill}"
    );
    assert_eq!(checked(&place, &[], 1)["checked"]["rotten"], 1);
    let mended = place.run(&["check", "--repair"]).ended(0).stdout;
    assert!(
        mended.contains("repaired: 1 stored code was restored from a segment")
            && mended.contains("no problem found"),
        "{mended}"
    );
    let well = place.run(&["check"]).ended(0).stdout;
    assert!(well.contains("no problem found"), "{well}");
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
    assert_eq!(place.index()["unchanged"], 4);
}

#[test]
fn a_database_whose_encoder_leads_out_of_the_index_is_refused() {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let copy = encoder_copy(&place);
    fs::copy(&copy, place.photos().with_file_name("x.onnx")).unwrap();
    let database = rusqlite::Connection::open(place.index_dir().join("imgsearch.sqlite")).unwrap();
    fs::create_dir(place.index_dir().join("encoder-")).unwrap();
    database
        .execute("UPDATE encoder SET fingerprint = '/../../x'", ())
        .unwrap();
    drop(database);
    for arguments in [&["query", "photos/cat.jpg"][..], &["index", "photos"]] {
        let refused = place.run(arguments).ended(2).stderr;
        assert!(refused.contains("an impossible encoder"), "{refused}");
    }
    let reported = place.run(&["check"]).ended(1).stdout;
    assert!(reported.contains("an impossible encoder"), "{reported}");
    assert!(copy.exists());
}

#[cfg(feature = "hnsw-rs")]
#[test]
fn segments_are_rebuilt_by_either_builder() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg", "grass.jpg"]);
    place.index();
    for builder in ["hnsw-rs", "flat"] {
        let rebuild = ["optimize", "--rebuild", "--builder", builder];
        let said = place.run(&rebuild).ended(0).stderr;
        assert!(said.contains("1 new segment"), "{builder}: {said}");
        place.run(&["check"]).ended(0);
        assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
    }
    // Without --rebuild there may be nothing to build.
    let refused = ["optimize", "--builder", "hnsw-rs"];
    place.run(&refused).ended(2);
}
