//! What rots, in the database and in segments: found, reported, repaired, and never copied.

use super::formats::frozen;
use super::*;

fn database(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("imgsearch.sqlite")).unwrap()
}

/// Overwrites the code of an image's content.
fn rot(dir: &Path, image: i64) {
    let changed = database(dir)
        .execute(
            "UPDATE contents SET code = zeroblob(length(code))
             WHERE id = (SELECT content FROM images WHERE id = ?1)",
            [image],
        )
        .unwrap();
    assert_eq!(changed, 1);
}

fn check(dir: &Path) -> Checked {
    let index = Index::open(dir).unwrap();
    index.check(&mut going_on).unwrap()
}

fn nearest(dir: &Path, i: u64) -> Neighbour {
    Index::open(dir).unwrap().nearest(&code_of(i), 1).unwrap()[0]
}

#[test]
fn a_rotten_code_comes_back_from_a_sound_segment() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 5000);
    fold(&mut writer, &FoldOptions::default());
    let segments = segment_files(dir.path());
    rot(dir.path(), 78);
    let checked = check(dir.path());
    assert!(
        !checked.is_sound() && checked.segments_are_sound(),
        "{checked:?}"
    );
    assert_eq!(
        (checked.rotten, checked.rotten_images),
        (1, vec![ImageId(78)])
    );
    let repaired = writer.repair().unwrap();
    assert_eq!((repaired.restored, repaired.to_read.len()), (1, 0));
    assert!(check(dir.path()).is_sound());
    assert_eq!(
        segment_files(dir.path()),
        segments,
        "the good segment stays"
    );
    assert_eq!(
        (
            nearest(dir.path(), 77).id.0,
            nearest(dir.path(), 77).distance
        ),
        (78, 0.0)
    );
    // A folding that would copy rotten rows takes them from the segment first, too.
    rot(dir.path(), 99);
    let options = FoldOptions {
        rebuild: true,
        ..all()
    };
    let folded = fold(&mut writer, &options);
    assert_eq!((folded.repaired.restored, folded.images), (1, 5000));
    assert!(check(dir.path()).is_sound());
}

#[test]
fn a_rotten_code_without_a_copy_is_left_out_told_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 20);
    let content = |i: u64| content(i, code_of(i), i.to_le_bytes().to_vec());
    rot(dir.path(), 8);
    let index = Index::open(dir.path()).unwrap();
    let view = index.searcher().unwrap();
    assert_eq!(view.len(), 19);
    assert!(
        matches!(view.notes(), [Note::LostCodes { images: 1 }]),
        "{:?}",
        view.notes()
    );
    assert_eq!(fold(&mut writer, &all()).repaired.to_read, [ImageId(8)]);
    let checked = check(dir.path());
    assert_eq!(
        (checked.rotten, checked.waiting, checked.images),
        (0, 1, 20)
    );
    assert!(!checked.is_sound());
    let reader = writer.reader().unwrap();
    assert!(!reader.has_content(&content(7).digest).unwrap());
    let image = reader.image(ImageId(8)).unwrap().unwrap();
    assert_eq!(image.stat.mtime_ns, i64::MIN, "its file counts as changed");
    let again = insert(image.path.to_str().unwrap(), content(7));
    writer.apply(&[again]).unwrap();
    writer.finish_run(&serde_json::Value::Null, true).unwrap();
    assert!(check(dir.path()).is_sound());
    assert_eq!(
        (nearest(dir.path(), 7).id.0, nearest(dir.path(), 7).distance),
        (21, 0.0)
    );
}

#[test]
fn a_code_of_the_wrong_length_is_rotten_too() {
    let dir = tempfile::tempdir().unwrap();
    drop(many(dir.path(), 3));
    let changed = database(dir.path()).execute("UPDATE contents SET code = x'00' WHERE id = 2", ());
    assert_eq!(changed.unwrap(), 1);
    assert_eq!(Index::open(dir.path()).unwrap().len().unwrap(), 2);
    assert_eq!(check(dir.path()).rotten_images, [ImageId(2)]);
}

#[test]
fn a_known_content_keeps_its_code_and_another_code_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 3);
    let with = |code: Vec<f32>| insert("/new.jpg", content(1, code, 1u64.to_le_bytes().to_vec()));
    let noisy = code_of(1).iter().map(|number| number * 1.001).collect();
    writer.apply(&[with(noisy)]).unwrap();
    let found = Index::open(dir.path())
        .unwrap()
        .nearest(&code_of(1), 2)
        .unwrap();
    assert!(found.iter().all(|found| found.distance == 0.0), "{found:?}");
    let error = writer.apply(&[with(code_of(2))]).unwrap_err();
    assert!(error.to_string().contains("/new.jpg"), "{error}");
    // A rotten one gives way.
    rot(dir.path(), 2);
    writer.apply(&[with(code_of(1))]).unwrap();
    assert_eq!(nearest(dir.path(), 1).distance, 0.0);
}

#[test]
fn an_older_database_gets_its_checksums() {
    for format in 1..FORMAT_VERSION {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(frozen(format), dir.path().join("imgsearch.sqlite")).unwrap();
        assert!(check(dir.path()).is_sound(), "format {format}");
        database(dir.path())
            .execute("UPDATE contents SET hash = x'0101' WHERE id = 1", ())
            .unwrap();
        assert_eq!(check(dir.path()).rotten, 1);
    }
}

#[test]
fn a_damaged_page_and_a_missing_content_are_told() {
    let dir = tempfile::tempdir().unwrap();
    drop(many(dir.path(), 3000));
    let connection = database(dir.path());
    connection
        .pragma_update(None, "foreign_keys", false)
        .unwrap();
    connection
        .execute("DELETE FROM contents WHERE id = 5", ())
        .unwrap();
    assert!(check(dir.path()).database[0].contains("image 5 has no content"));
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
        .unwrap();
    drop(connection);
    let path = dir.path().join("imgsearch.sqlite");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 64].fill(0xaa);
    std::fs::write(&path, bytes).unwrap();
    let checked = check(dir.path());
    assert!(
        !checked.database.is_empty() && !checked.is_sound(),
        "{checked:?}"
    );
}

#[test]
fn what_was_verified_is_not_verified_again_until_its_file_changes() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 5000);
    fold(&mut writer, &FoldOptions::default());
    let path = segment_files(dir.path()).remove(0);
    let stored = || writer.reader().unwrap().segments().unwrap().remove(0);
    let trusted = |stored: &crate::store::segments::StoredSegment| {
        crate::segment::Segment::open(&path, &stored.verified)
            .unwrap()
            .is_trusted()
    };
    assert!(trusted(&stored()));
    std::fs::copy(&path, dir.path().join("copy")).unwrap();
    std::fs::rename(dir.path().join("copy"), &path).unwrap();
    assert!(!trusted(&stored()));
    // The next run of indexing looks at it, keeps the mark and rebuilds nothing.
    assert_eq!(fold(&mut writer, &FoldOptions::default()).made, 0);
    let stored = writer.reader().unwrap().segments().unwrap().remove(0);
    assert!(trusted(&stored));
}

#[test]
fn the_fold_of_a_run_finds_damage_and_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 5000);
    fold(&mut writer, &FoldOptions::default());
    let path = segment_files(dir.path()).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let folded = fold(&mut writer, &FoldOptions::default());
    assert_eq!((folded.made, folded.damaged.len()), (1, 1), "{folded:?}");
    assert!(check(dir.path()).is_sound());
}

#[test]
fn what_is_not_ours_among_the_segments_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 50);
    fold(&mut writer, &all());
    let folder = dir.path().join("segments");
    std::fs::create_dir(folder.join("holiday")).unwrap();
    std::fs::write(folder.join("notes.txt"), "mine").unwrap();
    // In the way of the next two segments.
    std::fs::create_dir(folder.join("000002.segment")).unwrap();
    std::fs::create_dir(folder.join("000003.new")).unwrap();
    add(&mut writer, 50..60);
    let folded = fold(&mut writer, &all());
    assert_eq!((folded.images, folded.foreign.len()), (60, 4), "{folded:?}");
    assert!(folder.join("000004.segment").is_file());
    assert_eq!(std::fs::read(folder.join("notes.txt")).unwrap(), b"mine");
    assert!(check(dir.path()).is_sound());
}

#[test]
fn a_fingerprint_need_not_be_ascii() {
    let dir = tempfile::tempdir().unwrap();
    let named = EncoderRecord {
        fingerprint: "ä€𝄞".repeat(20),
        ..encoder(8, 64)
    };
    let mut writer = Writer::open(dir.path(), &named).unwrap();
    add(&mut writer, 0..30);
    assert_eq!(fold(&mut writer, &all()).images, 30);
    assert!(check(dir.path()).is_sound());
}

#[test]
fn any_width_gives_a_segment_that_can_be_read() {
    for width in [2, 3, 5, 16, 255] {
        for &builder in BuilderKind::ALL {
            let dir = tempfile::tempdir().unwrap();
            let mut writer = many(dir.path(), 300);
            let graph = GraphOptions {
                width,
                builder,
                ..GraphOptions::default()
            };
            fold(&mut writer, &FoldOptions { graph, ..all() });
            assert!(check(dir.path()).damaged.is_empty(), "{width} {builder:?}");
        }
    }
}
