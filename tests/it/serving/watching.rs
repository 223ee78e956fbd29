//! A server that keeps its index up to date.

use std::io::{BufRead as _, BufReader, Write as _};
use std::time::{Duration, Instant};

use super::client::{Server, names};
use crate::support::{Place, sample};

/// Waits until the server knows this number of images.
#[track_caller]
fn until_images(server: &Server, images: u64) {
    let start = Instant::now();
    loop {
        let status = server.json("/status");
        if status["images"] == images {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(180), "{status}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_server_follows_its_folders_and_tells_whoever_listens() {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let server = Server::start(&place, &["--watch"]);
    let mut stream = server.connect();
    write!(
        stream,
        "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n"
    )
    .unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    std::fs::copy(sample("rocket.jpg"), place.photo("rocket.jpg")).unwrap();
    until_images(&server, 2);
    let told = |line: &String| line.starts_with("data:") && line.contains("\"images\":2");
    assert!(lines.any(|line| told(&line)));
    let found = server.post(
        "/search?limit=1",
        &std::fs::read(sample("rocket.jpg")).unwrap(),
    );
    assert_eq!(names(&found.json()), ["rocket.jpg"]);
    std::fs::remove_file(place.photo("cat.jpg")).unwrap();
    until_images(&server, 1);
    assert_eq!(names(&server.json("/images")), ["rocket.jpg"]);
    #[cfg(target_os = "linux")]
    {
        let (status, said) = server.end("-TERM");
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("1 gone"), "{said}");
    }
}

#[test]
fn a_server_that_cannot_watch_ends() {
    let place = Place::with(&["cat.jpg"]);
    let ran = place
        .run(&["serve", "--port", "0", "--watch", "nowhere"])
        .ended(2);
    assert!(
        ran.stderr.contains("no such file or folder: nowhere"),
        "{ran:?}"
    );
    let ran = place.run(&["serve", "--port", "0", "--watch"]).ended(2);
    assert!(ran.stderr.contains("nothing is indexed yet"), "{ran:?}");
    // Folders can be named before there is an index.
    let server = Server::start(&place, &["--watch", "photos"]);
    until_images(&server, 1);
}
