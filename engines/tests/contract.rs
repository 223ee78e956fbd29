//! What every collection does: asked of the index in a folder, and of each server.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use imgsearch_engines::{Options, create, open};
use imgsearch_index::collection::{Collection, Entry, FolderCollection};
use imgsearch_index::{
    Error, Filter, ImageId, Moment, Neighbour, Query, RankBy, SearchParams, SearchStrategy,
};

use super::engine::{Engine, of_each_server};
use super::server::Server;
use super::{Image, drawn, encoder, entry, fill};

const IMAGES: usize = 10_000;

/// The recall at ten that a search along graphs has against a scan of the index in a folder.
const RECALL: f64 = 0.99;

/// Runs a test on an empty folder and on an empty collection of each server.
fn of_each(name: &str, test: impl Fn(&dyn Collection)) {
    let dir = tempfile::tempdir().unwrap();
    test(&FolderCollection::open(dir.path(), &encoder()).unwrap());
    of_each_server(|server| {
        let collection = create(&server.url(name), &encoder(), &Options::default()).unwrap();
        test(&*collection);
    });
}

/// Returns the paths of what was found: ids differ between stores.
fn paths(collection: &dyn Collection, found: &[Neighbour]) -> Vec<PathBuf> {
    let ids: Vec<ImageId> = found.iter().map(|found| found.id).collect();
    let images = collection.images(&ids).unwrap();
    images
        .into_iter()
        .map(|image| image.unwrap().path)
        .collect()
}

#[test]
fn a_server_answers_as_a_scan_of_the_folder_does() {
    let images = drawn(IMAGES, 1);
    let dir = tempfile::tempdir().unwrap();
    let folder = FolderCollection::open(dir.path(), &encoder()).unwrap();
    fill(&folder, &images);
    of_each_server(|server| {
        let url = server.url("answers");
        let collection = create(&url, &encoder(), &Options::default()).unwrap();
        fill(&*collection, &images);
        assert_eq!(collection.count(&Filter::default()).unwrap(), IMAGES as u64);
        // Else this would compare one scan with another.
        if let Engine::Postgres(database) = server {
            let plan = database.sql(
                "EXPLAIN SELECT id FROM imgsearch_answers ORDER BY code <-> (SELECT code FROM imgsearch_answers LIMIT 1) \
                 LIMIT 10",
            );
            assert!(plan.contains("imgsearch_answers_by_code"), "{plan}");
        }
        answers_are_near_the_right_ones(&folder, &*collection);
    });
}

fn answers_are_near_the_right_ones(folder: &dyn Collection, collection: &dyn Collection) {
    // Queries lie next to stored images, not on them.
    let others = drawn(IMAGES, 1);
    for by in [RankBy::Code, RankBy::Hash, RankBy::Both] {
        for expand in [0, 3] {
            let (mut same, mut of) = (0, 0);
            for image in others.iter().step_by(100) {
                let mut image = image.clone();
                image.code.iter_mut().for_each(|number| *number += 0.01);
                let hash = image.hash();
                let query = Query::new(&image.code).hash(&hash).logits(&image.logits);
                let params = SearchParams::new(10).by(by).expand(expand);
                let exact = params.clone().strategy(SearchStrategy::Exact);
                let (right, _) = folder.search(&query, &exact).unwrap();
                let (found, _) = collection.search(&query, &params).unwrap();
                let sorted = found.is_sorted_by(|a, b| (a.distance, a.id) <= (b.distance, b.id));
                assert!(sorted, "{by:?}: {found:?}");
                // Whatever is as near as the last one is right, too.
                let last = right.last().unwrap().distance + 1e-4;
                same += found.iter().filter(|found| found.distance <= last).count();
                of += right.len();
                let first = (found[0].distance - right[0].distance).abs();
                assert!(first < 1e-4 || by != RankBy::Code, "{first}");
            }
            let recall = same as f64 / of as f64;
            println!("{by:?}, expanded by {expand}: recall@10 {recall:.4}");
            assert!(recall >= RECALL, "{by:?}, expanded by {expand}: {recall}");
        }
    }
    exact_answers_are_equal(folder, collection, &others);
    within_a_radius_are_the_same(folder, collection, &others);
}

fn exact_answers_are_equal(folder: &dyn Collection, server: &dyn Collection, others: &[Image]) {
    for image in others.iter().step_by(999) {
        let query = Query::new(&image.code);
        let params = SearchParams::new(20).strategy(SearchStrategy::Exact);
        let filtered = params
            .clone()
            .filter(Filter::default().under("/p/3").formats(["png"]));
        for params in [params, filtered] {
            let (right, _) = folder.search(&query, &params).unwrap();
            let (found, _) = server.search(&query, &params).unwrap();
            assert_eq!(paths(server, &found), paths(folder, &right));
            for (found, right) in found.iter().zip(&right) {
                assert!((found.distance - right.distance).abs() < 1e-5);
            }
        }
    }
}

fn within_a_radius_are_the_same(
    folder: &dyn Collection,
    server: &dyn Collection,
    others: &[Image],
) {
    for image in others.iter().step_by(2_000) {
        let hash = image.hash();
        let of = |collection: &dyn Collection| {
            let found = collection.within_hamming(&hash, 40, 10_000).unwrap();
            assert!(found.is_sorted_by(|a, b| (a.hamming, a.id) <= (b.hamming, b.id)));
            let mut of: Vec<_> = found
                .iter()
                .map(|found| found.hamming)
                .zip(paths(collection, &found))
                .collect();
            of.sort();
            of
        };
        let (right, found) = (of(folder), of(server));
        assert!(!right.is_empty());
        assert_eq!(found, right);
        assert_eq!(server.within_hamming(&hash, 40, 1).unwrap().len(), 1);
    }
}

fn changed(change: impl Fn(&mut Filter)) -> Filter {
    let mut filter = Filter::default();
    change(&mut filter);
    filter
}

#[test]
fn filters_leave_the_same_images() {
    let images = drawn(600, 2);
    let filters = [
        Filter::default(),
        Filter::default().under("/p/3").under("/p/4/000004.jpg"),
        Filter::default().under("/p/3").formats(["jpeg"]),
        changed(|filter| (filter.min_size, filter.max_size) = (Some(100), Some(200))),
        changed(|filter| {
            filter.after = Some(Moment::utc(-9));
            filter.before = Some(Moment::utc(50));
        }),
        changed(|filter| filter.globs = vec!["*/00000?.png".to_owned(), "*99.jpg".to_owned()]),
        Filter::default().label([3, 4], 0.5),
        Filter::default().label([3, 500], 0.7),
        Filter::default().label([500], 0.3),
        Filter::default().under("/nowhere"),
    ];
    let mut answers: Vec<Vec<Vec<PathBuf>>> = Vec::new();
    let seen = std::cell::RefCell::new(&mut answers);
    of_each("filters", |collection| {
        fill(collection, &images);
        let of_filter = |filter: &Filter| {
            let query = Query::new(&images[0].code);
            let params = SearchParams::new(1000).filter(filter.clone());
            let (found, stats) = collection.search(&query, &params).unwrap();
            assert_eq!(collection.count(filter).unwrap(), found.len() as u64);
            if found.is_empty() {
                assert_eq!((stats.images, stats.allowed), (600, 0));
            }
            paths(collection, &found)
        };
        seen.borrow_mut()
            .push(filters.iter().map(of_filter).collect());
        // Ids are each store's own.
        let [Some(image)] = &collection.by_paths(&["/p/5/000005.png".into()]).unwrap()[..] else {
            panic!("it is stored");
        };
        let params = SearchParams::new(9).filter(Filter::default().ids([image.id]));
        let (found, _) = collection
            .search(&Query::new(&images[0].code), &params)
            .unwrap();
        assert_eq!(found.len(), 1);
        let bad = changed(|filter| filter.globs = vec!["a[".to_owned()]);
        assert!(matches!(
            collection.count(&bad),
            Err(Error::InvalidInput(_))
        ));
    });
    let sizes: Vec<usize> = answers[0].iter().map(Vec::len).collect();
    assert_eq!(sizes, [600, 61, 0, 101, 37, 5, 24, 12, 0, 0]);
    for other in &answers[1..] {
        assert_eq!(*other, answers[0]);
    }
}

#[test]
fn what_is_stored_comes_back_and_batches_may_be_repeated() {
    let images = drawn(50, 3);
    of_each("stored", |collection| {
        fill(collection, &images);
        let all = |collection: &dyn Collection| {
            let images = collection.under(Path::new("/p"), None, 1000).unwrap();
            images
                .into_iter()
                .map(|image| (image.id, image))
                .collect::<HashMap<_, _>>()
        };
        let before = all(collection);
        // Again, in another order, and some twice.
        let mut again: Vec<Entry> = images
            .iter()
            .enumerate()
            .map(|(i, image)| entry(i, image))
            .collect();
        again.reverse();
        again.push(again[7].clone());
        collection.upsert(&again).unwrap();
        assert_eq!(all(collection), before, "nothing is doubled, and ids stay");
        for (i, image) in images.iter().enumerate() {
            let given = entry(i, image);
            let stored = &collection
                .by_paths(std::slice::from_ref(&given.path))
                .unwrap()[0];
            let stored = stored.as_ref().unwrap();
            assert_eq!((&stored.path, stored.stat), (&given.path, given.stat));
            assert_eq!(
                (stored.taken, &stored.damage),
                (given.content.taken, &given.content.damage)
            );
            let mut content = collection.content(&given.content.digest).unwrap().unwrap();
            for (label, given) in content.labels.iter_mut().zip(&given.content.labels) {
                assert!((label.probability - given.probability).abs() < 1.0 / 255.0);
                label.probability = given.probability;
            }
            assert_eq!(content, given.content);
            let codes = collection.codes(&[stored.id, ImageId(-5)]).unwrap();
            let [Some(code), None] = &codes[..] else {
                panic!("{codes:?}")
            };
            assert_eq!((&code.code, &code.hash), (&image.code, &image.hash()));
        }
        assert!(collection.content(&[1; 32]).unwrap().is_none());
        let labelled = collection.labelled(3, 9).unwrap();
        assert_eq!(labelled.len(), 1);
        assert_eq!(collection.labelled(500, 9).unwrap().len(), 9);
        assert_eq!(collection.check().unwrap(), Vec::<String>::new());
        // A server may not tell.
        assert_ne!(collection.bytes().unwrap(), Some(0));
        // Page by page.
        let (mut after, mut met) = (None, 0);
        loop {
            let page = collection.under(Path::new("/p"), after, 7).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            met += page.len();
        }
        assert_eq!(met, 50);
    });
}

#[test]
fn a_changed_file_replaces_what_was_there_and_duplicates_share_a_content() {
    let images = drawn(20, 4);
    of_each("changed", |collection| {
        fill(collection, &images);
        let before = collection.by_paths(&[entry(3, &images[3]).path]).unwrap();
        let before = before[0].clone().unwrap();
        // Another content under the path, and the content of another file under a new path, in one batch.
        let changed = Entry {
            path: before.path.clone(),
            ..entry(100, &images[5])
        };
        let copy = Entry {
            path: "/p/copy.jpg".into(),
            ..entry(7, &images[7])
        };
        collection.upsert(&[changed, copy.clone()]).unwrap();
        let after = collection
            .by_paths(&[before.path, copy.path.clone()])
            .unwrap();
        let [Some(changed), Some(copy)] = &after[..] else {
            panic!("{after:?}")
        };
        assert_ne!(changed.id, before.id, "an id names one content");
        assert_eq!(copy.digest, entry(7, &images[7]).content.digest);
        assert_eq!(collection.images(&[before.id]).unwrap(), [None]);
        assert_eq!(collection.count(&Filter::default()).unwrap(), 21);
        let params = SearchParams::new(2);
        let (found, _) = collection
            .search(&Query::new(&images[7].code), &params)
            .unwrap();
        assert!(
            found.iter().all(|found| found.distance == 0.0),
            "both copies: {found:?}"
        );
        // Removing one leaves the other.
        assert_eq!(collection.remove(&[copy.id, before.id]).unwrap(), 1);
        assert_eq!(collection.remove(&[copy.id]).unwrap(), 0);
        assert!(collection.content(&copy.digest).unwrap().is_some());
    });
}

#[test]
fn wrong_questions_are_refused_and_k_may_be_above_the_count() {
    let images = drawn(30, 5);
    of_each("refused", |collection| {
        let query = Query::new(&images[0].code);
        let (found, stats) = collection.search(&query, &SearchParams::new(5)).unwrap();
        assert_eq!((found.len(), stats.images), (0, 0), "an empty collection");
        fill(collection, &images);
        let hash = images[0].hash();
        let query = query.hash(&hash);
        for by in [RankBy::Code, RankBy::Hash, RankBy::Both] {
            let params = SearchParams::new(1000).by(by);
            assert_eq!(collection.search(&query, &params).unwrap().0.len(), 30);
            let (near, _) = collection.search(&query, &params.radius(0.0)).unwrap();
            assert_eq!(near.len(), 1, "{by:?}");
        }
        let refused = |query: &Query<'_>, params: SearchParams| {
            let error = collection.search(query, &params).unwrap_err();
            assert!(matches!(error, Error::InvalidInput(_)), "{error}");
        };
        refused(&query, SearchParams::new(0));
        refused(&Query::new(&images[0].code[1..]), SearchParams::new(1));
        refused(&Query::new(&[f32::NAN; 30]), SearchParams::new(1));
        refused(
            &Query::new(&images[0].code),
            SearchParams::new(1).by(RankBy::Hash),
        );
        refused(&query.hash(&[0]), SearchParams::new(1).by(RankBy::Both));
        let mut bad = entry(99, &images[0]);
        bad.content.code[3] = f32::INFINITY;
        assert!(matches!(
            collection.upsert(&[entry(98, &images[0]), bad]),
            Err(Error::InvalidInput(_))
        ));
        assert_eq!(
            collection.count(&Filter::default()).unwrap(),
            30,
            "all of a batch or nothing"
        );
    });
}

#[test]
fn another_encoder_and_other_dimensions_are_refused() {
    of_each_server(|server| {
        let options = Options::default();
        let url = server.url("encoders");
        let collection = create(&url, &encoder(), &options).unwrap();
        fill(&*collection, &drawn(3, 6));
        let mut other = encoder();
        other.fingerprint = "2b3c".to_owned();
        let error = create(&url, &other, &options).unwrap_err();
        assert!(matches!(error, Error::EncoderMismatch { .. }), "{error}");
        assert!(!error.to_string().contains(&server.secret()), "{error}");
        let mut longer = encoder();
        longer.code_len = 31;
        assert!(matches!(
            create(&url, &longer, &options),
            Err(Error::EncoderMismatch { .. })
        ));
        let opened = open(&url, &options).unwrap();
        assert_eq!(opened.encoder(), &encoder());
        assert_eq!(opened.count(&Filter::default()).unwrap(), 3);
        assert!(matches!(
            open(&server.url("nothing"), &options),
            Err(Error::IndexNotFound { .. })
        ));
    });
}

#[test]
fn a_table_of_a_newer_program_or_that_somebody_changed_is_refused() {
    let Some(server) = Server::start() else {
        return;
    };
    let options = Options::default();
    let url = server.url("encoders");
    create(&url, &encoder(), &options).unwrap();
    server.sql("UPDATE imgsearch_collections SET version = 99");
    assert!(matches!(
        open(&url, &options),
        Err(Error::NewerFormat { found: 99, .. })
    ));
    server.sql("UPDATE imgsearch_collections SET version = 1; DROP TABLE imgsearch_encoders");
    let error = open(&url, &options).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}
