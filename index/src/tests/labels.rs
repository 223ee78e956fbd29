//! The classes that images show.

use super::*;

fn label(class: u16, probability: f32) -> Label {
    Label { class, probability }
}

/// Three images, two of which show class 5, and a twin of the second.
fn labelled(dir: &Path) -> Writer {
    let mut writer = Writer::open(dir, &encoder(1, 8)).unwrap();
    let shown = [
        vec![label(5, 0.4), label(2, 0.6)],
        vec![label(5, 0.8)],
        vec![],
    ];
    let mut changes: Vec<Change> = (0u8..)
        .zip(shown)
        .map(|(i, labels)| {
            let mut content = content(i.into(), vec![f32::from(i)], vec![i]);
            content.labels = labels;
            insert(&format!("/{i}.jpg"), content)
        })
        .collect();
    let mut digest = [0; 32];
    digest[0] = 1;
    changes.push(Change::InsertKnown {
        path: "/twin.jpg".into(),
        stat: FileStat::default(),
        digest,
    });
    writer.apply(&changes).unwrap();
    writer
}

fn ids(found: &[(ImageId, f32)]) -> Vec<i64> {
    found.iter().map(|(id, _)| id.0).collect()
}

#[test]
fn images_are_found_by_their_classes_best_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = labelled(dir.path());
    let reader = writer.reader().unwrap();
    let labels = reader.labels(ImageId(1)).unwrap();
    assert_eq!(
        labels.iter().map(|label| label.class).collect::<Vec<_>>(),
        [2, 5]
    );
    assert!((labels[0].probability - 0.6).abs() < 0.003);
    let found = reader.labelled(5, 10).unwrap();
    assert_eq!(ids(&found), [2, 1], "one of the twins");
    assert_eq!(ids(&reader.labelled(5, 1).unwrap()), [2]);
    assert!(reader.labelled(6, 10).unwrap().is_empty());
    assert_eq!(reader.unlabelled().unwrap(), 1);
    assert!(reader.holds_labels().unwrap());
    drop(reader);
    let index = Index::open(dir.path()).unwrap();
    let labels = index.labels(&[ImageId(4), ImageId(3)]).unwrap();
    assert_eq!(labels.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0]);

    // The twin stands for both once the first is gone, and the labels go with the last.
    writer.apply(&[Change::Remove { id: ImageId(2) }]).unwrap();
    let reader = writer.reader().unwrap();
    assert_eq!(ids(&reader.labelled(5, 10).unwrap()), [4, 1]);
}

#[test]
fn a_filter_adds_the_probabilities_of_its_classes() {
    let dir = tempfile::tempdir().unwrap();
    drop(labelled(dir.path()));
    let index = Index::open(dir.path()).unwrap();
    let found = |wanted: &[(&[u16], f32)]| {
        let filter = wanted
            .iter()
            .fold(Filter::default(), |filter, &(classes, min)| {
                filter.label(classes.iter().copied(), min)
            });
        let params = SearchParams::new(9).filter(filter);
        let found = index
            .searcher()
            .unwrap()
            .search(&Query::new(&[0.0]), &params)
            .unwrap();
        found.iter().map(|found| found.id.0).collect::<Vec<_>>()
    };
    assert_eq!(found(&[(&[5], 0.3)]), [1, 2, 4]);
    assert_eq!(found(&[(&[5], 0.5)]), [2, 4]);
    assert_eq!(found(&[(&[5, 2], 0.9)]), [1]);
    assert_eq!(found(&[(&[5], 0.3), (&[2], 0.3)]), [1]);
    assert!(found(&[(&[], 0.1)]).is_empty());
}

#[test]
fn another_encoders_labels_replace_those_before() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut writer = labelled(old.path());
    let mut other = encoder(1, 8);
    other.fingerprint = "other".to_owned();
    let mut next = Writer::open(new.path(), &other).unwrap();
    let mut again = content(1, vec![9.0], vec![9]);
    again.labels = vec![label(7, 1.0)];
    next.apply(&[insert("/1.jpg", again)]).unwrap();
    writer.replace_with(next).unwrap();
    let reader = writer.reader().unwrap();
    assert!(reader.labelled(5, 9).unwrap().is_empty());
    assert_eq!(ids(&reader.labelled(7, 9).unwrap()), [2]);
}
