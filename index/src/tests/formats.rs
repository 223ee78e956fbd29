//! Every format that was ever written is read for good, and a newer one is refused.

use std::time::Duration;

use super::*;

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
    let labels = reader.labels(ImageId(4)).unwrap();
    assert_eq!(labels.len(), usize::from(format >= 6));
    assert!(labels.iter().all(|label| *label == FROZEN_LABEL));
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

const FROZEN_LABEL: Label = Label {
    class: 7,
    probability: 0.2,
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
    if let Change::Insert { content, .. } = &mut changes[3] {
        content.labels = vec![FROZEN_LABEL];
    }
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
