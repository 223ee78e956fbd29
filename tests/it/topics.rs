//! Topics of documents: learned, asked for, and merged with what pictures show.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Place, Ran, sample};

/// Words of three topics.
const TOPICS: [(&str, &str); 3] = [
    (
        "trains",
        "steam engine locomotive railway carriage track station platform signal boiler coal whistle wagon driver tunnel \
         bridge timetable conductor gauge freight express sleeper buffer coupling ticket",
    ),
    (
        "cooking",
        "recipe butter flour oven onion garlic sauce simmer whisk pepper salt dough bake roast spoon kitchen cheese \
         tomato basil soup broth pastry cream sugar yeast",
    ),
    (
        "stars",
        "galaxy nebula telescope orbit planet comet eclipse lunar solar asteroid supernova constellation spectrum quasar \
         meteor crater satellite gravity cosmos dwarf cluster pulsar redshift equinox zenith",
    ),
];

/// Documents of each topic.
const EACH: usize = 60;

/// Writes documents of eight words of one topic, and two of any.
fn write_documents(folder: &Path) {
    let mut state = 1u64;
    let mut draw = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % n
    };
    let all: Vec<&str> = TOPICS
        .iter()
        .flat_map(|(_, words)| words.split_whitespace())
        .collect();
    for (name, words) in TOPICS {
        let words: Vec<&str> = words.split_whitespace().collect();
        fs::create_dir_all(folder.join(name)).unwrap();
        for i in 0..EACH {
            let mut text = String::new();
            for _ in 0..8 {
                write!(text, "{} and the ", words[draw(words.len())]).unwrap();
            }
            for _ in 0..2 {
                write!(text, "{} ", all[draw(all.len())]).unwrap();
            }
            fs::write(folder.join(name).join(format!("{i}.txt")), text).unwrap();
        }
    }
}

fn place() -> Place {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg"]);
    write_documents(&place.photos().with_file_name("texts"));
    place
}

fn topics(place: &Place, options: &[&str]) -> Ran {
    place.run(&[&["topics", "--json"], options].concat())
}

/// Returns the folders of the documents that a question finds.
fn folders(place: &Place, question: &str, by: &str) -> Vec<String> {
    let asked = topics(place, &["--query", question, "-k", "10", "--by", by]).ended(0);
    let line = &asked.json_lines()[0];
    let results = line["results"].as_array().unwrap();
    assert_eq!(results.len(), 10);
    let folder = |found: &Value| {
        let path = Path::new(found["path"].as_str().unwrap());
        let folder = path.parent().unwrap().file_name().unwrap();
        folder.to_string_lossy().into_owned()
    };
    results.iter().map(folder).collect()
}

#[test]
fn topics_are_learned_named_and_asked_for() {
    let place = place();
    let learned = topics(&place, &["texts", "--topics", "3"]).ended(0);
    let learned = &learned.json_lines()[0];
    assert_eq!(learned["learned"], "trained");
    assert_eq!(learned["documents"], 3 * EACH);
    let found = learned["topics"].as_array().unwrap();
    assert_eq!(found.len(), 3);
    for topic in found {
        let documents = topic["documents"].as_u64().unwrap();
        assert!(documents.abs_diff(EACH as u64) <= 6, "{learned}");
        let typical = topic["typical"].as_str().unwrap();
        let (_, words) = TOPICS
            .iter()
            .find(|(name, _)| typical.contains(name))
            .unwrap();
        for word in topic["words"].as_array().unwrap() {
            assert!(words.contains(word.as_str().unwrap()), "{topic}");
        }
    }
    assert_eq!(learned["directions"].as_array().unwrap().len(), 10);
    for by in ["code", "hash", "both"] {
        for (question, topic) in [
            ("a steam locomotive at the railway station", "trains"),
            ("garlic sauce with tomato and basil", "cooking"),
            ("texts/stars/0.txt", "stars"),
        ] {
            let found = folders(&place, question, by);
            let right = found.iter().filter(|found| *found == topic).count();
            assert!(right >= 9, "{by} {question}: {found:?}");
        }
    }

    let again = topics(&place, &["--topics", "3"]).ended(0);
    assert_eq!(again.json_lines()[0]["learned"], "unchanged");
    assert_eq!(again.json_lines()[0]["topics"], learned["topics"]);
    fs::write(
        place.photos().with_file_name("texts/stars/new.txt"),
        "comet orbit telescope",
    )
    .unwrap();
    let grown = topics(&place, &["--topics", "3"]).ended(0);
    assert_eq!(grown.json_lines()[0]["learned"], "encoded");
    assert_eq!(grown.json_lines()[0]["documents"], 3 * EACH + 1);

    let unknown = topics(&place, &["--query", "zzyzx"]).ended(1);
    assert!(unknown.stderr.contains("none of the words"), "{unknown:?}");
    let encoder = place.index_dir().join("documents/state-2/encoder.onnx");
    let refused = place.run(&[
        "encode",
        "photos/cat.jpg",
        "--encoder",
        encoder.to_str().unwrap(),
    ]);
    let refused = refused.ended(2).stderr;
    assert!(refused.contains("it encodes documents"), "{refused}");
}

#[test]
fn words_find_pictures_by_their_texts_and_by_what_they_show() {
    let place = place();
    place.index();
    // What the pictures show says nothing of these.
    fs::write(
        place.photo("cat.jpg.txt"),
        "locomotive railway station, a boiler and coal",
    )
    .unwrap();
    fs::write(
        place.photo("coffee.json"),
        r#"{"caption": "comet orbit telescope galaxy"}"#,
    )
    .unwrap();
    topics(&place, &["texts", "photos"]).ended(0);
    let query = |options: &[&str]| {
        let line = place.run(&[&["query", "--json"], options].concat());
        line.ended(0).json_lines().remove(0)["results"].clone()
    };
    let name = |found: &Value| {
        let path = found["path"].as_str().unwrap();
        path.rsplit('/').next().unwrap().to_owned()
    };
    // Neither word names anything that these pictures show.
    let found = query(&["--text", "orbit comet telescope redshift"]);
    assert_eq!(name(&found[0]), "coffee.jpg");
    assert_eq!(found[0]["by_text"], true);
    let found = query(&["--text", "rocket"]);
    assert_eq!(name(&found[0]), "rocket.jpg");
    assert!(found[0].get("by_text").is_none());
    let found = query(&["--text", "locomotive boiler"]);
    assert_eq!(name(&found[0]), "cat.jpg");
    let printed = place
        .run(&["query", "--text", "locomotive boiler"])
        .ended(0);
    assert!(printed.stdout.contains("from its text"), "{printed:?}");
    let without = place.run(&["query", "--json", "--no-documents", "--text", "redshift"]);
    assert_ne!(without.status, 0, "{without:?}");
}

#[test]
fn what_holds_no_text_is_named_and_too_little_is_refused() {
    let place = Place::with(&["cat.jpg"]);
    let refused = topics(&place, &["photos"]).ended(2).stderr;
    assert!(refused.contains("0 documents with text"), "{refused}");
    let refused = topics(&place, &[]).ended(2).stderr;
    assert!(refused.contains("no documents are stored yet"), "{refused}");
    let texts = place.photos().with_file_name("texts");
    fs::create_dir(&texts).unwrap();
    for i in 0..30 {
        fs::write(texts.join(format!("{i}.txt")), "word").unwrap();
    }
    let refused = topics(&place, &["texts"]).ended(2).stderr;
    assert!(refused.contains("of 0 words that count"), "{refused}");

    write_documents(&texts);
    fs::copy(sample("cat.jpg"), texts.join("picture.txt")).unwrap();
    fs::write(texts.join("program.txt"), b"\x7fELF\0\0\0").unwrap();
    let umlauts = b"\xfcber engine railway boiler coal".to_vec();
    fs::write(texts.join("latin.txt"), umlauts).unwrap();
    let learned = topics(&place, &["texts"]).ended(1);
    assert!(
        learned.stderr.contains("program.txt: it is no text"),
        "{learned:?}"
    );
    let line = learned.json_lines().pop().unwrap();
    assert_eq!(line["documents"], 3 * EACH + 1);
    assert_eq!(line["too_short"], 30);
}

#[test]
fn a_run_that_fails_or_is_stopped_leaves_what_was_stored() {
    let place = place();
    topics(&place, &["texts"]).ended(0);
    let before = folders(&place, "steam engine", "code");
    topics(&place, &["photos"]).ended(2);
    topics(&place, &["no such folder"]).ended(2);
    assert_eq!(folders(&place, "steam engine", "code"), before);

    // As a run leaves it that was killed.
    let state = place.index_dir().join("documents/state-7");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("index.sqlite"), "half of it").unwrap();
    assert_eq!(folders(&place, "steam engine", "code"), before);
    topics(&place, &["--retrain"]).ended(0);
    assert!(!state.exists());
    assert!(!place.index_dir().join("documents/state-1").exists());
    let found = folders(&place, "steam engine", "code");
    assert!(found.iter().all(|folder| folder == "trains"), "{found:?}");
}
