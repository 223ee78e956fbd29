//! The store against a model of it, and what must be refused.

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

/// What the store should hold: for each path its content and id.
type Model = BTreeMap<u8, (u8, i64)>;

fn name(path: u8) -> String {
    format!("/m/{path}")
}

fn made(number: u8) -> NewContent {
    content(number.into(), vec![f32::from(number), 0.0], vec![number])
}

/// Returns the change that a step makes, if it makes one.
fn change_of(step: &Step, model: &Model) -> Option<Change> {
    let id = |path: &u8| model.get(path).map(|(_, id)| ImageId(*id));
    Some(match step {
        Step::Insert { path, content } => insert(&name(*path), made(*content)),
        Step::Known { path, content } => Change::InsertKnown {
            path: name(*path).into(),
            stat: FileStat::default(),
            digest: made(*content).digest,
        },
        Step::Rename { from, to } => Change::Rename {
            id: id(from)?,
            path: name(*to).into(),
            stat: FileStat::default(),
        },
        Step::Remove { path } => Change::Remove { id: id(path)? },
        Step::Fail { path } => Change::Failure {
            path: name(*path).into(),
            stat: FileStat::default(),
            kind: FailureKind::Decode,
            reason: "broken".to_owned(),
            digest: Some([1; 32]),
        },
        Step::Touch { path } => Change::Touch {
            path: name(*path).into(),
            stat: FileStat {
                size: 1,
                mtime_ns: 2,
                ..FileStat::default()
            },
        },
        Step::Fold { .. } | Step::End => return None,
    })
}

/// The store holds what the model does, and every strategy finds it.
fn holds(reader: &Reader, index: &Index, model: &Model) {
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
    assert_eq!(stored, expected);
    for strategy in [
        SearchStrategy::Auto,
        SearchStrategy::Exact,
        SearchStrategy::Graph,
    ] {
        let params = SearchParams::new(100).strategy(strategy);
        let query = Query::new(&[0.0, 0.0]);
        let found = index.search(&query, &params).unwrap();
        let found: Vec<(f32, i64)> = found
            .iter()
            .map(|found| (found.distance, found.id.0))
            .collect();
        let mut expected: Vec<(f32, i64)> = model
            .values()
            .map(|(content, id)| (f32::from(*content), *id))
            .collect();
        expected.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_store_does_what_a_map_does(steps in prop::collection::vec(step(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path(), &encoder(2, 8)).unwrap();
        let reader = writer.reader().unwrap();
        let index = Index::open(dir.path()).unwrap();
        let mut model = Model::new();
        // Contents that may still be stored.
        let mut contents = std::collections::BTreeSet::new();
        let mut newest = 0;
        for step in steps {
            if let Step::Fold { all } = step {
                let options = FoldOptions { all, rebuild: !all, ..FoldOptions::default() };
                writer.fold(&options, &mut going_on).unwrap();
                prop_assert!(index.check(&mut going_on).unwrap().is_sound());
            }
            if matches!(step, Step::End) {
                writer.finish_run(&serde_json::Value::Null, true).unwrap();
                contents = model.values().map(|(content, _)| *content).collect();
            }
            let Some(change) = change_of(&step, &model) else { continue };
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
            holds(&reader, &index, &model);
        }
        prop_assert_eq!(Index::open(dir.path()).unwrap().len().unwrap(), model.len());
    }
}

#[test]
fn an_encoder_takes_over_with_codes_for_every_image_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 700);
    writer.set_fact("size", "700").unwrap();
    let all = FoldOptions {
        all: true,
        ..FoldOptions::default()
    };
    assert_eq!(fold(&mut writer, &all).images, 700);
    let before = Index::open(dir.path()).unwrap();
    let searched = before.searcher().unwrap();
    let other = EncoderRecord {
        fingerprint: "fedcba9876543210".to_owned(),
        ..encoder(3, 16)
    };
    let mut codes: Vec<NewCode> = writer
        .reader()
        .unwrap()
        .all()
        .unwrap()
        .iter()
        .map(|image| NewCode {
            digest: image.digest,
            code: vec![image.id.0 as f32, 0.0, 1.0],
            hash: vec![0, 1],
        })
        .collect();
    let last = codes.pop().unwrap();
    let error = writer.switch_encoder(&other, &codes).unwrap_err();
    assert!(error.to_string().contains("has no code"), "{error}");
    codes.push(NewCode {
        code: vec![1.0],
        ..last.clone()
    });
    assert!(writer.switch_encoder(&other, &codes).is_err());
    // Nothing is changed by then.
    let reader = writer.reader().unwrap();
    assert_ne!(reader.encoder().unwrap(), other);
    assert_eq!(reader.fact("size").unwrap().as_deref(), Some("700"));
    codes.pop();
    codes.push(last);
    writer.switch_encoder(&other, &codes).unwrap();
    assert_eq!(writer.encoder(), &other);
    assert_eq!(reader.fact("size").unwrap(), None);
    // A view of before still answers, and the next one has the new codes.
    assert_eq!(searched.len(), 700);
    drop(writer);
    let index = Index::open(dir.path()).unwrap();
    let found = index.nearest(&[345.0, 0.0, 1.0], 1).unwrap();
    assert_eq!((found[0].id, found[0].distance), (ImageId(345), 0.0));
    assert_eq!(index.searcher().unwrap().len(), 700);
    // New images come behind, and segments are made again.
    let mut writer = Writer::open(dir.path(), &other).unwrap();
    assert_eq!(fold(&mut writer, &all).images, 700);
}

#[test]
fn the_first_image_below_a_path_that_is_wanted_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let reader = many(dir.path(), 20).reader().unwrap();
    let all = reader.all().unwrap();
    let root = all[0].path.ancestors().last().unwrap();
    let first = reader.find_under(root, 100, |_| true).unwrap();
    assert_eq!(first.as_ref(), all.first());
    let is_late = |image: &crate::Image| image.id == all[7].id;
    assert_eq!(
        reader.find_under(root, 100, is_late).unwrap(),
        Some(all[7].clone())
    );
    assert_eq!(
        reader.find_under(root, 7, is_late).unwrap(),
        None,
        "too late"
    );
    assert_eq!(
        reader.find_under(&all[3].path, 9, |_| true).unwrap(),
        Some(all[3].clone())
    );
    assert_eq!(
        reader
            .find_under(Path::new("/nowhere"), 9, |_| true)
            .unwrap(),
        None
    );
}
