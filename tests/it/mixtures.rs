//! Questions of several images: more of these, less of those, folders, ids and parts of pictures.

use std::fs;

use imgsearch::index::{ImageId, RankBy, SearchParams};
use imgsearch::{Library, Part, Question};
use serde_json::{Value, json};

use crate::support::{Place, Ran, sample};

const SAMPLES: [&str; 6] = [
    "cat.jpg",
    "cat-face.jpg",
    "coffee.jpg",
    "coffee-cup.jpg",
    "rocket.jpg",
    "gravel.jpg",
];

fn place() -> Place {
    let place = Place::with(&SAMPLES);
    place.index();
    place
}

/// Returns the names of what was found, best first.
fn names(line: &Value) -> Vec<String> {
    let results = line["results"].as_array().unwrap().iter();
    results
        .map(|found| {
            let path = found["path"].as_str().unwrap();
            path.rsplit('/').next().unwrap().to_owned()
        })
        .collect()
}

fn query(place: &Place, options: &[&str]) -> Ran {
    place.run(&[&["query"], options].concat())
}

/// Returns the only line of a query.
#[track_caller]
fn answer(place: &Place, options: &[&str]) -> Value {
    let ran = query(place, &[options, &["--json"]].concat()).ended(0);
    let lines = ran.json_lines();
    assert_eq!(lines.len(), 1, "{ran:?}");
    lines[0].clone()
}

fn id_of(place: &Place, name: &str) -> i64 {
    let found = answer(place, &[&format!("photos/{name}"), "-k", "1"]);
    assert_eq!(names(&found), [name]);
    found["results"][0]["id"].as_i64().unwrap()
}

#[test]
fn a_mixture_finds_what_each_part_shows() {
    let place = place();
    let mixed = answer(&place, &["photos/cat.jpg", "--more", "photos/coffee.jpg"]);
    // The images that are asked with are found, too, and what looks like one of them comes before the rest.
    let found = names(&mixed);
    let mut first = found[..4].to_vec();
    first.sort();
    assert_eq!(
        first,
        ["cat-face.jpg", "cat.jpg", "coffee-cup.jpg", "coffee.jpg"]
    );
    assert_eq!(mixed["query"], "photos/cat.jpg");
    assert_eq!(
        mixed["parts"],
        json!([
            {"path": "photos/cat.jpg", "weight": 1.0},
            {"path": "photos/coffee.jpg", "weight": 1.0},
        ])
    );
    assert!(mixed["results"][0]["similarity"].as_f64().unwrap() < 1.0);
    assert!(mixed.get("resembles").is_none());
    // Weights decide between them.
    let weighted = |weight: &str| {
        let coffee = format!("photos/coffee.jpg:{weight}");
        let line = answer(&place, &["--more", "photos/cat.jpg", "--more", &coffee]);
        assert_eq!(line["query"], Value::Null);
        names(&line)[0].clone()
    };
    assert_eq!(weighted("0.1"), "cat.jpg");
    assert_eq!(weighted("10"), "coffee.jpg");
    // Several main images are answered one by one, as before, and a weight of 0 leaves the image alone.
    let two = query(&place, &["photos/cat.jpg", "photos/coffee.jpg", "--json"]).ended(0);
    assert_eq!(two.json_lines().len(), 2);
    let alone = answer(&place, &["photos/cat.jpg"]);
    assert!(alone.get("parts").is_none());
    let zero = answer(&place, &["photos/cat.jpg", "--more", "photos/coffee.jpg:0"]);
    assert_eq!(zero["results"], alone["results"]);
}

#[test]
fn less_of_an_image_moves_what_is_like_it_away() {
    let place = place();
    let mixture = ["photos/cat.jpg", "--more", "photos/coffee.jpg"];
    let ranks = |options: &[&str]| {
        let line = answer(&place, &[&mixture[..], options].concat());
        let found = names(&line);
        let rank = |name: &str| found.iter().position(|found| found == name).unwrap();
        (rank("cat.jpg"), rank("coffee.jpg"), line)
    };
    for expand in [&[][..], &["--no-expand"]] {
        let less = [expand, &["--less", "photos/cat-face.jpg:0.6"]].concat();
        let (cat, coffee, line) = ranks(&less);
        assert!(coffee < cat, "{line}");
        assert_eq!(line["parts"][2]["weight"], -0.6);
        assert!(line["results"][0].get("similarity").is_none());
        let less = [expand, &["--less", "photos/coffee-cup.jpg:0.6"]].concat();
        let (cat, coffee, line) = ranks(&less);
        assert!(cat < coffee, "{line}");
    }
    let default = ranks(&["--less", "photos/cat-face.jpg"]).2;
    assert_eq!(default["parts"][2]["weight"], -0.2);
    let refused = query(
        &place,
        &[
            &mixture[..],
            &["--less", "photos/rocket.jpg", "--min-similarity", "50"],
        ]
        .concat(),
    );
    assert!(refused.ended(2).stderr.contains("use --radius"));
}

#[test]
fn a_stored_image_is_asked_with_by_its_id() {
    let place = place();
    let (cat, coffee) = (id_of(&place, "cat.jpg"), id_of(&place, "coffee.jpg"));
    // Nothing is decoded, so the file may be gone.
    fs::remove_file(place.photo("cat.jpg")).unwrap();
    let line = answer(&place, &["--id", &cat.to_string()]);
    assert_eq!(names(&line)[..2], ["cat.jpg", "cat-face.jpg"]);
    assert_eq!(line["query"], Value::Null);
    assert_eq!(line["parts"], json!([{"id": cat, "weight": 1.0}]));
    let first = &line["results"][0];
    assert_eq!(
        (&first["distance"], &first["hamming"]),
        (&0.0.into(), &0.into())
    );
    let text = query(
        &place,
        &["--id", &cat.to_string(), "--id", &coffee.to_string()],
    )
    .ended(0);
    let headings: Vec<&str> = text
        .stdout
        .lines()
        .filter(|line| line.starts_with("id"))
        .collect();
    assert_eq!(headings, [format!("id {cat}"), format!("id {coffee}")]);
    // Beside others, with a weight.
    let more = format!("id:{coffee}:3");
    let line = answer(&place, &["--id", &cat.to_string(), "--more", &more]);
    assert_eq!(names(&line)[0], "coffee.jpg");
    assert_eq!(line["parts"][1], json!({"id": coffee, "weight": 3.0}));
}

#[test]
fn a_folder_is_the_mixture_of_its_pictures() {
    let place = place();
    let cats = place.photos().with_file_name("cats");
    fs::create_dir_all(cats.join("more")).unwrap();
    fs::copy(sample("cat.jpg"), cats.join("a.jpg")).unwrap();
    fs::copy(sample("cat-face.jpg"), cats.join("more/b.jpg")).unwrap();
    fs::copy(sample("rocket.jpg"), cats.join(".hidden.jpg")).unwrap();
    fs::write(cats.join("notes.txt"), "cats").unwrap();
    let ran = query(&place, &["cats", "--json"]).ended(0);
    assert!(
        ran.stderr.contains("asking with 2 pictures of cats"),
        "{ran:?}"
    );
    let line = ran.json_lines().remove(0);
    assert_eq!(line["query"], "cats");
    assert_eq!(
        line["parts"],
        json!([{"path": "cats", "weight": 1.0, "images": 2}])
    );
    let both = ["--more", "cats/a.jpg", "--more", "cats/more/b.jpg"];
    assert_eq!(line["results"], answer(&place, &both)["results"]);
    // As much as one picture, however many it holds.
    let halves = [
        "photos/coffee.jpg",
        "--more",
        "cats/a.jpg:0.5",
        "--more",
        "cats/more/b.jpg:0.5",
    ];
    let folder = answer(&place, &["photos/coffee.jpg", "--more", "cats"]);
    assert_eq!(folder["results"], answer(&place, &halves)["results"]);
    let focused = answer(&place, &["cats", "--focus"]);
    assert_eq!(focused["focus"], true);
    assert_eq!(names(&focused)[0], "cat.jpg");
    assert_ne!(
        focused["results"][0]["distance"],
        line["results"][0]["distance"]
    );
    assert!(focused["results"][0].get("similarity").is_none());

    // A broken picture is named, and the others are asked with.
    fs::write(cats.join("broken.jpg"), "no image").unwrap();
    let ran = query(&place, &["cats", "--json"]).ended(1);
    assert!(
        ran.stderr.contains("broken.jpg: not an image")
            && ran.stderr.contains("asking with 2 pictures"),
        "{ran:?}"
    );
    assert_eq!(ran.json_lines()[0]["results"], line["results"]);
    let silent = query(&place, &["photos", "--quiet"]).ended(0);
    assert_eq!(silent.stderr, "");
    for name in ["a.jpg", "more/b.jpg"] {
        fs::remove_file(cats.join(name)).unwrap();
    }
    let none = query(&place, &["cats"]).ended(2).stderr;
    assert!(
        none.contains("none of the pictures in cats can be used"),
        "{none}"
    );
}

#[test]
fn a_part_of_a_picture_is_asked_with_as_if_it_were_one() {
    let place = place();
    let cat = image::open(sample("cat.jpg")).unwrap();
    let part = place.photos().with_file_name("part.png");
    cat.crop_imm(60, 20, 160, 120).save(&part).unwrap();
    let whole = answer(&place, &["part.png"]);
    let cropped = answer(&place, &["photos/cat.jpg", "--crop", "60,20,160,120"]);
    assert_eq!(cropped["crop"], "60,20,160,120");
    let distances = |line: &Value| {
        let results = line["results"].as_array().unwrap().iter();
        results
            .map(|found| found["distance"].as_f64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&cropped), names(&whole));
    for (cropped, whole) in distances(&cropped).iter().zip(distances(&whole)) {
        // Two decoders of JPEG differ by a level here and there.
        assert!((cropped - whole).abs() < 0.2, "{cropped} {whole}");
    }
    assert_ne!(
        distances(&cropped),
        distances(&answer(&place, &["photos/cat.jpg"]))
    );
    // Beside other pictures it is the main one's.
    let mixed = [
        "photos/cat.jpg",
        "--crop",
        "25%,10%,50%,50%",
        "--more",
        "photos/cat.jpg",
    ];
    let mut first = names(&answer(&place, &mixed))[..2].to_vec();
    first.sort();
    assert_eq!(first, ["cat-face.jpg", "cat.jpg"]);
}

#[test]
fn bad_questions_are_refused_with_what_to_do() {
    let place = place();
    fs::create_dir(place.photos().with_file_name("empty")).unwrap();
    let (cat, coffee) = ("photos/cat.jpg", "photos/coffee.jpg");
    for (options, expected) in [
        (&["--more", "photos/cat.jpg:0"][..], "asks for nothing"),
        (&["--less", cat], "asks for nothing"),
        (&[cat, "--more", "photos/coffee.jpg:inf"], "not a weight"),
        (&[cat, "--less", "photos/coffee.jpg:-1"], "from 0 up"),
        (
            &[cat, "--more", "photos/coffee.jpg:abc"],
            "photos/coffee.jpg:0.5",
        ),
        (&[cat, "--less", "photos/cat.jpg:1"], "cancel each other"),
        (&[cat, coffee, "--more", cat], "name the others with --more"),
        (&["photos", cat, "--less", cat], "2 are named"),
        (&[cat, "--crop", "300,0,100,10"], "320 by 213"),
        (&[cat, "--crop", "0,0,0,10"], "empty"),
        (&[cat, "--crop", "1,2,3"], "X,Y,WIDTH,HEIGHT"),
        (&[cat, "--crop", "a,2,3,4"], "percentage"),
        (&["photos", "--crop", "0,0,9,9"], "--crop"),
        (&["--id", "1", "--crop", "0,0,9,9"], "exactly one picture"),
        (&[cat, coffee, "--crop", "0,0,9,9"], "exactly one picture"),
        (&["--id", "99"], "id 99 is stored"),
        (&[cat, "--more", "id:99"], "--json prints the ids"),
        (&["--id", "x"], "not an id"),
        (&["empty"], "no picture in empty"),
        (&[cat, "--more", "empty"], "no picture in empty"),
        (&[cat, "--focus"], "add some with --more"),
        (&[cat, "--focus", "--less", coffee], "add some with --more"),
        (&[cat, "--more", "nowhere.jpg:2"], "nowhere.jpg"),
        (&[], "<IMAGE>"),
    ] {
        let text = query(&place, options).ended(2).stderr;
        assert!(text.contains(expected), "{options:?}: {text}");
    }
    // With several questions, one that cannot be answered does not prevent the others.
    let several = query(&place, &["--id", "99", cat, "--json"]).ended(1);
    assert_eq!(several.json_lines().len(), 1);
    // A file of that name is no weight.
    fs::copy(sample("rocket.jpg"), place.photo("coffee.jpg:0.5")).unwrap();
    let line = answer(&place, &["--more", "photos/coffee.jpg:0.5"]);
    assert_eq!(names(&line)[0], "rocket.jpg");
}

#[test]
fn the_library_answers_the_same_questions() {
    let place = place();
    let library = Library::open(place.index_dir()).unwrap();
    let cat = library.encode_file(&place.photo("cat.jpg")).unwrap();
    let coffee = library.encode_file(&place.photo("coffee.jpg")).unwrap();
    let params = SearchParams::new(6).by(RankBy::Both).expand(3);
    let ask = |question: &Question| library.ask(question, &params);
    // One image is a query like any other.
    let alone = ask(&Question::new().more(&cat, 7.0)).unwrap();
    let searched = library.search(&cat, &params).unwrap();
    assert_eq!(alone.matches, searched.matches);
    let id = alone.matches[0].id;
    let question = Question::new()
        .more(&coffee, 1.0)
        .more_id(id, 0.5)
        .less(&cat, 0.1);
    let line = answer(
        &place,
        &[
            "photos/coffee.jpg",
            "--more",
            &format!("id:{id}:0.5"),
            "--less",
            "photos/cat.jpg:0.1",
        ],
    );
    let answered = ask(&question).unwrap().matches;
    let ids: Vec<i64> = answered.iter().map(|found| found.id.0).collect();
    let expected = line["results"].as_array().unwrap().iter();
    let expected: Vec<i64> = expected
        .map(|found| found["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, expected);
    assert!(answered.iter().all(|found| found.similarity.is_none()));

    let error = |question: &Question| ask(question).unwrap_err().to_string();
    assert!(error(&Question::new()).contains("asks for nothing"));
    assert!(error(&Question::new().less(&cat, 1.0)).contains("asks for nothing"));
    assert!(error(&Question::new().more(&cat, -1.0)).contains("weight -1"));
    assert!(error(&Question::new().less_id(id, f32::NAN)).contains("weight NaN"));
    let gone = Question::new().more_of(Part::Stored(ImageId(99)), 1.0);
    assert!(error(&gone).contains("id 99"));
}

#[test]
fn mixtures_are_measured_on_labelled_folders() {
    let place = Place::new();
    for (class, name) in [("cat", "cat.jpg"), ("rocket", "rocket.jpg")] {
        let image = image::open(sample(name)).unwrap();
        fs::create_dir(place.photo(class)).unwrap();
        for i in 0..6u32 {
            let part = image.crop_imm(i * 6, 0, image.width() - 40, image.height());
            part.save(place.photo(&format!("{class}/{i}.jpg"))).unwrap();
        }
    }
    let eval = ["eval", "photos", "--no-baselines", "--mixtures"];
    let ran = place.run(&[&eval[..], &["--json"]].concat()).ended(0);
    let rows = ran.json_lines()[0]["mixtures"][0]["rows"].clone();
    let rows = rows.as_array().unwrap();
    // One and three images; ten are more than there are.
    let asked: Vec<u64> = rows
        .iter()
        .map(|row| row["images"].as_u64().unwrap())
        .collect();
    assert_eq!(asked, [1, 1, 1, 3, 3, 3]);
    for row in rows {
        assert_eq!(row["questions"], 16);
        // Parts of one photograph are more alike than those of two.
        assert_eq!(row["map"], 1.0, "{row}");
        assert!(row["similarity_error"].as_f64().unwrap() < 1.0);
    }
    let text = place.run(&eval).ended(0).stdout;
    assert!(
        text.contains("3 images, less 0.2 of a look-alike"),
        "{text}"
    );
    let refused = place
        .run(&["eval", "--copies", "photos", "--mixtures"])
        .ended(2);
    assert!(refused.stderr.contains("FOLDER"), "{refused:?}");
}
