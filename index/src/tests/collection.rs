//! Ranking the candidates of an engine is the same as searching a folder.

use super::*;
use crate::collection::{Collection, Entry, FolderCollection, ranked};

/// Images of a folder, so few that all of them are candidates.
const IMAGES: u64 = 300;

fn logits_of(i: u64) -> Vec<f32> {
    let mut seed = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..64).map(|_| spread(&mut seed)).collect()
}

fn folder(dir: &Path) -> FolderCollection {
    let folder = FolderCollection::open(dir, &encoder(8, 64)).unwrap();
    let entries: Vec<Entry> = (0..IMAGES)
        .map(|i| Entry {
            path: format!("/p/{i}.jpg").into(),
            stat: FileStat::default(),
            content: content(i, code_of(i), pack_bits(&logits_of(i))),
        })
        .collect();
    folder.upsert(&entries).unwrap();
    folder
}

#[test]
fn ranked_candidates_are_what_a_search_of_the_folder_finds() {
    let dir = tempfile::tempdir().unwrap();
    let folder = folder(dir.path());
    let (code, logits) = (code_of(1_000), logits_of(2_000));
    let hash = pack_bits(&logits);
    let plain = Query::new(&code).hash(&hash);
    let (other, other_hash) = (code_of(5), pack_bits(&logits_of(5)));
    let less = [
        (1.0, plain.logits(&logits)),
        (-0.3, Query::new(&other).hash(&other_hash)),
    ];
    let mixture = Mixture::blend(&less, 64, false).unwrap();
    for (name, query) in [
        ("bits", plain),
        ("logits", plain.logits(&logits)),
        ("less", mixture.query()),
    ] {
        for by in [RankBy::Code, RankBy::Hash, RankBy::Both] {
            for expand in [0, 3] {
                let params = SearchParams::new(20).by(by).expand(expand);
                let (right, stats) = folder.search(&query, &params).unwrap();
                let (found, of_engine) = ranked::search(&folder, &query, &params).unwrap();
                assert_eq!(ids(&found), ids(&right), "{name} {by:?} {expand}");
                for (found, right) in found.iter().zip(&right) {
                    assert!(
                        (found.distance - right.distance).abs() < 1e-4,
                        "{name} {by:?}"
                    );
                    assert_eq!(found.hamming, right.hamming);
                }
                assert_eq!(of_engine.expanded, stats.expanded);
            }
        }
    }
    let radius = SearchParams::new(20).radius(0.0);
    let (found, stats) = ranked::search(&folder, &plain, &radius).unwrap();
    assert_eq!((found.len(), stats.images, stats.allowed), (0, 300, 300));
    assert!(ranked::search(&folder, &plain, &SearchParams::new(0)).is_err());
}
