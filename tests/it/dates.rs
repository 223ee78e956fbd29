//! Dates: what a camera's clock showed and a file's date, with queries from different places.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::support::{Place, Ran, ran, sample};

/// Time zones by their rules, so that no database of time zones is needed.
const LOS_ANGELES: &str = "PST8PDT,M3.2.0,M11.1.0";
const TOKYO: &str = "JST-9";

/// Runs a query with some options in some time zone.
fn ask(place: &Place, zone: Option<&str>, options: &[&str]) -> Ran {
    let mut command = place.command();
    match zone {
        Some(zone) => command.env("TZ", zone),
        None => command.env_remove("TZ"),
    };
    command
        .args(["query", "photos/plain.jpg", "--paths"])
        .args(options);
    ran(command.output().unwrap())
}

/// Returns the names that are found, sorted.
#[track_caller]
fn found(place: &Place, zone: &str, options: &[&str]) -> Vec<String> {
    let ran = ask(place, Some(zone), options);
    assert!(ran.status < 2, "{ran:?}");
    let mut names: Vec<String> = ran
        .stdout
        .lines()
        .map(|path| path.rsplit('/').next().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Returns an image from a camera, with what its clock showed and, optionally, the clock's offset from UTC.
fn taken(clock: &str, offset: Option<&str>) -> Vec<u8> {
    // A TIFF header, a directory that leads to EXIF's, and the texts after it.
    let mut fields = vec![(0x9003u16, format!("{clock}\0"))];
    fields.extend(offset.map(|offset| (0x9011, format!("{offset}\0"))));
    let mut exif =
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0".to_vec();
    exif.extend((fields.len() as u16).to_le_bytes());
    let mut text_at = 26 + 2 + fields.len() * 12 + 4;
    for (tag, text) in &fields {
        exif.extend(tag.to_le_bytes());
        exif.extend(2u16.to_le_bytes());
        exif.extend((text.len() as u32).to_le_bytes());
        exif.extend((text_at as u32).to_le_bytes());
        text_at += text.len();
    }
    exif.extend([0; 4]);
    for (_, text) in &fields {
        exif.extend(text.as_bytes());
    }
    let cat = fs::read(sample("cat.jpg")).unwrap();
    let mut jpeg = b"\xff\xd8\xff\xe1".to_vec();
    jpeg.extend((exif.len() as u16 + 2).to_be_bytes());
    jpeg.extend(exif);
    jpeg.extend(&cat[2..]);
    jpeg
}

fn dated(place: &Place, name: &str, seconds: u64) {
    let file = fs::File::options().write(true).open(place.photo(name));
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    file.unwrap().set_modified(time).unwrap();
}

/// Creates a file that in Los Angeles is from eight in the evening of 1 May 2024, which in UTC is the next day, and
/// images that cameras took at eight in the evening of that day, wherever they were.
fn filled() -> Place {
    let place = Place::with(&["cat.jpg"]);
    fs::rename(place.photo("cat.jpg"), place.photo("plain.jpg")).unwrap();
    dated(&place, "plain.jpg", 1_714_618_800);
    let clock = "2024:05:01 20:00:00";
    fs::write(place.photo("camera.jpg"), taken(clock, None)).unwrap();
    fs::write(place.photo("zoned.jpg"), taken(clock, Some("+09:00"))).unwrap();
    place.index();
    place
}

#[test]
fn a_date_is_what_local_clocks_show() {
    let place = filled();
    let all = ["camera.jpg", "plain.jpg", "zoned.jpg"];
    let of_cameras = ["camera.jpg", "zoned.jpg"];
    let day = ["--after", "2024-05-01", "--before", "2024-05-02"];
    assert_eq!(found(&place, LOS_ANGELES, &day), all);
    // In another place, the file is from another day. What a camera's clock showed is the same everywhere.
    assert_eq!(found(&place, "UTC", &day), of_cameras);
    assert_eq!(found(&place, TOKYO, &day), of_cameras);
    assert_eq!(
        found(&place, TOKYO, &["--after", "2024-05-02T12:00"]),
        ["plain.jpg"]
    );
    assert!(found(&place, TOKYO, &["--after", "2024-05-02T12:01"]).is_empty());
    assert_eq!(
        found(&place, LOS_ANGELES, &["--after", "2024-05-01T20:00"]),
        all
    );
    assert!(found(&place, LOS_ANGELES, &["--after", "2024-05-01T20:01"]).is_empty());
}

#[test]
fn an_offset_makes_a_date_one_moment() {
    let place = filled();
    // The moment of the file, written in three ways; the queries come from two places.
    for moment in [
        "2024-05-02T03:00Z",
        "2024-05-02T05:00+02:00",
        "2024-05-01T20:00-07:00",
    ] {
        let (after, before) = (["--after", moment], ["--before", moment]);
        assert_eq!(
            found(&place, LOS_ANGELES, &after),
            ["camera.jpg", "plain.jpg", "zoned.jpg"]
        );
        assert!(found(&place, LOS_ANGELES, &before).is_empty());
        // At that moment, clocks in Tokyo show noon of 2 May, so the cameras' evening is over.
        assert_eq!(found(&place, TOKYO, &after), ["plain.jpg"]);
        assert_eq!(found(&place, TOKYO, &before), ["camera.jpg", "zoned.jpg"]);
    }
}

#[test]
fn files_from_around_a_change_of_clocks_have_the_dates_that_clocks_showed() {
    let place = Place::with(&["cat.jpg"]);
    fs::rename(place.photo("cat.jpg"), place.photo("plain.jpg")).unwrap();
    // On 10 March 2024 clocks went from 1:59 to 3:00, which was 10:00 in UTC, …
    let spring = 1_710_064_800;
    dated(&place, "plain.jpg", spring);
    place.index();
    for date in ["2024-03-10T02:00", "2024-03-10T02:30", "2024-03-10T03:00"] {
        assert_eq!(
            found(&place, LOS_ANGELES, &["--after", date]),
            ["plain.jpg"],
            "{date}"
        );
        assert!(found(&place, LOS_ANGELES, &["--before", date]).is_empty());
    }
    assert!(found(&place, LOS_ANGELES, &["--after", "2024-03-10T03:01"]).is_empty());
    // … and on 3 November they showed half past one twice, at 8:30 and at 9:30 in UTC.
    let autumn = 1_730_622_600;
    dated(&place, "plain.jpg", autumn);
    place.index();
    let twice = ["--after", "2024-11-03T01:30"];
    assert_eq!(found(&place, LOS_ANGELES, &twice), ["plain.jpg"]);
    dated(&place, "plain.jpg", autumn - 1);
    place.index();
    assert!(found(&place, LOS_ANGELES, &twice).is_empty());
}

#[test]
fn a_time_zone_can_be_named_and_an_unknown_one_is_reported() {
    let place = filled();
    let before = ["--before", "2024-05-02"];
    let unknown = ask(&place, Some("Nowhere/Atlantis"), &before).ended(0);
    assert!(
        unknown.stderr.contains("the local time zone is unknown")
            && unknown.stderr.contains("dates are taken as UTC"),
        "{unknown:?}"
    );
    assert_eq!(unknown.stdout.lines().count(), 2, "{unknown:?}");
    // A query without dates does not need a time zone.
    let none = ask(&place, Some("Nowhere/Atlantis"), &[]).ended(0);
    assert!(!none.stderr.contains("time zone"), "{none:?}");

    for bad in [
        "2024-05-17T18:30[Europe/Berlin]",
        "2024-05-17T18:30+2",
        "17.5.2024",
    ] {
        let refused = ask(&place, None, &["--after", bad]).ended(2);
        assert!(
            refused.stderr.contains("2024-05-17T18:30+02:00"),
            "{refused:?}"
        );
    }
    if !std::path::Path::new("/usr/share/zoneinfo/America/Los_Angeles").exists() {
        eprintln!("SKIPPED: there is no database of time zones to name one from");
        return;
    }
    assert_eq!(found(&place, "America/Los_Angeles", &before).len(), 3);
    assert_eq!(found(&place, ":America/Los_Angeles", &before).len(), 3);
}
