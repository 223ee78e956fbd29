//! Questions in words, labels and the filter by labels.

use imgsearch::index::SearchParams;
use imgsearch::{Error, Library, Question, Words};
use serde_json::Value;

use crate::support::{Place, Ran};

const SAMPLES: [&str; 7] = [
    "cat.jpg",
    "coffee.jpg",
    "rocket.jpg",
    "flower.jpg",
    "temple.jpg",
    "gravel.jpg",
    "coins.jpg",
];

fn place() -> Place {
    let place = Place::with(&SAMPLES);
    place.index();
    place
}

fn query(place: &Place, options: &[&str]) -> Ran {
    place.run(&[&["query"], options].concat())
}

#[track_caller]
fn first(place: &Place, options: &[&str]) -> String {
    let ran = query(place, &[options, &["--json", "-k", "1"]].concat()).ended(0);
    let line = &ran.json_lines()[0];
    let path = line["results"][0]["path"].as_str().unwrap();
    path.rsplit('/').next().unwrap().to_owned()
}

#[test]
fn words_find_what_images_show() {
    let place = place();
    for (words, image) in [
        ("cats", "cat.jpg"),
        ("a cup of coffee", "coffee.jpg"),
        ("rocket", "rocket.jpg"),
        ("flower", "flower.jpg"),
    ] {
        assert_eq!(first(&place, &[words]), image, "{words}");
    }
    // As a part of a mixture, and the other way around.
    assert_eq!(
        first(&place, &["photos/rocket.jpg", "--less", "cat"]),
        "rocket.jpg"
    );
    assert_eq!(
        first(&place, &["cat", "--less", "photos/rocket.jpg"]),
        "cat.jpg"
    );
    assert_eq!(
        first(&place, &["--more", "cat:2", "--more", "rocket:0.1"]),
        "cat.jpg"
    );

    let ran = query(&place, &["cat", "-k", "1"]).ended(0);
    assert!(
        ran.stdout.contains('%') && ran.stdout.contains("cat.jpg"),
        "{ran:?}"
    );
    let line = &query(&place, &["cat", "--json"]).ended(0).json_lines()[0];
    assert_eq!(line["parts"][0]["words"], "cat");
    assert_eq!(line["results"].as_array().unwrap().len(), SAMPLES.len());
    assert!(line["results"][0]["similarity"].is_null());
}

#[test]
fn labels_are_stored_shown_and_filtered_by() {
    let place = place();
    let line = &query(&place, &["photos/cat.jpg", "--json", "-k", "1"])
        .ended(0)
        .json_lines()[0];
    let labels = line["results"][0]["labels"].as_array().unwrap();
    assert!((1..=8).contains(&labels.len()));
    assert!(
        labels[0]["name"].as_str().unwrap().contains("cat"),
        "{labels:?}"
    );
    let sum: f64 = labels
        .iter()
        .map(|label| label["probability"].as_f64().unwrap())
        .sum();
    assert!(sum > 0.5 && sum <= 1.01, "{labels:?}");

    let found = |options: &[&str]| {
        let ran = query(
            &place,
            &[&["photos/gravel.jpg", "--json"], options].concat(),
        );
        ran.json_lines()[0]["results"].as_array().unwrap().len()
    };
    assert_eq!(found(&["--label", "cat"]), 1);
    assert_eq!(found(&["--label", "Animal"]), 1);
    assert_eq!(found(&["--label", "cat", "--label", "vehicle"]), 0);
    let ran = query(&place, &["cat", "--label", "xyzzy"]).ended(2);
    assert!(ran.stderr.contains("\"xyzzy\""), "{ran:?}");
}

#[test]
fn words_that_say_nothing_are_answered_clearly() {
    let place = place();
    let says = |options: &[&str], status: i32, text: &str| {
        let ran = query(&place, options).ended(status);
        assert!(ran.stderr.contains(text), "{options:?}: {ran:?}");
        assert!(ran.stdout.is_empty(), "{options:?}: {ran:?}");
    };
    says(&["qqqqqq"], 1, "none of the words is known");
    says(&["elefant"], 1, "elephant");
    says(&["--text", ""], 2, "no words");
    says(&["--text", &"dog ".repeat(1100)], 2, "4400 bytes");
    // What looks like a file is one.
    says(&["cat.png"], 2, "cat.png");
    says(&["cat", "--min-similarity", "50"], 2, "--radius");
    let ran = query(&place, &["cat and qqqqqq", "-k", "1"]).ended(0);
    assert!(ran.stderr.contains("\"qqqqqq\" is not known"), "{ran:?}");
    // The others are answered all the same.
    let ran = query(&place, &["qqqqqq", "cat", "-k", "1"]).ended(1);
    assert!(ran.stdout.contains("cat.jpg"), "{ran:?}");
    // A file of that name wins, unless --text says otherwise.
    std::fs::copy(
        place.photo("rocket.jpg"),
        place.photos().with_file_name("cat"),
    )
    .unwrap();
    assert_eq!(first(&place, &["cat"]), "rocket.jpg");
    assert_eq!(first(&place, &["--text", "cat"]), "cat.jpg");
}

#[test]
fn an_index_without_labels_answers_and_says_how_to_add_them() {
    let place = place();
    let database = place.index_dir().join("imgsearch.sqlite");
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.execute("DELETE FROM labels", ()).unwrap();
    drop(connection);
    for (words, image) in [("cat", "cat.jpg"), ("rocket", "rocket.jpg")] {
        assert_eq!(first(&place, &[words]), image);
    }
    let ran = query(&place, &["cat"]).ended(0);
    assert!(
        ran.stderr.contains("find them less well") && ran.stderr.contains("--reencode"),
        "{ran:?}"
    );
    let ran = query(&place, &["photos/cat.jpg", "--label", "cat"]).ended(2);
    assert!(ran.stderr.contains("--reencode"), "{ran:?}");
    let status = place.run(&["status"]).ended(0);
    assert!(status.stdout.contains("missing for 7 images"), "{status:?}");
    place.run(&["index", "--reencode"]).ended(0);
    assert_eq!(first(&place, &["cat"]), "cat.jpg");
    let status = place.run(&["status", "--json"]).ended(0);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["without_labels"], 0);
}

#[test]
fn the_library_asks_in_words() {
    let place = place();
    let library = Library::open(place.index_dir()).unwrap();
    let words = Words::read("cat").unwrap();
    let question = Question::new().more_words(&words, 1.0);
    let answer = library.ask(&question, &SearchParams::new(3)).unwrap();
    assert!(answer.matches[0].path.ends_with("cat.jpg"));
    assert!(answer.matches.is_sorted_by(|a, b| a.distance <= b.distance));
    let error = Words::read("qqqqqq").unwrap_err();
    assert!(matches!(error, Error::UnknownWords(_)), "{error}");
}

#[test]
fn eval_asks_for_the_names_of_folders() {
    let place = Place::with(&[]);
    for (class, image) in [
        ("cat", "cat.jpg"),
        ("rocket", "rocket.jpg"),
        ("qqqqqq", "gravel.jpg"),
    ] {
        let folder = place.photo(class);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(crate::support::sample(image), folder.join(image)).unwrap();
    }
    place.index();
    let ran = place.run(&["eval", "--text", "photos", "--json"]).ended(0);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rows = report["words"]["rows"].as_array().unwrap();
    let precisions: Vec<f64> = rows
        .iter()
        .map(|row| row["average_precision"].as_f64().unwrap())
        .collect();
    assert_eq!(precisions, [1.0, 0.0, 1.0]);
    let ran = place.run(&["eval", "--text", "photos"]).ended(0);
    assert!(ran.stdout.contains("nothing"), "{ran:?}");
}
