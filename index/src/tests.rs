//! The store against a model of it, search against a naive one, and what must be refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use proptest::prelude::*;

use crate::*;

mod damage;
mod views;

pub(crate) fn encoder(code_len: usize, bits: usize) -> EncoderRecord {
    EncoderRecord {
        fingerprint: format!("{code_len}-{bits}"),
        name: "test".to_owned(),
        code_len,
        bits,
        hash_weight: 3.0,
        metadata: "{}".to_owned(),
    }
}

pub(crate) fn content(number: u64, code: Vec<f32>, hash: Vec<u8>) -> NewContent {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_le_bytes());
    NewContent {
        digest,
        width: 4,
        height: 3,
        format: "jpeg".to_owned(),
        taken: Some(-5),
        damage: None,
        code,
        hash,
    }
}

pub(crate) fn insert(path: &str, content: NewContent) -> Change {
    Change::Insert {
        path: path.into(),
        stat: FileStat {
            size: 7,
            mtime_ns: -9,
            ..FileStat::default()
        },
        content,
    }
}

/// Numbers from a few values, so that distances tie.
fn few_values(seed: &mut u64) -> f32 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    ((*seed >> 60) % 3) as f32 - 1.0
}

fn filled(dir: &Path, n: u64, code_len: usize, bits: usize) -> Vec<(Vec<f32>, Vec<u8>)> {
    let mut writer = Writer::open(dir, &encoder(code_len, bits)).unwrap();
    let mut seed = 42;
    let rows: Vec<(Vec<f32>, Vec<u8>)> = (0..n)
        .map(|_| {
            let code = (0..code_len).map(|_| few_values(&mut seed)).collect();
            let logits: Vec<f32> = (0..bits).map(|_| few_values(&mut seed)).collect();
            (code, pack_bits(&logits))
        })
        .collect();
    let changes: Vec<Change> = rows
        .iter()
        .enumerate()
        .map(|(i, (code, hash))| {
            insert(
                &format!("/p/{i:05}.jpg"),
                content(i as u64, code.clone(), hash.clone()),
            )
        })
        .collect();
    writer.apply(&changes).unwrap();
    rows
}

#[test]
fn search_is_the_naive_ranking_for_every_measure_and_length() {
    for (code_len, bits) in [(30, 256), (7, 65), (1, 1), (33, 100)] {
        let dir = tempfile::tempdir().unwrap();
        let rows = filled(dir.path(), 400, code_len, bits);
        let index = Index::open(dir.path()).unwrap();
        for (code, hash) in rows.iter().take(20) {
            let query = Query {
                code,
                hash: Some(hash),
            };
            for by in [RankBy::Code, RankBy::Hash, RankBy::Both] {
                let mut naive: Vec<(f32, i64)> = rows
                    .iter()
                    .enumerate()
                    .map(|(i, (other, bits_of))| {
                        let square: f32 =
                            code.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum();
                        let share = hamming(hash, bits_of) as f32 / bits as f32;
                        let distance = match by {
                            RankBy::Code => square.sqrt(),
                            RankBy::Hash => share,
                            RankBy::Both => {
                                square + 3.0 / bits as f32 * hamming(hash, bits_of) as f32
                            }
                        };
                        (distance, i as i64 + 1)
                    })
                    .collect();
                naive.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                for k in [1, 13, 400, 1000] {
                    let found = index.search(&query, &SearchParams::new(k).by(by)).unwrap();
                    assert_eq!(found.len(), k.min(400));
                    for (found, (distance, id)) in found.iter().zip(&naive) {
                        assert_eq!(found.id.0, *id, "{by:?} {k}");
                        assert!((found.distance - distance).abs() < 1e-5);
                    }
                }
            }
            let near = index.within_hamming(hash, 2).unwrap();
            let expected = rows
                .iter()
                .filter(|(_, other)| hamming(hash, other) <= 2)
                .count();
            assert_eq!(near.len(), expected);
            assert!(
                near.windows(2)
                    .all(|pair| pair[0].hamming <= pair[1].hamming)
            );
        }
    }
}

#[test]
fn what_cannot_be_asked_or_stored_is_refused_and_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Index::open(dir.path()),
        Err(Error::NoIndex { .. })
    ));
    assert!(matches!(
        Writer::open_existing(dir.path()),
        Err(Error::NoIndex { .. })
    ));
    filled(dir.path(), 3, 4, 16);
    let index = Index::open(dir.path()).unwrap();
    for (code, k) in [
        (&[0.0f32; 4][..], 0),
        (&[0.0; 3], 5),
        (&[f32::NAN, 0.0, 0.0, 0.0], 5),
        (&[f32::INFINITY; 4], 5),
    ] {
        assert!(
            matches!(index.nearest(code, k), Err(Error::BadInput(_))),
            "{code:?} {k}"
        );
    }
    assert!(index.within_hamming(&[0], 3).is_err());
    let no_hash = Query {
        code: &[0.0; 4],
        hash: None,
    };
    assert!(
        index
            .search(&no_hash, &SearchParams::new(1).by(RankBy::Hash))
            .is_err()
    );

    let mut writer = Writer::open(dir.path(), &encoder(4, 16)).unwrap();
    for bad in [
        content(9, vec![0.0; 3], vec![0; 2]),
        content(9, vec![0.0; 4], vec![0; 3]),
        content(9, vec![f32::NAN, 0.0, 0.0, 0.0], vec![0; 2]),
    ] {
        let good = insert("/good.jpg", content(8, vec![0.0; 4], vec![0; 2]));
        assert!(writer.apply(&[good, insert("/bad.jpg", bad)]).is_err());
    }
    for bad in [
        Change::Remove { id: ImageId(99) },
        Change::InsertKnown {
            path: "/x".into(),
            stat: FileStat::default(),
            digest: [7; 32],
        },
        Change::Touch {
            path: "/nowhere".into(),
            stat: FileStat::default(),
        },
    ] {
        let good = insert("/good.jpg", content(8, vec![0.0; 4], vec![0; 2]));
        assert!(writer.apply(&[good, bad]).is_err());
    }
    assert_eq!(writer.reader().unwrap().stats().unwrap().images, 3);
}

#[test]
fn another_encoder_and_another_writer_are_refused_and_readers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3, 4, 16);
    let mut other = encoder(4, 16);
    other.fingerprint = "g".to_owned();
    other.name = "other".to_owned();
    let error = Writer::open(dir.path(), &other).unwrap_err();
    assert!(matches!(error, Error::EncoderMismatch { .. }));
    assert!(error.to_string().contains("--reencode"));

    let mut writer = Writer::open(dir.path(), &encoder(4, 16)).unwrap();
    match Writer::open(dir.path(), &encoder(4, 16)) {
        Err(Error::Locked { holder, .. }) => assert_eq!(holder.pid, std::process::id()),
        other => panic!("{other:?}"),
    }
    let index = Index::open(dir.path()).unwrap();
    let view = index.searcher().unwrap();
    assert_eq!((index.len().unwrap(), view.len()), (3, 3));
    writer
        .apply(&[insert("/new.jpg", content(77, vec![1.0; 4], vec![1; 2]))])
        .unwrap();
    assert_eq!(view.len(), 3, "a view does not change under its reader");
    assert_eq!(index.len().unwrap(), 4, "the next search sees it");
    let new = index.nearest(&[1.0; 4], 1).unwrap()[0].id;
    writer.apply(&[Change::Remove { id: new }]).unwrap();
    assert_eq!(index.len().unwrap(), 3);
    assert!(Arc::ptr_eq(
        &index.searcher().unwrap(),
        &index.searcher().unwrap()
    ));
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 1, 4, 16);
    let database = dir.path().join("imgsearch.sqlite");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .pragma_update(None, "user_version", FORMAT_VERSION + 1)
        .unwrap();
    drop(connection);
    for error in [
        Index::open(dir.path()).unwrap_err(),
        Writer::open(dir.path(), &encoder(4, 16)).unwrap_err(),
    ] {
        assert!(matches!(error, Error::NewerFormat { .. }), "{error}");
    }
}

/// The database as each format was first written: six images, two of one content, and a failure;
/// since format 3 a removed image and a folder, too.
#[test]
fn every_format_is_read_for_good() {
    if std::env::var_os("FREEZE_FORMAT").is_some() {
        freeze(&frozen(FORMAT_VERSION));
    }
    for format in 1..=FORMAT_VERSION {
        read_frozen(&frozen(format), format);
    }
}

fn frozen(format: i64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/format-{format}.sqlite"))
}

fn read_frozen(frozen: &Path, format: i64) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(frozen, dir.path().join("imgsearch.sqlite")).unwrap();
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.encoder(), &encoder(4, 12));
    let found = index.nearest(&[2.0, 0.0, 0.0, 0.0], 3).unwrap();
    assert_eq!(
        found.iter().map(|found| found.id.0).collect::<Vec<_>>(),
        [3, 6, 2]
    );
    let image = index.image(ImageId(3)).unwrap().unwrap();
    assert_eq!(image.path, PathBuf::from("/frozen/2.jpg"));
    assert_eq!(
        (image.stat.size, image.stat.mtime_ns, image.taken),
        (7, -9, Some(-5))
    );
    let reader = index.to_reader().unwrap();
    assert_eq!(reader.failures().unwrap()[0].reason, "truncated");
    assert!(reader.last_run().unwrap().unwrap().completed);
    let (trash, folders) = (reader.trash().unwrap(), reader.folders().unwrap());
    drop((index, reader));
    let mut writer = Writer::open(dir.path(), &encoder(4, 12)).unwrap();
    if format < 3 {
        assert!(trash.is_empty() && folders.is_empty());
        assert_eq!((image.stat.inode, image.away_since), (0, None));
    } else {
        assert_eq!(trash[0].path, Path::new("/frozen/removed.jpg"));
        assert_eq!(folders[Path::new("/frozen")], FROZEN_FOLDER);
        assert_eq!((image.stat.inode, image.stat.ctime_ns), (5, 8));
        assert_eq!(writer.restore(None).unwrap().images, 1);
        let restored = writer.reader().unwrap().image(ImageId(8)).unwrap();
        assert_eq!(restored.unwrap().path, trash[0].path);
    }
    let images = writer.reader().unwrap().count().unwrap();
    let removed = writer.remove_under(Path::new("/frozen")).unwrap();
    assert_eq!(removed, images);
}

const FROZEN_FOLDER: FolderId = FolderId {
    device: 64,
    inode: 3,
    born_ns: 12,
};

fn freeze(path: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), &encoder(4, 12)).unwrap();
    writer.begin_run(&["/frozen".into()]).unwrap();
    let mut changes: Vec<Change> = (0..5u8)
        .map(|i| {
            insert(
                &format!("/frozen/{i}.jpg"),
                content(i.into(), vec![f32::from(i), 0.0, 0.0, 0.0], vec![i, 0]),
            )
        })
        .collect();
    let Change::Insert { content, .. } = &changes[2] else {
        unreachable!()
    };
    let digest = content.digest;
    changes.push(Change::InsertKnown {
        path: "/frozen/twin.jpg".into(),
        stat: FileStat::default(),
        digest,
    });
    changes.push(Change::Failure {
        path: "/frozen/broken.jpg".into(),
        stat: FileStat::default(),
        stage: "decode".to_owned(),
        reason: "truncated".to_owned(),
        digest: Some([9; 32]),
    });
    changes.push(insert(
        "/frozen/removed.jpg",
        self::content(7, vec![7.0, 0.0, 0.0, 0.0], vec![7, 0]),
    ));
    for change in &mut changes {
        if let Change::Insert { stat, .. } = change {
            (stat.inode, stat.ctime_ns) = (5, 8);
        }
    }
    writer.apply(&changes).unwrap();
    writer.apply(&[Change::Discard { id: ImageId(7) }]).unwrap();
    writer
        .set_folders([(Path::new("/frozen"), FROZEN_FOLDER)], [])
        .unwrap();
    writer
        .finish_run(&serde_json::json!({"added": 6}), true)
        .unwrap();
    drop(writer);
    let connection = rusqlite::Connection::open(dir.path().join("imgsearch.sqlite")).unwrap();
    connection
        .pragma_update(None, "journal_mode", "delete")
        .unwrap();
    drop(connection);
    std::fs::copy(dir.path().join("imgsearch.sqlite"), path).unwrap();
}

#[test]
fn an_index_takes_the_place_of_another_whole() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(old.path(), 5, 4, 16);
    filled(new.path(), 2, 6, 24);
    let mut writer = Writer::open_existing(old.path()).unwrap();
    let failed = |path: &str| Change::Failure {
        path: path.into(),
        stat: FileStat::default(),
        stage: "read".to_owned(),
        reason: "gone".to_owned(),
        digest: None,
    };
    writer.apply(&[failed("/elsewhere")]).unwrap();
    let mut other = Writer::open_existing(new.path()).unwrap();
    // One path of the old index with another content, and one that is new.
    let moved = other.reader().unwrap().paths().unwrap()[1].clone();
    other
        .apply(&[
            insert(
                moved.to_str().unwrap(),
                content(77, vec![0.5; 6], vec![1, 2, 3]),
            ),
            insert("/new", content(78, vec![0.25; 6], vec![0, 0, 3])),
            failed("/failed"),
        ])
        .unwrap();

    let mut reading = Index::open(old.path()).unwrap();
    assert_eq!(reading.len().unwrap(), 5);
    let view = reading.searcher().unwrap();
    let late = Index::open(old.path()).unwrap();
    let ids = |index: &Index| -> BTreeMap<PathBuf, ImageId> {
        let images = index.to_reader().unwrap().under(Path::new("/")).unwrap();
        images
            .into_iter()
            .map(|image| (image.path, image.id))
            .collect()
    };
    let before = ids(&reading);
    writer.replace_with(other).unwrap();
    assert_eq!(writer.encoder().code_len, 6);

    // A view goes on; codes of two encoders are not mixed up.
    assert_eq!(view.nearest(&[0.0; 4], 9).unwrap().len(), 5);
    for index in [&reading, &late] {
        assert!(matches!(index.len(), Err(Error::EncoderMismatch { .. })));
    }
    reading.refresh().unwrap();
    assert_eq!((reading.len().unwrap(), reading.encoder().code_len), (3, 6));
    let after = ids(&reading);
    assert_eq!(after.len(), 3);
    let stays = before
        .keys()
        .find(|path| after.contains_key(*path) && **path != moved);
    let stays = stays.unwrap();
    assert_eq!(after[stays], before[stays], "the same image keeps its id");
    let highest = *before.values().max().unwrap();
    assert!(after[&moved] > highest, "an id names one content for good");
    assert!(after[Path::new("/new")] > highest);
    let found = reading.nearest(&[0.5; 6], 1).unwrap();
    assert_eq!((found[0].id, found[0].distance), (after[&moved], 0.0));
    let failures = reading.to_reader().unwrap().failures().unwrap();
    let failures: Vec<_> = failures
        .iter()
        .map(|failure| failure.path.clone())
        .collect();
    assert_eq!(failures, [Path::new("/elsewhere"), Path::new("/failed")]);
}

#[test]
fn a_database_that_was_only_begun_is_no_index() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("imgsearch.sqlite");
    std::fs::write(&database, "").unwrap();
    let no_index = |dir: &Path| {
        for error in [
            Index::open(dir).unwrap_err(),
            Writer::open_existing(dir).unwrap_err(),
        ] {
            assert!(matches!(error, Error::NoIndex { .. }), "{error}");
        }
    };
    no_index(dir.path());
    drop(crate::store::schema::open_writable(dir.path()).unwrap());
    no_index(dir.path());
    // Indexing goes on from there.
    filled(dir.path(), 1, 4, 16);

    let other = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(other.path().join("imgsearch.sqlite")).unwrap();
    connection.execute("CREATE TABLE notes (text)", ()).unwrap();
    // Whatever format it says that it has.
    for version in [0, 1, 99] {
        connection
            .pragma_update(None, "user_version", version)
            .unwrap();
        for error in [
            Index::open(other.path()).unwrap_err(),
            Writer::open(other.path(), &encoder(4, 16)).unwrap_err(),
        ] {
            assert!(error.to_string().contains("of another program"), "{error}");
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Insert { path: u8, content: u8 },
    Known { path: u8, content: u8 },
    Rename { from: u8, to: u8 },
    Remove { path: u8 },
    Fail { path: u8 },
    Touch { path: u8 },
    Fold { all: bool },
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let path = 0u8..8;
    let content = 0u8..5;
    prop_oneof![
        (path.clone(), content.clone()).prop_map(|(path, content)| Step::Insert { path, content }),
        (path.clone(), content).prop_map(|(path, content)| Step::Known { path, content }),
        (path.clone(), path.clone()).prop_map(|(from, to)| Step::Rename { from, to }),
        path.clone().prop_map(|path| Step::Remove { path }),
        path.clone().prop_map(|path| Step::Fail { path }),
        path.prop_map(|path| Step::Touch { path }),
        any::<bool>().prop_map(|all| Step::Fold { all }),
        Just(Step::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_store_does_what_a_map_does(steps in prop::collection::vec(step(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path(), &encoder(2, 8)).unwrap();
        let reader = writer.reader().unwrap();
        let index = Index::open(dir.path()).unwrap();
        // Path to (content, id), and the contents that may still be stored.
        let mut model: BTreeMap<u8, (u8, i64)> = BTreeMap::new();
        let mut contents = std::collections::BTreeSet::new();
        let name = |path: u8| format!("/m/{path}");
        let made = |number: u8| content(number.into(), vec![f32::from(number), 0.0], vec![number]);
        let mut newest = 0;
        for step in steps {
            let change = match &step {
                Step::Insert { path, content } => insert(&name(*path), made(*content)),
                Step::Known { path, content } => Change::InsertKnown {
                    path: name(*path).into(),
                    stat: FileStat::default(),
                    digest: made(*content).digest,
                },
                Step::Rename { from, to } => {
                    let Some((_, id)) = model.get(from) else { continue };
                    Change::Rename { id: ImageId(*id), path: name(*to).into(), stat: FileStat::default() }
                }
                Step::Remove { path } => {
                    let Some((_, id)) = model.get(path) else { continue };
                    Change::Remove { id: ImageId(*id) }
                }
                Step::Fail { path } => Change::Failure {
                    path: name(*path).into(),
                    stat: FileStat::default(),
                    stage: "decode".to_owned(),
                    reason: "broken".to_owned(),
                    digest: Some([1; 32]),
                },
                Step::Touch { path } => Change::Touch {
                    path: name(*path).into(),
                    stat: FileStat { size: 1, mtime_ns: 2, ..FileStat::default() },
                },
                Step::Fold { all } => {
                    let options = FoldOptions { all: *all, rebuild: !all, ..FoldOptions::default() };
                    writer.fold(&options, &AtomicBool::new(false), &mut |_, _| {}).unwrap();
                    prop_assert!(index.check(&AtomicUsize::new(0)).unwrap().is_sound());
                    continue;
                }
                Step::End => {
                    writer.finish_run(&serde_json::Value::Null, true).unwrap();
                    contents = model.values().map(|(content, _)| *content).collect();
                    continue;
                }
            };
            let applied = writer.apply(&[change]).is_ok();
            match step {
                Step::Insert { path, content } | Step::Known { path, content } => {
                    let possible = matches!(step, Step::Insert { .. }) || contents.contains(&content);
                    prop_assert_eq!(applied, possible);
                    if applied {
                        contents.insert(content);
                        let Some(KnownPath::Image(image)) = reader.by_path(Path::new(&name(path))).unwrap() else {
                            panic!("it was inserted");
                        };
                        prop_assert!(image.id.0 > newest, "a number was used twice");
                        newest = image.id.0;
                        model.insert(path, (content, image.id.0));
                    }
                }
                Step::Rename { from, to } if from != to => {
                    let moved = model.remove(&from).unwrap();
                    model.insert(to, moved);
                }
                Step::Remove { path } | Step::Fail { path } => {
                    model.remove(&path);
                }
                Step::Touch { path } => prop_assert_eq!(applied, model.contains_key(&path)),
                _ => {}
            }
            let stored: Vec<(PathBuf, u64, i64)> = reader
                .under(Path::new("/m"))
                .unwrap()
                .into_iter()
                .map(|image| {
                    let number = u64::from_le_bytes(image.digest[..8].try_into().unwrap());
                    (image.path, number, image.id.0)
                })
                .collect();
            let expected: Vec<(PathBuf, u64, i64)> = model
                .iter()
                .map(|(path, (content, id))| (name(*path).into(), u64::from(*content), *id))
                .collect();
            prop_assert_eq!(stored, expected);
            for way in [Way::Auto, Way::Exact, Way::Graph] {
                let params = SearchParams::new(100).way(way);
                let found = index.search(&Query { code: &[0.0, 0.0], hash: None }, &params).unwrap();
                let found: Vec<(f32, i64)> = found.iter().map(|found| (found.distance, found.id.0)).collect();
                let mut expected: Vec<(f32, i64)> = model
                    .values()
                    .map(|(content, id)| (f32::from(*content), *id))
                    .collect();
                expected.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                prop_assert_eq!(found, expected);
            }
        }
        prop_assert_eq!(Index::open(dir.path()).unwrap().len().unwrap(), model.len());
    }
}

/// Numbers spread evenly between -1 and 1.
fn spread(seed: &mut u64) -> f32 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// An index of `n` images with codes of 8 numbers, and its writer.
fn many(dir: &Path, n: u64) -> Writer {
    let mut writer = Writer::open(dir, &encoder(8, 64)).unwrap();
    add(&mut writer, 0..n);
    writer
}

fn code_of(i: u64) -> Vec<f32> {
    let mut seed = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..8).map(|_| spread(&mut seed)).collect()
}

fn add(writer: &mut Writer, range: std::ops::Range<u64>) {
    let changes: Vec<Change> = range
        .map(|i| Change::Insert {
            path: format!(
                "/p/{}/{i:06}.{}",
                i % 10,
                if i % 2 == 0 { "jpg" } else { "png" }
            )
            .into(),
            stat: FileStat {
                size: i,
                mtime_ns: i as i64 * 1_000_000_000,
                ..FileStat::default()
            },
            content: NewContent {
                format: if i % 2 == 0 { "jpeg" } else { "png" }.to_owned(),
                taken: (i % 3 == 0).then_some(-(i as i64)),
                ..content(i, code_of(i), i.to_le_bytes().to_vec())
            },
        })
        .collect();
    writer.apply(&changes).unwrap();
}

fn fold(writer: &mut Writer, options: &FoldOptions) -> Folded {
    writer
        .fold(options, &AtomicBool::new(false), &mut |_, _| {})
        .unwrap()
}

fn all() -> FoldOptions {
    FoldOptions {
        all: true,
        ..FoldOptions::default()
    }
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn ids(found: &[Neighbour]) -> Vec<i64> {
    found.iter().map(|found| found.id.0).collect()
}

/// Recall at 10 of the graph against the scan over some queries.
fn recall(index: &Index, params: &SearchParams) -> f64 {
    let (mut same, mut of) = (0, 0);
    for i in 0..100u64 {
        let code = code_of(1_000_000 + i);
        let query = Query {
            code: &code,
            hash: None,
        };
        let exact = index
            .search(&query, &params.clone().way(Way::Exact))
            .unwrap();
        let found = index
            .search(&query, &params.clone().way(Way::Graph))
            .unwrap();
        assert_eq!(found.len(), exact.len());
        of += exact.len();
        same += exact.iter().filter(|there| found.contains(there)).count();
    }
    same as f64 / of as f64
}

#[test]
fn what_is_new_removed_or_changed_is_seen_at_once_folded_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 5000);
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(fold(&mut writer, &FoldOptions::default()).images, 5000);
    assert_eq!(segment_files(dir.path()).len(), 1);
    assert!(recall(&index, &SearchParams::new(10)) > 0.98);
    // Nothing more to do.
    assert_eq!(fold(&mut writer, &FoldOptions::default()).made, 0);

    add(&mut writer, 5000..5100);
    let nearest = |i: u64| {
        let code = code_of(i);
        index.nearest(&code, 1).unwrap()[0]
    };
    assert_eq!((nearest(5050).id.0, nearest(5050).distance), (5051, 0.0));
    writer
        .apply(&[
            Change::Remove { id: ImageId(5051) },
            Change::Remove { id: ImageId(77) },
        ])
        .unwrap();
    for gone in [5050, 76] {
        assert!(nearest(gone).distance > 0.0);
    }
    assert_eq!(index.len().unwrap(), 5098);
    // A few new images are not worth a segment, unless it is asked for.
    assert_eq!(fold(&mut writer, &FoldOptions::default()).made, 0);
    let before = segment_files(dir.path());
    assert_eq!(fold(&mut writer, &all()).images, 5098);
    assert_ne!(segment_files(dir.path()), before);
    assert_eq!(segment_files(dir.path()).len(), 1);
    assert_eq!(index.len().unwrap(), 5098);
    assert_eq!(nearest(5051).id.0, 5052);
    let checked = index.check(&AtomicUsize::new(0)).unwrap();
    let found = checked.rankings.iter().all(|ranking| ranking.recall > 0.98);
    assert!(checked.is_sound() && found, "{checked:?}");
    assert_eq!(
        (checked.in_segments, checked.newer, checked.removed),
        (5098, 0, 0)
    );
}

#[test]
fn a_third_removed_costs_no_recall_and_is_folded_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 6000);
    fold(&mut writer, &FoldOptions::default());
    let changes: Vec<Change> = (0..6000)
        .filter(|i| i % 10 < 3)
        .map(|i| Change::Remove { id: ImageId(i + 1) })
        .collect();
    writer.apply(&changes).unwrap();
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.len().unwrap(), 4200);
    let recall_before = recall(&index, &SearchParams::new(10));
    assert!(recall_before > 0.98, "{recall_before}");
    let view = index.searcher().unwrap();
    assert_eq!(fold(&mut writer, &FoldOptions::default()).images, 4200);
    assert_eq!(index.check(&AtomicUsize::new(0)).unwrap().removed, 0);
    assert!(recall(&index, &SearchParams::new(10)) > 0.98);
    // A view of before goes on with the file that was folded away.
    assert_eq!(view.len(), 4200);
    assert!(ids(&view.nearest(&code_of(3), 1).unwrap()) == [4]);
}

#[test]
fn filters_are_met_and_k_is_reached_where_it_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 5000);
    fold(&mut writer, &FoldOptions::default());
    add(&mut writer, 5000..6000);
    let index = Index::open(dir.path()).unwrap();
    let matches = |filter: &Filter, expected: &dyn Fn(u64) -> bool| {
        let wanted: Vec<u64> = (0..6000).filter(|&i| expected(i)).collect();
        let searcher = index.searcher().unwrap();
        assert_eq!(
            searcher.select(filter).unwrap().len(),
            wanted.len(),
            "{filter:?}"
        );
        for k in [10, 7000] {
            for way in [Way::Auto, Way::Exact, Way::Graph] {
                let params = SearchParams::new(k).way(way).filter(filter.clone());
                let code = code_of(9_999_999);
                let query = Query {
                    code: &code,
                    hash: None,
                };
                let found = index.search(&query, &params).unwrap();
                assert_eq!(found.len(), wanted.len().min(k), "{filter:?} {way:?}");
                assert!(found.iter().all(|found| expected(found.id.0 as u64 - 1)));
            }
        }
    };
    matches(&Filter::default().under("/p/3"), &|i| i % 10 == 3);
    matches(&Filter::default().under("/p/3").under("/p/4"), &|i| {
        i % 10 == 3 || i % 10 == 4
    });
    matches(&Filter::default().under("/p/3/000003.png"), &|i| i == 3);
    matches(&Filter::default().under("/p/99"), &|_| false);
    matches(&Filter::default().formats(["png"]), &|i| i % 2 == 1);
    matches(
        &Filter::default().ids([ImageId(8), ImageId(5001), ImageId(99_999)]),
        &|i| i == 7 || i == 5000,
    );
    let globs = |glob: &str| Filter {
        globs: vec![glob.to_owned()],
        ..Filter::default()
    };
    matches(&globs("/p/*/00001?.png"), &|i| {
        (10..20).contains(&i) && i % 2 == 1
    });
    matches(
        &Filter {
            min_size: Some(100),
            max_size: Some(149),
            ..Filter::default()
        },
        &|i| (100..150).contains(&i),
    );
    // Taken where the file says so, else changed.
    let when = |i: u64| {
        if i.is_multiple_of(3) {
            -(i as i64)
        } else {
            i as i64
        }
    };
    matches(
        &Filter {
            after: Some(Moment::utc(-20)),
            before: Some(Moment::utc(30)),
            ..Filter::default()
        },
        &|i| (-20..30).contains(&when(i)),
    );
    matches(
        &Filter {
            after: Some(Moment::utc(5990)),
            ..Filter::default()
        }
        .under("/p/1"),
        &|i| when(i) >= 5990 && i % 10 == 1,
    );
    // The two clocks are an hour apart: what a camera wrote is compared with the one, and the date of
    // a file with the other.
    let apart = |wall: i64, seconds: i64| Moment {
        wall,
        unix_ns: seconds * 1_000_000_000,
    };
    matches(
        &Filter {
            after: Some(apart(-1020, 2580)),
            before: Some(apart(-990, 2610)),
            ..Filter::default()
        },
        &|i| match when(i) {
            taken @ ..=0 => (-1020..-990).contains(&taken),
            changed => (2580..2610).contains(&changed),
        },
    );
    // A file's date of a fraction of a second is not rounded.
    matches(
        &Filter {
            before: Some(Moment {
                wall: -7000,
                unix_ns: 2_000_000_001,
            }),
            ..Filter::default()
        },
        &|i| i == 1 || i == 2,
    );
    assert!(
        recall(
            &index,
            &SearchParams::new(10).filter(Filter::default().formats(["png"]))
        ) > 0.97
    );
    let bad = index.searcher().unwrap().select(&globs("a[b")).unwrap_err();
    assert!(bad.to_string().contains("a[b"), "{bad}");
}

#[test]
fn the_cheaper_way_is_taken_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 20_000);
    fold(&mut writer, &FoldOptions::default());
    add(&mut writer, 20_000..20_050);
    let searcher = Index::open(dir.path()).unwrap().searcher().unwrap();
    let code = code_of(1);
    let hash = 1u64.to_le_bytes();
    let query = Query {
        code: &code,
        hash: Some(&hash),
    };
    let explain = |params: SearchParams| searcher.explain(&query, &params).unwrap();
    let (found, told) = explain(SearchParams::new(10));
    assert_eq!(
        (told.images, told.allowed, told.parts.len()),
        (20_050, 20_050, 2)
    );
    assert!(
        told.parts[0].ef.is_some() && told.parts[0].distances < 10_000,
        "{told:?}"
    );
    assert_eq!((told.parts[1].ef, told.parts[1].distances), (None, 50));
    assert_eq!(found[0].id, ImageId(2));
    // A few images are looked at one by one, and so are all where k is large or only bits count.
    let few = Filter::default().ids((1..200).map(ImageId));
    for params in [
        SearchParams::new(10).filter(few),
        SearchParams::new(15_000),
        SearchParams::new(10).by(RankBy::Hash),
        SearchParams::new(10).way(Way::Exact),
    ] {
        let (_, told) = explain(params);
        assert!(told.parts.iter().all(|part| part.ef.is_none()), "{told:?}");
    }
    let (both, _) = explain(SearchParams::new(10).by(RankBy::Both));
    let (exact, _) = explain(SearchParams::new(10).by(RankBy::Both).way(Way::Exact));
    assert_eq!(both[0], exact[0]);
    let (short, _) = explain(SearchParams::new(1).way(Way::Shortlist(10)));
    assert_eq!(ids(&short), [2]);
    let (near, _) = explain(SearchParams::new(100).radius(0.5));
    assert!(!near.is_empty() && near.len() < 100 && near.iter().all(|found| found.distance <= 0.5));
    let batch = searcher
        .search_many(&[query; 9], &SearchParams::new(10))
        .unwrap();
    assert!(batch.iter().all(|answer| *answer == found));
}

#[test]
fn a_missing_or_damaged_segment_costs_time_and_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 5000);
    fold(&mut writer, &FoldOptions::default());
    writer.apply(&[Change::Remove { id: ImageId(9) }]).unwrap();
    let answers = |index: &Index| {
        let asked: Vec<_> = (0..20)
            .map(|i| index.nearest(&code_of(i), 5).unwrap())
            .collect();
        asked
    };
    let expected = answers(&Index::open(dir.path()).unwrap());
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 4] = [
        ("cannot open", |path| std::fs::remove_file(path).unwrap()),
        ("damaged", |path| std::fs::write(path, "").unwrap()),
        ("damaged", |path| {
            let mut bytes = std::fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            std::fs::remove_file(path).unwrap();
            std::fs::write(path, bytes).unwrap();
        }),
        ("not the one that the index knows", |path| {
            // A sound segment, but another index's.
            let other = tempfile::tempdir().unwrap();
            let mut writer = many(other.path(), 4500);
            fold(&mut writer, &FoldOptions::default());
            let theirs = segment_files(other.path()).remove(0);
            std::fs::remove_file(path).unwrap();
            std::fs::copy(theirs, path).unwrap();
        }),
    ];
    for (told, harm) in harms {
        harm(&segment_files(dir.path())[0]);
        let index = Index::open(dir.path()).unwrap();
        assert_eq!(answers(&index), expected, "{told}");
        let notes = index.searcher().unwrap().notes().to_vec();
        assert!(
            notes[0].contains(told) && notes[0].contains("imgsearch optimize"),
            "{notes:?}"
        );
        let checked = index.check(&AtomicUsize::new(0)).unwrap();
        assert_eq!(checked.damaged.len(), 1, "{told}: {checked:?}");
        let folded = fold(&mut writer, &all());
        assert_eq!((folded.made, folded.replaced), (1, 1), "{told}");
        assert_eq!(answers(&index), expected, "{told}");
        assert!(index.searcher().unwrap().notes().is_empty());
        assert!(index.check(&AtomicUsize::new(0)).unwrap().is_sound());
    }
}

#[test]
fn what_a_crash_leaves_of_a_folding_is_no_harm_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 5000);
    fold(&mut writer, &FoldOptions::default());
    let whole = segment_files(dir.path());
    // A file aside, and one that was renamed and never named in the database.
    std::fs::write(dir.path().join("segments/000009.new"), "half").unwrap();
    std::fs::copy(&whole[0], dir.path().join("segments/000008.segment")).unwrap();
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.len().unwrap(), 5000);
    fold(&mut writer, &FoldOptions::default());
    assert_eq!(segment_files(dir.path()), whole);
    // A folding that cannot write changes nothing.
    add(&mut writer, 5000..6000);
    let folder = dir.path().join("segments");
    let away = dir.path().join("away");
    std::fs::rename(&folder, &away).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    let error = writer
        .fold(&all(), &AtomicBool::new(false), &mut |_, _| {})
        .unwrap_err();
    assert!(error.to_string().contains("segments"), "{error}");
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    assert_eq!(segment_files(dir.path()), whole);
    assert_eq!(index.len().unwrap(), 6000);
    // One that was told to stop begins nothing.
    let stopped = writer
        .fold(&all(), &AtomicBool::new(true), &mut |_, _| {})
        .unwrap();
    assert!(stopped.interrupted && stopped.made == 0);
    assert_eq!(fold(&mut writer, &all()).images, 6000);
}

#[test]
fn readers_go_on_while_a_writer_folds() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 300);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let index = Index::open(dir.path()).unwrap();
                let mut seen = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let searcher = index.searcher().unwrap();
                    assert!(searcher.len() >= seen, "images are only added");
                    assert!(searcher.notes().is_empty(), "{:?}", searcher.notes());
                    seen = searcher.len();
                    assert_eq!(ids(&searcher.nearest(&code_of(7), 1).unwrap()), [8]);
                }
            });
        }
        for i in 1..20 {
            add(&mut writer, i * 300..(i + 1) * 300);
            fold(&mut writer, &all());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(Index::open(dir.path()).unwrap().len().unwrap(), 6000);
}
