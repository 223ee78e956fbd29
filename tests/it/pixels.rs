//! Autoencoders on pixels: trained, indexed with, asked with, and looked into.

use std::fs;

use crate::support::{Place, sample_names};

#[test]
fn an_autoencoder_on_pixels_is_trained_used_and_looked_into() {
    let place = Place::new();
    for name in sample_names() {
        let image = image::open(crate::support::sample(&name)).unwrap();
        for (i, turned) in [image.clone(), image.fliph(), image.rotate180()]
            .into_iter()
            .enumerate()
        {
            turned.save(place.photo(&format!("{i}-{name}"))).unwrap();
        }
    }
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

    // A decoder of another encoder would show nonsense.
    let refused = place
        .run(&[
            "reconstruct",
            "photos/0-cat.jpg",
            "--encoder",
            "deep.onnx",
            "--decoder",
            "other.decoder.onnx",
        ])
        .ended(2)
        .stderr;
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

    for (more, told) in [
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
        assert!(refused.contains(told), "{more:?}: {refused}");
    }
    fs::write(folder.join("images-idx3-ubyte"), &idx[..900]).unwrap();
    let refused = train(&["--kind", "deep"]).ended(2).stderr;
    assert!(
        refused.contains("images-idx3-ubyte") && refused.contains("40 images"),
        "{refused}"
    );
}
