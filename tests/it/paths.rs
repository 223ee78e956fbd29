//! Paths in output: names that are not valid Unicode, and commands to type again.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::{Place, Ran, ran, sample, sample_names};

const ODD: &[u8] = b"caf\xe9 \xff.jpg";

/// Creates a place whose image folder is not valid Unicode, and returns that folder, too.
fn odd_place() -> (Place, PathBuf) {
    let place = Place::new();
    let folder = place.photos().join(OsStr::from_bytes(b"\xe9t\xe9"));
    fs::create_dir(&folder).unwrap();
    fs::copy(sample("cat.jpg"), folder.join(OsStr::from_bytes(ODD))).unwrap();
    fs::copy(sample("coffee.jpg"), folder.join("plain.jpg")).unwrap();
    fs::write(folder.join(OsStr::from_bytes(b"bad\xff.jpg")), "no image").unwrap();
    let folder = fs::canonicalize(folder).unwrap();
    (place, folder)
}

#[track_caller]
fn run(place: &Place, arguments: &[&OsStr]) -> Ran {
    let ran = ran(place.command().args(arguments).output().unwrap());
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    assert!(ran.status < 2, "{ran:?}");
    ran
}

/// Returns the path in a JSON object.
#[track_caller]
fn path_in(object: &Value, key: &str) -> PathBuf {
    let text = object[key].as_str().unwrap_or_else(|| panic!("{object}"));
    match object.get(format!("{key}_bytes")) {
        None => {
            assert!(!text.contains('\u{fffd}'), "{object}");
            text.into()
        }
        Some(bytes) => {
            let bytes = STANDARD.decode(bytes.as_str().unwrap()).unwrap();
            let path = Path::new(OsStr::from_bytes(&bytes));
            assert!(path.to_str().is_none(), "{object}");
            assert_eq!(path.to_string_lossy(), text);
            path.to_owned()
        }
    }
}

#[test]
fn json_gives_paths_back_as_they_are() {
    let (place, folder) = odd_place();
    let odd = folder.join(OsStr::from_bytes(ODD));
    let bad = folder.join(OsStr::from_bytes(b"bad\xff.jpg"));
    let word = OsStr::new;
    let json = word("--json");

    let indexed = run(&place, &[word("index"), folder.as_os_str(), json]).json_lines();
    let mut files: Vec<PathBuf> = indexed
        .iter()
        .filter(|line| line["event"] == "file")
        .map(|line| path_in(line, "path"))
        .collect();
    files.sort();
    let mut there = vec![odd.clone(), bad.clone(), folder.join("plain.jpg")];
    there.sort();
    assert_eq!(files, there);

    let asked = run(&place, &[word("query"), odd.as_os_str(), json]).json_lines();
    assert_eq!(path_in(&asked[0], "query"), odd);
    let first = &asked[0]["results"][0];
    assert_eq!(path_in(first, "path"), odd);
    let encoded = run(&place, &[word("encode"), odd.as_os_str(), json]).json_lines();
    assert_eq!(path_in(&encoded[0], "path"), odd);
    let listed = run(&place, &[word("status"), word("--damaged"), json]).json_lines();
    assert_eq!(path_in(&listed[0], "path"), bad);

    // The roots of the last run, which once ended the program.
    let status = run(&place, &[word("status"), json]).json_lines();
    let last = &status[0]["last_run"];
    let root = STANDARD.decode(last["roots_bytes"][0].as_str().unwrap());
    assert_eq!(root.unwrap(), folder.as_os_str().as_bytes());
    assert_eq!(last["completed"], true);

    let copies = [word("eval"), word("--copies"), folder.as_os_str(), json];
    let judged = run(&place, &copies).json_lines();
    assert_eq!(path_in(&judged[0]["copies"][0]["failed"][0], "path"), bad);

    // An index in a folder whose name is not valid Unicode.
    let index = folder.join(OsStr::from_bytes(b"\xff index"));
    let elsewhere = [word("--index"), index.as_os_str()];
    let first = [word("index"), folder.as_os_str()];
    run(&place, &[&elsewhere[..], &first].concat());
    let status = run(&place, &[&elsewhere[..], &[word("status"), json]].concat()).json_lines();
    assert_eq!(path_in(&status[0], "dir"), index);
    // A path that is valid Unicode has no bytes next to it.
    let plain = folder.join("plain.jpg");
    let near = run(
        &place,
        &[word("query"), word("-k1"), plain.as_os_str(), json],
    );
    let first = &near.json_lines()[0]["results"][0];
    assert_eq!(path_in(first, "path"), plain);
}

#[test]
fn training_reports_files_whose_names_are_not_unicode() {
    let place = Place::new();
    for name in sample_names() {
        let image = image::open(sample(&name)).unwrap().thumbnail(64, 64);
        for i in 0..3 {
            let part = image.crop_imm(i, 0, 40, 40);
            let mut path = place.photo(&format!("{i}-{name}")).into_os_string();
            path.push(OsStr::from_bytes(b"\xff.png"));
            part.save_with_format(path, image::ImageFormat::Png)
                .unwrap();
        }
    }
    let word = OsStr::new;
    let output = OsStr::from_bytes(b"m\xffy.onnx");
    let common = ["--epochs", "1", "--code", "4", "--bits", "8", "--json"].map(word);
    let head = ["train", "photos", "--views", "0"].map(word);
    let deep = [
        "train", "photos", "--kind", "deep", "--side", "8", "--layers", "16", "--batch", "16",
    ]
    .map(word);
    for command in [&head[..], &deep] {
        let arguments = [command, &common, &[word("-o"), output]].concat();
        let trained = run(&place, &arguments).json_lines().pop().unwrap();
        assert_eq!(path_in(&trained, "file"), Path::new(output));
        let charts = trained["charts_bytes"].as_array().unwrap();
        assert!(!charts.is_empty(), "{trained}");
        for chart in charts {
            let chart = STANDARD.decode(chart.as_str().unwrap()).unwrap();
            let chart = place.photos().with_file_name(OsStr::from_bytes(&chart));
            assert!(chart.exists(), "{chart:?}");
        }
    }
}

/// A command that is printed to be typed again works, whatever the names are.
#[test]
fn the_command_to_resume_can_be_typed_again() {
    let place = Place::new();
    let name = OsStr::from_bytes(b"it's \xff $HOME");
    let folder = place.photos().join(name);
    fs::create_dir(&folder).unwrap();
    let image = image::open(sample("gravel.jpg")).unwrap();
    for i in 0..600 {
        let path = folder.join(format!("{i:03}.png"));
        image.crop_imm(i % 30, i / 30, 64, 64).save(path).unwrap();
    }
    let mut run = place
        .command()
        .arg("index")
        .arg(&folder)
        .arg("--json")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(run.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"event\":\"committed\"") {
        line.clear();
        assert_ne!(
            std::io::BufRead::read_line(&mut lines, &mut line).unwrap(),
            0
        );
    }
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &run.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    std::io::copy(&mut lines, &mut std::io::sink()).unwrap();
    let ended = ran(run.wait_with_output().unwrap()).ended(130);
    let (_, again) = ended.stderr.split_once("To resume: imgsearch ").unwrap();
    let plain = place.command();
    let output = std::process::Command::new("bash")
        .arg("-c")
        .arg(format!("\"$0\" {again}"))
        .arg(plain.get_program())
        .current_dir(plain.get_current_dir().unwrap())
        .env("IMGSEARCH_INDEX", place.index_dir())
        .output()
        .unwrap();
    let summary = ran(output).ended(0).summary();
    let (added, unchanged) = (&summary["added"], &summary["unchanged"]);
    assert_eq!(added.as_u64().unwrap() + unchanged.as_u64().unwrap(), 600);
    assert!(unchanged.as_u64().unwrap() > 0, "{summary}");
}
