//! The index changes, vanishes and comes back while a server runs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use super::client::{Server, ids, names};
use super::indexed;
use crate::contract::training_place;
use crate::support::{Place, sample};

#[test]
fn a_server_is_there_before_the_index() {
    let place = Place::with(&["cat.jpg"]);
    let server = Server::start(&place, &[]);
    let status = server.json("/status");
    assert_eq!(
        (&status["empty"], &status["images"]),
        (&true.into(), &0.into())
    );
    assert!(server.refused("/images", 503).contains("imgsearch index"));
    assert_eq!(server.get("/").status, 200);
    place.index();
    let status = server.json("/status");
    assert_eq!(
        (&status["empty"], &status["images"]),
        (&false.into(), &1.into())
    );
    assert_eq!(names(&server.json("/images")), ["cat.jpg"]);
    // It vanishes and comes back with other images.
    std::fs::remove_dir_all(place.index_dir()).unwrap();
    server.refused("/search?id=1", 503);
    assert_eq!(server.json("/status")["empty"], true);
    std::fs::remove_file(place.photo("cat.jpg")).unwrap();
    std::fs::copy(sample("rocket.jpg"), place.photo("rocket.jpg")).unwrap();
    place.index();
    assert_eq!(names(&server.json("/search?id=1")), ["rocket.jpg"]);
}

#[test]
fn another_encoder_takes_over_while_the_server_runs() {
    let place = training_place();
    place.index();
    let server = Server::start(&place, &[]);
    let answer = server
        .post(
            "/search?limit=2",
            &std::fs::read(sample("cat.jpg")).unwrap(),
        )
        .json();
    let token = answer["upload"]["code"].as_str().unwrap().to_owned();
    let before = server.json("/status")["encoder"]["fingerprint"].clone();
    let file = place.photos().parent().unwrap().join("two.onnx");
    place
        .run(&[
            "train",
            "photos",
            "-o",
            file.to_str().unwrap(),
            "--views",
            "1",
            "--epochs",
            "3",
        ])
        .ended(0);
    place
        .run(&["index", "--reencode", "--encoder", file.to_str().unwrap()])
        .ended(0);
    assert_eq!(ids(&server.json("/search?id=1&limit=1")).len(), 1);
    assert_ne!(server.json("/status")["encoder"]["fingerprint"], before);
    let said = server.refused(&format!("/search?code={token}"), 409);
    assert!(said.contains("Upload it again"), "{said}");
    let answer = server.post(
        "/search?limit=1",
        &std::fs::read(sample("cat.jpg")).unwrap(),
    );
    assert!(names(&answer.json())[0].ends_with("-cat.jpg"));
}

#[test]
fn changes_are_told_to_whoever_listens() {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let server = Server::start(&place, &[]);
    let mut stream = server.connect();
    write!(
        stream,
        "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n"
    )
    .unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let mut images = move || {
        let data = lines
            .find_map(|line| line.strip_prefix("data:").map(ToOwned::to_owned))
            .unwrap();
        let status: serde_json::Value = serde_json::from_str(&data).unwrap();
        status["images"].as_u64().unwrap()
    };
    assert_eq!(images(), 1);
    std::fs::copy(sample("rocket.jpg"), place.photo("rocket.jpg")).unwrap();
    place.index();
    while images() != 2 {}
}

#[cfg(target_os = "linux")]
#[test]
fn two_servers_of_one_index_run_side_by_side_and_end_when_told() {
    let place = indexed();
    let first = Server::start(&place, &[]);
    // The port that was asked for is in use: by that name it is an error.
    let port = first.port.to_string();
    let ran = place.run(&["serve", "--port", &port]).ended(2);
    assert!(
        ran.stderr.contains("cannot listen") && ran.stderr.contains("--port"),
        "{ran:?}"
    );
    let second = Server::start(&place, &[]);
    assert_eq!(ids(&first.json("/images")), ids(&second.json("/images")));
    // Neither a client that is silent nor one that listens keeps it from ending.
    let _silent = second.connect();
    let mut listening = second.connect();
    write!(
        listening,
        "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n"
    )
    .unwrap();
    let mut told = BufReader::new(listening);
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    let (status, said) = second.end("-TERM");
    assert_eq!(status, Some(0), "{said}");
    // The stream has an end, and was not cut off.
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "{rest:?}");
    assert_eq!(first.get("/").status, 200);
}

#[test]
fn images_that_were_removed_are_gone() {
    let place = indexed();
    let server = Server::start(&place, &[]);
    let found = server.json("/search?id=3&limit=16");
    let gone = &found["results"][1];
    place
        .run(&["remove", gone["path"].as_str().unwrap()])
        .ended(0);
    let id = gone["id"].as_i64().unwrap();
    server.refused(&format!("/images/{id}"), 404);
    server.refused(&format!("/search?id={id}"), 404);
    assert!(!ids(&server.json("/search?id=3&limit=16")).contains(&id));
}
