//! Autoencoders on pixels: trained, used to index and query, and inspected.

use std::fs;

use crate::support::{Place, sample_names};

/// Each sample as it is, mirrored, and upside down.
fn turned_samples(place: &Place) {
    for name in sample_names() {
        let image = image::open(crate::support::sample(&name)).unwrap();
        for (i, turned) in [image.clone(), image.fliph(), image.rotate180()]
            .into_iter()
            .enumerate()
        {
            turned.save(place.photo(&format!("{i}-{name}"))).unwrap();
        }
    }
}

/// Three parts of each sample.
fn parts_of_samples(place: &Place) {
    for name in sample_names() {
        let image = image::open(crate::support::sample(&name)).unwrap();
        for i in 0..3u32 {
            let part = image.crop_imm(i * 10, 0, image.width() - 30, image.height());
            part.save(place.photo(&format!("{i}-{name}"))).unwrap();
        }
    }
}

#[test]
fn an_autoencoder_on_pixels_is_trained_used_and_inspected() {
    let place = Place::new();
    turned_samples(&place);
    let train = |kind: &[&str], output: &str| {
        let arguments = [
            "train", "photos", "-o", output, "--side", "16", "--code", "8", "--bits", "24",
            "--epochs", "3", "--batch", "16", "--json", "--kind",
        ];
        let arguments: Vec<&str> = arguments.iter().chain(kind).copied().collect();
        place.run(&arguments).ended(0).json_lines().pop().unwrap()
    };
    let deep = train(&["deep", "--layers", "64,32"], "deep.onnx");
    assert_eq!(
        (&deep["event"], &deep["passes"]),
        (&"trained".into(), &3.into())
    );
    assert!(deep["squared_error"].as_f64().unwrap() > 0.0, "{deep}");
    let again = train(&["deep", "--layers", "64,32"], "again.onnx");
    assert_eq!(deep["fingerprint"], again["fingerprint"]);
    let folder = place.photos().with_file_name("");
    let record = fs::read_to_string(folder.join("deep.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["run"]["epochs"].as_array().unwrap().len(), 3);
    assert_eq!(record["fingerprint"], deep["fingerprint"]);

    place
        .run(&["index", "photos", "--encoder", "deep.onnx"])
        .ended(0);
    let nearest = place.nearest(&place.photo("0-cat.jpg"), 1);
    assert!(nearest[0].ends_with("0-cat.jpg"), "{nearest:?}");

    for kind in [
        &["twin", "--grey", "--twin-bits", "10"][..],
        &["convolutional", "--layers", "4,8"],
    ] {
        train(kind, "other.onnx");
        let shown = place
            .run(&[
                "reconstruct",
                "photos/0-cat.jpg",
                "photos/0-coffee.jpg",
                "--encoder",
                "other.onnx",
                "-o",
                "grid.png",
                "--json",
            ])
            .ended(0)
            .json_lines();
        assert_eq!(shown.len(), 2);
        let bytes = if kind[0] == "twin" { 8 * 4 + 2 } else { 8 * 4 };
        assert_eq!(shown[0]["code_bytes"], bytes);
        let grid = image::open(folder.join("grid.png")).unwrap();
        assert!(grid.width() > 2 * 90 && grid.height() > 2 * 90);
    }
    place
        .run(&[
            "reconstruct",
            "photos/0-cat.jpg",
            "photos/0-coffee.jpg",
            "--interpolate",
            "5",
            "--encoder",
            "other.onnx",
            "-o",
            "way.png",
        ])
        .ended(0);
    let way = image::open(folder.join("way.png")).unwrap();
    assert!(way.width() > 6 * 90, "the two images and five steps");

    // Directions of the codes of pictures that are named, or of an index of this encoder.
    let vary = ["reconstruct", "--encoder", "other.onnx", "--vary"];
    let vary = [&vary[..], &["photos/0-cat.jpg", "-o", "vary.png"]].concat();
    let refused = place.run(&vary).ended(2).stderr;
    assert!(refused.contains("another encoder"), "{refused}");
    let named: Vec<String> = ["cat", "coffee", "rocket", "flower"]
        .iter()
        .map(|name| format!("photos/0-{name}.jpg"))
        .filter(|name| folder.join(name).exists())
        .collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let shown = place.run(&[&vary[..], &named, &["--json"]].concat());
    let shown = shown.ended(0).json_lines();
    assert_eq!(shown.len(), named.len() - 1, "directions");
    let grid = image::open(folder.join("vary.png")).unwrap();
    assert!(grid.width() > 7 * 90 && grid.height() as usize > (named.len() - 1) * 90);

    // A decoder of another encoder would produce nonsense.
    let foreign = ["reconstruct", "photos/0-cat.jpg", "--encoder", "deep.onnx"];
    let foreign = [&foreign[..], &["--decoder", "other.decoder.onnx"]].concat();
    let refused = place.run(&foreign).ended(2).stderr;
    assert!(
        refused.contains("it decodes the codes of the encoder"),
        "{refused}"
    );
}

#[test]
fn idx_files_are_trained_on_and_wrong_combinations_are_refused() {
    let place = Place::new();
    let folder = place.photos().with_file_name("");
    let mut idx = vec![0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 8, 0, 0, 0, 8];
    idx.extend((0..40 * 64).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
    fs::write(folder.join("images-idx3-ubyte"), &idx).unwrap();
    let train = |more: &[&str]| {
        let arguments = [
            "train",
            "images-idx3-ubyte",
            "-o",
            "grey.onnx",
            "--code",
            "4",
            "--bits",
            "8",
        ];
        let arguments: Vec<&str> = arguments.iter().chain(more).copied().collect();
        place.run(&arguments)
    };
    let done = train(&[
        "--kind",
        "variational",
        "--layers",
        "16",
        "--epochs",
        "2",
        "--json",
    ])
    .ended(0);
    assert_eq!(done.json_lines().pop().unwrap()["pictures"], 36);

    for (more, reported) in [
        (
            &["--kind", "variational", "--sparsity", "l1:1"][..],
            "do not go together",
        ),
        (
            &["--kind", "denoising", "--noise", "rain:1"],
            "masking:SHARE",
        ),
        (
            &["--kind", "sparse", "--sparsity", "kl:2:1"],
            "between 0 and 1",
        ),
        (&["--kind", "simple", "--layers", "4"], "--kind deep"),
        (&["--beta", "1"], "--kind"),
    ] {
        let refused = train(more).ended(2).stderr;
        assert!(refused.contains(reported), "{more:?}: {refused}");
    }
    fs::write(folder.join("images-idx3-ubyte"), &idx[..900]).unwrap();
    let refused = train(&["--kind", "deep"]).ended(2).stderr;
    assert!(
        refused.contains("images-idx3-ubyte") && refused.contains("40 images"),
        "{refused}"
    );
}

#[test]
fn the_built_in_encoder_has_no_decoder_and_this_says_what_has() {
    let place = Place::with(&["cat.jpg"]);
    let refused = place.run(&["reconstruct", "photos/cat.jpg", "-o", "grid.png"]);
    let refused = refused.ended(2).stderr;
    assert!(refused.contains("has no decoder"), "{refused}");
    assert!(refused.contains("imgsearch train autoencoder"), "{refused}");
    assert!(!place.photos().with_file_name("grid.png").exists());
}

/// Trains a head with a hidden layer on small images.
const DEEP_HEAD: [&str; 20] = [
    "train",
    "photos",
    "--hidden-units",
    "32",
    "--neighbours",
    "2",
    "--side",
    "96",
    "--resize",
    "squash",
    "--code",
    "8",
    "--bits",
    "32",
    "--epochs",
    "4",
    "--features",
    "kept.features",
    "--json",
    "-o",
];

#[test]
fn a_deep_head_on_smaller_images_is_trained_used_and_decoded() {
    let place = Place::new();
    parts_of_samples(&place);
    let train = DEEP_HEAD;
    let reported = place
        .run(&[&train[..], &["deep.onnx", "--decoder"]].concat())
        .ended(0)
        .json_lines();
    let trained = reported.last().unwrap();
    assert_eq!(trained["event"], "trained");
    assert!(reported.iter().any(|line| line["event"] == "decoder"));
    let again = place
        .run(&[&train[..], &["again.onnx", "--no-charts"]].concat())
        .ended(0)
        .json_lines();
    let again = again.last().unwrap();
    assert_eq!(trained["fingerprint"], again["fingerprint"]);
    assert_eq!(
        (&trained["features_kept"], &again["features_kept"]),
        (&false.into(), &true.into())
    );

    place
        .run(&["index", "photos", "--encoder", "deep.onnx"])
        .ended(0);
    let nearest = place.nearest(&place.photo("1-cat.jpg"), 1);
    assert!(nearest[0].ends_with("1-cat.jpg"), "{nearest:?}");
    let shown = place
        .run(&[
            "reconstruct",
            "photos/0-cat.jpg",
            "--encoder",
            "deep.onnx",
            "--json",
        ])
        .ended(0)
        .json_lines();
    assert_eq!(shown[0]["code_bytes"], 8 * 4);
}

#[test]
fn wrong_options_of_a_head_are_refused() {
    let place = Place::new();
    parts_of_samples(&place);
    let train = DEEP_HEAD;
    for (wrong, because) in [
        (&["--resize", "stretch"][..], "squash"),
        (&["--resize", "short-side-crop:90"], "cannot fill"),
        (&["--side", "3"], "4..=1024"),
        (&["--features", "photos/0-cat.jpg"], "no file of features"),
        (
            &["--resize", "short-side-crop:3000000000"],
            "next to nothing",
        ),
        (&["--for", "copies"], "no meaning with --for copies"),
        (&["--imagined", "10"], "no meaning with --hidden-units"),
        (&["--hash-weight", "nan"], "from 0 up"),
        (&["--views", "0", "--neighbours", "0"], "neighbours"),
    ] {
        let mut arguments: Vec<&str> = [&train[..], &["wrong.onnx"]].concat();
        // The parser refuses the later of two, so the earlier is removed.
        for option in wrong.iter().filter(|word| word.starts_with("--")) {
            if let Some(at) = arguments.iter().position(|word| word == option) {
                arguments.drain(at..at + 2);
            }
        }
        arguments.extend(wrong);
        let refused = place.run(&arguments).ended(2).stderr;
        assert!(refused.contains(because), "{wrong:?}: {refused}");
    }
    assert!(!place.photos().with_file_name("wrong.onnx").exists());
}
