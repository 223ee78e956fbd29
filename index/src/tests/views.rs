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
    let query = Query {
        code: &code,
        hash: None,
    };
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
