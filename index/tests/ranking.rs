//! What is found by default is what a scan of every row finds: for each ranking, whatever a filter or
//! a removal has to do with the codes.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use imgsearch_index::{
    Change, EncoderRecord, Filter, FoldOptions, ImageId, Index, Query, RankBy, SearchParams,
    SearchStrategy, Searcher, Step, Writer,
};
use synthetic::{BITS, CODE, Images};

#[allow(dead_code)]
#[path = "../../benches/synthetic.rs"]
mod synthetic;

/// Images; enough that a graph finds its way, and few enough to build one in a moment.
const IMAGES: usize = 12_000;
const QUERIES: usize = 100;
const K: usize = 10;
/// What is asked of the default ranking on real codes, and so of these.
const RECALL: f64 = 0.99;

fn encoder(hash_weight: f32) -> EncoderRecord {
    EncoderRecord {
        fingerprint: "0123456789abcdef".to_owned(),
        name: "test".to_owned(),
        code_len: CODE,
        bits: BITS,
        hash_weight,
        metadata: "{}".to_owned(),
    }
}

/// A progress that never cancels.
fn going_on(_: Step) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn fold(dir: &Path) {
    let mut options = FoldOptions::default();
    options.all = true;
    let mut writer = Writer::open_existing(dir).unwrap();
    let folded = writer.fold(&options, &mut going_on).unwrap();
    assert!(folded.made > 0);
}

/// Images in one segment.
fn stored(dir: &Path, images: &Images) -> Arc<Searcher> {
    synthetic::fill(dir, &encoder(16.0), images, 0);
    fold(dir);
    Index::open(dir).unwrap().searcher().unwrap()
}

/// The recall of `params` against its own exact answers, and how many queries had a part that fell
/// back to a scan.
fn recall(searcher: &Searcher, asked: &Images, params: &SearchParams) -> (f64, usize) {
    let (mut same, mut of, mut fell_back) = (0, 0, 0);
    for i in 0..asked.len() {
        let (code, hash) = asked.get(i);
        let mut query = Query::new(code).hash(hash);
        query.logits = asked.logits(i);
        let exact = params.clone().strategy(SearchStrategy::Exact);
        let truth = searcher.search(&query, &exact).unwrap();
        let (found, explained) = searcher.explain(&query, params).unwrap();
        assert!(found.is_sorted_by_key(|found| (found.distance.to_bits(), found.id)));
        fell_back += usize::from(explained.fell_back);
        of += truth.len();
        same += truth.iter().filter(|there| found.contains(there)).count();
    }
    (same as f64 / of as f64, fell_back)
}

/// The ids of a share of the images that lie on one side of the codes.
fn one_side(images: &Images, share: f64) -> Vec<ImageId> {
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by(|&a, &b| images.codes[b * CODE].total_cmp(&images.codes[a * CODE]));
    order.truncate((images.len() as f64 * share) as usize);
    order.iter().map(|&i| ImageId(i as i64 + 1)).collect()
}

fn at_random(images: &Images, share: f64) -> Vec<ImageId> {
    let step = (1.0 / share) as usize;
    let ids = (0..images.len()).filter(|i| i % step == 0);
    ids.map(|i| ImageId(i as i64 + 1)).collect()
}

const RANKINGS: [RankBy; 3] = [RankBy::Code, RankBy::Both, RankBy::Hash];

#[test]
fn every_ranking_finds_along_the_graph_what_a_scan_finds() {
    let images = synthetic::draw(IMAGES, IMAGES, 1);
    let asked = synthetic::draw(QUERIES, IMAGES, 2);
    let dir = tempfile::tempdir().unwrap();
    let searcher = stored(dir.path(), &images);
    for by in RANKINGS {
        let params = SearchParams::new(K).by(by).strategy(SearchStrategy::Graph);
        let (reached, fell_back) = recall(&searcher, &asked, &params);
        assert!(reached >= RECALL, "{by:?}: {reached}");
        assert_eq!(fell_back, 0, "{by:?}");
        for share in [0.01, 0.1, 0.5] {
            for ids in [at_random(&images, share), one_side(&images, share)] {
                for strategy in [SearchStrategy::Auto, SearchStrategy::Graph] {
                    let filter = Filter::default().ids(ids.iter().copied());
                    let params = params.clone().filter(filter).strategy(strategy);
                    let (reached, _) = recall(&searcher, &asked, &params);
                    assert!(reached >= RECALL, "{by:?} {share} {strategy:?}: {reached}");
                }
            }
        }
    }
    // A graph that is asked for too little misses some, so the bar can be missed.
    let params = SearchParams::new(1)
        .by(RankBy::Both)
        .strategy(SearchStrategy::Graph)
        .ef(1);
    let (reached, _) = recall(&searcher, &asked, &params);
    assert!(reached < RECALL, "{reached}");
}

#[test]
fn a_query_with_logits_finds_along_the_graph_what_a_scan_finds() {
    let images = synthetic::draw(IMAGES, IMAGES, 1);
    let asked = synthetic::draw(QUERIES, IMAGES, 2).with_logits(9);
    let dir = tempfile::tempdir().unwrap();
    let searcher = stored(dir.path(), &images);
    let params = SearchParams::new(K).by(RankBy::Both);
    let graph = params.clone().strategy(SearchStrategy::Graph);
    let (reached, fell_back) = recall(&searcher, &asked, &graph);
    assert!(reached >= RECALL, "{reached}");
    assert_eq!(fell_back, 0);
    for ids in [at_random(&images, 0.1), one_side(&images, 0.1)] {
        let params = params.clone().filter(Filter::default().ids(ids));
        let (reached, _) = recall(&searcher, &asked, &params);
        assert!(reached >= RECALL, "{reached}");
    }
    let (reached, _) = recall(&searcher, &asked, &graph.ef(1));
    assert!(reached < RECALL, "{reached}");
}

#[test]
fn where_64_candidates_miss_much_more_are_taken() {
    // One cloud: everything is about as far from everything.
    let images = synthetic::draw(2 * IMAGES, 1, 5);
    let asked = synthetic::draw(2 * QUERIES, 1, 6);
    let dir = tempfile::tempdir().unwrap();
    let searcher = stored(dir.path(), &images);
    let code = asked.get(0).0;
    for by in [RankBy::Code, RankBy::Both] {
        let params = SearchParams::new(K).by(by).strategy(SearchStrategy::Graph);
        let (of_64, _) = recall(&searcher, &asked, &params.clone().ef(64));
        let (reached, fell_back) = recall(&searcher, &asked, &params);
        let query = Query::new(code).hash(asked.get(0).1);
        let (_, explained) = searcher.explain(&query, &params).unwrap();
        let ef = explained.parts[0].ef.unwrap();
        println!("{by:?}: {of_64} with 64, {reached} with {ef}");
        assert!(reached >= RECALL, "{by:?}: {reached} with {ef}");
        assert_eq!(fell_back, 0, "{by:?}");
        assert!(of_64 < RECALL && ef > 64, "{of_64} with 64, {ef} taken");
        // Whoever asks for a number gets it.
        let (_, explained) = searcher.explain(&query, &params.ef(70)).unwrap();
        assert_eq!(explained.parts[0].ef, Some(70));
    }
}

#[test]
fn removing_what_is_alike_loses_nothing_else() {
    let images = synthetic::draw(IMAGES, IMAGES, 3);
    let asked = synthetic::draw(QUERIES, IMAGES, 4);
    for ids in [at_random(&images, 0.3), one_side(&images, 0.3)] {
        let dir = tempfile::tempdir().unwrap();
        drop(stored(dir.path(), &images));
        let changes: Vec<Change> = ids.into_iter().map(|id| Change::Remove { id }).collect();
        let mut writer = Writer::open_existing(dir.path()).unwrap();
        writer.apply(&changes).unwrap();
        drop(writer);
        for folded in [false, true] {
            if folded {
                fold(dir.path());
            }
            let index = Index::open(dir.path()).unwrap();
            let searcher = index.searcher().unwrap();
            assert_eq!(searcher.len(), IMAGES - changes.len());
            for by in RANKINGS {
                let params = SearchParams::new(K).by(by).strategy(SearchStrategy::Graph);
                let (reached, _) = recall(&searcher, &asked, &params);
                assert!(reached >= RECALL, "{by:?}, folded {folded}: {reached}");
            }
            let checked = index.check(&mut going_on).unwrap();
            assert!(checked.is_sound(), "{checked:?}");
        }
    }
}

/// Many images right at the query that may not be found, as many a little farther that may, and a few
/// newer ones far away.
#[test]
fn a_part_that_finds_too_little_does_not_hide_behind_another() {
    const EACH: usize = 10_000;
    let mut images = Images::default();
    let mut random = synthetic::Random(5);
    let place = |distance: f32, random: &mut synthetic::Random| {
        let mut code: Vec<f32> = (0..CODE).map(|_| random.normal()).collect();
        synthetic::unit(&mut code);
        code.iter_mut().for_each(|number| *number *= distance);
        code
    };
    for i in 0..2 * EACH {
        let distance = if i < EACH { 0.1 } else { 1.5 } + 0.5 * random.uniform() as f32;
        images.push((&place(distance, &mut random), &[0; BITS / 8]));
    }
    let dir = tempfile::tempdir().unwrap();
    drop(stored(dir.path(), &images));
    let mut newer = Images::default();
    (0..12).for_each(|_| newer.push((&place(9.0, &mut random), &[0; BITS / 8])));
    synthetic::fill(dir.path(), &encoder(16.0), &newer, 2 * EACH);

    let far: Vec<ImageId> = (EACH..2 * EACH + 12)
        .map(|i| ImageId(i as i64 + 1))
        .collect();
    let query = Query::new(&[0.0; CODE]).hash(&[0; BITS / 8]);
    let check = |searcher: &Searcher, filter: &Filter| {
        for by in [RankBy::Code, RankBy::Both] {
            let params = SearchParams::new(3).by(by).filter(filter.clone());
            let ask = |strategy| {
                searcher
                    .explain(&query, &params.clone().strategy(strategy))
                    .unwrap()
            };
            let (truth, _) = ask(SearchStrategy::Exact);
            assert!(truth[2].distance < 2.6, "{truth:?}");
            for strategy in [SearchStrategy::Graph, SearchStrategy::Auto] {
                let (found, explained) = ask(strategy);
                assert_eq!(found, truth, "{by:?} {strategy:?} {explained:?}");
                // The newer ones are a part that is scanned, and find enough by themselves.
                assert!(
                    strategy == SearchStrategy::Auto || explained.fell_back,
                    "{explained:?}"
                );
            }
        }
    };
    let index = Index::open(dir.path()).unwrap();
    let filter = Filter::default().ids(far.iter().copied());
    check(&index.searcher().unwrap(), &filter);
    // The same without a filter, if those that are near were removed.
    let near: Vec<Change> = (0..EACH)
        .map(|i| Change::Remove {
            id: ImageId(i as i64 + 1),
        })
        .collect();
    Writer::open_existing(dir.path())
        .unwrap()
        .apply(&near)
        .unwrap();
    check(&index.searcher().unwrap(), &Filter::default());
}
