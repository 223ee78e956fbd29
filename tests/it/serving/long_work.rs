//! What takes a while: duplicates and the map. The first answer may say how far it is.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::client::{Server, ids, names};
use super::indexed;
use crate::support::{Place, sample};

/// Asks until the answer is there.
#[track_caller]
fn made(server: &Server, path: &str) -> Value {
    let start = Instant::now();
    let mut asked = format!("/api/v1{path}");
    loop {
        let reply = server.get(&asked);
        if reply.status == 200 {
            return reply.json();
        }
        assert_eq!(reply.status, 202, "{}", reply.text());
        assert_eq!(reply.header("retry-after"), Some("1"));
        let underway = reply.json();
        let stage = underway["stage"].as_str().unwrap();
        assert!(
            ["waiting", "searching", "comparing", "placing"].contains(&stage),
            "{underway}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(180),
            "never done: {underway}"
        );
        let next = underway["next"].as_str().unwrap();
        let mark = if path.contains('?') { '&' } else { '?' };
        asked = format!("/api/v1{path}{mark}cursor={next}");
    }
}

/// Copies of a photograph under other names, one of them smaller, and strangers.
fn with_copies() -> Place {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg", "gravel.jpg"]);
    fs::create_dir_all(place.photo("more")).unwrap();
    for name in ["cat.jpg", "coffee.jpg"] {
        fs::copy(sample(name), place.photo(&format!("more/{name}"))).unwrap();
    }
    let cat = image::open(sample("cat.jpg")).unwrap();
    let small = cat.thumbnail(cat.width() / 2, cat.height() / 2);
    small.to_rgb8().save(place.photo("small.png")).unwrap();
    place.index();
    place
}

/// Returns the names of the files of each group.
fn groups(answer: &Value) -> Vec<Vec<String>> {
    let groups = answer["groups"].as_array().unwrap().iter();
    groups
        .map(|group| {
            let files = group["files"].as_array().unwrap().iter();
            files
                .map(|file| file["name"].as_str().unwrap().to_owned())
                .collect()
        })
        .collect()
}

#[test]
fn groups_are_those_of_the_command() {
    let place = with_copies();
    let server = Server::start(&place, &[]);
    let found = made(&server, "/duplicates");
    assert_eq!(
        groups(&found),
        [
            vec!["cat.jpg", "cat.jpg", "small.png"],
            vec!["coffee.jpg", "coffee.jpg"]
        ]
    );
    assert_eq!(
        (&found["total"], &found["files"], &found["images"]),
        (&2.into(), &3.into(), &7.into())
    );
    let printed = place.run(&["duplicates", "--json"]).ended(0).json_lines();
    for (group, line) in found["groups"].as_array().unwrap().iter().zip(&printed) {
        assert_eq!(group["level"], line["level"]);
        assert_eq!(group["best"], line["best"]);
        let files = group["files"].as_array().unwrap().iter();
        for (file, printed) in files.zip(line["files"].as_array().unwrap()) {
            for name in ["id", "path", "width", "height", "bytes", "format", "level"] {
                assert_eq!(file[name], printed[name], "{name}");
            }
            let differs = printed.get("differs").unwrap_or(&Value::Null);
            assert_eq!(&file["differs"], differs);
        }
    }
    let small = &found["groups"][0]["files"][2];
    assert!(small["differs"].as_str().unwrap().contains("half the size"));
    let changes = small["changes"].as_array().unwrap().iter();
    assert!(
        changes.clone().any(|one| one["change"] == "scaled"),
        "{small}"
    );
    let others = [1, 2].map(|at| found["groups"][0]["files"][at]["bytes"].as_u64());
    let sum = others.into_iter().flatten().sum::<u64>();
    let coffee = found["groups"][1]["files"][1]["bytes"].as_u64().unwrap();
    assert_eq!(found["bytes"], sum + coffee);
}

#[test]
fn parts_fit_together_while_the_index_changes() {
    let place = with_copies();
    let server = Server::start(&place, &[]);
    let first = made(&server, "/duplicates?limit=1");
    assert_eq!(first["groups"].as_array().unwrap().len(), 1);
    let next = first["next"].as_str().unwrap().to_owned();
    // The copy of the second group goes, and a new group comes.
    fs::remove_file(place.photo("more/coffee.jpg")).unwrap();
    for name in ["astronaut.jpg", "zzz.jpg"] {
        fs::copy(sample("astronaut.jpg"), place.photo(name)).unwrap();
    }
    place.run(&["index", "photos", "--prune"]).ended(0);
    let second = server.json(&format!("/duplicates?limit=1&cursor={next}"));
    // What is gone is no part of a group, and one file is no group.
    assert_eq!((groups(&second).len(), &second["next"]), (0, &Value::Null));
    let anew = made(&server, "/duplicates");
    assert_eq!(
        groups(&anew),
        [
            vec!["astronaut.jpg", "zzz.jpg"],
            vec!["cat.jpg", "cat.jpg", "small.png"]
        ]
    );
}

#[test]
fn filters_hold_and_mistakes_are_said_at_once() {
    let place = with_copies();
    let server = Server::start(&place, &[]);
    let jpeg = made(&server, "/duplicates?type=jpeg");
    assert_eq!(groups(&jpeg)[0], ["cat.jpg", "cat.jpg"]);
    let near = made(&server, "/duplicates?near=true");
    assert!(near["total"].as_u64().unwrap() >= 2, "{near}");
    for (path, status) in [
        ("/duplicates?text=cat", 400),
        ("/duplicates?min_similarity=5", 400),
        ("/duplicates?after=yesterday", 400),
        ("/duplicates?cursor=x", 400),
        ("/duplicates?limit=0", 400),
        ("/duplicates?region=1,2", 400),
        ("/map?near=true", 400),
        ("/map?id=1", 400),
        ("/map?region=1,2,3", 400),
        ("/map?label=nonsense", 422),
        ("/images?near=true", 400),
        ("/search?id=1&near=true", 400),
        // No map was made yet.
        ("/images?region=0,0,1,0,1,1", 409),
    ] {
        server.refused(path, status);
    }
}

/// Numbers of 16 bits as the answer has them.
fn unpacked(text: &Value) -> Vec<u16> {
    let bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
    let (numbers, rest) = bytes.as_chunks::<2>();
    assert!(rest.is_empty());
    numbers.iter().map(|two| u16::from_le_bytes(*two)).collect()
}

/// Returns the places by id.
fn places(map: &Value) -> BTreeMap<i64, [f32; 2]> {
    let runs = map["ids"].as_array().unwrap().iter();
    let ids = runs.flat_map(|run| {
        let [first, count] = [0, 1].map(|at| run[at].as_i64().unwrap());
        first..first + count
    });
    let bounds = [0, 1, 2, 3].map(|at| map["bounds"][at].as_f64().unwrap() as f32);
    let between = |share: u16, axis: usize| {
        let share = f32::from(share) / f32::from(u16::MAX);
        bounds[axis] + share * (bounds[axis + 2] - bounds[axis])
    };
    let places = unpacked(&map["x"]).into_iter().zip(unpacked(&map["y"]));
    let places = places.map(|(x, y)| [between(x, 0), between(y, 1)]);
    ids.zip(places).collect()
}

#[test]
fn the_map_is_that_of_the_command_and_a_region_of_it_is_a_filter() {
    let place = indexed();
    let server = Server::start(&place, &[]);
    let map = made(&server, "/map");
    let of_page = places(&map);
    let printed = place.run(&["map", "--json"]).ended(0).json_lines();
    assert_eq!(of_page.len(), printed.len());
    assert_eq!(map["images"], printed.len());
    for line in &printed {
        let [x, y] = of_page[&line["id"].as_i64().unwrap()];
        let [left, bottom] = ["x", "y"].map(|axis| line[axis].as_f64().unwrap() as f32);
        assert!(
            (x - left).abs() < 1e-3 && (y - bottom).abs() < 1e-3,
            "{line}"
        );
    }
    let ranks = STANDARD.decode(map["rank"].as_str().unwrap()).unwrap();
    assert_eq!(
        (ranks.len(), unpacked(&map["group"]).len()),
        (of_page.len(), of_page.len())
    );

    // What lies left of a line, by the page's own arithmetic.
    let line = 0.5 * (map["bounds"][0].as_f64().unwrap() + map["bounds"][2].as_f64().unwrap());
    let region = format!("-1000,-1000,{line},-1000,{line},1000,-1000,1000");
    let mut inside: Vec<i64> = of_page
        .iter()
        .filter(|(_, [x, _])| f64::from(*x) < line)
        .map(|(id, _)| *id)
        .collect();
    assert!(!inside.is_empty() && inside.len() < of_page.len());
    let mut listed = ids(&server.json(&format!("/images?limit=200&region={region}")));
    listed.sort_unstable();
    inside.sort_unstable();
    assert_eq!(listed, inside);
    let id = inside[0];
    let found = server.json(&format!("/search?id={id}&limit=200&region={region}"));
    assert!(ids(&found).iter().all(|id| inside.contains(id)));
    assert_eq!(
        places(&made(&server, &format!("/map?region={region}"))).len(),
        inside.len()
    );
    let jpeg = made(&server, "/map?label=cat");
    assert!(places(&jpeg).len() < of_page.len());
    for (id, [x, y]) in places(&jpeg) {
        let [left, bottom] = of_page[&id];
        assert!(
            (x - left).abs() < 1e-3 && (y - bottom).abs() < 1e-3,
            "it moved"
        );
    }

    // Another server has not made the map, but the index has kept the places.
    drop(server);
    let server = Server::start(&place, &[]);
    let mut again = ids(&server.json(&format!("/images?limit=200&region={region}")));
    again.sort_unstable();
    assert_eq!(again, inside);
}

#[test]
fn searches_are_answered_while_the_work_goes_on() {
    let place = indexed();
    let server = Server::start(&place, &[]);
    let underway = server.get("/api/v1/map");
    assert!([200, 202].contains(&underway.status));
    let found = server.json("/search?text=cat&limit=1");
    assert_eq!(names(&found).len(), 1);
    // The second kind of work waits for the first, and comes to its turn.
    made(&server, "/duplicates");
    made(&server, "/map");
    let empty = Place::new();
    let server = Server::start(&empty, &[]);
    server.refused("/duplicates", 503);
    server.refused("/map", 503);
}
