//! The store against a model of it, what must be refused, and every format that was ever written.

use std::time::Duration;

use super::*;

#[test]
fn what_cannot_be_asked_or_stored_is_refused_and_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Index::open(dir.path()),
        Err(Error::IndexNotFound { .. })
    ));
    assert!(matches!(
        Writer::open_existing(dir.path()),
        Err(Error::IndexNotFound { .. })
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
            matches!(index.nearest(code, k), Err(Error::InvalidInput(_))),
            "{code:?} {k}"
        );
    }
    assert!(index.within_hamming(&[0], 3).is_err());
    let no_hash = Query::new(&[0.0; 4]);
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
    let text = error.to_string();
    assert!(
        text.contains("\"test\"") && text.contains("\"other\""),
        "{text}"
    );

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
/// since format 3 a removed image and a folder, since format 4 a file that took too long, too.
#[test]
fn every_format_is_read_for_good() {
    if std::env::var_os("FREEZE_FORMAT").is_some() {
        freeze(&frozen(FORMAT_VERSION));
    }
    for format in 1..=FORMAT_VERSION {
        read_frozen(&frozen(format), format);
    }
}

/// Failures of format 3 have a stage, and the rest only in their text.
#[test]
fn failures_of_older_formats_get_their_kind() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("imgsearch.sqlite");
    std::fs::copy(frozen(3), &database).unwrap();
    let limit = |ms| FailureKind::TimedOut {
        limit: Duration::from_millis(ms),
    };
    let slow = |seconds: &str| {
        format!(
            "too slow: decoding it takes longer than the limit of {seconds} seconds; see --max-seconds"
        )
    };
    let convert = "AVIF images cannot be decoded; convert it to JPEG, PNG or WebP";
    let rows = [
        ("read", "Permission denied".to_owned(), FailureKind::Read),
        ("decode", "damaged: no more".to_owned(), FailureKind::Decode),
        ("decode", convert.to_owned(), FailureKind::Unsupported),
        ("limit", "too large: 9 bytes".to_owned(), FailureKind::Limit),
        ("limit", slow("20"), limit(20_000)),
        ("limit", slow("0.005"), limit(5)),
        ("limit", slow("1.25"), limit(1250)),
        ("untried", "not tried: it".to_owned(), FailureKind::Deferred),
    ];
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute("DELETE FROM failures", ()).unwrap();
    for (i, (stage, reason, _)) in rows.iter().enumerate() {
        connection
            .execute(
                "INSERT INTO failures (path, size, mtime_ns, stage, reason) VALUES (?1, 1, 2, ?2, ?3)",
                rusqlite::params![format!("/{i}").into_bytes(), stage, reason],
            )
            .unwrap();
    }
    drop(connection);
    let failures = Reader::open(dir.path()).unwrap().failures().unwrap();
    let known: Vec<_> = failures
        .iter()
        .map(|failure| (failure.reason.clone(), failure.kind))
        .collect();
    assert_eq!(known, rows.map(|(_, reason, kind)| (reason, kind)));
}

pub(super) fn frozen(format: i64) -> PathBuf {
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
    let failures = reader.failures().unwrap();
    assert_eq!(
        (failures[0].kind, failures[0].reason.as_str()),
        (FailureKind::Decode, "truncated")
    );
    let slow = failures.get(1).map(|failure| failure.kind);
    assert_eq!(slow, (format >= 4).then_some(TIMED_OUT));
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

const TIMED_OUT: FailureKind = FailureKind::TimedOut {
    limit: Duration::from_millis(2500),
};

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
        kind: FailureKind::Decode,
        reason: "truncated".to_owned(),
        digest: Some([9; 32]),
    });
    changes.push(Change::Failure {
        path: "/frozen/slow.png".into(),
        stat: FileStat::default(),
        kind: TIMED_OUT,
        reason: "too slow".to_owned(),
        digest: Some([8; 32]),
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
        kind: FailureKind::Read,
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
            assert!(matches!(error, Error::IndexNotFound { .. }), "{error}");
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
                    kind: FailureKind::Decode,
                    reason: "broken".to_owned(),
                    digest: Some([1; 32]),
                },
                Step::Touch { path } => Change::Touch {
                    path: name(*path).into(),
                    stat: FileStat { size: 1, mtime_ns: 2, ..FileStat::default() },
                },
                Step::Fold { all } => {
                    let options = FoldOptions { all: *all, rebuild: !all, ..FoldOptions::default() };
                    writer.fold(&options, &mut going_on).unwrap();
                    prop_assert!(index.check(&mut going_on).unwrap().is_sound());
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
            for strategy in [SearchStrategy::Auto, SearchStrategy::Exact, SearchStrategy::Graph] {
                let params = SearchParams::new(100).strategy(strategy);
                let found = index.search(&Query::new(&[0.0, 0.0]), &params).unwrap();
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
