//! Questions are answered as by `imgsearch query`.

use serde_json::Value;

use super::client::{Server, ids, names};
use super::indexed;
use crate::support::{Place, sample};

/// Returns the names that `imgsearch query` finds.
#[track_caller]
fn queried(place: &Place, options: &[&str]) -> Vec<String> {
    let ran = place
        .run(&[&["query", "--json", "-k", "5"], options].concat())
        .ended(0);
    let answer = &ran.json_lines()[0];
    let results = answer["results"].as_array().unwrap();
    let name = |one: &Value| {
        let path = one["path"].as_str().unwrap();
        path.rsplit('/').next().unwrap().to_owned()
    };
    results.iter().map(name).collect()
}

#[test]
fn answers_are_those_of_the_command() {
    let place = indexed();
    let server = Server::start(&place, &[]);
    let all = server.json("/images");
    let id_of = |name: &str| {
        let images = all["images"].as_array().unwrap();
        let found = images.iter().find(|image| image["name"] == name).unwrap();
        found["id"].as_i64().unwrap()
    };
    let (cat, rocket) = (id_of("cat.jpg"), id_of("rocket.jpg"));
    for (asked, options) in [
        (
            format!("id={cat}"),
            vec!["--id".to_owned(), cat.to_string()],
        ),
        (
            "text=a+cup+of+coffee".to_owned(),
            vec!["--text".to_owned(), "a cup of coffee".to_owned()],
        ),
        (
            format!("id={cat}&by=code"),
            vec![
                "--id".to_owned(),
                cat.to_string(),
                "--by".to_owned(),
                "code".to_owned(),
            ],
        ),
        (
            format!("id={cat}&more=id:{rocket}:0.5&less=text:coffee"),
            [
                "--id",
                &cat.to_string(),
                "--more",
                &format!("id:{rocket}:0.5"),
                "--less",
                "coffee",
            ]
            .map(ToOwned::to_owned)
            .to_vec(),
        ),
        (
            format!("id={cat}&type=jpeg&exact=true&expand=0"),
            [
                "--id",
                &cat.to_string(),
                "--type",
                "jpeg",
                "--exact",
                "--no-expand",
            ]
            .map(ToOwned::to_owned)
            .to_vec(),
        ),
    ] {
        let answer = server.json(&format!("/search?{asked}&limit=5"));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        assert_eq!(names(&answer), queried(&place, &options), "{asked}");
    }
    let words = server.json("/search?text=cat+xyzzyq&limit=3");
    assert_eq!(words["words"][0]["understood"][0], "cat");
    assert_eq!(words["words"][0]["unknown"][0]["word"], "xyzzyq");
    assert_eq!(words["results"][0]["similarity"], Value::Null);
    let image = server.json(&format!("/search?id={cat}&limit=1"));
    assert_eq!(image["results"][0]["similarity"], 1.0);
    assert_eq!(image["results"][0]["rank"], 1);
}

#[test]
fn a_picture_is_encoded_once_and_asked_for_by_its_token() {
    let place = indexed();
    let server = Server::start(&place, &[]);
    let bytes = std::fs::read(sample("cat-face.jpg")).unwrap();
    let answer = server.post("/search?limit=4", &bytes);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let path = place.photo("cat-face.jpg");
    assert_eq!(
        names(&answer)[..4],
        queried(&place, &[path.to_str().unwrap()])[..4]
    );
    let token = answer["upload"]["code"].as_str().unwrap();
    let again = server.json(&format!("/search?code={token}&limit=4"));
    assert_eq!(names(&again), names(&answer));
    // The rest of the first answer goes on from the token, too.
    let next = answer["next"].as_str().unwrap();
    let rest = server.json(&format!("/search?code={token}&limit=4&cursor={next}"));
    let whole = server.json(&format!("/search?code={token}&limit=8"));
    assert_eq!([ids(&answer), ids(&rest)].concat(), ids(&whole));
    let encoded = server.post("/encode?crop=0%25,0%25,50%25,50%25", &bytes);
    assert_eq!(encoded.status, 200, "{}", encoded.text());
    assert_ne!(encoded.json()["code"], token);
    // A part of a stored picture.
    let id = ids(&answer)[0];
    let part = server.json(&format!(
        "/search?id={id}&crop=10%25,10%25,60%25,60%25&limit=2"
    ));
    assert_eq!(part["results"].as_array().unwrap().len(), 2);
    // Another server has the token, too.
    drop(server);
    let server = Server::start(&place, &[]);
    let again = server.json(&format!("/search?code={token}&limit=4"));
    assert_eq!(names(&again), names(&answer));
}

#[test]
fn parts_of_an_answer_fit_together() {
    let place = indexed();
    let server = Server::start(&place, &[]);
    let whole = server.json("/search?id=3&limit=16");
    assert_eq!(whole["next"], Value::Null);
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let part = server.json(&format!("/search?id=3&limit=3{cursor}"));
        let ranks: Vec<u64> = part["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["rank"].as_u64().unwrap())
            .collect();
        assert_eq!(ranks[0], found.len() as u64 + 1);
        found.extend(ids(&part));
        match part["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, ids(&whole));
}

#[test]
fn wrong_questions_get_sentences() {
    let place = indexed();
    let server = Server::start(&place, &["--max-upload", "1"]);
    for (path, status, says) in [
        ("/search", 400, "asks for nothing"),
        ("/search?id=3&text=cat", 400, "one of id, text, code"),
        ("/search?id=99", 404, "99"),
        ("/search?id=-1", 404, "-1"),
        ("/search?id=x", 400, "invalid digit"),
        ("/search?colour=red", 400, "unknown field `colour`"),
        ("/search?id=3&limit=0", 400, "from 1 to 200"),
        ("/search?id=3&limit=201", 400, "from 1 to 200"),
        ("/search?id=3&expand=101", 400, "from 0 to 100"),
        ("/search?id=3&cursor=x", 400, "no cursor"),
        (
            "/search?id=3&cursor=1.99999999999999999999999",
            400,
            "no cursor",
        ),
        ("/search?id=3&more=cat", 400, "no part of a question"),
        ("/search?id=3&more=id:0", 400, "not the id"),
        ("/search?id=3&less=text:cat:-1", 422, "-1"),
        ("/search?less=text:cat", 400, "asks for nothing"),
        ("/search?id=3&crop=90%25,0%25,50%25,50%25", 422, "outside"),
        ("/search?id=3&crop=all", 400, "crop"),
        ("/search?text=cat&crop=0,0,5,5", 400, "crop needs"),
        ("/search?text=", 422, "no words"),
        ("/search?text=xyzzyq", 422, "none of the words is known"),
        ("/search?code=AQ", 400, "not the token"),
        ("/search?id=3&type=doc", 400, "doc is unknown"),
        ("/search?id=3&after=soon", 400, "not a date"),
        ("/search?id=3&min_size=big", 400, "not a size"),
        ("/search?id=3&glob=%5B", 400, "["),
        ("/search?id=3&label=xyzzyq", 422, "xyzzyq"),
        ("/search?id=3&min_similarity=101", 400, "from 0 to 100"),
        ("/search?text=cat&min_similarity=50", 400, "no similarity"),
    ] {
        let said = server.refused(path, status);
        assert!(said.contains(says), "{path}: {said}");
    }
    let many = "&under=/a".repeat(1000);
    let said = server.refused(&format!("/search?id=3{many}"), 400);
    assert!(said.contains("1000 values of under"), "{said}");
    let long = "a".repeat(5000);
    server.refused(&format!("/search?text={long}"), 422);
    // So long that it is not even read.
    let endless = format!("/api/v1/search?text={}", "a".repeat(100_000));
    let reply = server.get(&endless);
    assert!(matches!(reply.status, 414 | 431), "{}", reply.status);
    assert!(
        server
            .post("/search", b"no image")
            .problem(415)
            .contains("not an image")
    );
    assert!(server.post("/search", b"").problem(400).contains("empty"));
    let large = vec![0u8; 1_000_001];
    assert!(
        server
            .post("/search", &large)
            .problem(413)
            .contains("larger than 1 MB")
    );
    // A head that promises a huge picture.
    let mut header = b"IHDR".to_vec();
    header.extend([
        0x00, 0x0f, 0xff, 0xff, 0x00, 0x0f, 0xff, 0xff, 8, 2, 0, 0, 0,
    ]);
    let mut sum = flate2::Crc::new();
    sum.update(&header);
    let lying = [
        b"\x89PNG\r\n\x1a\n\0\0\0\r",
        &header[..],
        &sum.sum().to_be_bytes(),
        b"\0\0\0\x10IDAT0123456789abcdef",
    ]
    .concat();
    server.post("/search", &lying).problem(413);
    // It answers as before.
    server.json("/search?id=3&limit=1");
}
