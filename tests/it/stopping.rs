//! Ctrl-C during commands that look at a whole collection.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use imgsearch::index::{Change, FileStat, NewContent, Writer};

use crate::signals::ignores;
use crate::support::{Place, Ran, ran};

/// More images than any of the commands is done with before the signal comes.
const IMAGES: u64 = 20_000;

/// An index of drawn codes, whose files are not there.
fn large() -> Place {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let mut writer = Writer::open_existing(&place.index_dir()).unwrap();
    let (code_len, bits) = (writer.encoder().code_len, writer.encoder().bits);
    // Xorshift (Marsaglia 2003).
    let mut noise = 88_172_645_463_325_252u64;
    let mut drawn = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise
    };
    let changes: Vec<Change> = (0..IMAGES)
        .map(|i| {
            let mut digest = [7; 32];
            digest[..8].copy_from_slice(&i.to_le_bytes());
            let content = NewContent {
                digest,
                width: 4,
                height: 3,
                format: "jpeg".to_owned(),
                taken: None,
                damage: None,
                labels: Vec::new(),
                code: (0..code_len)
                    .map(|_| (drawn() >> 40) as f32 / (1 << 24) as f32 - 0.5)
                    .collect(),
                hash: (0..bits.div_ceil(8)).map(|_| drawn() as u8).collect(),
            };
            Change::Insert {
                path: format!("/elsewhere/{i}.jpg").into(),
                stat: FileStat::default(),
                content,
            }
        })
        .collect();
    writer.apply(&changes).unwrap();
    place
}

/// Waits until the program handles Ctrl-C itself.
fn wait_until_handled(run: &mut Child) {
    let status = PathBuf::from(format!("/proc/{}/status", run.id()));
    loop {
        let text = fs::read_to_string(&status).unwrap();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        if caught & (1 << 1) != 0 {
            return;
        }
        assert!(run.try_wait().unwrap().is_none(), "it ended before");
        std::thread::yield_now();
    }
}

/// Starts a command, and presses Ctrl-C as soon as it is heard.
fn stopped(place: &Place, arguments: &[&str]) -> Ran {
    let mut command = place.command();
    command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut run = command.spawn().unwrap();
    wait_until_handled(&mut run);
    let sent = Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    ran(run.wait_with_output().unwrap())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        // The database's own, which come and go.
        .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect();
    names.sort();
    names
}

#[test]
fn ctrl_c_ends_commands_about_the_whole_collection_and_leaves_nothing_behind() {
    if ignores(2) {
        eprintln!("SKIPPED: these tests were started with SIGINT ignored");
        return;
    }
    let place = large();
    let folder = place.photos().parent().unwrap().to_owned();
    let before = (names(&folder), names(&place.index_dir()));
    let commands: [&[&str]; 4] = [
        &["groups", "--html", "page.html"],
        &["map", "-o", "page.html"],
        &["outliers", "--html", "page.html"],
        &["duplicates", "--html", "page.html"],
    ];
    for arguments in commands {
        let ended = stopped(&place, arguments);
        assert_eq!(ended.status, 130, "{arguments:?}: {ended:?}");
        assert!(
            ended.stderr.contains("stopping"),
            "{arguments:?}: {ended:?}"
        );
        assert_eq!(ended.stdout, "", "{arguments:?}");
        let after = (names(&folder), names(&place.index_dir()));
        assert_eq!(after, before, "{arguments:?}");
    }
}
