//! The contract of the traits that programs use: every store passes these tests.

use super::*;
use crate::{ReadStore, SearchStore, WriteStore};

/// How long the slow file may take.
const LIMIT: std::time::Duration = std::time::Duration::from_millis(1500);

fn path(name: &str) -> PathBuf {
    format!("/p/{name}").into()
}

fn new(number: u8) -> NewContent {
    content(number.into(), vec![f32::from(number), 0.0], vec![number])
}

/// Fills an empty store of codes of two numbers and eight bits through its traits, and reads and
/// searches it. The store is given as what opens its reader and its search.
fn contract<R: ReadStore, S: SearchStore>(
    mut writer: impl WriteStore,
    reader: impl Fn() -> R,
    search: impl Fn() -> S,
) {
    assert_eq!(reader().encoder().unwrap(), encoder(2, 8));
    assert!(reader().last_run().unwrap().is_none());
    writer.begin_run(&["/p".into()]).unwrap();
    assert!(!reader().last_run().unwrap().unwrap().completed);
    let failure = |name: &str, kind| Change::Failure {
        path: path(name),
        stat: FileStat::default(),
        kind,
        reason: "because".to_owned(),
        digest: None,
    };
    writer
        .apply(&[
            insert("/p/a.jpg", new(1)),
            insert("/p/b/c.jpg", new(2)),
            insert("/elsewhere.jpg", new(3)),
            failure("slow.png", FailureKind::TimedOut { limit: LIMIT }),
            failure("broken.png", FailureKind::Decode),
        ])
        .unwrap();
    // All of a batch or nothing.
    let unknown = Change::Remove { id: ImageId(99) };
    let bad = [insert("/p/d.jpg", new(4)), unknown];
    assert!(writer.apply(&bad).is_err());

    let searched_for = looks_up(&reader());
    finds(&search(), searched_for);

    let is_slow = |path: &Path| path.ends_with("slow.png");
    assert_eq!(writer.forget_failures(&is_slow).unwrap(), 1);
    writer
        .finish_run(&serde_json::json!({"added": 3}), true)
        .unwrap();
    let run = reader().last_run().unwrap().unwrap();
    assert!(run.completed && run.roots == [PathBuf::from("/p")]);
    let stats = reader().stats().unwrap();
    assert_eq!((stats.images, stats.failed), (3, 1));
}

/// Looks up what [`contract`] stored. Returns the id of the image with the content 2.
fn looks_up(store: &impl ReadStore) -> ImageId {
    let under: Vec<PathBuf> = store
        .under(Path::new("/p"))
        .unwrap()
        .into_iter()
        .map(|image| image.path)
        .collect();
    assert_eq!(under, [path("a.jpg"), path("b/c.jpg")]);
    assert!(store.has_content(&new(2).digest).unwrap());
    assert!(!store.has_content(&new(4).digest).unwrap());
    let [image] = &store.images_with(&new(2).digest, 9).unwrap()[..] else {
        panic!("one image has this content");
    };
    assert_eq!(store.image(image.id).unwrap().as_ref(), Some(image));
    assert!(matches!(
        store.by_path(&path("a.jpg")).unwrap(),
        Some(KnownPath::Image(_))
    ));
    assert!(store.by_path(&path("d.jpg")).unwrap().is_none());
    let failures = store.failures_under(Path::new("/p")).unwrap();
    let kinds: Vec<FailureKind> = failures.iter().map(|failure| failure.kind).collect();
    let slow = FailureKind::TimedOut { limit: LIMIT };
    assert_eq!(kinds, [FailureKind::Decode, slow]);
    image.id
}

/// Searches for the image with the content 2.
fn finds(searched: &impl SearchStore, image: ImageId) {
    assert_eq!(
        (searched.len().unwrap(), searched.is_empty().unwrap()),
        (3, false)
    );
    let query = Query::new(&[2.2, 0.0]).hash(&[2]);
    for by in [RankBy::Code, RankBy::Hash, RankBy::Both] {
        let params = SearchParams::new(2).by(by);
        let (found, stats) = searched.explain(&query, &params).unwrap();
        assert_eq!((found.len(), stats.images), (2, 3));
        assert_eq!(found[0].id, image, "{by:?}");
        let filtered = params
            .clone()
            .filter(Filter::default().under("/elsewhere.jpg"));
        let (found, _) = searched.explain(&query, &filtered).unwrap();
        assert_eq!(found.len(), 1, "{by:?}");
        let (found, _) = searched.explain(&query, &params.radius(0.0)).unwrap();
        assert!(found.len() <= 1, "{by:?}");
    }
}

#[test]
fn sqlite_and_segments_meet_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::open(dir.path(), &encoder(2, 8)).unwrap();
    contract(
        writer,
        || Reader::open(dir.path()).unwrap(),
        || Index::open(dir.path()).unwrap(),
    );
}
