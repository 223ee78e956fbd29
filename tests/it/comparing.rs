//! Comparing encoders, recognising copies, and adapting an index to its own images.

use std::fs;
use std::path::Path;

use crate::support::{Place, sample, sample_names};

/// Saves three parts of each sample as images of a class, below `folder`.
fn classes(folder: &Path) {
    for name in sample_names() {
        let image = image::open(sample(&name)).unwrap();
        let class = folder.join(name.trim_end_matches(".jpg"));
        fs::create_dir_all(&class).unwrap();
        for i in 0..3u32 {
            let part = image.crop_imm(i * 10, 0, image.width() - 30, image.height());
            part.save(class.join(format!("{i}.jpg"))).unwrap();
        }
    }
}

/// Trains one autoencoder on pixels, and one on the features of the trunk.
fn train_two(place: &Place) {
    place
        .run(&[
            "train",
            "photos",
            "--kind",
            "deep",
            "--layers",
            "64",
            "--side",
            "12",
            "--code",
            "6",
            "--bits",
            "16",
            "--epochs",
            "2",
            "--batch",
            "16",
            "--no-charts",
            "-o",
            "small.onnx",
        ])
        .ended(0);
    place
        .run(&[
            "train",
            "photos",
            "--kind",
            "deep",
            "--on",
            "features",
            "--layers",
            "64",
            "--code",
            "12",
            "--bits",
            "32",
            "--epochs",
            "4",
            "--batch",
            "16",
            "-o",
            "behind.onnx",
        ])
        .ended(0);
}

#[test]
fn encoders_are_compared_by_a_protocol_in_one_table_and_on_a_page() {
    let place = Place::new();
    for part in ["train", "test"] {
        classes(&place.photo(part));
    }
    train_two(&place);
    let folder = place.photos().with_file_name("");
    for chart in ["behind.losses.png", "behind.codes.png"] {
        assert!(image::open(folder.join(chart)).is_ok(), "{chart}");
    }
    let asked = [
        "eval",
        "photos",
        "--encoder",
        "behind.onnx",
        "--encoder",
        "small.onnx",
        "--protocol",
        "queries=10,database=40,cutoff=20",
        "--html",
        "page.html",
        "--json",
    ];
    let report = place.run(&asked).ended(0).json_lines().remove(0);
    assert_eq!(
        (&report["queries"], &report["database"]),
        (&10.into(), &40.into())
    );
    let words = report["protocol"].as_str().unwrap();
    assert!(
        words.contains("10 queries drawn from the folder `test`"),
        "{words}"
    );
    assert_eq!(report["encoders"].as_array().unwrap().len(), 2);
    let rows = report["rows"].as_array().unwrap();
    let map = |encoder: Option<&str>, representation: &str| {
        let found = rows.iter().find(|row| {
            row["encoder"].as_str() == encoder && row["representation"] == representation
        });
        found.unwrap_or_else(|| panic!("{encoder:?} {representation}"))["map_at_cutoff"]
            .as_f64()
            .unwrap()
    };
    // The image of every query is among those that are ranked.
    assert!(map(Some("behind"), "features") > 0.9);
    assert!(map(Some("behind"), "code") > 0.6);
    assert!(map(Some("small"), "hash") > 0.2);
    assert!(map(None, "dHash") > 0.2);
    let page = fs::read_to_string(folder.join("page.html")).unwrap();
    for part in [
        "<td>code + hash</td>",
        "behind",
        "data:image/png;base64,",
        "</html>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let refused = place
        .run(&["eval", "photos", "--protocol", "queries=10"])
        .ended(2)
        .stderr;
    assert!(refused.contains("needs database="), "{refused}");
    let few = place
        .run(&["eval", "photos", "--protocol", "queries=10,database=4000"])
        .ended(2)
        .stderr;
    assert!(few.contains("there are 48"), "{few}");
}

#[test]
fn edited_copies_are_recognised() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "bricks.jpg", "gravel.jpg"]);
    let report = place
        .run(&["eval", "--copies", "photos", "--json"])
        .ended(0)
        .json_lines()
        .remove(0);
    let report = &report["copies"][0];
    assert_eq!(report["photographs"], 4);
    let edits = report["edits"].as_array().unwrap();
    assert_eq!(edits.len(), 10);
    for row in report["rows"].as_array().unwrap() {
        let recall = row["recall"].as_array().unwrap();
        assert_eq!(recall.len(), edits.len());
        // Copies that are only written again: every encoder recognises them.
        assert_eq!(recall[0], 1.0, "{row}");
    }
    // The nearest images are asked for more, but stay first.
    let found = report["found"].as_array().unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0]["first"], found[1]["first"]);
    assert_eq!(found[1]["first"][0], 1.0, "{found:?}");
    let shown = place.run(&["eval", "--copies", "photos"]).ended(0).stdout;
    assert!(shown.contains("rotate 4°"), "{shown}");
}

#[test]
fn an_encoder_for_copies_recognises_them_better_than_one_for_similarity() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "bricks.jpg", "gravel.jpg"]);
    let strangers = place.photo("../others");
    classes(&strangers);
    let train = [
        "train", "others", "--for", "copies", "--code", "8", "--bits", "64", "--json", "-o",
    ];
    let reported = place.run(&[&train[..], &["copies.onnx"]].concat()).ended(0);
    let reported = reported.json_lines().pop().unwrap();
    // Three crops of each sample are hardly distinguishable, as intended: they are copies.
    assert!(
        reported["after"]["hash"].as_f64().unwrap() > 0.2,
        "{reported}"
    );
    let again = place.run(&[&train[..], &["again.onnx"]].concat()).ended(0);
    assert_eq!(
        reported["fingerprint"],
        again.json_lines().pop().unwrap()["fingerprint"]
    );

    let judged = ["eval", "--copies", "photos", "--json", "--encoder"];
    let judged = place
        .run(&[&judged[..], &["copies.onnx"]].concat())
        .ended(0)
        .json_lines()
        .remove(0);
    let rows = judged["copies"][0]["rows"].as_array().unwrap();
    let hash = rows
        .iter()
        .find(|row| row["representation"].as_str().unwrap().starts_with("hash"))
        .unwrap();
    let recall: Vec<f64> = hash["recall"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect();
    // Copies: written again, at half the size, rotated, mirrored, brighter.
    for edit in [0, 1, 4, 5, 9] {
        assert_eq!(recall[edit], 1.0, "{edit}: {hash}");
    }
    assert!(recall.iter().sum::<f64>() > 8.0, "{hash}");

    place
        .run(&["index", "photos", "--encoder", "copies.onnx"])
        .ended(0);
    let nearest = place.nearest(&place.photo("cat.jpg"), 2);
    assert!(nearest[0].ends_with("cat.jpg"), "{nearest:?}");
    let refused = place.run(&["adapt"]).ended(2).stderr;
    assert!(refused.contains("train copies"), "{refused}");
    let twice = [&train[..], &["x.onnx", "--trunk", "copies.onnx"]].concat();
    let refused = place.run(&twice).ended(2).stderr;
    assert!(refused.contains("already"), "{refused}");
}

#[test]
fn an_index_adapts_to_an_encoder_of_its_own_images() {
    let place = Place::new();
    classes(&place.photos());
    place.index();
    let fingerprint = || {
        let status = place.run(&["status", "--json"]).ended(0).json_lines();
        status[0]["encoder"]["fingerprint"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let before = fingerprint();
    let adapt = ["adapt", "--epochs", "2", "--views", "1", "--json"];
    let dry = place.run(&[&adapt[..], &["--dry-run"]].concat()).ended(0);
    let reported = dry.json_lines().pop().unwrap();
    assert_eq!(reported["event"], "trained");
    assert!(
        reported["after"]["both"].as_f64().unwrap() > 0.3,
        "{reported}"
    );
    assert_eq!(fingerprint(), before);

    let own = place.index_dir().join("adapted.onnx");
    std::fs::write(&own, b"mine").unwrap();
    let moved = place.run(&[&adapt[..], &["--force"]].concat()).ended(0);
    let lines = moved.json_lines();
    let trained = lines
        .iter()
        .find(|line| line["event"] == "trained")
        .unwrap();
    assert_eq!(lines.last().unwrap()["event"], "summary");
    assert_eq!(trained["fingerprint"], reported["fingerprint"]);
    assert_eq!(fingerprint(), trained["fingerprint"].as_str().unwrap());
    let left = std::fs::read_dir(place.index_dir()).unwrap();
    let mut names = left.map(|entry| entry.unwrap().file_name());
    assert!(names.all(|name| !name.to_string_lossy().starts_with("adapted-")));
    // A file of the user with such a name stays.
    assert_eq!(std::fs::read(&own).unwrap(), b"mine");
    let nearest = place.nearest(&place.photo("cat/1.jpg"), 3);
    assert_eq!(nearest.len(), 3);
    place.run(&["check"]).ended(0);
}
