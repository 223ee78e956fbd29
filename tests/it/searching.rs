//! Queries with filters, and everything that makes queries fast.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::support::{Place, ran, sample};

/// Returns the paths below the place that a query with some options prints.
#[track_caller]
fn found(place: &Place, options: &[&str]) -> Vec<String> {
    let cat = sample("cat.jpg");
    let mut arguments = vec!["query", cat.to_str().unwrap(), "-k", "50", "--paths"];
    arguments.extend(options);
    let ran = place.run(&arguments);
    assert!(ran.status < 2, "{ran:?}");
    let mut names: Vec<String> = ran
        .stdout
        .lines()
        .map(|path| path.rsplit('/').next().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn filled() -> Place {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    fs::create_dir(place.photo("more")).unwrap();
    fs::copy(sample("rocket.jpg"), place.photo("more/rocket.jpg")).unwrap();
    let small = image::open(sample("grass.jpg")).unwrap().thumbnail(40, 40);
    small.save(place.photo("more/grass.png")).unwrap();
    // In April 2001.
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(986_774_400);
    for name in ["cat.jpg", "more/grass.png"] {
        let file = fs::File::options()
            .write(true)
            .open(place.photo(name))
            .unwrap();
        file.set_modified(long_ago).unwrap();
    }
    place.index();
    place
}

#[test]
fn filters_choose_by_folder_name_date_size_and_format() {
    let place = filled();
    let everything = ["cat.jpg", "coffee.jpg", "grass.png", "rocket.jpg"];
    // Before and after folding: from the database, and from a segment.
    for folded in [false, true] {
        if folded {
            let said = place.run(&["optimize"]).ended(0).stderr;
            assert!(said.contains("4 images in 1 new segment"), "{said}");
        }
        assert_eq!(found(&place, &[]), everything);
        assert_eq!(
            found(&place, &["--under", "photos/more"]),
            ["grass.png", "rocket.jpg"]
        );
        assert_eq!(found(&place, &["--type", "PNG"]), ["grass.png"]);
        assert_eq!(
            found(&place, &["--type", "jpg", "--under", "photos/more"]),
            ["rocket.jpg"]
        );
        assert_eq!(
            found(&place, &["--glob", "*/c*.jpg"]),
            ["cat.jpg", "coffee.jpg"]
        );
        assert_eq!(found(&place, &["--max-size", "6k"]), ["grass.png"]);
        assert_eq!(
            found(&place, &["--min-size", "10k", "--before", "2001-05"]),
            ["cat.jpg"]
        );
        assert_eq!(
            found(&place, &["--after", "2001-04-10"]),
            ["coffee.jpg", "rocket.jpg"]
        );
        assert_eq!(found(&place, &["--radius", "0.0"]), ["cat.jpg"]);
        assert_eq!(found(&place, &["--exact"]), everything);
        assert!(found(&place, &["--type", "gif"]).is_empty());
    }
    let cat = sample("cat.jpg");
    let query = ["query", cat.to_str().unwrap()];
    for (bad, reported) in [
        (["--type", "doc"], "jpeg, png"),
        (["--after", "yesterday"], "2024-05-17"),
        (["--min-size", "large"], "1.5M"),
        (["--glob", "a[b"], "a[b"),
    ] {
        let refused = place.run(&[&query[..], &bad].concat()).ended(2).stderr;
        assert!(refused.contains(reported), "{refused}");
    }
    let none = place
        .run(&[&query[..], &["--type", "gif"]].concat())
        .ended(1)
        .stderr;
    assert!(
        none.contains("none of the 4 images matches the filters"),
        "{none}"
    );
}

#[test]
fn a_search_explains_itself() {
    let place = filled();
    place.run(&["optimize"]).ended(0);
    fs::copy(sample("bricks.jpg"), place.photo("bricks.jpg")).unwrap();
    place.index();
    let cat = sample("cat.jpg");
    let query = ["query", cat.to_str().unwrap(), "--explain"];
    let reported = place.run(&query).ended(0).stderr;
    assert!(
        reported.contains("5 of 5 images match the filters")
            && reported.contains("000001.segment: exhaustive scan")
            && reported.contains("newer images")
            && reported.contains("ms since the program started")
            && reported.contains("starting the session"),
        "{reported}"
    );
    let json = place.run(&[&query[..], &["--json"]].concat()).ended(0);
    let explained = &json.json_lines()[0]["explained"];
    assert_eq!(explained["parts"].as_array().unwrap().len(), 2);
    assert_eq!(explained["allowed"], 5);
    let timings = json.json_lines()[0]["timings"].clone();
    let took = |step: &str| timings[step].as_f64().unwrap_or_else(|| panic!("{step}"));
    for step in [
        "index_ms",
        "encoder_ms",
        "runtime_ms",
        "session_ms",
        "read_ms",
        "decode_ms",
        "encode_ms",
        "view_ms",
        "search_ms",
        "paths_ms",
    ] {
        assert!(took(step) > 0.0, "{step}: {timings}");
    }
    assert!(took("runtime_waited_ms") >= 0.0 && took("rest_ms") >= 0.0);
    // Steps that run alone are a part of the total.
    assert!(took("session_ms") + took("encode_ms") < took("total_ms"));
}

#[test]
fn a_damaged_segment_is_reported_checked_and_repaired() {
    let place = filled();
    place.run(&["optimize"]).ended(0);
    let well = place.run(&["check"]).ended(0).stdout;
    assert!(
        well.contains("4 images: 4 in 1 segment") && well.contains("no problem found"),
        "{well}"
    );
    let again = place.run(&["optimize"]).ended(0).stderr;
    assert!(again.contains("nothing to do"), "{again}");
    let status = place.run(&["status"]).ended(0).stdout;
    assert!(status.contains("1 segment"), "{status}");

    let segment = place.index_dir().join("segments/000001.segment");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&segment).unwrap();
    fs::write(&segment, bytes).unwrap();
    let cat = sample("cat.jpg");
    let asked = place
        .run(&["query", cat.to_str().unwrap(), "--paths", "-k", "1"])
        .ended(0);
    assert!(asked.stdout.ends_with("cat.jpg\n"), "{asked:?}");
    assert!(
        asked.stderr.contains("is damaged") && asked.stderr.contains("imgsearch optimize"),
        "{asked:?}"
    );
    let ill = place.run(&["check"]).ended(1).stdout;
    assert!(
        ill.contains("do not match their checksum") && ill.contains("--repair"),
        "{ill}"
    );
    let repaired = place.run(&["check", "--repair", "--json"]).ended(0);
    let report = &repaired.json_lines().pop().unwrap();
    assert_eq!(report["repaired"]["made"], 1, "{report}");
    assert_eq!(
        report["checked_again"]["damaged"].as_array().unwrap().len(),
        0
    );
    assert!(
        place
            .run(&["check"])
            .ended(0)
            .stdout
            .contains("no problem found")
    );
}

#[cfg(unix)]
#[test]
fn a_read_only_index_is_searched() {
    use std::os::unix::fs::PermissionsExt;
    let place = filled();
    place.run(&["optimize"]).ended(0);
    let closed = |mode| {
        for folder in [place.index_dir(), place.index_dir().join("segments")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    if place.bound_command().is_none() {
        return;
    }
    let run = |arguments: &[&str]| {
        let mut command = place.bound_command().unwrap();
        ran(command.args(arguments).output().unwrap())
    };
    closed(0o555);
    let cat = sample("cat.jpg");
    let asked = run(&["query", cat.to_str().unwrap(), "--paths"]);
    let changing = [
        &["optimize", "--rebuild"][..],
        &["index", "photos"],
        &["remove", "photos"],
    ];
    let refused = changing.map(&run);
    closed(0o755);
    assert_eq!(asked.ended(0).stdout.lines().count(), 4);
    for refused in refused {
        let refused = refused.ended(2);
        let reported = ["Permission denied", "readonly database"];
        assert!(
            reported
                .iter()
                .any(|reported| refused.stderr.contains(reported)),
            "{refused:?}"
        );
    }
    place.run(&["check"]).ended(0);
    assert_eq!(found(&place, &[]).len(), 4);
}
