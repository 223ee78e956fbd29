//! Looking through the collection without a question.

use serde_json::Value;

use super::client::{Server, ids, names};
use super::indexed;
use crate::support::{Place, sample};

#[test]
fn the_newest_images_come_first_and_filters_hold() {
    let place = Place::new();
    std::fs::create_dir_all(place.photo("2020/trip")).unwrap();
    for (name, at, day) in [
        ("cat.jpg", "2020/trip/cat.jpg", 3),
        ("coffee.jpg", "2020/coffee.jpg", 1),
        ("rocket.jpg", "rocket.jpg", 2),
        ("gravel.jpg", "2020/trip/gravel.jpg", 0),
    ] {
        let path = place.photo(at);
        std::fs::copy(sample(name), &path).unwrap();
        let date =
            std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000 + day * 86_400);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(date).unwrap();
    }
    place.index();
    let server = Server::start(&place, &[]);
    let page = server.json("/images");
    assert_eq!(
        names(&page),
        ["cat.jpg", "rocket.jpg", "coffee.jpg", "gravel.jpg"]
    );
    assert_eq!(page["total"], 4);
    assert_eq!(page["images"][0]["modified"], "2020-09-16T12:26:40Z");
    let photos = place.photos().canonicalize().unwrap();
    let photos = photos.to_str().unwrap();
    let under = server.json(&format!("/images?under={photos}/2020"));
    assert_eq!((names(&under).len(), &under["total"]), (3, &Value::from(3)));
    let after = server.json("/images?after=2020-09-15T00:00Z");
    assert_eq!(names(&after), ["cat.jpg", "rocket.jpg"]);
    assert_eq!(names(&server.json("/images?label=cat")), ["cat.jpg"]);
    assert_eq!(server.json("/images?type=png")["total"], 0);
    let folders = server.json("/folders");
    // An image lies beside the folder, so what holds both is shown.
    let expected = serde_json::json!([
        {"path": photos, "name": "photos", "images": 4, "has_folders": true},
    ]);
    assert_eq!(folders["folders"], expected);
    let folders = server.json(&format!("/folders?under={photos}"));
    let expected = serde_json::json!([
        {"path": format!("{photos}/2020"), "name": "2020", "images": 3, "has_folders": true},
    ]);
    assert_eq!(folders["folders"], expected);
    let inner = server.json(&format!("/folders?under={photos}/2020"));
    assert_eq!(
        (
            &inner["folders"][0]["name"],
            &inner["folders"][0]["has_folders"]
        ),
        (&"trip".into(), &false.into())
    );
    let facets = server.json("/facets");
    assert_eq!(
        facets["formats"],
        serde_json::json!([{"name": "jpeg", "images": 4}])
    );
    assert_eq!(
        (&facets["oldest"], &facets["newest"]),
        (&"2020-09-13".into(), &"2020-09-16".into())
    );
    server.refused("/images?id=3", 400);
    server.refused("/images?cursor=x", 400);
    server.refused("/folders?under=/a&under=/b", 400);
}

/// On disks of old archives, names have other encodings.
#[cfg(unix)]
#[test]
fn folders_whose_names_are_not_utf_8_can_be_chosen() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let place = Place::new();
    for (folder, name) in [
        (&b"caf\xe9"[..], "coffee.jpg"),
        (b"caf\xe9/inner", "coffee-cup.jpg"),
        (b"caf\xe8", "cat.jpg"),
        (b"other", "rocket.jpg"),
    ] {
        let folder = place.photos().join(OsStr::from_bytes(folder));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(sample(name), folder.join(name)).unwrap();
    }
    place.index();
    let server = Server::start(&place, &[]);
    let folders = server.json("/folders");
    let first = &folders["folders"][0];
    let written = first["path"].as_str().unwrap();
    assert!(written.ends_with("/caf\u{fffd}"), "{written:?}");
    // Both are written alike, so both are meant.
    assert_eq!(first["images"], 3);
    assert_eq!(folders["folders"].as_array().unwrap().len(), 2);
    let under = |path: &str| format!("under={}", path.replace('\u{fffd}', "%EF%BF%BD"));
    let mut found = names(&server.json(&format!("/images?{}", under(written))));
    found.sort_unstable();
    assert_eq!(found, ["cat.jpg", "coffee-cup.jpg", "coffee.jpg"]);
    let inner = server.json(&format!("/folders?{}", under(written)));
    assert_eq!(inner["folders"][0]["name"], "inner");
    let inner = inner["folders"][0]["path"].as_str().unwrap();
    let found = server.json(&format!("/images?{}", under(inner)));
    assert_eq!(names(&found), ["coffee-cup.jpg"]);
    let nothing = server.json(&format!("/images?{}/none", under(written)));
    assert_eq!(nothing["total"], 0);
}

#[test]
fn pages_fit_together_while_images_come_in() {
    let place = indexed();
    let server = Server::start(&place, &[]);
    let before = ids(&server.json("/images"));
    let first = server.json("/images?limit=5");
    // Newer than all others, and identical to none of them.
    std::fs::copy(sample("cat.jpg"), place.photo("new.jpg")).unwrap();
    let new = std::fs::File::options()
        .append(true)
        .open(place.photo("new.jpg"))
        .unwrap();
    std::io::Write::write_all(&mut &new, b"more").unwrap();
    place.index();
    let next = first["next"].as_str().unwrap();
    let rest = server.json(&format!("/images?limit=100&cursor={next}"));
    assert_eq!([ids(&first), ids(&rest)].concat(), before);
    assert_eq!(server.json("/images")["total"], before.len() + 1);
}

#[test]
fn the_page_and_the_description_are_there() {
    let place = indexed();
    let server = Server::start(&place, &[]);
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'"),
        "{policy}"
    );
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    // Every file that the page names is there, and nothing comes from elsewhere.
    let text = page.text();
    let mut named = 0;
    for piece in text.split("/assets/").skip(1) {
        let name = piece.split(['"', '\'', ')']).next().unwrap();
        let asset = server.get(&format!("/assets/{name}"));
        assert_eq!(asset.status, 200, "{name}");
        let tag = asset.header("etag").unwrap().to_owned();
        let mut headers = server.own_headers();
        headers.push(("if-none-match", tag));
        let known = server.send("GET", &format!("/assets/{name}"), &headers, b"");
        assert_eq!((known.status, known.body.len()), (304, 0));
        named += 1;
    }
    assert!(named >= 3, "{named}");
    assert!(
        !text.contains("https://") && !text.contains("//cdn"),
        "{text}"
    );
    assert_eq!(server.get("/assets/..%2Fmod.rs").status, 404);
    let description = server.json("/openapi.json");
    let paths = description["paths"].as_object().unwrap();
    for path in [
        "/search",
        "/encode",
        "/images",
        "/images/{id}",
        "/images/{id}/thumbnail",
        "/images/{id}/original",
        "/images/{id}/reveal",
        "/folders",
        "/facets",
        "/status",
        "/events",
    ] {
        assert!(paths.contains_key(&format!("/api/v1{path}")), "{path}");
    }
    server.refused("/nothing", 404);
    let reply = server.send("DELETE", "/api/v1/images/3", &server.own_headers(), b"");
    reply.problem(405);
}
