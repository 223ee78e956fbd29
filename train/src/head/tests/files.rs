//! Heads in ONNX Runtime, and what they add to the features.

use imgsearch_onnx::{Encoder, EncoderFile, Runtime, RuntimeOptions, SessionOptions};

use super::*;

/// Stripes of two colours at every angle and width.
fn stripes(n: usize, height: usize, width: usize, random: &mut Normal) -> Vec<u8> {
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
    pixels
}

/// The trunk of an encoder, without its classifier and what computes with it.
fn without_classifier(base: &EncoderFile) -> EncoderFile {
    let mut model = base.model().unwrap();
    model.graph.as_mut().unwrap().initializer.retain(|tensor| {
        let name = tensor.name.as_deref().unwrap_or_default();
        !["metric", "classes"].contains(&name.split('.').next().unwrap())
    });
    let model = imgsearch_onnx::authoring::cut_trunk(&model, "bare").unwrap();
    let mut info = base.info().clone();
    (info.code_len, info.bits) = (0, 0);
    EncoderFile::from_model(model, &info).unwrap()
}

/// Checks that ONNX Runtime computes what the head does.
fn assert_same(ran: &imgsearch_onnx::Encodings, applied: &HeadOutput) {
    for (a, b) in ran.codes.iter().zip(&applied.codes) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
    for (a, b) in ran.logits.iter().zip(&applied.logits) {
        assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{a} {b}");
        assert!((*a > 0.0) == (*b > 0.0) || b.abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn onnx_runtime_computes_what_the_head_does() {
    let base = EncoderFile::default_encoder().unwrap();
    let runtime = Runtime::load(&RuntimeOptions::default()).unwrap();
    let encoder =
        |file: &EncoderFile| Encoder::new(file, runtime, &SessionOptions::default()).unwrap();
    let (height, width) = (base.info().height as usize, base.info().width as usize);
    let n = 48;
    let mut random = Normal::new(8);
    let pixels = stripes(n, height, width, &mut random);
    let features = encoder(&base).encode(&pixels, n).unwrap().features;
    let d = features.len() / n;

    let mut made = |width: usize| (0..d * width).map(|_| 0.05 * random.draw()).collect();
    // The trunk's own; none at all; each of both alone, as a trunk made elsewhere may carry them.
    let carried = ClassifierPrior::of(&base).unwrap();
    assert_ne!(carried, prior(), "the built-in trunk carries nothing");
    let metric = prior().with_metric(made(64), d, 64).unwrap();
    let classes = prior().with_classes(made(40), vec![0.1; 40], d).unwrap();
    let both = metric.clone().with_classes(made(40), vec![0.1; 40], d);
    let both = both.unwrap();
    let bare = without_classifier(&base);
    let short = |options: HeadOptions| HeadOptions {
        code_len: 12,
        bits: 100,
        epochs: 2,
        ..options
    };
    let (options, deep) = (short(HeadOptions::default()), short(HeadOptions::deep(20)));
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
            images: n,
            similarity: None,
        };
        let file = head.encoder_file(base, &identity).unwrap();
        let info = file.info();
        assert_eq!(
            (info.code_len, info.bits, info.feature_len),
            (12, 100, Some(d))
        );
        assert!(info.training.contains("stripes made by rule"));
        let ran = encoder(&file).encode(&pixels, n).unwrap();
        assert_same(&ran, &head.apply(&ran.features, n));
        // The trunk can be trained on again, with what it carries, and with nothing else.
        let kept = ClassifierPrior::of(&file).unwrap();
        if prior != super::prior() {
            assert!(kept == prior);
        }
        // A hidden layer makes no use of it.
        if prior != super::prior() && options.hidden == 0 {
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
    let (clean, _) = samples(100, 10, 1);
    let other = train(&set(&clean), &small());
    let error = other.encoder_file(&base, &Identity::default()).unwrap_err();
    assert!(error.to_string().contains("48"), "{error}");
}

#[test]
fn synthetic_features_look_like_classes_that_no_picture_shows() {
    // A classifier that knows the groups' centres, of which the images show only half.
    let groups = 20;
    let (clean, _) = samples(400, groups, 1);
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
    let synthetic = prior.synthetic(&shown, D, 500, &mut Normal::new(4));
    assert_eq!(synthetic.len(), 500 * D);
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
    // Half of the targets are of classes that no image shows; where those lie is guessed.
    assert!(not_shown(&shown) <= 2, "{}", not_shown(&shown));
    assert!(not_shown(&synthetic) >= 80, "{}", not_shown(&synthetic));
    assert!(
        ClassifierPrior::default()
            .synthetic(&shown, D, 5, &mut Normal::new(4))
            .is_empty()
    );

    let set = TrainingSet {
        prior,
        ..set(&shown)
    };
    let options = HeadOptions {
        synthetic: 100,
        ..small()
    };
    let head = train(&set, &options);
    assert_eq!(head.record.synthetic, 100);
    assert_ne!(head.code, train(&set, &small()).code);
}
