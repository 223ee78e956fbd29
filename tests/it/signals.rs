//! Signals to stop: a terminal that hangs up, Ctrl-C and `kill`; and signals that are to be ignored.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use crate::support::{Place, Ran, ran, sample};

/// Saves small pieces of a sample, each with its own content.
fn pieces(place: &Place, number: u32) {
    let image = image::open(sample("gravel.jpg")).unwrap();
    for i in 0..number {
        let path = place.photo(&format!("{i:03}.png"));
        image.crop_imm(i % 30, i / 30, 64, 64).save(path).unwrap();
    }
}

/// Starts `index` after what a shell does first.
fn start(place: &Place, first: &str) -> Child {
    let plain = place.command();
    Command::new("sh")
        .arg("-c")
        .arg(format!("{first} exec \"$@\""))
        .arg("sh")
        .arg(plain.get_program())
        .args(["index", "photos", "--json"])
        .current_dir(plain.get_current_dir().unwrap())
        .env("IMGSEARCH_INDEX", place.index_dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the run has started to store, sends it the signals, and waits for its end.
fn end_with(mut run: Child, signals: &[&str]) -> Ran {
    let mut lines = BufReader::new(run.stdout.take().unwrap());
    let mut reported = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "{reported}");
        reported += &line;
        if line.contains("\"event\":\"committed\"") {
            break;
        }
    }
    for signal in signals {
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &run.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }
    lines.read_to_string(&mut reported).unwrap();
    let mut ended = ran(run.wait_with_output().unwrap());
    ended.stdout = reported;
    ended
}

/// Returns whether these tests were started with a signal ignored, which the program inherits.
pub fn ignores(signal: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
    ignored & (1 << (signal - 1)) != 0
}

const NUMBER: u32 = 600;

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let place = Place::new();
    pieces(&place, NUMBER);
    for first in [
        "trap '' HUP;",
        "trap '' INT;",
        "trap '' TERM;",
        "trap '' HUP INT TERM;",
    ] {
        drop(std::fs::remove_dir_all(place.index_dir()));
        let signals: Vec<&str> = ["HUP", "INT", "TERM"]
            .into_iter()
            .filter(|signal| first.contains(signal))
            .collect();
        let ended = end_with(start(&place, first), &signals).ended(0);
        assert_eq!(ended.summary()["added"], NUMBER, "{first}");
        assert_eq!(ended.stderr, "", "{first}");
    }
}

#[test]
fn nohup_keeps_a_run_alive() {
    let place = Place::new();
    pieces(&place, NUMBER);
    let run = start(&place, "set -- nohup \"$@\";");
    let ended = end_with(run, &["HUP", "HUP"]);
    assert_eq!(ended.status, 0, "{ended:?}");
    assert_eq!(ended.summary()["added"], NUMBER);
}

#[test]
fn a_signal_ends_a_run_cleanly_and_its_images_are_kept() {
    for (signal, number) in [("HUP", 1), ("TERM", 15), ("INT", 2)] {
        if ignores(number) {
            eprintln!("SKIPPED: these tests were started with SIG{signal} ignored");
            continue;
        }
        let place = Place::new();
        pieces(&place, NUMBER);
        // Closing terminals hang up twice, and that does not end the program at once.
        let signals = if signal == "INT" {
            vec![signal]
        } else {
            vec![signal, signal]
        };
        let ended = end_with(start(&place, ""), &signals).ended(130);
        assert!(
            ended.stderr.contains("the images indexed so far are kept"),
            "{ended:?}"
        );
        let done = ended.summary()["added"].as_u64().unwrap();
        assert!(done > 0 && done < u64::from(NUMBER), "{ended:?}");
        let again = place.index();
        assert_eq!(again["unchanged"], done, "{again}");
        assert_eq!(again["added"], u64::from(NUMBER) - done, "{again}");
    }
}
