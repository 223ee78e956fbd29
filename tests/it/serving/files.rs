//! Thumbnails and originals.

use super::client::Server;
use super::indexed;
use crate::support::Place;

fn size(jpeg: &[u8]) -> (u32, u32) {
    let image = image::load_from_memory(jpeg).unwrap();
    (image.width(), image.height())
}

#[test]
fn thumbnails_are_small_upright_and_kept() {
    let place = indexed();
    let server = Server::start(&place, &[]);
    let images = server.json("/images");
    let mut enlarged = 0;
    for image in images["images"].as_array().unwrap() {
        let (id, digest) = (
            image["id"].as_i64().unwrap(),
            image["digest"].as_str().unwrap(),
        );
        for side in [256u32, 512] {
            let path = format!("/api/v1/images/{id}/thumbnail?size={side}&v={digest}");
            let reply = server.get(&path);
            assert_eq!(reply.status, 200, "{image}: {}", reply.text());
            assert_eq!(reply.header("content-type"), Some("image/jpeg"));
            assert!(reply.header("cache-control").unwrap().contains("immutable"));
            let (width, height) = size(&reply.body);
            let (full_width, full_height) = (
                image["width"].as_u64().unwrap() as f64,
                image["height"].as_u64().unwrap() as f64,
            );
            let expected = f64::from(side).min(full_width.max(full_height));
            assert!(
                (f64::from(width.max(height)) - expected).abs() <= 1.0,
                "{image}: {width} x {height}"
            );
            let (shape, full) = (
                f64::from(width) / f64::from(height),
                full_width / full_height,
            );
            assert!(
                (shape / full - 1.0).abs() < 0.02,
                "{image}: {width} x {height}"
            );
            enlarged += u32::from(expected < f64::from(side));
        }
    }
    // Some samples are smaller than a thumbnail may be, and some are not.
    assert!((1..32).contains(&enlarged), "{enlarged}");
    let id = images["images"][0]["id"].as_i64().unwrap();
    let path = format!("/api/v1/images/{id}/thumbnail");
    let reply = server.get(&path);
    assert!(reply.header("cache-control").unwrap().contains("no-cache"));
    let mut headers = server.own_headers();
    headers.push(("if-none-match", reply.header("etag").unwrap().to_owned()));
    assert_eq!(server.send("GET", &path, &headers, b"").status, 304);
    server.refused(&format!("/images/{id}/thumbnail?size=10000"), 400);
    server.refused("/images/9999/thumbnail", 404);
    // What is kept outlives the file, and is made again if it is deleted.
    let kept = place.index_dir().join("thumbnails");
    assert!(kept.is_dir());
    std::fs::remove_dir_all(&kept).unwrap();
    assert_eq!(server.get(&path).status, 200);
    let file = place.photo(images["images"][0]["name"].as_str().unwrap());
    std::fs::remove_file(file).unwrap();
    assert_eq!(server.get(&path).status, 200);
    std::fs::remove_dir_all(&kept).unwrap();
    server.get(&path).problem(410);
    place.run(&["check"]).ended(0);
}

#[test]
fn the_folder_of_thumbnails_stays_within_its_bound() {
    let place = indexed();
    let bytes = |place: &Place| -> u64 {
        let folders = std::fs::read_dir(place.index_dir().join("thumbnails"))
            .into_iter()
            .flatten();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum()
    };
    let ask = |server: &Server| {
        for id in 1..=16 {
            let reply = server.get(&format!("/api/v1/images/{id}/thumbnail?size=512"));
            assert_eq!(reply.status, 200);
        }
    };
    let server = Server::start(&place, &["--thumbnails", "0"]);
    ask(&server);
    assert_eq!(bytes(&place), 0);
    drop(server);
    let server = Server::start(&place, &[]);
    ask(&server);
    let all = bytes(&place);
    assert!(all > 200_000, "{all}");
}

#[test]
fn an_original_is_the_file_that_was_indexed_or_nothing() {
    let place = indexed();
    let server = Server::start(&place, &[]);
    let images = server.json("/images");
    let image = images["images"]
        .as_array()
        .unwrap()
        .iter()
        .find(|image| image["name"] == "cat.jpg")
        .unwrap();
    let id = image["id"].as_i64().unwrap();
    let path = format!("/api/v1/images/{id}/original");
    let file = place.photo("cat.jpg");
    let reply = server.get(&path);
    assert_eq!(reply.body, std::fs::read(&file).unwrap());
    assert_eq!(reply.header("content-type"), Some("image/jpeg"));
    assert!(
        reply
            .header("content-disposition")
            .unwrap()
            .starts_with("inline")
    );
    // The same content with another date, as on another disk.
    let content = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, &content).unwrap();
    assert_eq!(server.get(&path).body, content);
    // Another file in its place.
    std::fs::write(&file, "secret").unwrap();
    assert!(
        server
            .get(&path)
            .problem(410)
            .contains("was changed or replaced")
    );
    #[cfg(unix)]
    {
        let secret = place.photo("secret");
        let mut other = content.clone();
        *other.last_mut().unwrap() ^= 1;
        std::fs::write(&secret, &other).unwrap();
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&secret, &file).unwrap();
        server.get(&path).problem(410);
    }
    std::fs::remove_file(&file).unwrap();
    server.get(&path).problem(410);
    // No name leads to a file, only an id.
    for wrong in [
        "/images/..%2F..%2Fetc%2Fpasswd/original",
        "/images/0/original",
        "/images/1e3/original",
    ] {
        server.refused(wrong, 400);
    }
}
