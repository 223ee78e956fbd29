//! Search against a naive one.

use super::*;

#[test]
fn search_is_the_naive_ranking_for_every_measure_and_length() {
    for (code_len, bits) in [(30, 256), (7, 65), (1, 1), (33, 100)] {
        let dir = tempfile::tempdir().unwrap();
        let rows = filled(dir.path(), 400, code_len, bits);
        let index = Index::open(dir.path()).unwrap();
        for (code, hash) in rows.iter().take(20) {
            let query = Query::new(code).hash(hash);
            for by in [RankBy::Code, RankBy::Hash, RankBy::Both] {
                let mut naive: Vec<(f32, i64)> = rows
                    .iter()
                    .enumerate()
                    .map(|(i, (other, bits_of))| {
                        let square: f32 =
                            code.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum();
                        let share = hamming(hash, bits_of) as f32 / bits as f32;
                        let distance = match by {
                            RankBy::Code => square.sqrt(),
                            RankBy::Hash => share,
                            RankBy::Both => {
                                square + 3.0 / bits as f32 * hamming(hash, bits_of) as f32
                            }
                        };
                        (distance, i as i64 + 1)
                    })
                    .collect();
                naive.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                for k in [1, 13, 400, 1000] {
                    let found = index.search(&query, &SearchParams::new(k).by(by)).unwrap();
                    assert_eq!(found.len(), k.min(400));
                    for (found, (distance, id)) in found.iter().zip(&naive) {
                        assert_eq!(found.id.0, *id, "{by:?} {k}");
                        assert!((found.distance - distance).abs() < 1e-5);
                    }
                }
            }
            let near = index.within_hamming(hash, 2).unwrap();
            let expected = rows
                .iter()
                .filter(|(_, other)| hamming(hash, other) <= 2)
                .count();
            assert_eq!(near.len(), expected);
            assert!(
                near.windows(2)
                    .all(|pair| pair[0].hamming <= pair[1].hamming)
            );
        }
    }
}

#[test]
fn logits_weigh_the_differing_bits_by_every_strategy() {
    for (code_len, bits) in [(30, 256), (7, 65), (1, 1), (33, 100)] {
        let dir = tempfile::tempdir().unwrap();
        let rows = filled(dir.path(), 400, code_len, bits);
        let index = Index::open(dir.path()).unwrap();
        let few = Filter::default().ids((1..=400).filter(|id| id % 3 == 0).map(ImageId));
        for (n, (code, hash)) in rows.iter().take(20).enumerate() {
            // Sizes from 0 on, with the signs that the hash has.
            let logits: Vec<f32> = (0..bits)
                .map(|i| {
                    let size = ((i * 7 + n) % 11) as f32 / 4.0;
                    let set = hash[i / 8] >> (i % 8) & 1 == 1;
                    if set { size + 0.1 } else { -size }
                })
                .collect();
            let sum: f32 = logits.iter().map(|logit| logit.abs()).sum();
            let naive = |id: ImageId| -> f32 {
                let (other, bits_of) = &rows[id.0 as usize - 1];
                let square: f32 = code.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum();
                let differ = |i: &usize| (hash[i / 8] ^ bits_of[i / 8]) >> (i % 8) & 1 == 1;
                let weights = (0..bits).filter(differ).map(|i| logits[i].abs());
                square + 3.0 * weights.sum::<f32>() / sum.max(f32::MIN_POSITIVE)
            };
            let query = Query::new(code).hash(hash).logits(&logits);
            for filter in [Filter::default(), few.clone()] {
                let params = SearchParams::new(50).by(RankBy::Both).filter(filter);
                let found = index.search(&query, &params).unwrap();
                assert_eq!(found.len(), 50);
                for pair in found.windows(2) {
                    assert!(
                        (pair[0].distance, pair[0].id) < (pair[1].distance, pair[1].id),
                        "{pair:?}"
                    );
                }
                for found in &found {
                    let expected = naive(found.id);
                    assert!(
                        (found.distance - expected).abs() < 1e-4,
                        "{found:?} {expected}"
                    );
                }
                let nearest = (1..=400)
                    .map(ImageId)
                    .filter(|id| params.filter.is_empty() || id.0 % 3 == 0)
                    .map(naive)
                    .fold(f32::INFINITY, f32::min);
                assert!((found[0].distance - nearest).abs() < 1e-4);
                // A shortlist that holds everything is exact.
                let all = params.clone().strategy(SearchStrategy::Shortlist(8));
                assert_eq!(index.search(&query, &all).unwrap(), found);
            }
            // Only ranking by both looks at them.
            let plain = Query::new(code).hash(hash);
            for by in [RankBy::Code, RankBy::Hash] {
                let params = SearchParams::new(9).by(by);
                assert_eq!(
                    index.search(&query, &params).unwrap(),
                    index.search(&plain, &params).unwrap()
                );
            }
        }
    }
}

#[test]
fn an_expanded_search_keeps_what_was_mixed_in_first() {
    let dir = tempfile::tempdir().unwrap();
    let rows = filled(dir.path(), 400, 30, 256);
    let index = Index::open(dir.path()).unwrap();
    for (code, hash) in rows.iter().take(20) {
        let logits: Vec<f32> = (0..256)
            .map(|i| {
                let size = (i % 7) as f32 + 0.5;
                if hash[i / 8] >> (i % 8) & 1 == 1 {
                    size
                } else {
                    -size
                }
            })
            .collect();
        let query = Query::new(code).hash(hash).logits(&logits);
        for by in [RankBy::Code, RankBy::Hash, RankBy::Both] {
            let params = SearchParams::new(10).by(by);
            let plain = index.search(&query, &params).unwrap();
            for expand in [1, 2, 3, 400, 1000] {
                let params = params.clone().expand(expand);
                let (found, stats) = index.searcher().unwrap().explain(&query, &params).unwrap();
                assert_eq!(stats.expanded, expand.min(400));
                assert_eq!(found.len(), 10);
                assert!(found.is_sorted_by(|a, b| (a.distance, a.id) < (b.distance, b.id)));
                // Those that were mixed in stay where they are: the image itself, above all.
                let first = expand.min(10);
                assert_eq!(found[..first], plain[..first]);
                let exact = params.clone().strategy(SearchStrategy::Exact);
                assert_eq!(index.search(&query, &exact).unwrap(), found);
                // A radius ends the same list earlier.
                let limit = found[4].distance;
                let within = found.iter().filter(|found| found.distance <= limit);
                let within: Vec<_> = within.copied().collect();
                assert_eq!(index.search(&query, &params.radius(limit)).unwrap(), within);
            }
        }
    }
    let empty = tempfile::tempdir().unwrap();
    filled(empty.path(), 0, 30, 256);
    let index = Index::open(empty.path()).unwrap();
    let (code, hash) = &rows[0];
    let params = SearchParams::new(3).by(RankBy::Both).expand(3);
    let found = index.search(&Query::new(code).hash(hash), &params);
    assert!(found.unwrap().is_empty());
}

#[test]
fn logits_that_are_not_those_of_the_hash_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let rows = filled(dir.path(), 3, 4, 8);
    let index = Index::open(dir.path()).unwrap();
    let (code, hash) = &rows[0];
    let right: Vec<f32> = (0..8)
        .map(|i| if hash[0] >> i & 1 == 1 { 1.0 } else { -1.0 })
        .collect();
    let mut nan = right.clone();
    nan[3] = f32::NAN;
    let wrong: Vec<f32> = right.iter().map(|logit| -logit).collect();
    let params = SearchParams::new(1).by(RankBy::Both);
    let cases = [
        (&right[..7], "7 logits were given"),
        (&nan, "not finite"),
        (&wrong, "not those of the hash"),
    ];
    for (logits, says) in cases {
        let query = Query::new(code).hash(hash).logits(logits);
        let error = index.search(&query, &params).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let query = Query::new(code).hash(hash).logits(&right);
    assert_eq!(index.search(&query, &params).unwrap()[0].distance, 0.0);
}

#[test]
fn what_is_new_removed_or_changed_is_seen_at_once_folded_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 5000);
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(fold(&mut writer, &FoldOptions::default()).images, 5000);
    assert_eq!(segment_files(dir.path()).len(), 1);
    assert!(recall(&index, &SearchParams::new(10)) > 0.98);
    // Nothing more to do.
    assert_eq!(fold(&mut writer, &FoldOptions::default()).made, 0);

    add(&mut writer, 5000..5100);
    let nearest = |i: u64| {
        let code = code_of(i);
        index.nearest(&code, 1).unwrap()[0]
    };
    assert_eq!((nearest(5050).id.0, nearest(5050).distance), (5051, 0.0));
    writer
        .apply(&[
            Change::Remove { id: ImageId(5051) },
            Change::Remove { id: ImageId(77) },
        ])
        .unwrap();
    for gone in [5050, 76] {
        assert!(nearest(gone).distance > 0.0);
    }
    assert_eq!(index.len().unwrap(), 5098);
    // A few new images are not worth a segment, unless it is asked for.
    assert_eq!(fold(&mut writer, &FoldOptions::default()).made, 0);
    let before = segment_files(dir.path());
    assert_eq!(fold(&mut writer, &all()).images, 5098);
    assert_ne!(segment_files(dir.path()), before);
    assert_eq!(segment_files(dir.path()).len(), 1);
    assert_eq!(index.len().unwrap(), 5098);
    assert_eq!(nearest(5051).id.0, 5052);
    let checked = index.check(&mut going_on).unwrap();
    let found = checked.rankings.iter().all(|ranking| ranking.recall > 0.98);
    assert!(checked.is_sound() && found, "{checked:?}");
    assert_eq!(
        (checked.in_segments, checked.newer, checked.removed),
        (5098, 0, 0)
    );
}

#[test]
fn a_third_removed_costs_no_recall_and_is_folded_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 6000);
    fold(&mut writer, &FoldOptions::default());
    let changes: Vec<Change> = (0..6000)
        .filter(|i| i % 10 < 3)
        .map(|i| Change::Remove { id: ImageId(i + 1) })
        .collect();
    writer.apply(&changes).unwrap();
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.len().unwrap(), 4200);
    let recall_before = recall(&index, &SearchParams::new(10));
    assert!(recall_before > 0.98, "{recall_before}");
    let view = index.searcher().unwrap();
    assert_eq!(fold(&mut writer, &FoldOptions::default()).images, 4200);
    assert_eq!(index.check(&mut going_on).unwrap().removed, 0);
    assert!(recall(&index, &SearchParams::new(10)) > 0.98);
    // A view of before goes on with the file that was folded away.
    assert_eq!(view.len(), 4200);
    assert!(ids(&view.nearest(&code_of(3), 1).unwrap()) == [4]);
}

#[test]
fn the_cheaper_way_is_taken_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 20_000);
    fold(&mut writer, &FoldOptions::default());
    add(&mut writer, 20_000..20_050);
    let searcher = Index::open(dir.path()).unwrap().searcher().unwrap();
    let code = code_of(1);
    let hash = 1u64.to_le_bytes();
    let query = Query::new(&code).hash(&hash);
    let explain = |params: SearchParams| searcher.explain(&query, &params).unwrap();
    let (found, told) = explain(SearchParams::new(10));
    assert_eq!(
        (told.images, told.allowed, told.parts.len()),
        (20_050, 20_050, 2)
    );
    assert!(
        told.parts[0].ef.is_some() && told.parts[0].distances < 10_000,
        "{told:?}"
    );
    assert_eq!((told.parts[1].ef, told.parts[1].distances), (None, 50));
    assert_eq!(found[0].id, ImageId(2));
    // A few images are looked at one by one, and so are all if k is large or only bits count.
    let few = Filter::default().ids((1..200).map(ImageId));
    for params in [
        SearchParams::new(10).filter(few),
        SearchParams::new(15_000),
        SearchParams::new(10).by(RankBy::Hash),
        SearchParams::new(10).strategy(SearchStrategy::Exact),
    ] {
        let (_, told) = explain(params);
        assert!(told.parts.iter().all(|part| part.ef.is_none()), "{told:?}");
    }
    let (both, _) = explain(SearchParams::new(10).by(RankBy::Both));
    let (exact, _) = explain(
        SearchParams::new(10)
            .by(RankBy::Both)
            .strategy(SearchStrategy::Exact),
    );
    assert_eq!(both[0], exact[0]);
    let (short, _) = explain(SearchParams::new(1).strategy(SearchStrategy::Shortlist(10)));
    assert_eq!(ids(&short), [2]);
    let (near, _) = explain(SearchParams::new(100).radius(0.5));
    assert!(!near.is_empty() && near.len() < 100 && near.iter().all(|found| found.distance <= 0.5));
    let batch = searcher
        .search_many(&[query; 9], &SearchParams::new(10))
        .unwrap();
    assert!(batch.iter().all(|answer| *answer == found));
}

#[test]
fn expanding_brings_back_nothing_that_the_query_is_less_of() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), &encoder(2, 8)).unwrap();
    // All lie near (0, 1), which the query is less of, except the last two.
    let codes = [
        [0.3, 0.95],
        [0.2, 0.98],
        [0.1, 0.99],
        [-1.0, 0.0],
        [0.0, -1.0],
    ];
    let changes: Vec<Change> = codes
        .iter()
        .enumerate()
        .map(|(i, code)| {
            let content = content(i as u64, code.to_vec(), vec![0]);
            insert(&format!("/p/{i}.jpg"), content)
        })
        .collect();
    writer.apply(&changes).unwrap();
    let index = Index::open(dir.path()).unwrap();
    let more = (1.0, Query::new(&[0.7, 0.7]));
    let blended = Mixture::blend(&[more, (-0.2, Query::new(&[0.0, 1.0]))], 8, false).unwrap();
    let found = |query: &Query<'_>, expand: usize| {
        let params = SearchParams::new(5).by(RankBy::Code).expand(expand);
        index.search(query, &params).unwrap()
    };
    // None of the three nearest is mixed in, so the second search is the first.
    let (once, expanded) = (found(&blended.query(), 0), found(&blended.query(), 3));
    let ids = |found: &[Neighbour]| found.iter().map(|found| found.id).collect::<Vec<_>>();
    assert_eq!(ids(&once), ids(&expanded));
    for (once, expanded) in once.iter().zip(&expanded) {
        assert!((once.distance - expanded.distance).abs() < 1e-4);
    }
    // They are mixed into the same query if it is less of nothing.
    let plain = Query::new(blended.query().code);
    assert!((found(&plain, 3)[4].distance - once[4].distance).abs() > 0.05);
}

#[test]
fn a_stored_image_is_returned_until_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let rows = filled(dir.path(), 20, 30, 100);
    let index = Index::open(dir.path()).unwrap();
    let searcher = index.searcher().unwrap();
    let ids: Vec<ImageId> = searcher
        .nearest(&rows[7].0, 20)
        .unwrap()
        .iter()
        .map(|found| found.id)
        .collect();
    let of_seven = ids
        .iter()
        .find(|id| searcher.stored(**id) == Some(rows[7].clone()));
    let id = *of_seven.unwrap();
    assert_eq!(searcher.stored(ImageId(-1)), None);
    let mut writer = Writer::open_existing(dir.path()).unwrap();
    writer.apply(&[Change::Remove { id }]).unwrap();
    assert_eq!(index.searcher().unwrap().stored(id), None);
    assert!(searcher.stored(id).is_some(), "of the instant before");
}

#[test]
fn equal_codes_and_hashes_are_one_point_with_other_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), &encoder(2, 8)).unwrap();
    // Two of each, the second far behind the first.
    for copy in 0..2 {
        for number in 0..5u8 {
            let code = vec![f32::from(number), 0.0];
            let image = insert(
                &format!("/p/{copy}/{number}.jpg"),
                content(copy * 5 + u64::from(number), code, vec![number]),
            );
            writer.apply(&[image]).unwrap();
        }
    }
    let index = Index::open(dir.path()).unwrap();
    let searcher = index.searcher().unwrap();
    let points = searcher.points(None).unwrap();
    assert_eq!((points.len(), points.is_empty()), (5, false));
    assert_eq!(points.ids(), [1, 2, 3, 4, 5].map(ImageId));
    let of: Vec<u32> = points.images().iter().map(|(_, point)| *point).collect();
    assert_eq!(of, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    assert_eq!(
        (points.code(3), points.hash(3)),
        (&[3.0, 0.0][..], &[3][..])
    );
    assert_eq!(points.bits_between(1, 3), 1);
    let distance = 4.0 + points.bit();
    assert!((points.distance(1, 3) - distance).abs() < 1e-6);

    let near = searcher
        .nearest_points(&points, 0..5, &SearchParams::new(2))
        .unwrap();
    assert_eq!(near, [[1, 2], [0, 2], [1, 3], [2, 4], [3, 2]]);
    // Among some, the first of them stands for its copies.
    let some = Filter::default().ids([3, 6, 7, 8].map(ImageId));
    let points = searcher
        .points(Some(&searcher.select(&some).unwrap()))
        .unwrap();
    assert_eq!(points.ids(), [3, 6, 7].map(ImageId));
    assert_eq!(points.images().len(), 4);
    let near = searcher
        .nearest_points(&points, 0..3, &SearchParams::new(9))
        .unwrap();
    assert_eq!(near, [vec![2, 1], vec![2, 0], vec![0, 1]]);
}
