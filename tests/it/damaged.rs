//! Files that are not what they seem: counted, recorded, listed, and never the end of a run.

use std::fs;

use crate::support::{Place, ran, sample};

/// A JPEG header that declares 65,000 by 65,000 pixels, with nothing after it.
const HUGE_JPEG: &[u8] =
    b"\xff\xd8\xff\xc0\0\x11\x08\xfd\xe8\xfd\xe8\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\
    \xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11\0\x3f\0";

/// Returns a PNG header that declares 60,000 by 60,000 pixels, with the right checksum.
fn huge_png() -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(60_000u32.to_be_bytes());
    header.extend(60_000u32.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut crc = !0u32;
    for byte in &header {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(&header);
    png.extend((!crc).to_be_bytes());
    png.extend(b"\0\0\0\x0cIDAT");
    png.extend([0x78, 0x9c, 0x63, 0, 0, 0, 1, 0, 1, 0, 0, 0]);
    png
}

#[test]
fn a_broken_file_does_not_stop_a_run() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    let cat = fs::read(sample("cat.jpg")).unwrap();
    fs::write(place.photo("zero.jpg"), "").unwrap();
    fs::write(place.photo("stump.jpg"), &cat[..2000]).unwrap();
    fs::write(place.photo("half.jpg"), &cat[..cat.len() * 2 / 3]).unwrap();
    fs::write(place.photo("text.jpg"), "this is a text").unwrap();
    fs::write(place.photo("huge.jpg"), HUGE_JPEG).unwrap();
    fs::write(place.photo("huge.png"), huge_png()).unwrap();
    fs::write(
        place.photo("film.jp2"),
        b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ",
    )
    .unwrap();

    let ran = place.run(&["index", "photos", "--json"]).ended(1);
    let run = ran.summary();
    assert_eq!(
        (&run["added"], &run["damaged"], &run["failed"]),
        (&3.into(), &1.into(), &6.into()),
        "{run}"
    );
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);

    let listed = place
        .run(&["status", "--damaged", "--json"])
        .ended(0)
        .json_lines();
    let reason = |name: &str| {
        let line = listed
            .iter()
            .find(|line| line["path"].as_str().unwrap().ends_with(name));
        line.unwrap_or_else(|| panic!("{name} is not listed"))["reason"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for (name, part) in [
        ("zero.jpg", "empty"),
        ("stump.jpg", "truncated"),
        ("half.jpg", "truncated"),
        ("text.jpg", "not an image"),
        ("huge.jpg", "too large: 65000 by 65000"),
        ("huge.png", "too large: 60000 by 60000"),
        ("film.jp2", "invalid JP2 box"),
    ] {
        assert!(reason(name).contains(part), "{name}: {}", reason(name));
    }
    let text = place.run(&["status", "--damaged"]).ended(0).stdout;
    assert_eq!(text.lines().count(), 7, "{text}");

    // They are not tried again until they change, except those over a limit, which are not reported again …
    let events = place.run(&["index", "photos", "--json"]).ended(0);
    assert_eq!(events.json_lines()[0]["plan"]["jobs"], 2);
    assert_eq!(events.summary()["failed_before"], 6);
    let quiet = place.run(&["index", "photos"]).ended(0).stderr;
    assert!(!quiet.contains("huge"), "{quiet}");
    // … unless it is requested …
    let again = place
        .run(&["index", "photos", "--retry", "--json"])
        .ended(1)
        .summary();
    assert_eq!(again["failed"], 6);
    // … and a file that was corrected is indexed.
    fs::copy(sample("rocket.jpg"), place.photo("zero.jpg")).unwrap();
    assert_eq!(place.index()["added"], 1);
    fs::remove_file(place.photo("text.jpg")).unwrap();
    assert_eq!(place.index()["failed_before"], 4);
    assert_eq!(
        place
            .run(&["status", "--damaged"])
            .ended(0)
            .stdout
            .lines()
            .count(),
        5
    );
}

#[test]
fn a_refused_image_is_indexed_once_the_limits_allow_it() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    let ran = place
        .run(&["index", "photos", "--max-megapixels", "0"])
        .ended(1);
    assert!(ran.stderr.contains("--max-megapixels"), "{}", ran.stderr);
    assert_eq!(place.index()["added"], 2);
    let whole = place.run(&["status", "--damaged"]).ended(0);
    assert_eq!(whole.stdout, "");
}

#[test]
fn an_image_that_becomes_garbage_is_forgotten_and_reported() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    fs::write(place.photo("cat.jpg"), "overwritten").unwrap();
    let run = place.run(&["index", "photos", "--json"]).ended(1).summary();
    assert_eq!(run["failed"], 1);
    assert_eq!(place.nearest(&sample("cat.jpg"), 5), ["coffee.jpg"]);
}

#[cfg(unix)]
#[test]
fn a_file_without_permission_is_reported_and_its_stored_image_stays() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    if place.bound_command().is_none() {
        return;
    }
    let run = |arguments: &[&str]| {
        let mut command = place.bound_command().unwrap();
        ran(command.args(arguments).output().unwrap())
    };
    place.index();
    let cat = place.photo("cat.jpg");
    fs::write(&cat, "changed meanwhile").unwrap();
    fs::set_permissions(&cat, fs::Permissions::from_mode(0o000)).unwrap();
    let ran = run(&["index", "photos"]).ended(1);
    assert!(ran.stderr.contains("cat.jpg"), "{}", ran.stderr);
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
    // Once it is readable it is indexed, although neither its size nor its date has changed.
    fs::copy(sample("rocket.jpg"), place.photo("new.jpg")).unwrap();
    fs::set_permissions(place.photo("new.jpg"), fs::Permissions::from_mode(0o000)).unwrap();
    let refused = run(&["index", "photos"]).ended(1);
    assert!(refused.stderr.contains("new.jpg"), "{refused:?}");
    fs::set_permissions(place.photo("new.jpg"), fs::Permissions::from_mode(0o644)).unwrap();
    // The cat is still unreadable, and is reported until it is readable.
    let summary = run(&["index", "photos", "--json"]).ended(1).summary();
    assert_eq!(
        (&summary["added"], &summary["failed"]),
        (&1.into(), &1.into()),
        "{summary}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn names_need_not_be_unicode() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let name = OsStr::from_bytes(b"caf\xe9 \xff.jpg");
    fs::copy(sample("cat.jpg"), place.photos().join(name)).unwrap();
    assert_eq!(place.index()["added"], 1);
    assert_eq!(place.index()["unchanged"], 1);
    let output = place
        .command()
        .arg("query")
        .arg(place.photos().join(name))
        .args(["-k", "1", "-0"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(output.stdout.ends_with(b"caf\xe9 \xff.jpg\0"));
}

#[test]
fn an_empty_folder_is_not_an_error_and_the_message_says_what_is_skipped() {
    let place = Place::new();
    let ran = place.run(&["index", "photos"]).ended(0);
    assert!(
        ran.stderr.contains("No image was found") && ran.stderr.contains("--hidden"),
        "{}",
        ran.stderr
    );
    let nothing = place
        .run(&["query", sample("cat.jpg").to_str().unwrap()])
        .ended(1);
    assert!(
        nothing.stderr.contains("the index is empty"),
        "{}",
        nothing.stderr
    );
}

#[test]
fn a_file_that_is_not_a_database_is_named() {
    let place = Place::with(&["cat.jpg"]);
    fs::create_dir(place.index_dir()).unwrap();
    fs::write(
        place.index_dir().join("imgsearch.sqlite"),
        "this is no database, but a text of some length",
    )
    .unwrap();
    let ran = place.run(&["query", "photos/cat.jpg"]).ended(2);
    assert!(ran.stderr.contains("is damaged"), "{}", ran.stderr);
}

#[test]
fn an_image_that_takes_too_long_is_left_out_until_it_may_take_longer() {
    let place = Place::new();
    // One whose headers show that it is quick, and one of 16 million pixels.
    let small = image::RgbImage::from_pixel(40, 40, image::Rgb([200, 100, 50]));
    small.save(place.photo("small.jpg")).unwrap();
    let large = image::GrayImage::from_fn(4000, 4000, |x, y| image::Luma([(x ^ y) as u8]));
    large.save(place.photo("large.png")).unwrap();

    let ran = place
        .run(&["index", "photos", "--max-seconds", "0.005"])
        .ended(1);
    assert!(
        ran.stderr.contains("large.png") && ran.stderr.contains("--max-seconds"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("small.jpg"), "{}", ran.stderr);
    let listed = place
        .run(&["status", "--damaged", "--json"])
        .ended(0)
        .json_lines();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["stage"], "limit", "{}", listed[0]);
    assert_eq!(listed[0]["kind"], "timed_out", "{}", listed[0]);
    // It would take as long again.
    let again = place
        .run(&["index", "photos", "--max-seconds", "0.005", "--json"])
        .ended(0)
        .summary();
    assert_eq!(
        (&again["failed"], &again["failed_before"]),
        (&0.into(), &1.into()),
        "{again}"
    );
    assert_eq!(place.index()["added"], 1);
    assert_eq!(place.run(&["status", "--damaged"]).ended(0).stdout, "");

    for nonsense in ["-1", "0", "soon", "inf"] {
        let ran = place.run(&["index", "photos", &format!("--max-seconds={nonsense}")]);
        assert_eq!(ran.status, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("--max-seconds"), "{}", ran.stderr);
    }
}

#[test]
fn a_broken_header_changes_no_code_that_comes_after_it() {
    let place = Place::with(&["cat.jpg"]);
    let mut bad = std::fs::read(place.photo("cat.jpg")).unwrap();
    let table = bad
        .windows(2)
        .position(|marker| marker == [0xff, 0xc4])
        .unwrap();
    (bad[table + 5], bad[table + 6]) = (255, 255);
    std::fs::write(place.photo("bad.jpg"), bad).unwrap();
    let encoded = |names: &[&str]| {
        let ran = place.run(&[&["encode", "--json"], names].concat());
        let lines = ran.json_lines();
        let of_cat = |line: &&serde_json::Value| {
            let path = line["path"].as_str().or(line["file"].as_str());
            path.is_some_and(|path| path.ends_with("cat.jpg"))
        };
        lines.iter().find(of_cat).unwrap()["code"].clone()
    };
    let alone = encoded(&["photos/cat.jpg"]);
    assert!(alone.is_array());
    assert_eq!(encoded(&["photos/bad.jpg", "photos/cat.jpg"]), alone);
}

/// Returns the peak memory of a run of the program, in MiB.
#[cfg(target_os = "linux")]
fn peak_of(mut command: std::process::Command) -> (u64, i32) {
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        // It only grows, so the last value counts.
        let reported = fs::read_to_string(&status).unwrap_or_default();
        let line = reported
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = kib.unwrap_or(peak);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    (peak >> 10, ended.code().unwrap_or(-1))
}

#[cfg(target_os = "linux")]
#[test]
fn a_sparse_file_of_600_mb_costs_little_memory() {
    let place = Place::with(&["cat.jpg"]);
    let index = |index: &str| {
        let mut command = place.command();
        command
            .env("IMGSEARCH_INDEX", place.index_dir().with_extension(index))
            .args(["index", "photos", "--quiet"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        peak_of(command)
    };
    let (without, status) = index("without");
    assert_eq!(status, 0);
    // An intact header, with nothing after it.
    image::RgbImage::new(16, 16)
        .save(place.photo("sparse.png"))
        .unwrap();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(place.photo("sparse.png"))
        .unwrap();
    file.set_len(33).unwrap();
    file.set_len(600_000_000).unwrap();
    let (with, status) = index("with");
    assert_eq!(status, 1);
    eprintln!("{without} MiB without it, {with} MiB with it");
    assert!(
        with < without + 64,
        "{with} MiB, where {without} MiB are taken without it"
    );
    let listed = place.run(&["index", "photos"]).ended(1).stderr;
    assert!(
        listed.contains("sparse.png") && listed.contains("damaged"),
        "{listed}"
    );
}

/// A run over a folder full of problems names some of each kind and counts the rest.
#[test]
fn the_first_unusable_files_are_named_and_the_rest_counted() {
    let place = Place::with(&["cat.jpg"]);
    let folder = |i: usize| place.photo(&format!("folder-{i:02}"));
    for i in 0..25 {
        fs::create_dir(folder(i)).unwrap();
        fs::copy(sample("coffee.jpg"), folder(i).join("coffee.jpg")).unwrap();
    }
    place.index();
    for i in 0..25 {
        // An invalid glob, so nothing in the folder is examined.
        fs::write(folder(i).join(".imgsearchignore"), "a[b\n").unwrap();
        fs::write(place.photo(&format!("text-{i:02}.jpg")), "this is a text").unwrap();
    }
    let count = |text: &str, part: &str| text.lines().filter(|line| line.contains(part)).count();

    let said = place.run(&["index", "photos"]).ended(1).stderr;
    assert_eq!(count(&said, "cannot look into "), 10, "{said}");
    assert!(
        said.contains("… and into 15 other folders and links: imgsearch index --json names each"),
        "{said}"
    );
    assert_eq!(count(&said, "under it are kept as they are"), 10, "{said}");
    assert!(
        said.contains("… and images of 15 other folders are kept"),
        "{said}"
    );
    assert_eq!(count(&said, "not an image"), 10, "{said}");
    assert!(
        said.contains(
            "… and 15 more files could not be used completely: imgsearch status --damaged names each"
        ),
        "{said}"
    );
    // The counts are in the summary, too.
    assert!(said.contains("25 unusable"), "{said}");
    assert!(said.contains("25 out of reach and kept"), "{said}");
    let listed = place.run(&["status", "--damaged"]).ended(0).stdout;
    assert_eq!(listed.lines().count(), 25, "{listed}");

    // With `--json`, everything is reported.
    let events = place
        .run(&["index", "photos", "--retry", "--json"])
        .ended(1)
        .json_lines();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((of("unreadable"), of("kept")), (25, 25), "{events:?}");

    // Exactly ten of a kind are all named, and no rest is reported.
    for i in 10..25 {
        fs::remove_file(folder(i).join(".imgsearchignore")).unwrap();
        fs::remove_file(place.photo(&format!("text-{i:02}.jpg"))).unwrap();
    }
    let said = place.run(&["index", "photos", "--retry"]).ended(1).stderr;
    assert_eq!(count(&said, "cannot look into "), 10, "{said}");
    assert_eq!(count(&said, "not an image"), 10, "{said}");
    assert!(!said.contains('…'), "{said}");
}
