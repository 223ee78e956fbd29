//! `--sandbox`: decoding in processes of their own.

use std::fs;
use std::path::PathBuf;

use crate::support::{Place, ran, sample, sample_names};

/// Returns a PCX of one colour with sides of 12,000 pixels: a small file that takes 432 MB of memory.
fn large_pcx() -> Vec<u8> {
    let side = 12_000u16;
    let mut file = vec![10, 5, 1, 8, 0, 0, 0, 0];
    file.extend((side - 1).to_le_bytes().repeat(2));
    file.resize(65, 0);
    file.push(3);
    file.extend(side.to_le_bytes());
    file.resize(128, 0);
    // Each row of each colour: runs of 60.
    let row = [0xc0 | 60, 77].repeat(usize::from(side) / 60);
    file.extend(row.repeat(3 * usize::from(side)));
    file
}

/// Encodes the samples, and returns the lines that tell of them.
fn encoded(place: &Place, more: &[&str]) -> Vec<String> {
    let files = sample_names()
        .into_iter()
        .map(|name| sample(&name).display().to_string());
    let mut arguments = vec!["encode".to_owned(), "--json".to_owned()];
    arguments.extend(files.chain(more.iter().map(ToString::to_string)));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ran = place.run(&arguments).ended(0);
    ran.json_lines().iter().map(ToString::to_string).collect()
}

#[test]
fn codes_are_the_same_in_a_sandbox() {
    let place = Place::new();
    let plain = encoded(&place, &[]);
    assert!(plain.len() > 10);
    assert_eq!(encoded(&place, &["--sandbox"]), plain);
}

#[test]
fn a_decoder_that_crashes_costs_one_image() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "bricks.jpg"]);
    fs::write(place.photo("b-large.pcx"), large_pcx()).unwrap();
    fs::write(place.photo("b-no-image.jpg"), "this is a text").unwrap();
    // More than a decoder needs for the others.
    let mut command = place.command();
    command.env("IMGSEARCH_SANDBOX_BYTES", (400u64 << 20).to_string());
    let crashed = ran(command
        .args(["index", "photos", "--sandbox", "--json"])
        .output()
        .unwrap())
    .ended(1);
    let run = crashed.summary();
    assert_eq!(
        (&run["added"], &run["failed"]),
        (&3.into(), &2.into()),
        "{run}"
    );
    let listed = place.run(&["status", "--damaged"]).ended(0).stdout;
    let line = listed.lines().find(|line| line.contains("b-large.pcx"));
    assert!(
        line.is_some_and(|line| line.contains("crashed") && line.contains("signal 6")),
        "{listed}"
    );
    // With the usual memory it is an image like any other.
    fs::File::open(place.photo("b-large.pcx"))
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    let run = place
        .run(&["index", "photos", "--sandbox", "--json"])
        .ended(0)
        .summary();
    assert_eq!(
        (&run["added"], &run["unchanged"]),
        (&1.into(), &3.into()),
        "{run}"
    );
}

#[test]
fn a_file_that_takes_too_long_ends_its_process() {
    let place = Place::with(&["cat.jpg"]);
    fs::write(place.photo("large.pcx"), large_pcx()).unwrap();
    let arguments = [
        "index",
        "photos",
        "--sandbox",
        "--max-seconds",
        "0.01",
        "--json",
    ];
    let run = place.run(&arguments).ended(1).summary();
    assert_eq!(
        run["added"].as_u64().unwrap() + run["failed"].as_u64().unwrap(),
        2,
        "{run}"
    );
    let listed = place.run(&["status", "--damaged"]).ended(0).stdout;
    let line = listed.lines().find(|line| line.contains("large.pcx"));
    assert!(
        line.is_some_and(|line| line.contains("too slow")),
        "{listed}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_that_decodes_reaches_nothing() {
    use std::io::{Read as _, Write as _};
    use std::process::Stdio;

    let limits = r#"{"max_file_bytes":1000,"max_pixels":1000,"max_memory":1000000,"max_time":{"secs":1,"nanos":0},"sandbox":true}"#;
    let program = PathBuf::from(env!("CARGO_BIN_EXE_imgsearch"));
    let mut child = std::process::Command::new(program)
        .args(["decode-in-sandbox", limits])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut hello = [0; 11];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut hello)
        .unwrap();
    assert!(hello.ends_with(b"\"Ready\""), "{hello:?}");
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let has = |line: &str| {
        status
            .lines()
            .any(|known| known.split_whitespace().eq(line.split_whitespace()))
    };
    // A filter of calls, which a new program could not leave either.
    assert!(has("Seccomp: 2") && has("NoNewPrivs: 1"), "{status}");
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max file size"));
    assert!(
        files.is_some_and(|line| line.split_whitespace().nth(3) == Some("0")),
        "{limits}"
    );
    // Nonsense ends it.
    child.stdin.take().unwrap().write_all(&[0xff; 64]).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
