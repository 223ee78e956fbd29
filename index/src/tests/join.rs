//! Self-joins against all pairs.

use std::collections::BTreeSet;

use super::*;

fn params(k: usize, radius: Option<f32>) -> JoinParams {
    let mut params = JoinParams::default();
    (params.k, params.radius) = (k, radius);
    params
}

fn joined(dir: &Path, params: &JoinParams) -> Vec<NearPair> {
    let searcher = Index::open(dir).unwrap().searcher().unwrap();
    searcher.join(params, going_on).unwrap().unwrap()
}

fn ids_of(pairs: &[NearPair]) -> BTreeSet<(i64, i64)> {
    pairs.iter().map(|pair| (pair.a.0, pair.b.0)).collect()
}

/// Returns the pairs of which one is among the `k` nearest of the other within the radius.
fn naive(dir: &Path, k: usize, radius: f32) -> BTreeSet<(i64, i64)> {
    let searcher = Index::open(dir).unwrap().searcher().unwrap();
    let mut pairs = BTreeSet::new();
    for id in 1..=searcher.len() as i64 * 2 {
        let Some((code, hash)) = searcher.stored(ImageId(id)) else {
            continue;
        };
        let query = Query::new(&code).hash(&hash);
        let search = SearchParams::new(k + 1)
            .by(RankBy::Both)
            .strategy(SearchStrategy::Exact);
        let found = searcher.search(&query, &search).unwrap();
        let others = found.iter().filter(|found| found.id.0 != id).take(k);
        for other in others.filter(|other| other.distance <= radius) {
            pairs.insert((id.min(other.id.0), id.max(other.id.0)));
        }
    }
    pairs
}

#[test]
fn a_join_without_segments_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    let _writer = many(dir.path(), 300);
    for (k, radius) in [(1, f32::INFINITY), (5, f32::INFINITY), (20, 3.0), (3, 0.0)] {
        let limit = radius.is_finite().then_some(radius);
        let pairs = joined(dir.path(), &params(k, limit));
        assert_eq!(ids_of(&pairs), naive(dir.path(), k, radius), "{k} {radius}");
        assert!(pairs.is_sorted_by_key(|pair| (pair.a, pair.b)));
        assert!(
            pairs
                .iter()
                .all(|pair| pair.a < pair.b && pair.distance <= radius)
        );
    }
}

#[test]
fn a_join_along_graphs_and_of_newer_rows_finds_nearly_all_pairs() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 3000);
    fold(&mut writer, &all());
    add(&mut writer, 3000..3200);
    let wanted = naive(dir.path(), 8, f32::INFINITY);
    let found = ids_of(&joined(dir.path(), &params(8, None)));
    let share = found.intersection(&wanted).count() as f64 / wanted.len() as f64;
    assert!(share > 0.97, "{share}");
    // What is newer than the segment is found from its own side only, so nothing else is.
    assert!(found.is_subset(&naive(dir.path(), 40, f32::INFINITY)));
    assert!(found.iter().any(|(a, b)| *a <= 3000 && *b > 3000));
}

#[test]
fn only_the_images_that_are_named_and_not_removed_are_paired() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 500);
    fold(&mut writer, &all());
    add(&mut writer, 500..600);
    writer.apply(&[Change::Remove { id: ImageId(3) }]).unwrap();
    let mut some = params(4, None);
    some.images = Some((1..=600).step_by(2).map(ImageId).collect());
    let pairs = joined(dir.path(), &some);
    assert!(pairs.len() > 300);
    for pair in &pairs {
        assert!(
            pair.a.0 % 2 == 1 && pair.b.0 % 2 == 1 && pair.a.0 != 3,
            "{pair:?}"
        );
    }
    some.images = Some(vec![ImageId(3), ImageId(5), ImageId(10_000)]);
    assert!(joined(dir.path(), &some).is_empty());
}

#[test]
fn a_join_of_rows_whose_segment_is_damaged_builds_its_own_graph() {
    let dir = tempfile::tempdir().unwrap();
    let _writer = many(dir.path(), 17_000);
    let pairs = joined(dir.path(), &params(3, None));
    assert!(pairs.len() > 20_000);
    // The nearest of some, exactly.
    let searcher = Index::open(dir.path()).unwrap().searcher().unwrap();
    let found = ids_of(&pairs);
    let nearest = (1..=200i64).filter(|&id| {
        let (code, hash) = searcher.stored(ImageId(id)).unwrap();
        let query = Query::new(&code).hash(&hash);
        let search = SearchParams::new(2)
            .by(RankBy::Both)
            .strategy(SearchStrategy::Exact);
        let near = searcher.search(&query, &search).unwrap();
        let other = near.iter().find(|near| near.id.0 != id).unwrap().id.0;
        found.contains(&(id.min(other), id.max(other)))
    });
    assert!(nearest.count() > 190);
}

#[test]
fn a_join_can_be_broken_off_and_refuses_what_makes_no_sense() {
    let dir = tempfile::tempdir().unwrap();
    let _writer = many(dir.path(), 300);
    let searcher = Index::open(dir.path()).unwrap().searcher().unwrap();
    let stopped = searcher.join(&JoinParams::default(), |_| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap(), None);
    for bad in [
        params(0, None),
        params(1, Some(f32::NAN)),
        params(1, Some(-1.0)),
    ] {
        assert!(searcher.join(&bad, going_on).is_err(), "{bad:?}");
    }
    let empty = tempfile::tempdir().unwrap();
    let _writer = many(empty.path(), 1);
    assert!(joined(empty.path(), &params(5, None)).is_empty());
}
