//! Numbers that mean nothing are refused, with the option's name and before any work.

use crate::support::{Place, sample};

#[test]
fn numbers_that_mean_nothing_are_refused() {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let cat = sample("cat.jpg");
    let query = ["query", cat.to_str().unwrap()];
    let train = ["train", "photos", "-o", "my.onnx"];
    let deep = ["train", "photos", "-o", "my.onnx", "--kind", "deep"];
    let reconstruct = ["reconstruct", "photos/cat.jpg", "photos/cat.jpg"];
    // A command, an option, values of it, and what the message has to name.
    let cases: &[(&[&str], &str, &[&str], &str)] = &[
        (
            &query,
            "--radius=",
            &["nan", "inf", "-inf", "-1", "1e99", "near", ""],
            "--radius",
        ),
        (&query, "--ef=", &["0", "-1", "1.5", "nan"], "--ef"),
        (&query, "-k", &["0", "-1", "1.5"], "-k"),
        (
            &query,
            "--max-seconds=",
            &["nan", "inf", "0", "-1"],
            "--max-seconds",
        ),
        (
            &query,
            "--max-megapixels=",
            &["nan", "-1"],
            "--max-megapixels",
        ),
        (
            &query,
            "--min-size=",
            &["nan", "inf", "-1", ""],
            "is no size",
        ),
        (
            &query,
            "--max-size=",
            &["nan", "inf", "-1", ""],
            "is no size",
        ),
        (
            &query,
            "--max-size=",
            &["99999999T"],
            "larger than any file",
        ),
        (
            &train,
            "--learning-rate=",
            &["nan", "inf", "0", "-1"],
            "--learning-rate",
        ),
        (
            &train,
            "--hash-weight=",
            &["nan", "inf", "-1"],
            "--hash-weight",
        ),
        (&train, "--epochs=", &["0"], "--epochs"),
        (&train, "--code=", &["0"], "--code"),
        (&train, "--bits=", &["0"], "--bits"),
        (&train, "--limit=", &["0"], "--limit"),
        (
            &deep,
            "--contraction=",
            &["nan", "inf", "-1"],
            "weight of the contraction",
        ),
        (
            &deep,
            "--beta=",
            &["nan", "inf", "-1"],
            "weight of the beta",
        ),
        (
            &deep,
            "--neighbourhood=",
            &["nan", "inf", "-1"],
            "weight of the neighbourhood",
        ),
        (
            &deep,
            "--two-view=",
            &["nan", "inf", "-1"],
            "weight of the two-view term",
        ),
        (
            &deep,
            "--coding-rate=",
            &["nan", "inf", "-1"],
            "weight of the coding rate",
        ),
        (
            &deep,
            "--noise=",
            &["gaussian:nan", "gaussian:inf", "gaussian:0"],
            "noise of deviation",
        ),
        (
            &deep,
            "--noise=",
            &["masking:nan", "masking:1"],
            "pixels masked",
        ),
        (
            &deep,
            "--sparsity=",
            &["l1:nan", "l1:-1", "kl:0.5:inf"],
            "weight of the sparsity",
        ),
        (
            &deep,
            "--sparsity=",
            &["kl:nan:1", "kl:1:1"],
            "mean activation",
        ),
        (&deep, "--batch=", &["0", "1"], "batch"),
        (&deep, "--patience=", &["0"], "--patience"),
        (&["adapt"], "--limit=", &["0"], "--limit"),
        (&["adapt"], "--epochs=", &["0"], "--epochs"),
        (&reconstruct, "--interpolate=", &["0", "1"], "--interpolate"),
    ];
    for (command, option, values, named) in cases {
        for value in *values {
            let given = format!("{option}{value}");
            let ran = place.run(&[command, &[given.as_str()][..]].concat());
            assert_eq!(ran.status, 2, "{command:?} {given}: {ran:?}");
            assert!(ran.stderr.contains(named), "{command:?} {given}: {ran:?}");
            assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        }
    }
}

#[test]
fn as_many_as_there_are_is_a_number_like_others() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    let most = usize::MAX.to_string();
    for folded in [false, true] {
        if folded {
            place.run(&["optimize"]).ended(0);
        }
        for options in [
            &["-k", most.as_str()][..],
            &["-k", most.as_str(), "--by", "code"],
            &["-k", most.as_str(), "--exact"],
            &["--ef", most.as_str()],
            &["--ef", most.as_str(), "--by", "code"],
            &["-k", "3000000000", "--by", "hash"],
            &["--radius", "3e38"],
        ] {
            let asked = [&["query", "photos/cat.jpg", "--paths"], options].concat();
            let found = place.run(&asked).ended(0);
            assert_eq!(found.stdout.lines().count(), 2, "{options:?}: {found:?}");
        }
    }
    for threads in ["1000000", most.as_str()] {
        let encoded = place
            .run(&["index", "photos", "--retry", "-j", threads])
            .ended(0);
        assert!(!encoded.stderr.contains("panicked"), "{encoded:?}");
    }
}

/// The library says the same, whoever asks it.
#[test]
fn the_library_refuses_a_radius_that_is_no_distance() {
    use imgsearch::index::{Query, SearchParams};
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let index = imgsearch::index::Index::open(place.index_dir()).unwrap();
    let query = Query::new(&[0.0; 30]);
    for radius in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0] {
        let error = index
            .search(&query, &SearchParams::new(1).radius(radius))
            .unwrap_err();
        assert!(error.to_string().contains("radius"), "{error}");
    }
    let found = index.search(&query, &SearchParams::new(1).radius(9.0));
    assert_eq!(found.unwrap().len(), 1);
}
