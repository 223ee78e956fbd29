//! Meaningless numbers are refused before any work, with the name of the option.

use crate::support::{Place, sample};

/// An option, invalid values of it, and what the message has to name.
type Case = (&'static str, &'static [&'static str], &'static str);

const QUERY: &[Case] = &[
    (
        "--radius=",
        &["nan", "inf", "-inf", "-1", "1e99", "near", ""],
        "--radius",
    ),
    ("--ef=", &["0", "-1", "1.5", "nan"], "--ef"),
    ("-k", &["0", "-1", "1.5"], "-k"),
    (
        "--max-seconds=",
        &["nan", "inf", "0", "-1"],
        "--max-seconds",
    ),
    ("--max-megapixels=", &["nan", "-1"], "--max-megapixels"),
    ("--min-size=", &["nan", "inf", "-1", ""], "is not a size"),
    ("--max-size=", &["nan", "inf", "-1", ""], "is not a size"),
    ("--max-size=", &["99999999T"], "larger than any file"),
];

const TRAIN: &[Case] = &[
    (
        "--learning-rate=",
        &["nan", "inf", "0", "-1"],
        "--learning-rate",
    ),
    ("--hash-weight=", &["nan", "inf", "-1"], "--hash-weight"),
    ("--epochs=", &["0"], "--epochs"),
    ("--code=", &["0"], "--code"),
    ("--bits=", &["0"], "--bits"),
    ("--limit=", &["0"], "--limit"),
];

const DEEP: &[Case] = &[
    (
        "--contraction=",
        &["nan", "inf", "-1"],
        "weight of the contraction",
    ),
    ("--beta=", &["nan", "inf", "-1"], "weight of the beta"),
    (
        "--neighbourhood=",
        &["nan", "inf", "-1"],
        "weight of the neighbourhood",
    ),
    (
        "--two-view=",
        &["nan", "inf", "-1"],
        "weight of the two-view term",
    ),
    (
        "--coding-rate=",
        &["nan", "inf", "-1"],
        "weight of the coding rate",
    ),
    (
        "--noise=",
        &["gaussian:nan", "gaussian:inf", "gaussian:0"],
        "noise of deviation",
    ),
    ("--noise=", &["masking:nan", "masking:1"], "pixels masked"),
    (
        "--sparsity=",
        &["l1:nan", "l1:-1", "kl:0.5:inf"],
        "weight of the sparsity",
    ),
    ("--sparsity=", &["kl:nan:1", "kl:1:1"], "mean activation"),
    ("--batch=", &["0", "1"], "batch"),
    ("--patience=", &["0"], "--patience"),
];

const ADAPT: &[Case] = &[
    ("--limit=", &["0"], "--limit"),
    ("--epochs=", &["0"], "--epochs"),
];

const RECONSTRUCT: &[Case] = &[("--interpolate=", &["0", "1"], "--interpolate")];

#[test]
fn meaningless_numbers_are_refused() {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let cat = sample("cat.jpg");
    let commands: [(&[&str], &[Case]); 5] = [
        (&["query", cat.to_str().unwrap()], QUERY),
        (&["train", "photos", "-o", "my.onnx"], TRAIN),
        (
            &["train", "photos", "-o", "my.onnx", "--kind", "deep"],
            DEEP,
        ),
        (&["adapt"], ADAPT),
        (
            &["reconstruct", "photos/cat.jpg", "photos/cat.jpg"],
            RECONSTRUCT,
        ),
    ];
    for (command, cases) in commands {
        for (option, values, named) in cases {
            for value in *values {
                let given = format!("{option}{value}");
                let ran = place.run(&[command, &[given.as_str()][..]].concat());
                assert_eq!(ran.status, 2, "{command:?} {given}: {ran:?}");
                assert!(ran.stderr.contains(named), "{command:?} {given}: {ran:?}");
                assert!(!ran.stderr.contains("panicked"), "{ran:?}");
            }
        }
    }
}

#[test]
fn the_largest_number_is_accepted_like_any_other() {
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

/// The library itself refuses it, not only the command line.
#[test]
fn the_library_refuses_a_radius_that_is_not_a_distance() {
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
