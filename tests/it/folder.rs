//! The folder of an index: which one it is, and what else is in it.

use std::fs;

use imgsearch::Library;

use crate::support::{Place, ran, sample, sample_names};

#[test]
fn files_of_other_people_in_the_folder_stay() {
    let place = Place::new();
    for name in sample_names() {
        let image = image::open(sample(&name)).unwrap().thumbnail(64, 64);
        for i in 0..3 {
            let part = image.crop_imm(i, 0, 40, 40);
            part.save(place.photo(&format!("{i}-{name}"))).unwrap();
        }
    }
    let train = |seed: &str, output: &str| {
        let arguments = [
            "train", "photos", "-o", output, "--views", "0", "--epochs", "1", "--seed", seed,
            "--json",
        ];
        let reported = place.run(&arguments).ended(0).json_lines().pop().unwrap();
        format!("encoder-{}.onnx", reported["fingerprint"].as_str().unwrap())
    };
    let first = train("1", "one.onnx");
    let second = train("2", "two.onnx");
    let index = |options: &[&str]| place.run(&[&["index"], options].concat()).ended(0);
    index(&["photos", "--encoder", "one.onnx"]);
    let here = |name: &str| place.index_dir().join(name);
    assert!(here(&first).exists());

    let theirs = [
        "encoder-mine.onnx",
        "encoder-0123456789abcdef.onnx",
        "encoder-0123456789abcdef0123456789abcdef.onnx",
        "encoder-mine.onnx.new",
        "notes.txt",
    ];
    for name in theirs {
        fs::copy(place.photos().with_file_name("one.onnx"), here(name)).unwrap();
    }
    // A temporary file that a crash left while a copy was written.
    fs::write(here(&format!("{second}.new")), "half").unwrap();
    index(&["photos"]);
    assert!(!here(&format!("{second}.new")).exists());
    index(&["--reencode", "--encoder", "two.onnx"]);
    assert!(here(&second).exists() && !here(&first).exists());
    for name in theirs {
        assert!(here(name).exists(), "{name}");
    }
    place.run(&["query", "photos/0-cat.jpg"]).ended(0);
}

#[test]
fn a_file_instead_of_an_index_folder_is_named_and_an_empty_variable_counts_as_unset() {
    let place = Place::with(&["cat.jpg"]);
    let file = place.photo("cat.jpg");
    let file = file.to_str().unwrap();
    for command in [
        &["index", "photos"][..],
        &["query", "photos/cat.jpg"],
        &["status"],
        &["remove", "photos"],
        &["optimize"],
        &["check"],
        &["adapt"],
    ] {
        let refused = place.run(&[&["--index", file], command].concat()).ended(2);
        assert!(refused.stderr.contains(file), "{command:?}: {refused:?}");
        assert!(
            refused.stderr.contains("is a file"),
            "{command:?}: {refused:?}"
        );
        let refused = place.run(&[&["--index", ""], command].concat()).ended(2);
        assert!(
            refused.stderr.contains("--index"),
            "{command:?}: {refused:?}"
        );
    }
    // An empty variable counts as unset: the index is in the data folder.
    let home = place.photos().with_file_name("home");
    fs::create_dir(&home).unwrap();
    let library = place.run(&["runtime", "--json"]).ended(0).json_lines();
    let run = |arguments: &[&str]| {
        let mut command = place.command();
        command
            .env("IMGSEARCH_INDEX", "")
            .env("HOME", &home)
            .args(["--ort-library", library[0]["library"].as_str().unwrap()])
            .env("ORT_DYLIB_PATH", "")
            .env_remove("XDG_DATA_HOME")
            .args(arguments);
        ran(command.output().unwrap())
    };
    run(&["index", "photos"]).ended(0);
    let status = run(&["status", "--json"]).ended(0).json_lines();
    let dir = status[0]["dir"].as_str().unwrap();
    assert!(dir.starts_with(home.to_str().unwrap()), "{dir}");
    assert!(!place.index_dir().exists());
}

/// A library that was opened before there was an index finds one that was created since.
#[test]
fn an_index_that_another_process_makes_is_found() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    let mut library = Library::open_or_create(place.index_dir()).unwrap();
    let missing = library.index_view().unwrap_err().to_string();
    assert!(missing.contains("there is no index in"), "{missing}");
    place.index();
    assert_eq!(library.index_view().unwrap().len().unwrap(), 2);
    let found = library.nearest_to(place.photo("cat.jpg"), 1).unwrap();
    assert!(found[0].path.ends_with("cat.jpg"));
    // If another encoder made it, the error says so.
    let of_another = Place::with(&["cat.jpg"]);
    let other = Library::open_or_create(of_another.index_dir()).unwrap();
    of_another.index();
    let database = of_another.index_dir().join("imgsearch.sqlite");
    let connection = rusqlite::Connection::open(database).unwrap();
    connection
        .execute("UPDATE encoder SET fingerprint = 'f', name = 'foreign'", ())
        .unwrap();
    drop(connection);
    let error = other.index_view().unwrap_err().to_string();
    assert!(error.contains("foreign"), "{error}");
    // Its own runs are seen, too.
    fs::copy(sample("rocket.jpg"), place.photo("rocket.jpg")).unwrap();
    let photos = [place.photos()];
    library.index(photos).unwrap();
    assert_eq!(library.index_view().unwrap().len().unwrap(), 3);
}
