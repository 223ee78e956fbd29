//! Encoding everything again loses no stored image, whatever happens meanwhile.

use std::fs;
use std::process::Stdio;

use crate::support::{Place, ran, sample};

fn images(place: &Place) -> u64 {
    let status = place.run(&["status", "--json"]).ended(0).json_lines();
    status[0]["stats"]["images"].as_u64().unwrap()
}

#[test]
fn a_disk_that_is_not_mounted_loses_nothing() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    let away = place.photos().with_file_name("away");
    fs::rename(place.photos(), &away).unwrap();
    // Neither if the folder is missing, nor if it is the empty folder of an unmounted disk.
    for made in [false, true] {
        if made {
            fs::create_dir(place.photos()).unwrap();
        }
        let refused = place.run(&["index", "--reencode"]).ended(2).stderr;
        assert!(
            refused.contains("2 stored images lie under")
                && refused.contains("imgsearch remove")
                && refused.contains("photos"),
            "{refused}"
        );
        assert_eq!(images(&place), 2);
        assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
    }
    fs::remove_dir(place.photos()).unwrap();
    fs::rename(away, place.photos()).unwrap();
    place.run(&["index", "--reencode"]).ended(0);
    assert_eq!(images(&place), 2);
}

#[test]
fn a_deleted_file_is_left_out_unless_it_is_to_be_kept() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    fs::remove_file(place.photo("cat.jpg")).unwrap();
    let refused = place
        .run(&["index", "--reencode", "--keep-missing"])
        .ended(2)
        .stderr;
    assert!(
        refused.contains("the first of them") && refused.contains("cat.jpg"),
        "{refused}"
    );
    assert_eq!(images(&place), 2);
    let said = place.run(&["index", "--reencode"]).ended(0).stderr;
    assert!(said.contains("1 stored images are left out"), "{said}");
    assert_eq!(images(&place), 1);
}

#[test]
fn an_image_that_exceeds_a_limit_is_not_dropped() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    let large = image::open(sample("rocket.jpg")).unwrap().resize_exact(
        1600,
        1200,
        image::imageops::FilterType::Nearest,
    );
    large.save(place.photo("large.png")).unwrap();
    place.index();
    let refused = place
        .run(&["index", "--reencode", "--max-megapixels", "1"])
        .ended(2)
        .stderr;
    assert!(
        refused.contains("large.png") && refused.contains("--max-megapixels"),
        "{refused}"
    );
    assert_eq!(images(&place), 3);
    assert_eq!(place.nearest(&place.photo("large.png"), 1), ["large.png"]);
    // Images that were encoded already are not encoded again.
    let rest = place.run(&["index", "--reencode", "--json"]).ended(0);
    assert_eq!(rest.summary()["encoded"], 1, "{rest:?}");
    assert_eq!(images(&place), 3);
    assert!(!place.index_dir().join("reencode").exists());
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_is_resumed() {
    let place = Place::new();
    let image = image::open(sample("gravel.jpg")).unwrap();
    for i in 0..600u32 {
        let path = place.photo(&format!("{i:03}.png"));
        image.crop_imm(i % 30, i / 30, 200, 200).save(path).unwrap();
    }
    place.index();
    let mut run = place
        .command()
        .args(["index", "--reencode", "--json", "--ignore", "no such*"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(run.stdout.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("\"event\":\"file\"") {
        seen.clear();
        let read = std::io::BufRead::read_line(&mut lines, &mut seen).unwrap();
        assert_ne!(read, 0);
    }
    let sent = std::process::Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut lines, &mut rest).unwrap();
    let ended = ran(run.wait_with_output().unwrap()).ended(130);
    assert!(ended.stderr.contains("the index is unchanged"), "{ended:?}");
    let again = "To resume: imgsearch index --reencode --json --ignore 'no such*'";
    assert!(ended.stderr.contains(again), "{ended:?}");
    // The old index still answers.
    assert_eq!(images(&place), 600);
    let status = place.run(&["status"]).ended(0).stdout;
    assert!(
        status.contains("not finished; to resume it: imgsearch index --reencode"),
        "{status}"
    );

    // An image that was forgotten meanwhile does not come back.
    place.run(&["remove", "photos/000.png"]).ended(0);
    let rest = place
        .run(&["index", "--reencode", "--json"])
        .ended(0)
        .summary();
    let (encoded, unchanged) = (
        rest["encoded"].as_u64().unwrap(),
        rest["unchanged"].as_u64().unwrap(),
    );
    assert!(unchanged > 0 && encoded + unchanged == 599, "{rest}");
    assert_eq!(images(&place), 599);
    let status = place.run(&["status"]).ended(0).stdout;
    assert!(
        !status.contains("not finished; to resume it: imgsearch index --reencode"),
        "{status}"
    );
}

/// A file of the user among those that are deleted stays.
#[test]
fn a_file_of_the_user_in_the_temporary_folder_stays() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    let elsewhere = place.index_dir().join("reencode");
    fs::create_dir_all(elsewhere.join("segments")).unwrap();
    let theirs = [
        "segments/plan.txt",
        "imgsearch.sqlite.bak",
        "encoder-holiday.jpg",
    ];
    for name in theirs {
        fs::write(elsewhere.join(name), "mine").unwrap();
    }
    let said = place.run(&["index", "--reencode"]).ended(0).stderr;
    assert!(said.contains("are not part of the index"), "{said}");
    assert!(!said.contains("resuming"), "{said}");
    for name in theirs {
        assert_eq!(fs::read(elsewhere.join(name)).unwrap(), b"mine");
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 3);
    assert_eq!(images(&place), 2);
    let status = place.run(&["status"]).ended(0).stdout;
    assert!(
        !status.contains("not finished; to resume it: imgsearch index --reencode"),
        "{status}"
    );

    // A database of another program, or a file that is not one.
    let database = elsewhere.join("imgsearch.sqlite");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute("CREATE TABLE notes (text)", ()).unwrap();
    drop(connection);
    for bytes in [fs::read(&database).unwrap(), b"a diary".to_vec()] {
        fs::write(&database, &bytes).unwrap();
        let refused = place.run(&["index", "--reencode"]).ended(2).stderr;
        assert!(
            refused.contains("another program") && refused.contains("reencode"),
            "{refused}"
        );
        assert!(fs::read(&database).unwrap() == bytes);
    }
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
}

/// A link could lead to somebody's index, which would lose images.
#[cfg(unix)]
#[test]
fn a_link_in_place_of_the_temporary_folder_is_refused() {
    let (place, other) = (Place::with(&["cat.jpg"]), Place::with(&["coffee.jpg"]));
    place.index();
    other.index();
    let elsewhere = place.index_dir().join("reencode");
    std::os::unix::fs::symlink(other.index_dir(), &elsewhere).unwrap();
    let refused = place.run(&["index", "--reencode"]).ended(2).stderr;
    assert!(
        refused.contains("it is a link") && refused.contains("reencode"),
        "{refused}"
    );
    assert_eq!((images(&place), images(&other)), (1, 1));
    assert_eq!(other.nearest(&sample("coffee.jpg"), 1), ["coffee.jpg"]);
}

/// The command at the end of a message works as printed, whatever the folder's name is.
#[cfg(unix)]
#[test]
fn a_suggested_command_can_be_typed_as_it_is() {
    let place = Place::with(&["cat.jpg"]);
    let name = "it's a `folder` of $HOME; # and more";
    let folder = place.photo(name);
    for reencode in [false, true] {
        fs::create_dir(&folder).unwrap();
        fs::copy(sample("coffee.jpg"), folder.join("coffee.jpg")).unwrap();
        place
            .run(&["index", "photos", folder.to_str().unwrap()])
            .ended(0);
        assert_eq!(images(&place), 2);
        let away = place.photos().with_file_name("away");
        fs::rename(&folder, &away).unwrap();
        fs::create_dir(&folder).unwrap();
        let said = if reencode {
            place.run(&["index", "--reencode"]).ended(2)
        } else {
            place.run(&["index", folder.to_str().unwrap()]).ended(0)
        };
        let (_, command) = said.stderr.split_once("gone for good: ").unwrap();
        let command = command.lines().next().unwrap();
        let plain = place.command();
        let program = std::path::Path::new(plain.get_program()).parent().unwrap();
        let typed = ran(std::process::Command::new("/bin/sh")
            .args(["-c", command])
            .current_dir(plain.get_current_dir().unwrap())
            .env("IMGSEARCH_INDEX", place.index_dir())
            .env("PATH", program)
            .output()
            .unwrap());
        assert!(
            typed.stderr.contains("1 image forgotten"),
            "{command}: {typed:?}"
        );
        assert_eq!(images(&place), 1);
        fs::remove_dir(&folder).unwrap();
        fs::remove_dir_all(away).unwrap();
    }
}

#[test]
fn a_folder_of_somebody_else_is_not_used_as_the_temporary_folder() {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let theirs = place.index_dir().join("reencode");
    fs::create_dir(&theirs).unwrap();
    fs::write(theirs.join("notes.txt"), "mine").unwrap();
    let refused = place.run(&["index", "--reencode"]).ended(2).stderr;
    assert!(
        refused.contains("reencode is in the way") && refused.contains("Move it"),
        "{refused}"
    );
    assert_eq!(fs::read(theirs.join("notes.txt")).unwrap(), b"mine");
    fs::remove_file(theirs.join("notes.txt")).unwrap();
    place.run(&["index", "--reencode"]).ended(0);
    assert!(!theirs.exists());
    assert_eq!(images(&place), 1);
}
