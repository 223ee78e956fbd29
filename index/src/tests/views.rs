//! Views: of one index each, at one instant, and not behind what lies on disk.

use super::*;

#[test]
fn a_selection_of_another_view_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 100);
    let index = Index::open(dir.path()).unwrap();
    let old = index.searcher().unwrap();
    let selection = old.select(&Filter::default().under("/p/3")).unwrap();
    assert_eq!(selection.generation(), old.generation());
    add(&mut writer, 100..200);
    let new = index.searcher().unwrap();
    let code = code_of(3);
    let query = Query::new(&code);
    let params = SearchParams::new(5);
    assert_eq!(
        old.search_in(&query, &params, Some(&selection))
            .unwrap()
            .0
            .len(),
        5
    );
    let error = new
        .search_in(&query, &params, Some(&selection))
        .unwrap_err();
    assert!(error.to_string().contains("another view"), "{error}");
}

#[test]
fn a_filter_goes_by_what_is_stored_when_it_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 20);
    let view = Index::open(dir.path()).unwrap().searcher().unwrap();
    writer
        .apply(&[
            Change::Remove { id: ImageId(1) },
            Change::Rename {
                id: ImageId(2),
                path: "/moved/1.jpg".into(),
                stat: FileStat::default(),
            },
        ])
        .unwrap();
    add(&mut writer, 20..30);
    let selected = |under: &str| view.select(&Filter::default().under(under)).unwrap();
    assert_eq!(
        (view.len(), selected("/p").len(), selected("/moved").len()),
        (20, 18, 1)
    );
    assert!(selected("/p").generation() > view.generation());
}

#[test]
fn a_view_takes_over_what_the_one_before_had_loaded_unless_it_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 50);
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.len().unwrap(), 50);
    // Known only to memory: what is loaded again would be noticed as rotten.
    let connection = rusqlite::Connection::open(dir.path().join("imgsearch.sqlite")).unwrap();
    connection
        .execute("UPDATE contents SET code = zeroblob(32) WHERE id = 7", ())
        .unwrap();
    add(&mut writer, 50..60);
    assert_eq!(index.len().unwrap(), 60, "only what is newer was read");
    writer.apply(&[Change::Remove { id: ImageId(3) }]).unwrap();
    assert_eq!(index.len().unwrap(), 58, "all of it was read again");
}

#[test]
fn an_index_that_was_replaced_on_disk_is_seen() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(many(dir.path(), 5));
    drop(many(other.path(), 9));
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.len().unwrap(), 5);
    if !cfg!(unix) {
        eprintln!("skipped: this system does not number files");
        return;
    }
    let name = "imgsearch.sqlite";
    std::fs::rename(other.path().join(name), dir.path().join(name)).unwrap();
    assert_eq!(index.len().unwrap(), 9);
}

#[test]
fn a_long_run_folds_as_it_grows_and_merges_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 10_000);
    let growing = FoldOptions {
        growing: true,
        ..FoldOptions::default()
    };
    assert_eq!(fold(&mut writer, &growing).made, 0, "too few yet");
    add(&mut writer, 10_000..17_000);
    assert_eq!(fold(&mut writer, &growing).images, 17_000);
    add(&mut writer, 17_000..34_000);
    assert_eq!(fold(&mut writer, &growing).images, 17_000);
    assert_eq!(segment_files(dir.path()).len(), 2);
    assert_eq!(fold(&mut writer, &FoldOptions::default()).images, 34_000);
    assert_eq!(segment_files(dir.path()).len(), 1);
}

/// Copies of an index and its log as they lie in a folder that is read-only: the file that readers and
/// writers share cannot be made, here for the link in its place.
#[cfg(unix)]
mod read_only {
    use super::*;

    const DATABASE: &str = "imgsearch.sqlite";
    const LOG: &str = "imgsearch.sqlite-wal";

    fn copy(from: &Path, to: &Path, name: &str) {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }

    /// An index that is written to, whose log stays, and a copy of it that is read without locks.
    fn copied(images: std::ops::Range<u64>) -> (tempfile::TempDir, Writer, tempfile::TempDir) {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut writer = many(dir.path(), images.start);
        checkpoint(dir.path());
        add(&mut writer, images);
        for name in [DATABASE, LOG] {
            copy(dir.path(), other.path(), name);
        }
        let shared = other.path().join("imgsearch.sqlite-shm");
        std::os::unix::fs::symlink("nowhere", shared).unwrap();
        assert!(Reader::open(other.path()).unwrap().is_unlocked());
        (dir, writer, other)
    }

    /// Moves what is in the log into the database.
    fn checkpoint(dir: &Path) {
        let connection = rusqlite::Connection::open(dir.join(DATABASE)).unwrap();
        let busy: i64 = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))
            .unwrap();
        assert_eq!(busy, 0);
    }

    /// That the first `n` images are there, each with its own code and path.
    #[track_caller]
    fn holds_first(index: &Index, n: u64) {
        assert_eq!(index.len().unwrap() as u64, n);
        assert_eq!(index.to_reader().unwrap().count().unwrap() as u64, n);
        for i in 0..n {
            let found = index.nearest(&code_of(i), 1).unwrap()[0];
            assert_eq!((found.id.0, found.distance), (i as i64 + 1, 0.0));
            let image = index.image(found.id).unwrap().unwrap();
            assert_eq!(image.digest, content(i, Vec::new(), Vec::new()).digest);
        }
    }

    #[test]
    fn a_log_that_grows_under_a_reader_is_seen_and_one_that_is_cut_shows_what_came_before() {
        let (dir, mut writer, other) = copied(5..9);
        let index = Index::open(other.path()).unwrap();
        holds_first(&index, 9);
        add(&mut writer, 9..14);
        copy(dir.path(), other.path(), LOG);
        holds_first(&index, 14);
        // Half of a copy: what was committed by then, and no half of a commit.
        let log = std::fs::read(other.path().join(LOG)).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for part in (0..=32).rev() {
            std::fs::write(other.path().join(LOG), &log[..log.len() * part / 32]).unwrap();
            let n = index.len().unwrap() as u64;
            assert!([5, 9, 14].contains(&n), "{n} at {part}");
            holds_first(&index, n);
            seen.insert(n);
        }
        assert_eq!(seen.len(), 3, "{seen:?}");
    }

    #[test]
    fn a_database_that_is_replaced_under_a_reader_is_seen() {
        let (dir, mut writer, other) = copied(5..9);
        let index = Index::open(other.path()).unwrap();
        holds_first(&index, 9);
        add(&mut writer, 9..300);
        checkpoint(dir.path());
        // In place, as copying over it does, then with another file in its place.
        for round in 0..2 {
            std::fs::remove_file(other.path().join(LOG)).ok();
            if round == 1 {
                std::fs::remove_file(other.path().join(DATABASE)).unwrap();
            }
            copy(dir.path(), other.path(), DATABASE);
            holds_first(&index, 300);
            holds_first(&Index::open(other.path()).unwrap(), 300);
        }
    }

    #[test]
    fn a_reader_that_was_opened_before_a_change_says_so_and_tells_nothing_of_it() {
        let (dir, mut writer, other) = copied(5..9);
        let reader = Reader::open(other.path()).unwrap();
        assert_eq!(reader.count().unwrap(), 9);
        add(&mut writer, 9..300);
        checkpoint(dir.path());
        copy(dir.path(), other.path(), DATABASE);
        let answers = [
            reader.count().map(drop),
            reader.paths().map(drop),
            reader.image(ImageId(7)).map(drop),
            reader.failures().map(drop),
            reader.last_run().map(drop),
        ];
        for answer in answers {
            let error = answer.unwrap_err();
            assert!(matches!(error, Error::Changed { .. }), "{error}");
            assert!(error.to_string().contains("changed while"), "{error}");
        }
    }

    #[test]
    fn a_log_that_is_older_than_its_database_is_refused() {
        let (dir, mut writer, other) = copied(5..9);
        add(&mut writer, 9..300);
        checkpoint(dir.path());
        let index = Index::open(other.path()).unwrap();
        holds_first(&index, 9);
        copy(dir.path(), other.path(), DATABASE);
        for error in [
            index.len().unwrap_err(),
            Index::open(other.path()).unwrap_err(),
            index.nearest(&code_of(1), 1).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Corrupt { .. }), "{error}");
            assert!(error.to_string().contains("older"), "{error}");
        }
        // Both copied again.
        add(&mut writer, 300..310);
        copy(dir.path(), other.path(), LOG);
        holds_first(&index, 310);
    }
}
