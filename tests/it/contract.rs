//! Encoders of the user: trained, used, refused and changed.

use std::fs;

use crate::support::{Place, sample, sample_names};

/// Creates a place with images to train on: parts of the samples.
pub fn training_place() -> Place {
    let place = Place::new();
    for name in sample_names() {
        let image = image::open(sample(&name)).unwrap();
        let (width, height) = (image.width(), image.height());
        for (i, (x, y)) in [(0, 0), (1, 0), (0, 1), (1, 1)].into_iter().enumerate() {
            let part = image.crop_imm(x * width / 4, y * height / 4, width * 3 / 4, height * 3 / 4);
            part.save(place.photo(&format!("{i}-{name}"))).unwrap();
        }
    }
    place
}

#[test]
fn an_encoder_is_trained_used_and_kept_apart_from_others() {
    let place = training_place();
    let train = |seed: &str, output: &str| {
        let arguments = [
            "train", "photos", "-o", output, "--views", "1", "--epochs", "3", "--seed", seed,
            "--json",
        ];
        place.run(&arguments).ended(0).json_lines().pop().unwrap()
    };
    let first = train("1", "one.onnx");
    assert_eq!(first["event"], "trained");
    // With a few dozen images, not all count as neighbours.
    let kept = first["after"]["code"].as_f64().unwrap();
    assert!(kept > 0.0 && kept < 1.0, "{first}");
    assert!(first["neighbours"].as_u64().unwrap() <= 10, "{first}");
    let again = train("1", "again.onnx");
    let other = train("2", "two.onnx");
    assert_eq!(
        first["fingerprint"], again["fingerprint"],
        "the same seed gives the same encoder"
    );
    assert_ne!(first["fingerprint"], other["fingerprint"]);

    place
        .run(&["index", "photos", "--encoder", "one.onnx"])
        .ended(0);
    let status = place.run(&["status", "--json"]).ended(0).json_lines();
    assert_eq!(status[0]["encoder"]["fingerprint"], first["fingerprint"]);
    // The index stores its encoder, so queries and further runs need no option and no file.
    fs::rename(
        place.photos().with_file_name("one.onnx"),
        place.photos().with_file_name("away.onnx"),
    )
    .unwrap();
    assert_eq!(place.nearest(&place.photo("0-cat.jpg"), 1), ["0-cat.jpg"]);
    place.run(&["index", "photos"]).ended(0);

    // Codes of another encoder are refused.
    for command in [&["query", "photos/0-cat.jpg"][..], &["index", "photos"]] {
        let mut arguments = command.to_vec();
        arguments.extend(["--encoder", "two.onnx"]);
        let refused = place.run(&arguments).ended(2).stderr;
        assert!(
            refused.contains("was made by the encoder \"one\""),
            "{refused}"
        );
        assert!(refused.contains("imgsearch index --reencode"), "{refused}");
    }
    let before = place.run(&["status", "--json"]).ended(0).json_lines();
    place
        .run(&["index", "--reencode", "--encoder", "two.onnx"])
        .ended(0);
    let after = place.run(&["status", "--json"]).ended(0).json_lines();
    assert_eq!(after[0]["encoder"]["fingerprint"], other["fingerprint"]);
    assert_eq!(after[0]["stats"]["images"], before[0]["stats"]["images"]);
    assert_eq!(place.nearest(&place.photo("0-cat.jpg"), 1), ["0-cat.jpg"]);
    assert!(!place.index_dir().join("reencode").exists());
    // Without paths, the paths of the last run are walked again.
    let again = place.run(&["index", "--json"]).ended(0).summary();
    assert_eq!(again["unchanged"], after[0]["stats"]["images"]);
}

#[test]
fn a_lost_copy_of_the_encoder_is_named_with_a_remedy_that_works() {
    let place = training_place();
    place
        .run(&[
            "train", "photos", "-o", "own.onnx", "--views", "0", "--epochs", "1",
        ])
        .ended(0);
    place
        .run(&["index", "photos", "--encoder", "own.onnx"])
        .ended(0);
    let copy = fs::read_dir(place.index_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "onnx")
        })
        .unwrap();
    let query = ["query", "photos/0-cat.jpg", "-k", "1", "--paths"];
    type Harm = fn(&std::path::Path);
    for (what, harm) in [
        (
            "is missing",
            (|path| fs::remove_file(path).unwrap()) as Harm,
        ),
        ("cannot be used", |path| fs::write(path, "broken").unwrap()),
    ] {
        harm(&copy);
        let refused = place.run(&query).ended(2).stderr;
        assert!(
            refused.contains(what)
                && refused.contains("the encoder that made it, \"own\"")
                && refused.contains("imgsearch index --encoder FILE"),
            "{refused}"
        );
        place.run(&["index", "--encoder", "own.onnx"]).ended(0);
        place.run(&query).ended(0);
    }
}

#[test]
fn an_index_without_images_takes_any_encoder() {
    let place = training_place();
    fs::create_dir(place.photos().with_file_name("empty")).unwrap();
    place.run(&["index", "empty"]).ended(0);
    place
        .run(&[
            "train", "photos", "-o", "own.onnx", "--views", "0", "--epochs", "1",
        ])
        .ended(0);
    place
        .run(&["index", "photos", "--encoder", "own.onnx"])
        .ended(0);
    let status = place.run(&["status", "--json"]).ended(0).json_lines();
    assert_eq!(status[0]["encoder"]["name"], "own");
    place.run(&["query", "photos/0-cat.jpg"]).ended(0);
}

#[test]
fn a_file_that_is_not_an_encoder_is_refused() {
    let place = Place::with(&["cat.jpg"]);
    fs::write(place.photo("text.onnx"), "this is a text").unwrap();
    let text = place
        .run(&["encode", "photos/cat.jpg", "--encoder", "photos/text.onnx"])
        .ended(2)
        .stderr;
    assert!(
        text.contains("photos/text.onnx") && text.contains("not an ONNX file"),
        "{text}"
    );
    let missing = place
        .run(&["encode", "photos/cat.jpg", "--encoder", "photos/none.onnx"])
        .ended(2)
        .stderr;
    assert!(missing.contains("photos/none.onnx"), "{missing}");
}

#[test]
fn training_says_what_is_missing() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    let few = place
        .run(&["train", "photos", "-o", "my.onnx"])
        .ended(2)
        .stderr;
    assert!(few.contains("2 images were found"), "{few}");
    assert!(few.contains("needs at least 34"), "{few}");
    let folder = place
        .run(&["train", "photos", "-o", "nowhere/my.onnx"])
        .ended(2)
        .stderr;
    assert!(folder.contains("there is no folder nowhere"), "{folder}");
}

#[test]
fn evaluation_prints_every_representation() {
    let place = Place::new();
    for name in sample_names() {
        let image = image::open(sample(&name)).unwrap();
        let class = place.photo(name.trim_end_matches(".jpg"));
        fs::create_dir(&class).unwrap();
        for i in 0..3u32 {
            let part = image.crop_imm(i * 10, 0, image.width() - 30, image.height());
            part.save(class.join(format!("{i}.jpg"))).unwrap();
        }
    }
    let report = place
        .run(&["eval", "photos", "--json"])
        .ended(0)
        .json_lines();
    let rows = report[0]["rows"].as_array().unwrap();
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["representation"].as_str().unwrap())
        .collect();
    let first = [
        "features",
        "code",
        "hash",
        "hash, asymmetric",
        "code + hash",
        "code + hash, asymmetric",
        "code + hash, expanded",
    ];
    assert_eq!(&names[..7], first);
    for baseline in [
        "PCA to 30",
        "autoencoder, MSE",
        "random signs 64",
        "dHash",
        "pHash",
    ] {
        assert!(names.contains(&baseline), "{names:?}");
    }
    for row in &rows[..7] {
        // Three parts of each of sixteen images: every ranking by content finds most of them.
        assert!(row["map"].as_f64().unwrap() > 0.7, "{row}");
    }
    assert_eq!(rows[2]["distinct"], 1.0);
    let refused = place.run(&["eval", "photos/cat"]).ended(2).stderr;
    assert!(refused.contains("at least two"), "{refused}");
    let part = place
        .run(&["eval", "photos", "--part", "thirds"])
        .ended(2)
        .stderr;
    assert!(part.contains("first-half"), "{part}");
}
