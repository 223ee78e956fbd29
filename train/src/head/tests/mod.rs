//! The trainer as a whole, on features made by rule, and its file in ONNX Runtime.

mod files;
mod refusals;

use std::ops::ControlFlow;

use super::*;
use crate::baseline::{Itq, Pca};
use crate::linear::{Normal, normalise};
use crate::neighbourhood_preservation;

const D: usize = 48;

/// Groups of images: each has the features of its group's centre and some of its own. Of `n`
/// images, image `i` is in group `i % groups`. The second part is an altered copy.
fn samples(n: usize, groups: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut random = Normal::new(99);
    let centres: Vec<f32> = (0..groups * D).map(|_| random.draw()).collect();
    let mut random = Normal::new(seed);
    let (mut clean, mut copy) = (Vec::new(), Vec::new());
    for i in 0..n {
        for centre in &centres[i % groups * D..][..D] {
            let own = centre + 0.7 * random.draw();
            clean.push(3.0 + own);
            copy.push(3.0 + own + 0.3 * random.draw());
        }
    }
    (clean, copy)
}

fn small() -> HeadOptions {
    HeadOptions {
        code_len: 6,
        bits: 24,
        epochs: 30,
        batch: 64,
        learning_rate: 5e-3,
        decoder_width: 32,
        ..HeadOptions::default()
    }
}

fn set(clean: &[f32]) -> TrainingSet<'_> {
    TrainingSet {
        clean,
        views: Vec::new(),
        d: D,
        prior: prior(),
    }
}

fn prior() -> ClassifierPrior {
    ClassifierPrior::default()
}

fn quietly(_: &EpochReport) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn train(set: &TrainingSet<'_>, options: &HeadOptions) -> Head {
    train_head(set, options, &mut quietly).unwrap()
}

fn l2(rows: &[f32], length: usize) -> impl Fn(usize, usize) -> f32 {
    move |a, b| {
        let pair = rows[a * length..][..length]
            .iter()
            .zip(&rows[b * length..][..length]);
        pair.map(|(x, y)| (x - y).powi(2)).sum()
    }
}

#[test]
fn a_trained_code_keeps_more_neighbours_than_main_directions_do() {
    let (n, judged) = (600, 200);
    let (clean, copy) = samples(n, 20, 1);
    let (unseen, _) = samples(judged, 20, 2);
    let set = TrainingSet {
        views: vec![&copy],
        ..set(&clean)
    };
    let options = small();
    let k = options.code_len;
    let head = train(&set, &options);
    let kept =
        |codes: &[f32]| neighbourhood_preservation(&unseen, D, judged, 10, 0..judged, l2(codes, k));

    let trained = kept(&head.apply(&unseen, judged).codes);
    let pca = Pca::fit(&clean, n, D, k).unwrap();
    let mut projected = pca.project(&unseen, judged);
    normalise(&mut projected, k);
    let projected = kept(&projected);
    let mut random = Normal::new(3);
    let random = Head {
        code: head.code.iter().map(|_| random.draw()).collect(),
        code_bias: vec![0.0; k],
        ..head
    };
    let random = kept(&random.apply(&unseen, judged).codes);
    assert!(
        trained > projected + 0.02 && projected > random,
        "trained {trained}, principal components {projected}, random {random}"
    );
}

fn small_deep() -> HeadOptions {
    HeadOptions {
        code_len: 6,
        bits: 24,
        epochs: 40,
        batch: 100,
        decoder_width: 32,
        ..HeadOptions::deep(48)
    }
}

/// The share of the 10 nearest of each image that are of its group.
fn of_the_same_group(n: usize, groups: usize, distance: impl Fn(usize, usize) -> f32) -> f64 {
    let shares = (0..n).map(|i| {
        let mut others: Vec<usize> = (0..n).filter(|&j| j != i).collect();
        others.sort_by(|&a, &b| distance(i, a).total_cmp(&distance(i, b)));
        let own = others[..10].iter().filter(|&&j| j % groups == i % groups);
        own.count() as f64 / 10.0
    });
    shares.sum::<f64>() / n as f64
}

#[test]
fn a_hidden_layer_learns_groups_that_main_directions_do_not_show() {
    let (n, judged, groups) = (1200, 300, 12);
    // Each number is one of noise, too, so that features tell groups badly.
    let noisy = |seed: u64, of: (Vec<f32>, Vec<f32>)| {
        let mut random = Normal::new(seed);
        let mut noise = |rows: Vec<f32>| -> Vec<f32> {
            rows.iter()
                .map(|value| value + 1.8 * random.draw())
                .collect()
        };
        (noise(of.0), noise(of.1))
    };
    let (clean, copy) = noisy(5, samples(n, groups, 1));
    let (unseen, _) = noisy(6, samples(judged, groups, 2));
    let set = TrainingSet {
        views: vec![&copy],
        ..set(&clean)
    };
    let options = small_deep();
    let head = train(&set, &options);
    let made = head.apply(&unseen, judged);
    let k = options.code_len;
    let code = of_the_same_group(judged, groups, l2(&made.codes, k));
    let bits: Vec<f32> = made.logits.iter().map(|v| v.signum()).collect();
    let hash = of_the_same_group(judged, groups, l2(&bits, options.bits));
    let mut centred = unseen.clone();
    crate::linear::centre(&mut centred, &crate::linear::mean(&clean, D));
    normalise(&mut centred, D);
    let features = of_the_same_group(judged, groups, l2(&centred, D));
    let mut main = Pca::fit(&clean, n, D, k).unwrap().project(&unseen, judged);
    normalise(&mut main, k);
    let main = of_the_same_group(judged, groups, l2(&main, k));
    assert!(
        code > features && hash > features && code > main + 0.05,
        "code {code}, hash {hash}, features {features}, principal components {main}"
    );
    // Neighbours and the contrast each do something.
    for poorer in [
        HeadOptions {
            neighbours: 0,
            ..options.clone()
        },
        HeadOptions {
            contrast_weight: 0.0,
            ..options.clone()
        },
    ] {
        let made = train(&set, &poorer).apply(&unseen, judged);
        let poorer = of_the_same_group(judged, groups, l2(&made.codes, k));
        eprintln!("{poorer} {code}");
        assert!(poorer < code, "{poorer} {code}");
    }
}

#[test]
fn a_deep_head_repeats_ends_early_and_is_balanced() {
    let (clean, copy) = samples(200, 10, 1);
    let set = TrainingSet {
        views: vec![&copy],
        ..set(&clean)
    };
    let options = HeadOptions {
        epochs: 3,
        ..small_deep()
    };
    let head = train(&set, &options);
    assert_eq!(head, train(&set, &options));
    let mut reports = Vec::new();
    let ended = train_head(&set, &options, &mut |report| {
        reports.push(*report);
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!((reports.len(), ended.record.epochs), (1, 1));
    assert_eq!((head.record.epochs, reports[0].of), (6, 6));
    assert!(reports[0].contrast > 0.0 && reports[0].reconstruction > 0.0);
    let out = head.apply(&clean, 200);
    for bit in 0..options.bits {
        let logits = out.logits.iter().skip(bit).step_by(options.bits);
        assert_eq!(logits.filter(|&&l| l > 0.0).count(), 100, "bit {bit}");
    }
    for code in out.codes.chunks_exact(options.code_len) {
        assert!((code.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-4);
    }
}

#[test]
fn a_deep_head_needs_something_to_draw_together() {
    let (clean, _) = samples(100, 10, 1);
    let alone = HeadOptions {
        neighbours: 0,
        ..small_deep()
    };
    let error = train_head(&set(&clean), &alone, &mut quietly).unwrap_err();
    assert!(error.to_string().contains("neighbours"), "{error}");
    let neighbours = HeadOptions {
        epochs: 2,
        ..small_deep()
    };
    assert!(train_head(&set(&clean), &neighbours, &mut quietly).is_ok());
    let wild = HeadOptions {
        learning_rate: 1e38,
        ..small_deep()
    };
    let error = train_head(&set(&clean), &wild, &mut quietly).unwrap_err();
    assert!(error.to_string().contains("lower learning rate"), "{error}");
}

#[test]
fn training_lowers_the_loss_and_tells_every_pass() {
    let (clean, _) = samples(200, 10, 1);
    let mut reports = Vec::new();
    train_head(&set(&clean), &small(), &mut |report| {
        reports.push(*report);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(reports.len(), 30);
    assert!(
        reports
            .iter()
            .enumerate()
            .all(|(i, report)| report.epoch == i + 1 && report.of == 30)
    );
    let (first, last) = (&reports[0], &reports[29]);
    assert!(
        last.neighbourhood < first.neighbourhood,
        "{first:?} {last:?}"
    );
    assert!(
        last.reconstruction < 0.8 * first.reconstruction,
        "{first:?} {last:?}"
    );
}

#[test]
fn a_seed_gives_one_head() {
    let (clean, copy) = samples(150, 10, 1);
    let set = TrainingSet {
        views: vec![&copy],
        ..set(&clean)
    };
    let options = HeadOptions {
        contrast_weight: 0.2,
        epochs: 3,
        ..small()
    };
    let head = train(&set, &options);
    assert_eq!(head, train(&set, &options));
    let other = HeadOptions { seed: 1, ..options };
    assert_ne!(head.code, train(&set, &other).code);
}

#[test]
fn progress_may_end_it_early() {
    let (clean, _) = samples(100, 10, 1);
    let mut passes = 0;
    let head = train_head(&set(&clean), &small(), &mut |_| {
        passes += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!((passes, head.record.epochs), (1, 1));
}

#[test]
fn codes_are_centred_and_bits_balanced() {
    // More bits than directions: two turns stand side by side.
    let options = HeadOptions {
        bits: 80,
        ..small()
    };
    for n in [99, 100] {
        let (clean, _) = samples(n, 10, 1);
        let head = train(&set(&clean), &options);
        assert_eq!(
            (head.code_len(), head.bits(), head.feature_len()),
            (6, 80, D)
        );
        let out = head.apply(&clean, n);
        assert!(
            out.codes
                .chunks_exact(6)
                .all(|code| (l2(code, 6)(0, 0) == 0.0)
                    && (code.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-4)
        );
        for bit in 0..80 {
            let ones = out
                .logits
                .iter()
                .skip(bit)
                .step_by(80)
                .filter(|&&l| l > 0.0)
                .count();
            assert!(
                ones.abs_diff(n - ones) <= 1 + n % 2,
                "bit {bit} is set in {ones} of {n}"
            );
        }
        let hashes = out.hashes();
        assert_eq!(hashes.len(), n * 10);
        let mut distinct: Vec<&[u8]> = hashes.chunks_exact(10).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() > n * 9 / 10, "{} of {n}", distinct.len());
    }
}

#[test]
fn a_metric_decides_which_directions_matter() {
    // Only the first eight numbers are let through, so the rest cannot change a code.
    let (clean, _) = samples(120, 10, 1);
    let mut matrix = vec![0.0; D * 8];
    (0..8).for_each(|i| matrix[i * 8 + i] = 1.0);
    let set = TrainingSet {
        prior: prior().with_metric(matrix, D, 8).unwrap(),
        ..set(&clean)
    };
    let head = train(&set, &small());
    // Opposite shifts in two numbers about the mean keep the length of the row.
    let mut row: Vec<f32> = head.transform.mean.clone();
    (row[3], row[20]) = (row[3] + 1.0, row[20] + 0.5);
    let mut other = row.clone();
    (other[20], other[30]) = (head.transform.mean[20], other[30] - 0.5);
    let (one, two) = (head.apply(&row, 1), head.apply(&other, 1));
    for (a, b) in one.codes.iter().zip(&two.codes) {
        assert!((a - b).abs() < 1e-4);
    }
}

#[test]
fn the_hash_is_no_worse_than_published_quantisation() {
    let (n, judged, bits) = (600, 200, 24);
    let (clean, _) = samples(n, 20, 1);
    let (unseen, _) = samples(judged, 20, 2);
    let head = train(&set(&clean), &small());
    let kept = |hashes: &[u8]| {
        let bytes = bits / 8;
        neighbourhood_preservation(&unseen, D, judged, 10, 0..judged, |a, b| {
            let pair = hashes[a * bytes..][..bytes]
                .iter()
                .zip(&hashes[b * bytes..][..bytes]);
            pair.map(|(x, y)| (x ^ y).count_ones()).sum::<u32>() as f32
        })
    };
    let ours = kept(&head.apply(&unseen, judged).hashes());
    let itq = Itq::fit(&clean, n, D, bits, 0).unwrap();
    let published = kept(&itq.hash(&unseen, judged));
    assert!(ours > published - 0.03, "{ours} {published}");
}
