//! Concurrency and extremes: files that change while they are read, and other processes during a run.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use imgsearch::index::{
    Change, FileStat, NewContent, RankBy, SearchParams, SearchStrategy, Writer,
};
use imgsearch::{Encoded, Library, OpenOptions};

use crate::support::{Place, Ran, ran, sample, sample_names};

/// Saves small pieces of a sample, each with its own content.
fn pieces(place: &Place, number: u32) {
    let image = image::open(sample("gravel.jpg")).unwrap();
    for i in 0..number {
        let path = place.photo(&format!("{i:03}.png"));
        image.crop_imm(i % 30, i / 30, 64, 64).save(path).unwrap();
    }
}

/// Stores images that were not encoded, with codes and hashes spread over a few dimensions.
fn strangers(place: &Place, number: u64) {
    let mut writer = Writer::open_existing(&place.index_dir()).unwrap();
    let changes: Vec<Change> = (0..number)
        .map(|i| {
            let mut random = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
            let mut next = || {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (random >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            };
            let mut code = vec![0.0; 30];
            code[..4].fill_with(&mut next);
            let length = code.iter().map(|v| v * v).sum::<f32>().sqrt();
            code.iter_mut().for_each(|v| *v /= length);
            let bit = |bit: usize| code[bit % 4] > (bit / 4) as f32 / 32.0 - 1.0;
            let hash = (0..32).map(|byte| (0..8).map(|i| u8::from(bit(byte * 8 + i)) << i).sum());
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&i.to_le_bytes());
            Change::Insert {
                path: format!("/nowhere/{i}.jpg").into(),
                stat: FileStat::default(),
                content: NewContent {
                    digest,
                    width: 4,
                    height: 3,
                    format: "jpeg".to_owned(),
                    taken: None,
                    damage: None,
                    labels: Vec::new(),
                    hash: hash.collect(),
                    code,
                },
            }
        })
        .collect();
    writer.apply(&changes).unwrap();
}

fn start(place: &Place, arguments: &[&str]) -> Child {
    place
        .command()
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn end(child: Child) -> Ran {
    ran(child.wait_with_output().unwrap())
}

#[track_caller]
fn assert_sound(place: &Place) {
    let checked = place.run(&["check"]).ended(0);
    assert!(checked.stdout.contains("no problem found"), "{checked:?}");
}

#[track_caller]
fn assert_calm(ran: &Ran, allowed: &[i32]) {
    assert!(allowed.contains(&ran.status), "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
}

fn stored(place: &Place) -> u64 {
    let status = place.run(&["status", "--json"]).ended(0);
    status.json_lines()[0]["stats"]["images"].as_u64().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn paths_of_almost_4096_bytes_are_stored_and_longer_ones_reported() {
    let place = Place::with(&["coffee.jpg"]);
    // The system resolves paths of up to 4,095 bytes.
    let mut folder = fs::canonicalize(place.photos()).unwrap();
    let name = "ü".repeat(100);
    while folder.as_os_str().len() + name.len() < 4000 {
        folder.push(&name);
    }
    fs::create_dir_all(&folder).unwrap();
    let long = folder.join("cat.jpg");
    assert!(long.as_os_str().len() > 3700);
    fs::copy(sample("cat.jpg"), &long).unwrap();
    assert_eq!(place.index()["added"], 2);
    assert_eq!(place.index()["unchanged"], 2);
    assert_eq!(place.nearest(&long, 1), ["cat.jpg"]);
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);

    // Files with longer paths are reported; the others are indexed.
    let elsewhere = place.index_dir().with_file_name("elsewhere");
    let inner = elsewhere.join(&name).join(&name);
    fs::create_dir_all(&inner).unwrap();
    fs::copy(sample("rocket.jpg"), inner.join("deep.jpg")).unwrap();
    fs::rename(&elsewhere, folder.join("deeper")).unwrap();
    let ran = place.run(&["index", "photos", "--json"]);
    assert_calm(&ran, &[1]);
    assert_eq!(ran.summary()["unchanged"], 2, "{ran:?}");
    assert!(ran.stdout.contains("too long"), "{ran:?}");
    assert_sound(&place);
}

#[test]
fn dates_before_1970_in_the_future_and_going_back_are_stored() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "grass.jpg"]);
    let dated = |name: &str, time: SystemTime| {
        let file = fs::File::options()
            .write(true)
            .open(place.photo(name))
            .unwrap();
        file.set_modified(time).unwrap();
    };
    let epoch = SystemTime::UNIX_EPOCH;
    let century = Duration::from_secs(100 * 365 * 86_400);
    dated("cat.jpg", epoch - Duration::from_secs(5));
    dated("coffee.jpg", SystemTime::now() + century);
    assert_eq!(place.index()["added"], 3);
    assert_eq!(place.index()["unchanged"], 3);
    // The clock went back, and then the file was written.
    fs::copy(sample("rocket.jpg"), place.photo("coffee.jpg")).unwrap();
    dated("coffee.jpg", epoch + Duration::from_secs(1));
    let run = place.index();
    assert_eq!((&run["changed"], &run["unchanged"]), (&1.into(), &2.into()));
    assert_eq!(place.nearest(&sample("rocket.jpg"), 1), ["coffee.jpg"]);
}

#[test]
fn files_that_change_while_they_are_read_are_correct_after_the_next_run() {
    let place = Place::new();
    pieces(&place, 40);
    let contents: Vec<Vec<u8>> = ["cat.jpg", "coffee.jpg", "grass.jpg"]
        .iter()
        .map(|name| fs::read(sample(name)).unwrap())
        .collect();
    let restless = place.photo("restless.jpg");
    fs::write(&restless, &contents[0]).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0;
            while !stop.load(Ordering::Relaxed) {
                // Truncated to nothing, then grown in steps, as a camera or a download writes it.
                turn = (turn + 1) % contents.len();
                let mut file = fs::File::create(&restless).unwrap();
                for part in contents[turn].chunks(8192) {
                    std::io::Write::write_all(&mut file, part).unwrap();
                    std::thread::sleep(Duration::from_micros(300));
                }
            }
        });
        for _ in 0..5 {
            assert_calm(&place.run(&["index", "photos"]), &[0, 1]);
        }
        stop.store(true, Ordering::Relaxed);
    });
    fs::write(&restless, &contents[0]).unwrap();
    let run = place.run(&["index", "photos", "--json"]).ended(0).summary();
    assert_eq!(run["failed"], 0, "{run}");
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["restless.jpg"]);
    assert_eq!(place.run(&["status", "--damaged"]).ended(0).stdout, "");
    assert_eq!(stored(&place), 41);
    assert_sound(&place);
}

#[test]
fn a_folder_that_changes_while_it_is_walked_is_correct_after_the_next_run() {
    let place = Place::new();
    pieces(&place, 60);
    let name = |turn: usize| place.photo(&format!("{:03}.png", turn % 60));
    let pictures: Vec<Vec<u8>> = (0..60).map(|i| fs::read(name(i)).unwrap()).collect();
    let folder = |i: usize| place.photos().join(format!("folder-{}", i % 7));
    let stop = AtomicBool::new(false);
    let mut seen = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                // Files that were removed come back complete.
                let hidden = place.photo(".coming");
                fs::write(&hidden, &pictures[(turn + 30) % 60]).unwrap();
                fs::rename(&hidden, name(turn + 30)).unwrap();
                // Folders and files appear, swap places, and disappear.
                let (from, to) = (folder(turn), folder(turn + 3));
                drop(fs::create_dir(&from));
                drop(fs::rename(name(turn), from.join("a.png")));
                drop(fs::rename(&from, to.join("inner")));
                if turn % 5 == 0 {
                    drop(fs::remove_dir_all(to));
                }
            }
        });
        for _ in 0..5 {
            let ran = place.run(&["index", "photos", "--json"]);
            assert_calm(&ran, &[0, 1]);
            seen += ran.summary()["added"].as_u64().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let there = pngs(&place.photos());
    assert!(seen > 0 && there.len() > 20, "{seen} seen, {there:?}");
    // Many files that the last run found may be gone. Images in a folder that another has replaced are kept and
    // counted.
    let ran = place.run(&["index", "photos", "--prune", "--json"]);
    assert_calm(&ran, &[0]);
    let kept = ran.summary()["kept_missing"].as_u64().unwrap();
    assert_eq!(stored(&place), there.len() as u64 + kept, "{ran:?}");
    let mut known: Vec<PathBuf> = imgsearch::index::Index::open(place.index_dir())
        .and_then(|index| index.to_reader()?.paths())
        .unwrap();
    known.retain(|path| path.exists());
    known.sort();
    assert_eq!(known, there);
    assert_sound(&place);
}

/// Returns the images in and below a folder, sorted.
fn pngs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![fs::canonicalize(folder).unwrap()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn two_runs_started_at_once_leave_one_complete_index() {
    for _ in 0..3 {
        let place = Place::new();
        pieces(&place, 50);
        let both = [
            start(&place, &["index", "photos"]),
            start(&place, &["index", "photos"]),
        ];
        let both = both.map(end);
        for ran in &both {
            assert_calm(ran, &[0, 2]);
            assert!(
                ran.status == 0 || ran.stderr.contains("is being written to by"),
                "{ran:?}"
            );
        }
        assert!(both.iter().any(|ran| ran.status == 0), "{both:?}");
        assert_eq!(stored(&place), 50);
        assert_sound(&place);
    }
}

#[test]
fn answers_stay_the_same_while_segments_are_rebuilt() {
    let place = Place::with(
        &sample_names()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    );
    pieces(&place, 60);
    place.index();
    strangers(&place, 6000);
    place.run(&["optimize"]).ended(0);
    let library = Library::open_with(place.index_dir(), OpenOptions::default()).unwrap();
    let names = sample_names();
    let questions: Vec<_> = names
        .iter()
        .map(|name| library.encode_file(&sample(name)).unwrap())
        .collect();
    let asked = |question: &Encoded| -> Vec<Vec<(PathBuf, u32)>> {
        let ways = [RankBy::Code, RankBy::Both].map(|by| {
            // The stored codes are random, so many are nearly as near as the nearest. With enough candidates, every
            // graph of them gives the same answers.
            let params = SearchParams::new(5)
                .by(by)
                .strategy(SearchStrategy::Graph)
                .ef(256);
            let answer = library.search(question, &params).unwrap();
            let explained = answer.stats;
            // The graph answers: it examines some of the rows, and finds enough.
            assert!(!explained.fell_back, "{explained:?}");
            for part in &explained.parts {
                assert!(part.ef.is_some(), "{explained:?}");
                let some = part.distances < part.rows || by == RankBy::Both;
                assert!(some, "{explained:?}");
            }
            let found = answer.matches.into_iter();
            found.map(|found| (found.path, found.hamming)).collect()
        });
        ways.to_vec()
    };
    let expected: Vec<_> = questions.iter().map(asked).collect();
    let mut folding = start(&place, &["optimize", "--rebuild"]);
    let mut rounds = 0;
    while rounds < 6 {
        if folding.try_wait().unwrap().is_some() {
            rounds += 1;
            assert_calm(&end(folding), &[0]);
            folding = start(&place, &["optimize", "--rebuild"]);
        }
        for (question, expected) in questions.iter().zip(&expected) {
            assert_eq!(&asked(question), expected);
        }
    }
    assert_calm(&end(folding), &[0]);
    assert_sound(&place);
}

/// Returns the next event of a kind, reading as slowly as a pipe fills; `None` if the run has ended.
fn next_event(run: &mut Child, kind: &str) -> Option<serde_json::Value> {
    // Byte by byte, so that the rest is left for whoever waits for the end of the run.
    let out = run.stdout.as_mut().unwrap();
    let (mut line, mut byte) = (Vec::new(), [0]);
    while out.read(&mut byte).unwrap() > 0 {
        if byte != *b"\n" {
            line.extend(byte);
            continue;
        }
        let event: serde_json::Value = serde_json::from_slice(&line).unwrap();
        line.clear();
        if event["event"] == kind {
            return Some(event);
        }
    }
    None
}

/// Images reported as stored are there whatever happens, and only the rest is repeated.
#[cfg(unix)]
#[test]
fn images_reported_as_stored_survive_a_kill() {
    let place = Place::new();
    pieces(&place, 600);
    let mut run = start(&place, &["index", "photos", "--json"]);
    let reported = next_event(&mut run, "committed").unwrap()["changes"]
        .as_u64()
        .unwrap();
    run.kill().unwrap();
    let killed = end(run);
    assert_eq!(killed.status, -1, "{killed:?}");
    assert!(reported > 0);
    // More may have been stored than was reported.
    let kept = stored(&place);
    assert!(
        reported <= kept && kept < 600,
        "{reported} reported, {kept} kept"
    );
    assert_sound(&place);
    let again = place.index();
    assert_eq!(
        (&again["added"], &again["unchanged"]),
        (&(600 - kept).into(), &kept.into()),
        "{again}"
    );
}

#[cfg(unix)]
#[test]
fn an_index_deleted_while_it_is_used_is_an_error_and_nothing_worse() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    pieces(&place, 200);
    place.index();
    place.run(&["optimize"]).ended(0);
    let library = Library::open_with(place.index_dir(), OpenOptions::default()).unwrap();
    assert_eq!(library.nearest_to(sample("cat.jpg"), 3).unwrap().len(), 3);
    // A run with much to do, and a reader that has the index open.
    pieces(&place, 400);
    let mut run = start(&place, &["index", "photos", "--json"]);
    assert!(next_event(&mut run, "file").is_some());
    let mut tries = 0;
    // The run may create a file while the folder is being removed.
    while fs::remove_dir_all(place.index_dir()).is_err() && tries < 100 {
        tries += 1;
    }
    let ended = end(run);
    assert_calm(&ended, &[0, 1, 2]);
    // What is open may still be used; everything else is an error.
    if let Err(error) = library.nearest_to(sample("coffee.jpg"), 3) {
        let text = error.to_string();
        assert!(text.contains("index"), "{text}");
    }
    drop(library);
    if place.index_dir().exists() {
        fs::remove_dir_all(place.index_dir()).unwrap();
    }
    assert_eq!(place.index()["added"], 402);
    assert_sound(&place);
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_a_file_is_not_waited_for() {
    let place = Place::with(&["cat.jpg"]);
    let pipe = std::process::Command::new("mkfifo")
        .arg(place.photo("pipe.jpg"))
        .status()
        .unwrap();
    assert!(pipe.success());
    std::os::unix::fs::symlink("/dev/zero", place.photo("endless.jpg")).unwrap();
    std::os::unix::fs::symlink(place.photo("nowhere.jpg"), place.photo("dangling.jpg")).unwrap();
    let ran = place.run(&["index", "photos", "--json"]);
    assert_calm(&ran, &[0, 1]);
    assert_eq!(ran.summary()["added"], 1, "{ran:?}");
    for name in ["pipe.jpg", "endless.jpg"] {
        let named = place.run(&["index", place.photo(name).to_str().unwrap()]);
        assert_calm(&named, &[0, 1, 2]);
    }
    assert_eq!(stored(&place), 1);
}

#[cfg(unix)]
#[test]
fn a_user_without_a_home_folder_has_to_name_the_index() {
    let place = Place::with(&["cat.jpg"]);
    let known = place.run(&["runtime", "--json"]).ended(0);
    let library = known.json_lines()[0]["library"]
        .as_str()
        .unwrap()
        .to_owned();
    // A home that is not a folder: nothing can be created below it.
    let home = place.photo("cat.jpg");
    let homeless = |named: bool| {
        let mut command = place.command();
        command
            .env("HOME", &home)
            .env("ORT_DYLIB_PATH", &library)
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CACHE_HOME");
        if !named {
            command.env_remove("IMGSEARCH_INDEX");
        }
        ran(command.args(["index", "photos"]).output().unwrap())
    };
    homeless(true).ended(0);
    let refused = homeless(false).ended(2);
    assert!(
        refused.stderr.contains(home.to_str().unwrap()),
        "{refused:?}"
    );
}
