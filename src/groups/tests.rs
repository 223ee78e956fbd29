//! Groups and maps of codes that are made up.

use std::path::Path;

use imgsearch_index::{
    Change, EncoderRecord, FileStat, Filter, ImageId, Label, NewContent, Writer,
};

use super::map::MapOptions;
use super::{GroupOptions, Groups, OutlierOptions};
use crate::error::Error;
use crate::library::Library;
use crate::random::SplitMix;

/// Numbers of a code.
const LENGTH: usize = 8;

fn open(dir: &Path) -> Writer {
    let encoder = EncoderRecord {
        fingerprint: "1b2c".to_owned(),
        name: "made up".to_owned(),
        code_len: LENGTH,
        bits: 64,
        hash_weight: 1.0,
        metadata: "{}".to_owned(),
    };
    Writer::open(dir, &encoder).unwrap()
}

/// Stores an image. The hash shows the signs of the code.
fn store(writer: &mut Writer, name: &str, code: &[f32], labels: Vec<Label>) {
    let signs = code.iter().enumerate().filter(|(_, number)| **number > 0.0);
    let byte = signs.fold(0u8, |byte, (bit, _)| byte | 1 << bit);
    let content = NewContent {
        digest: *blake3::hash(name.as_bytes()).as_bytes(),
        width: 8,
        height: 8,
        format: "jpeg".to_owned(),
        taken: None,
        damage: None,
        labels,
        code: code.to_vec(),
        hash: vec![byte; 8],
    };
    let path = format!("/photos/{name}.jpg").into();
    let stat = FileStat::default();
    writer
        .apply(&[Change::Insert {
            path,
            stat,
            content,
        }])
        .unwrap();
}

/// Returns a code near a corner of a cube, whose number is `kind`.
fn code(kind: usize, spread: f32, random: &mut SplitMix) -> Vec<f32> {
    (0..LENGTH)
        .map(|place| {
            let side = if (kind >> (place % 4)) & 1 == 1 {
                1.0
            } else {
                -1.0
            };
            // Roughly normal.
            let noise: f32 = (0..4).map(|_| random.unit() - 0.5).sum();
            side + spread * noise
        })
        .collect()
}

/// Stores `each` images of some kinds, named by their kinds.
fn clusters(writer: &mut Writer, kinds: usize, each: usize, labelled: bool) {
    let mut random = SplitMix::new(7);
    for number in 0..each {
        for kind in 0..kinds {
            let labels = labelled.then_some(Label {
                class: 100 + kind as u16,
                probability: 0.9,
            });
            let code = code(kind, 0.3, &mut random);
            store(
                writer,
                &format!("{kind}/{number}"),
                &code,
                labels.into_iter().collect(),
            );
        }
    }
}

fn groups_of(dir: &Path, options: &GroupOptions) -> Groups {
    Library::open(dir).unwrap().groups(options, &()).unwrap()
}

/// Returns the folders that the images of each group are in.
fn kinds(dir: &Path, groups: &Groups) -> Vec<Vec<String>> {
    let library = Library::open(dir).unwrap();
    let index = library.index_view().unwrap();
    let of = |ids: &[ImageId]| {
        let images = index.images(ids).unwrap().into_iter().flatten();
        let mut kinds: Vec<String> = images
            .map(|image| {
                let folder = image.path.parent().unwrap();
                folder.file_name().unwrap().to_string_lossy().into_owned()
            })
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    };
    groups
        .groups
        .iter()
        .map(|group| of(&group.images))
        .collect()
}

#[test]
fn every_cluster_is_a_group_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path());
    clusters(&mut writer, 6, 30, true);
    // Far from everything.
    let alone = [0.0, 9.0, 0.0, -9.0, 9.0, 0.0, 9.0, 0.0];
    store(&mut writer, "alone/1", &alone, Vec::new());
    drop(writer);
    let groups = groups_of(dir.path(), &GroupOptions::default());
    assert_eq!((groups.images, groups.min_size), (181, 5));
    let kinds = kinds(dir.path(), &groups);
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    for (kinds, group) in kinds.iter().zip(&groups.groups) {
        assert_eq!(kinds.len(), 1, "{kinds:?}");
        let class = 100 + kinds[0].parse::<u16>().unwrap();
        assert_eq!(group.name.as_deref(), crate::class_name(class));
        assert!(
            (group.words[0].share - 0.9).abs() < 0.01,
            "{:?}",
            group.words
        );
        assert!(group.images.len() > 25, "{} images", group.images.len());
    }
    let grouped: usize = groups.groups.iter().map(|group| group.images.len()).sum();
    assert_eq!(grouped + groups.ungrouped.len(), 181);
    assert!(groups.ungrouped.contains(&ImageId(181)), "{groups:?}");
    assert_eq!(groups, groups_of(dir.path(), &GroupOptions::default()));
}

#[test]
fn groups_within_groups_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path());
    let mut random = SplitMix::new(3);
    for number in 0..20 {
        for kind in 0..3 {
            for inner in 0..3 {
                let mut code = code(kind, 0.05, &mut random);
                code[7] += inner as f32 * 0.6;
                store(
                    &mut writer,
                    &format!("{kind}/{inner}-{number}"),
                    &code,
                    Vec::new(),
                );
            }
        }
    }
    drop(writer);
    let options = GroupOptions {
        depth: 1,
        min_size: Some(8),
        ..GroupOptions::default()
    };
    let groups = groups_of(dir.path(), &options);
    // Either the three kinds hold three groups each, or all nine are groups.
    let leaves: usize = groups
        .groups
        .iter()
        .map(|group| group.groups.len().max(1))
        .sum();
    assert_eq!(leaves, 9, "{} groups", groups.groups.len());
    assert!(groups.groups.iter().all(|group| group.name.is_none()));
    for group in &groups.groups {
        for inner in &group.groups {
            assert!(inner.images.iter().all(|id| group.images.contains(id)));
        }
    }
}

#[test]
fn none_one_and_few_images_have_no_groups() {
    for count in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path());
        clusters(&mut writer, count, 1, false);
        drop(writer);
        let groups = groups_of(dir.path(), &GroupOptions::default());
        assert!(groups.groups.is_empty(), "{groups:?}");
        assert_eq!(groups.ungrouped.len(), count);
        let library = Library::open(dir.path()).unwrap();
        let map = library.map(&MapOptions::default(), &()).unwrap();
        assert_eq!(map.places.len(), count);
        let finite = |x: f32| x.is_finite();
        assert!(
            map.places
                .iter()
                .all(|place| finite(place.x) && finite(place.y))
        );
        let outliers = library.outliers(&OutlierOptions::default(), &()).unwrap();
        assert_eq!(outliers.outliers.len(), count);
    }
}

#[test]
fn copies_of_one_image_are_one_group() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path());
    for number in 0..40 {
        store(
            &mut writer,
            &format!("same/{number}"),
            &[0.5; LENGTH],
            Vec::new(),
        );
    }
    drop(writer);
    let groups = groups_of(dir.path(), &GroupOptions::default());
    assert_eq!(groups.groups.len(), 1);
    assert_eq!(groups.groups[0].images.len(), 40);
    assert!(groups.ungrouped.is_empty());
    let library = Library::open(dir.path()).unwrap();
    let map = library.map(&MapOptions::default(), &()).unwrap();
    assert!(map.places.iter().all(|place| place.x == map.places[0].x));
}

#[test]
fn a_filter_and_a_size_are_obeyed_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path());
    clusters(&mut writer, 4, 20, false);
    drop(writer);
    let mut options = GroupOptions {
        filter: Filter::default().ids((1..=40).map(ImageId)),
        ..GroupOptions::default()
    };
    assert_eq!(groups_of(dir.path(), &options).images, 40);
    options.min_size = Some(1);
    let library = Library::open(dir.path()).unwrap();
    let error = library.groups(&options, &()).unwrap_err();
    assert!(matches!(error, Error::BadGroups(_)), "{error}");
    options.min_size = Some(1000);
    assert!(groups_of(dir.path(), &options).groups.is_empty());
    let stop = std::sync::atomic::AtomicBool::new(true);
    let error = library.groups(&GroupOptions::default(), &stop).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
}

#[test]
fn a_map_keeps_its_places_when_images_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path());
    clusters(&mut writer, 5, 30, false);
    drop(writer);
    let map = |options: &MapOptions| {
        Library::open(dir.path())
            .unwrap()
            .map(options, &())
            .unwrap()
    };
    let first = map(&MapOptions::default());
    assert_eq!((first.kept, first.placed), (0, 150));
    let library = Library::open(dir.path()).unwrap();
    assert!(library.trustworthiness(&first).unwrap() > 0.9);
    let renew = MapOptions {
        renew: true,
        ..MapOptions::default()
    };
    assert_eq!(map(&renew).places, first.places, "seeded");

    let mut writer = open(dir.path());
    let mut random = SplitMix::new(99);
    for number in 0..10 {
        let code = code(2, 0.3, &mut random);
        store(&mut writer, &format!("2/new-{number}"), &code, Vec::new());
    }
    writer.apply(&[Change::Remove { id: ImageId(1) }]).unwrap();
    drop(writer);
    let second = map(&MapOptions::default());
    assert_eq!((second.kept, second.placed), (149, 10));
    for place in &first.places[1..] {
        assert!(second.places.contains(place), "{place:?}");
    }
    // New images lie among their kind.
    let of_kind: Vec<_> = first.places.iter().skip(2).step_by(5).collect();
    for new in &second.places[149..] {
        let near = |kind: &&&super::map::MapPlace| (kind.x - new.x).hypot(kind.y - new.y);
        let nearest = of_kind
            .iter()
            .map(|place| near(&place))
            .fold(f32::MAX, f32::min);
        assert!(nearest < 2.0, "{nearest} away");
    }
    let shown = MapOptions {
        filter: Filter::default().ids([ImageId(2), ImageId(155)]),
        ..MapOptions::default()
    };
    assert_eq!(map(&shown).places.len(), 2);
}
