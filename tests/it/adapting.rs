//! A new index trains an encoder on its first images.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use image::imageops::FilterType;
use imgsearch::{Adaptation, Library, Outcome, Progress, Summary};
use serde_json::Value;

use crate::support::{Place, sample};

/// Images that are enough for an encoder.
const ENOUGH: usize = 330;

/// Creates `n` small images: different parts of the samples.
fn parts(place: &Place, n: usize) {
    let names = [
        "cat.jpg",
        "coffee.jpg",
        "gravel.jpg",
        "bricks.jpg",
        "grass.jpg",
    ];
    let samples = names.map(|name| {
        let image = image::open(sample(name)).unwrap();
        image.resize(160, 160, FilterType::Triangle).to_rgb8()
    });
    for i in 0..n {
        let from = &samples[i % samples.len()];
        let (width, height) = (from.width() / 2, from.height() / 2);
        let step = (i / samples.len()) as u32;
        let (x, y) = (step * 7 % width, step * 11 % height);
        let part = image::imageops::crop_imm(from, x, y, width, height).to_image();
        part.save(place.photo(&format!("{i:04}.png"))).unwrap();
    }
}

/// Cancels after a number of files.
struct After {
    files: usize,
    seen: AtomicUsize,
    cancelled: AtomicBool,
}

impl After {
    fn new(files: usize) -> Self {
        Self {
            files,
            seen: AtomicUsize::new(0),
            cancelled: AtomicBool::new(false),
        }
    }
}

impl Progress for After {
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn file(&self, _: &std::path::Path, _: &Outcome) {
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.files {
            self.cancelled.store(true, Ordering::Relaxed);
        }
    }
}

fn trained_on(summary: &Summary) -> usize {
    match summary.adaptation {
        Some(Adaptation::Better { images, .. } | Adaptation::NotBetter { images, .. }) => images,
        _ => panic!("{summary:?}"),
    }
}

/// Every image is found by itself, with the index's own encoder.
fn finds_itself(library: &Library, place: &Place) {
    for i in (0..ENOUGH).step_by(37) {
        let path = place.photo(&format!("{i:04}.png"));
        let found = library.nearest_to(&path, 3).unwrap();
        assert!(found[0].distance < 1e-3, "{found:?}");
        assert!(
            found
                .iter()
                .take(2)
                .any(|found| found.path.ends_with(path.file_name().unwrap()))
        );
    }
}

#[test]
fn a_new_index_trains_on_its_images_and_goes_on_after_an_interruption() {
    let place = Place::new();
    parts(&place, ENOUGH);
    // Nothing is lost by an interruption, and what is stored can be searched.
    let mut library = Library::open_or_create(place.index_dir()).unwrap();
    let stop = After::new(100);
    let summary = library
        .indexer()
        .progress(&stop)
        .run([place.photos()])
        .unwrap();
    assert!(summary.interrupted && summary.added >= 100 && summary.added < ENOUGH);
    assert_eq!(summary.adaptation, None);
    let stored = library.index_view().unwrap().searcher().unwrap().len();
    assert_eq!(stored, summary.added);
    drop(library);

    let mut library = Library::open_or_create(place.index_dir()).unwrap();
    let summary = library.index([place.photos()]).unwrap();
    assert_eq!(summary.added + stored, ENOUGH);
    assert_eq!(trained_on(&summary), ENOUGH);
    let better = matches!(summary.adaptation, Some(Adaptation::Better { .. }));
    let name = library.index_view().unwrap().encoder().name.clone();
    assert_eq!(name.ends_with(", adapted"), better, "{name}");
    finds_itself(&library, &place);
    drop(library);

    // The next run leaves the encoder alone, and so does a library that is opened again.
    let mut library = Library::open_or_create(place.index_dir()).unwrap();
    let summary = library.index([place.photos()]).unwrap();
    assert_eq!((summary.unchanged, summary.adaptation), (ENOUGH, None));
    assert_eq!(library.index_view().unwrap().encoder().name, name);
    finds_itself(&library, &place);
    let check = place.run(&["check"]).ended(0);
    assert!(check.stdout.contains("no problem found"), "{check:?}");

    // It says so when the collection has doubled, once.
    for i in 0..ENOUGH {
        let from = image::open(place.photo(&format!("{i:04}.png"))).unwrap();
        let name = format!("more-{i:04}.png");
        from.fliph().save(place.photo(&name)).unwrap();
    }
    let grown = place.run(&["index", "photos"]).ended(0);
    assert!(
        grown.stderr.contains("has grown from 330 to 660"),
        "{grown:?}"
    );
    assert!(grown.stderr.contains("imgsearch adapt"), "{grown:?}");
    let again = place.run(&["index", "photos"]).ended(0);
    assert!(!again.stderr.contains("has grown"), "{again:?}");
}

#[test]
fn files_that_vanish_after_an_interruption_keep_the_built_in_encoder() {
    let place = Place::new();
    parts(&place, ENOUGH + 20);
    let mut library = Library::open_or_create(place.index_dir()).unwrap();
    let stop = After::new(60);
    let run = library.indexer().progress(&stop);
    assert!(run.run([place.photos()]).unwrap().interrupted);
    // Files that were stored, but not all of a folder: these are forgotten at the end of the run.
    let stored = library.index_view().unwrap().to_reader().unwrap();
    for path in stored.paths().unwrap().iter().take(5) {
        std::fs::remove_file(path).unwrap();
    }
    let summary = library.index([place.photos()]).unwrap();
    let Some(Adaptation::Failed { reason }) = &summary.adaptation else {
        panic!("{summary:?}");
    };
    assert!(reason.starts_with("5 images"), "{reason}");
    assert_eq!(library.index_view().unwrap().encoder().name, "imgsearch-2");
    assert_eq!(
        library.index_view().unwrap().searcher().unwrap().len(),
        ENOUGH + 15
    );
}

#[test]
fn few_images_wait_and_a_chosen_encoder_stays() {
    let place = Place::new();
    // A run that finds no image leaves the index new.
    place.run(&["index", "photos"]).ended(0);
    parts(&place, 20);
    let ran = place.run(&["index", "photos"]).ended(0);
    assert!(ran.stderr.contains("from 300 images on"), "{ran:?}");
    // The first run that has enough of them trains, on those that are stored, too.
    parts(&place, ENOUGH);
    let mut library = Library::open(place.index_dir()).unwrap();
    let summary = library.index([place.photos()]).unwrap();
    assert_eq!((summary.unchanged, summary.added), (20, ENOUGH - 20));
    assert_eq!(trained_on(&summary), ENOUGH);
    finds_itself(&library, &place);

    for options in [
        &["--no-adapt"][..],
        &["--adapt", "never"],
        &["--encoder", "built-in"],
    ] {
        let place = Place::new();
        parts(&place, ENOUGH);
        let arguments = [&["index", "photos", "--json"], options].concat();
        let summary = place.run(&arguments).ended(0).summary();
        assert_eq!(summary["adaptation"], Value::Null, "{options:?}");
        // The choice holds for later runs.
        let summary = place.run(&["index", "photos", "--json"]).ended(0).summary();
        assert_eq!(summary["adaptation"], Value::Null, "{options:?}");
    }
    let ran = place.run(&["index", "photos", "--no-adapt", "--adapt", "auto"]);
    assert_eq!(ran.status, 2);
}

#[test]
fn a_collection_of_one_image_has_nothing_to_learn() {
    let place = Place::with(&["cat.jpg"]);
    for i in 0..ENOUGH {
        std::fs::copy(place.photo("cat.jpg"), place.photo(&format!("{i}.jpg"))).unwrap();
    }
    let ran = place.run(&["index", "photos"]).ended(0);
    assert!(ran.stderr.contains("none could be trained"), "{ran:?}");
    assert!(
        ran.stderr.contains("1 of the images are different"),
        "{ran:?}"
    );
}
