//! The trainer as a whole, on features made by rule, and its file in ONNX Runtime.

use std::ops::ControlFlow;

use super::*;
use crate::{Error, neighbourhood_preservation};
use crate::baseline::{Itq, Pca};
use crate::linear::{Normal, normalise};
use imgsearch_onnx::{Encoder, EncoderFile, Runtime, RuntimeOptions, SessionOptions};

const D: usize = 48;

/// Groups of pictures: each has the features of its group's centre and some of its own. Of `n`
/// pictures, picture `i` is in group `i % groups`. The second part is an altered copy.
fn pictures(n: usize, groups: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
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

fn prior() -> Prior {
    Prior::default()
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
    let (clean, copy) = pictures(n, 20, 1);
    let (unseen, _) = pictures(judged, 20, 2);
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
        "trained {trained}, main directions {projected}, random {random}"
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

/// The share of the 10 nearest of each picture that are of its group.
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
    let (clean, copy) = noisy(5, pictures(n, groups, 1));
    let (unseen, _) = noisy(6, pictures(judged, groups, 2));
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
        "code {code}, hash {hash}, features {features}, main directions {main}"
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
    let (clean, copy) = pictures(200, 10, 1);
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
    let (clean, _) = pictures(100, 10, 1);
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
    let (clean, _) = pictures(200, 10, 1);
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
    let (clean, copy) = pictures(150, 10, 1);
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
    let (clean, _) = pictures(100, 10, 1);
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
        let (clean, _) = pictures(n, 10, 1);
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
fn what_cannot_be_trained_on_is_refused() {
    let (clean, copy) = pictures(100, 10, 1);
    let refused = |set: &TrainingSet<'_>, options: &HeadOptions, because: &str| {
        let error = train_head(set, options, &mut quietly).unwrap_err();
        assert!(matches!(error, Error::InvalidInput(_)), "{error}");
        assert!(error.to_string().contains(because), "{error}");
    };
    let few = &clean[..D * (LEAST_PHOTOGRAPHS - 1)];
    refused(&set(few), &small(), "at least 16");
    refused(&set(&clean[1..]), &small(), "rows");
    for broken in [f32::NAN, f32::INFINITY] {
        let mut rows = clean.clone();
        rows[70] = broken;
        refused(&set(&rows), &small(), "not finite");
        let views = TrainingSet {
            views: vec![&copy, &rows],
            ..set(&clean)
        };
        refused(&views, &small(), "not finite");
    }
    let alike: Vec<f32> = clean[..D].repeat(100);
    refused(&set(&alike), &small(), "same features");
    let views = TrainingSet {
        views: vec![&copy[D..]],
        ..set(&clean)
    };
    refused(&views, &small(), "altered copies");
    let long = HeadOptions {
        code_len: D + 1,
        ..small()
    };
    refused(&set(&clean), &long, "at most 48");
    for options in [
        HeadOptions {
            code_len: 0,
            ..small()
        },
        HeadOptions { bits: 0, ..small() },
        HeadOptions {
            batch: 1,
            ..small()
        },
    ] {
        refused(&set(&clean), &options, "at least one");
    }
    let metric = TrainingSet {
        prior: prior().with_metric(vec![1.0; 20], 10, 2).unwrap(),
        ..set(&clean)
    };
    refused(&metric, &small(), "metric");
    let classes = TrainingSet {
        prior: prior()
            .with_classes(vec![1.0; 20], vec![0.0; 2], 10)
            .unwrap(),
        ..set(&clean)
    };
    refused(&classes, &small(), "classifier");
    assert!(prior().with_metric(vec![1.0; 20], 10, 3).is_err());
    assert!(prior().with_metric(vec![f32::NAN; 20], 10, 2).is_err());
    assert!(
        prior()
            .with_classes(vec![1.0; 20], vec![0.0; 3], 10)
            .is_err()
    );
    assert!(
        prior()
            .with_classes(vec![1.0; 20], vec![f32::NAN; 2], 10)
            .is_err()
    );
}

#[test]
fn a_descent_that_diverges_is_an_error() {
    let (clean, _) = pictures(100, 10, 1);
    let options = HeadOptions {
        learning_rate: 1e38,
        ..small()
    };
    let error = train_head(&set(&clean), &options, &mut quietly).unwrap_err();
    assert!(matches!(error, Error::Training(_)), "{error}");
    assert!(error.to_string().contains("lower learning rate"), "{error}");
}

#[test]
fn a_metric_decides_which_directions_matter() {
    // Only the first eight numbers are let through, so the rest cannot change a code.
    let (clean, _) = pictures(120, 10, 1);
    let mut matrix = vec![0.0; D * 8];
    (0..8).for_each(|i| matrix[i * 8 + i] = 1.0);
    let set = TrainingSet {
        prior: prior().with_metric(matrix, D, 8).unwrap(),
        ..set(&clean)
    };
    let head = train(&set, &small());
    // Opposite shifts in two numbers about the mean keep the length of the row.
    let mut row: Vec<f32> = head.lens.mean.clone();
    (row[3], row[20]) = (row[3] + 1.0, row[20] + 0.5);
    let mut other = row.clone();
    (other[20], other[30]) = (head.lens.mean[20], other[30] - 0.5);
    let (one, two) = (head.apply(&row, 1), head.apply(&other, 1));
    for (a, b) in one.codes.iter().zip(&two.codes) {
        assert!((a - b).abs() < 1e-4);
    }
}

#[test]
fn the_hash_is_no_worse_than_published_quantisation() {
    let (n, judged, bits) = (600, 200, 24);
    let (clean, _) = pictures(n, 20, 1);
    let (unseen, _) = pictures(judged, 20, 2);
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

#[test]
fn onnx_runtime_computes_what_the_head_does() {
    let base = EncoderFile::default_encoder().unwrap();
    let runtime = Runtime::load(&RuntimeOptions::default()).unwrap();
    let encoder =
        |file: &EncoderFile| Encoder::new(file, runtime, &SessionOptions::default()).unwrap();
    let (height, width) = (base.info().height as usize, base.info().width as usize);
    let n = 48;
    // Stripes of two colours at every angle and width.
    let mut random = Normal::new(8);
    let mut pixels = Vec::with_capacity(n * height * width * 3);
    for _ in 0..n {
        let mut draw = || random.unit();
        let (along, across) = (draw() - 0.5, draw() - 0.5);
        let colours: Vec<f32> = (0..6).map(|_| 255.0 * draw()).collect();
        for y in 0..height {
            for x in 0..width {
                let stripe = ((along * x as f32 + across * y as f32).sin() + 1.0) / 2.0;
                pixels.extend(
                    (0..3).map(|c| (stripe * colours[c] + (1.0 - stripe) * colours[c + 3]) as u8),
                );
            }
        }
    }
    let features = encoder(&base).encode(&pixels, n).unwrap().features;
    let d = features.len() / n;

    let mut made = |width: usize| (0..d * width).map(|_| 0.05 * random.draw()).collect();
    // The trunk's own; none at all; each of both alone, as a trunk made elsewhere may carry them.
    let carried = Prior::of(&base).unwrap();
    assert_ne!(carried, prior(), "the built-in trunk carries nothing");
    let metric = prior().with_metric(made(64), d, 64).unwrap();
    let classes = prior().with_classes(made(40), vec![0.1; 40], d).unwrap();
    let both = metric
        .clone()
        .with_classes(made(40), vec![0.1; 40], d)
        .unwrap();
    let bare = {
        let mut model = base.model().unwrap();
        model.graph.as_mut().unwrap().initializer.retain(|tensor| {
            let name = tensor.name.as_deref().unwrap_or_default();
            !["metric", "classes"].contains(&name.split('.').next().unwrap())
        });
        // Without what computes with them.
        let model = imgsearch_onnx::authoring::cut_trunk(&model, "bare").unwrap();
        let mut info = base.info().clone();
        (info.code_len, info.bits) = (0, 0);
        EncoderFile::from_model(model, &info).unwrap()
    };
    let options = HeadOptions {
        code_len: 12,
        bits: 100,
        epochs: 2,
        ..HeadOptions::default()
    };
    let deep = HeadOptions {
        code_len: 12,
        bits: 100,
        epochs: 2,
        ..HeadOptions::deep(20)
    };
    for (base, prior, options) in [
        (&base, prior(), &options),
        (&base, carried.clone(), &options),
        (&bare, metric, &options),
        (&bare, classes, &options),
        (&bare, both, &options),
        (&base, carried, &deep),
    ] {
        let set = TrainingSet {
            clean: &features,
            views: Vec::new(),
            d,
            prior: prior.clone(),
        };
        let head = train(&set, options);
        let identity = Identity {
            name: "striped".to_owned(),
            training_data: "stripes made by rule".to_owned(),
            photographs: n,
        };
        let file = head.encoder_file(base, &identity).unwrap();
        let info = file.info();
        assert_eq!(
            (info.code_len, info.bits, info.feature_len),
            (12, 100, Some(d))
        );
        assert!(
            info.training.contains("stripes made by rule"),
            "{}",
            info.training
        );

        let ran = encoder(&file).encode(&pixels, n).unwrap();
        let applied = head.apply(&ran.features, n);
        for (a, b) in ran.codes.iter().zip(&applied.codes) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
        for (a, b) in ran.logits.iter().zip(&applied.logits) {
            assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{a} {b}");
            assert!((*a > 0.0) == (*b > 0.0) || b.abs() < 1e-4, "{a} {b}");
        }
        // The trunk can be trained on again, with what it carries, and with nothing else.
        let kept = Prior::of(&file).unwrap();
        if prior != self::prior() {
            assert!(kept == prior);
        }
        // A hidden layer makes no use of it.
        if prior != self::prior() && options.hidden == 0 {
            let other = TrainingSet {
                prior: prior.disturbed(),
                ..set
            };
            let error = train(&other, options).encoder_file(&file, &identity);
            assert!(error.unwrap_err().to_string().contains("another"));
        }
        let again = head.encoder_file(&file, &identity).unwrap();
        assert_eq!(encoder(&again).encode(&pixels, n).unwrap(), ran);
    }
    let (clean, _) = pictures(100, 10, 1);
    let other = train(&set(&clean), &small());
    let error = other.encoder_file(&base, &Identity::default()).unwrap_err();
    assert!(error.to_string().contains("48"), "{error}");
}

#[test]
fn imagined_features_look_like_classes_that_no_picture_shows() {
    // A classifier that knows the groups' centres, of which the pictures show only half.
    let groups = 20;
    let (clean, _) = pictures(400, groups, 1);
    let mut random = Normal::new(99);
    let centres: Vec<f32> = (0..groups * D).map(|_| random.draw()).collect();
    let weight = crate::linear::transposed(&centres, groups, D);
    let shown: Vec<f32> = clean
        .chunks_exact(D)
        .enumerate()
        .filter(|(i, _)| i % groups < groups / 2)
        .flat_map(|(_, row)| row.iter().map(|value| value - 3.0))
        .collect();
    let prior = prior().with_classes(weight, vec![0.0; groups], D).unwrap();
    let imagined = prior.imagined(&shown, D, 500, &mut Normal::new(4));
    assert_eq!(imagined.len(), 500 * D);
    let nearest = |row: &[f32]| {
        let along = |i: &usize| -> f32 {
            let pairs = row.iter().zip(&centres[i * D..][..D]);
            pairs.map(|(a, b)| a * b).sum()
        };
        (0..groups)
            .max_by(|a, b| along(a).total_cmp(&along(b)))
            .unwrap()
    };
    let not_shown = |rows: &[f32]| {
        let rows = rows.chunks_exact(D);
        rows.filter(|row| nearest(row) >= groups / 2).count()
    };
    // Half of the targets are of classes that no picture shows; where those lie is guessed.
    assert!(not_shown(&shown) <= 2, "{}", not_shown(&shown));
    assert!(not_shown(&imagined) >= 80, "{}", not_shown(&imagined));
    assert!(
        super::Prior::default()
            .imagined(&shown, D, 5, &mut Normal::new(4))
            .is_empty()
    );

    let set = TrainingSet {
        prior,
        ..set(&shown)
    };
    let options = HeadOptions {
        imagined: 100,
        ..small()
    };
    let head = train(&set, &options);
    assert_eq!(head.record.imagined, 100);
    assert_ne!(head.code, train(&set, &small()).code);
}
