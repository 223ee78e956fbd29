//! `--version`: what a report of a problem has to say.

use crate::support::{Place, ran};

#[test]
fn the_version_is_a_line_or_all_that_a_report_needs() {
    let place = Place::new();
    let line = format!("imgsearch {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(place.run(&["-V"]).ended(0).stdout, line);
    let long = place.run(&["--version"]).ended(0).stdout;
    assert!(long.starts_with(&line), "{long}");
    let runtime = place.run(&["runtime", "--json"]).ended(0).json_lines();
    let version = runtime[0]["version"].as_str().unwrap();
    assert!(
        long.contains(&format!("ONNX Runtime  {version}, ")),
        "{long}"
    );
    assert!(long.contains("commit        "), "{long}");
    // That of the built-in encoder, which a new index has.
    std::fs::copy(crate::support::sample("cat.jpg"), place.photo("cat.jpg")).unwrap();
    place.index();
    let status = place.run(&["status", "--json"]).ended(0).json_lines();
    let fingerprint = status[0]["encoder"]["fingerprint"].as_str().unwrap();
    assert!(long.contains(fingerprint), "{long} {fingerprint}");
}

#[test]
fn the_version_never_fails() {
    let place = Place::new();
    let nowhere = place.photos();
    let mut command = place.command();
    command
        .arg("--version")
        .env("ORT_DYLIB_PATH", nowhere.join("none.so"))
        .env("IMGSEARCH_CONFIG", nowhere.join("none.toml"))
        .env("HOME", nowhere.join("no home"));
    let ran = ran(command.output().unwrap()).ended(0);
    assert!(ran.stdout.contains("ONNX Runtime  none ("), "{ran:?}");
    assert!(ran.stdout.contains("imgsearch runtime install"), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 4);
}
