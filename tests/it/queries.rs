//! Indexing and querying: the image itself comes first, its copies next, and answers have every form.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use image::DynamicImage;
use image::imageops::FilterType;

use crate::support::{Place, ran, sample, sample_names};

fn save(image: &DynamicImage, path: &Path, quality: u8) {
    let mut file = std::fs::File::create(path).unwrap();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, quality)
        .encode_image(&image.to_rgb8())
        .unwrap();
}

/// Returns an image without a twentieth of each side's length.
fn cropped(image: &DynamicImage) -> DynamicImage {
    let (width, height) = (image.width(), image.height());
    image.crop_imm(
        width / 40,
        height / 40,
        width - width / 20,
        height - height / 20,
    )
}

#[test]
fn every_image_finds_itself_first_and_its_edited_copies_next() {
    let names = sample_names();
    let place = Place::with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(place.index()["added"], names.len());
    for name in &names {
        let found = place.nearest(&sample(name), 3);
        assert_eq!(&found[0], name);
        let image = image::open(sample(name)).unwrap();
        let edits = [
            ("re-encoded", image.clone(), 60),
            ("resized", image.resize(200, 200, FilterType::Triangle), 85),
            ("cropped", cropped(&image), 90),
            ("brightened", image.brighten(25), 90),
        ];
        for (edit, image, quality) in edits {
            let copy = place.index_dir().with_file_name("copy.jpg");
            save(&image, &copy, quality);
            let found = place.nearest(&copy, 3);
            assert!(found.contains(name), "{name} {edit}: {found:?}");
        }
    }
}

#[test]
fn the_nearest_other_image_shows_the_same_scene_from_another_side() {
    let place = Place::with(&[
        "cat.jpg",
        "coffee.jpg",
        "rocket.jpg",
        "temple.jpg",
        "coins.jpg",
        "flower.jpg",
    ]);
    place.index();
    for (part, whole) in [
        ("cat-face.jpg", "cat.jpg"),
        ("coffee-cup.jpg", "coffee.jpg"),
        ("temple-roof.jpg", "temple.jpg"),
    ] {
        assert_eq!(place.nearest(&sample(part), 1), [whole]);
    }
}

#[test]
fn answers_come_in_every_form() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg"]);
    place.index();

    let text = place
        .run(&["query", "photos/cat.jpg", "-k", "2"])
        .ended(0)
        .stdout;
    let first = text.lines().next().unwrap();
    assert_eq!(first, "1  100 %  photos/cat.jpg");
    let second = text.lines().nth(1).unwrap();
    assert!(
        second.starts_with("2    ") && second.contains(" %  photos/"),
        "{second}"
    );
    assert_eq!(text.lines().count(), 2);

    let json = place
        .run(&["query", "photos/cat.jpg", "photos/coffee.jpg", "--json"])
        .ended(0);
    let lines = json.json_lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["query"], "photos/coffee.jpg");
    let first = &lines[1]["results"][0];
    assert_eq!((&first["rank"], &first["hamming"]), (&1.into(), &0.into()));
    assert_eq!(
        (&first["distance"], &first["similarity"]),
        (&0.0.into(), &1.0.into())
    );
    assert!(lines[1]["results"][1]["similarity"].as_f64().unwrap() < 0.5);
    // Three images are too few to say whether anything is unlike them.
    assert!(lines[1].get("resembles").is_none());
    assert!(first["id"].as_i64().unwrap() > 0);
    let path = std::fs::canonicalize(place.photo("coffee.jpg")).unwrap();
    assert_eq!(first["path"], path.to_str().unwrap());

    let paths = place
        .run(&["query", "photos/cat.jpg", "--paths", "-k", "1"])
        .ended(0)
        .stdout;
    assert_eq!(
        paths.trim_end(),
        std::fs::canonicalize(place.photo("cat.jpg"))
            .unwrap()
            .to_str()
            .unwrap()
    );
    let zero = place
        .run(&["query", "photos/cat.jpg", "-0"])
        .ended(0)
        .stdout;
    assert_eq!(zero.matches('\0').count(), 3);
    assert!(!zero.contains('\n'));

    for (by, nearness) in [("code", "0.0000"), ("hash", "0.0000"), ("both", "100 %")] {
        let text = place
            .run(&["query", "photos/rocket.jpg", "--by", by, "-k", "1"])
            .ended(0)
            .stdout;
        assert_eq!(text, format!("1  {nearness}  photos/rocket.jpg\n"));
    }

    let mut asking = place
        .command()
        .args(["query", "-", "-k", "1", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let cat = std::fs::read(sample("cat.jpg")).unwrap();
    asking.stdin.take().unwrap().write_all(&cat).unwrap();
    let piped = ran(asking.wait_with_output().unwrap()).ended(0);
    assert!(
        piped.json_lines()[0]["results"][0]["path"]
            .as_str()
            .unwrap()
            .ends_with("cat.jpg")
    );
}

#[test]
fn errors_say_what_to_do() {
    let place = Place::with(&["cat.jpg"]);
    let none = place.run(&["query", "photos/cat.jpg"]).ended(2).stderr;
    assert!(
        none.contains("there is no index in") && none.contains("imgsearch index"),
        "{none}"
    );
    let nothing = place.run(&["index"]).ended(2).stderr;
    assert!(nothing.contains("imgsearch index FOLDER"), "{nothing}");
    let missing = place.run(&["index", "nowhere"]).ended(2).stderr;
    assert!(
        missing.contains("no such file or folder: nowhere"),
        "{missing}"
    );

    place.index();
    let zero = place
        .run(&["query", "photos/cat.jpg", "-k", "0"])
        .ended(2)
        .stderr;
    assert!(zero.contains("-k 0"), "{zero}");
    let gone = place.run(&["query", "photos/dog.jpg"]).ended(2).stderr;
    assert!(gone.contains("photos/dog.jpg"), "{gone}");
    std::fs::write(place.photo("text.jpg"), "no image").unwrap();
    let text = place.run(&["query", "photos/text.jpg"]).ended(2).stderr;
    assert!(
        text.contains("photos/text.jpg") && text.contains("not an image"),
        "{text}"
    );
    // One bad image does not prevent the answers for the others.
    let several = place
        .run(&["query", "photos/text.jpg", "photos/cat.jpg", "--json"])
        .ended(1);
    assert_eq!(several.json_lines().len(), 1);
}

#[test]
fn status_and_encode_show_what_the_index_holds() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    let status = place.run(&["status", "--json"]).ended(0);
    let status = &status.json_lines()[0];
    assert_eq!(status["stats"]["images"], 2);
    assert_eq!(status["encoder"]["code_length"], 30);
    assert_eq!(status["last_run"]["completed"], true);
    let text = place.run(&["status"]).ended(0).stdout;
    assert!(text.contains("images    2"), "{text}");
    let bytes = |name: &str| status["stats"][name].as_u64().unwrap();
    assert!(bytes("database_bytes") > 0 && bytes("database_bytes") < bytes("bytes"));

    let encoded = place.run(&["encode", "photos/cat.jpg", "--json"]).ended(0);
    let encoded = &encoded.json_lines()[0];
    let code: Vec<f64> = encoded["code"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect();
    assert_eq!(code.len(), 30);
    let length: f64 = code.iter().map(|v| v * v).sum::<f64>().sqrt();
    assert!((length - 1.0).abs() < 1e-3, "{length}");
    assert_eq!(encoded["hash"].as_str().unwrap().len(), 64);
}

#[test]
fn the_runtime_is_shown_and_a_bad_one_is_refused() {
    let place = Place::new();
    let shown = place.run(&["runtime", "--json"]).ended(0);
    let shown = &shown.json_lines()[0];
    assert!(
        shown["version"].as_str().unwrap().starts_with("1."),
        "{shown}"
    );
    assert!(
        shown["providers"]
            .as_array()
            .unwrap()
            .contains(&"cpu".into())
    );

    std::fs::write(place.photo("libonnxruntime.so"), "this is a text").unwrap();
    let text = place
        .run(&["runtime", "--ort-library", "photos/libonnxruntime.so"])
        .ended(2)
        .stderr;
    assert!(
        text.contains("photos/libonnxruntime.so") && text.contains("cannot be used"),
        "{text}"
    );
    let missing = place
        .run(&["runtime", "--ort-library", "nowhere/lib.so"])
        .ended(2)
        .stderr;
    assert!(missing.contains("no such file"), "{missing}");
}

#[test]
fn a_graphics_card_that_is_not_there_is_an_error_and_auto_says_what_it_took() {
    let place = Place::with(&["cat.jpg"]);
    let shown = place.run(&["runtime", "--json"]).ended(0);
    if shown.json_lines()[0]["providers"]
        .as_array()
        .unwrap()
        .contains(&"cuda".into())
    {
        eprintln!("this ONNX Runtime has CUDA, so there is nothing to refuse");
        return;
    }
    let refused = place
        .run(&["index", "photos", "--provider", "cuda"])
        .ended(2)
        .stderr;
    assert!(
        refused.contains("CUDA") && refused.contains("imgsearch runtime install --cuda"),
        "{refused}"
    );
    let auto = place
        .run(&["index", "photos", "--provider", "auto"])
        .ended(0)
        .stderr;
    assert!(auto.contains("running on the processor"), "{auto}");
}

#[test]
fn many_images_are_encoded_on_all_cores_in_their_order() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "bricks.jpg", "gravel.jpg"]);
    let named: Vec<String> = (0..9)
        .map(|i| {
            format!(
                "photos/{}.jpg",
                ["cat", "coffee", "bricks", "gravel"][i % 4]
            )
        })
        .collect();
    fs::write(place.photo("none.jpg"), "a text").unwrap();
    let list = place.photo("../list");
    let mut names = named.join("\n");
    names += "\n\nphotos/none.jpg\nphotos/missing.jpg\n";
    fs::write(&list, &names).unwrap();
    let one = place.run(&["encode", "photos/cat.jpg", "--json"]).ended(0);
    let ran = place
        .run(&["encode", "--files-from", list.to_str().unwrap(), "--json"])
        .ended(1);
    let lines = ran.json_lines();
    let paths: Vec<&str> = lines
        .iter()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, named);
    for line in lines.iter().step_by(4) {
        assert_eq!(line["code"], one.json_lines()[0]["code"]);
        assert_eq!(line["hash"], one.json_lines()[0]["hash"]);
    }
    assert!(
        ran.stderr.contains("photos/none.jpg: not an image"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("photos/missing.jpg"), "{ran:?}");
    // As `find -print0` writes them, where a line break belongs to the name.
    fs::write(
        &list,
        names
            .trim()
            .replace('\n', "\0")
            .replace("none.jpg", "no\nne.jpg"),
    )
    .unwrap();
    fs::rename(place.photo("none.jpg"), place.photo("no\nne.jpg")).unwrap();
    let ran = place
        .run(&[
            "encode",
            "-0",
            "--files-from",
            list.to_str().unwrap(),
            "--json",
        ])
        .ended(1);
    assert_eq!(ran.json_lines(), lines);
    let ran = place.run(&["encode", "--files-from", "no-list"]).ended(2);
    assert!(
        ran.stderr.contains("the list no-list cannot be read"),
        "{ran:?}"
    );
    place.run(&["encode"]).ended(2);
}
