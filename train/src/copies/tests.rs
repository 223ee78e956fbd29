//! Tests of encoders that recognise copies.

use super::*;
use crate::head::Identity;
use crate::linear::Normal;
use imgsearch_onnx::{Encoder, Runtime, RuntimeOptions, SessionOptions};

/// Planes of red, green and blue.
fn image(of: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    let mut planes = Vec::new();
    for c in 0..3 {
        for y in 0..SMALL {
            planes.extend((0..SMALL).map(|x| of(c, y, x)));
        }
    }
    planes
}

fn low(planes: &[f32]) -> Vec<f32> {
    let [even, odd] = transforms();
    let inputs = planes.len();
    let mut low = product(planes, &even, 1, inputs, even.len() / inputs);
    let odd = product(planes, &odd, 1, inputs, odd.len() / inputs);
    low.extend(odd.iter().map(|v| v.abs()));
    low
}

#[test]
fn mirrored_pictures_have_the_same_low_frequencies_and_others_have_not() {
    let noise = |c: usize, y: usize, x: usize| ((c * 7 + y * 13 + x * 29) % 31) as f32 * 8.0;
    let seen = low(&image(noise));
    assert_eq!(seen.len(), low_frequencies());
    let mirrored = low(&image(|c, y, x| noise(c, y, SMALL - 1 - x)));
    let upside_down = low(&image(|c, y, x| noise(c, SMALL - 1 - y, x)));
    let apart = |other: &[f32]| {
        let differences = seen.iter().zip(other).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f32::max)
    };
    assert!(apart(&mirrored) < 1e-2, "{}", apart(&mirrored));
    assert!(apart(&upside_down) > 1.0);
}

#[test]
fn an_even_grey_picture_has_no_low_frequencies() {
    let seen = low(&image(|_, _, _| 128.0));
    assert!(seen.iter().all(|v| v.abs() < 1e-2), "{seen:?}");
    let coloured = low(&image(|c, _, _| [200.0, 100.0, 50.0][c]));
    assert_eq!(coloured.iter().filter(|v| v.abs() > 1.0).count(), 2);
}

/// Images that differ in a few directions, and copies that differ from them in others,
/// which are larger.
fn copies(n: usize, d: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut random = Normal::new(seed);
    let clean: Vec<f32> = (0..n * d)
        .map(|i| random.draw() * if i % d < d / 2 { 1.0 } else { 3.0 })
        .collect();
    let copy = clean.iter().enumerate().map(|(i, value)| {
        let change = if i % d < d / 2 { 0.05 } else { 3.0 };
        value + change * random.draw()
    });
    let copy = copy.collect();
    (clean, copy)
}

#[test]
fn what_copies_change_does_not_count() {
    let (n, d) = (400, 32);
    let (clean, copy) = copies(n, d, 1);
    let set = TrainingSet {
        clean: &clean,
        views: vec![&copy],
        d,
        prior: ClassifierPrior::default(),
    };
    let options = HeadOptions {
        code_len: 16,
        bits: 64,
        ..HeadOptions::default()
    };
    let head = train_copies_head(&set, &options).unwrap();
    let (clean, copy) = copies(n, d, 2);
    let recognised = |a: &[f32], b: &[f32], width: usize| {
        let nearest = |i: usize| {
            let row = &b[i * width..][..width];
            let apart = |j: &usize| -> f32 {
                let other = a[j * width..][..width].iter();
                other.zip(row).map(|(x, y)| (x - y).powi(2)).sum()
            };
            (0..n).min_by(|x, y| apart(x).total_cmp(&apart(y)))
        };
        (0..n).filter(|&i| nearest(i) == Some(i)).count()
    };
    let raw = recognised(&clean, &copy, d);
    let (clean, copy) = (head.apply(&clean, n), head.apply(&copy, n));
    let by_code = recognised(&clean.codes, &copy.codes, 16);
    let signs = |logits: &[f32]| -> Vec<f32> { logits.iter().map(|v| v.signum()).collect() };
    let by_hash = recognised(&signs(&clean.logits), &signs(&copy.logits), 64);
    assert!(by_code > raw && by_code > n * 9 / 10, "{by_code}, {raw}");
    assert!(by_hash > raw && by_hash > n * 8 / 10, "{by_hash}, {raw}");
}

#[test]
fn directions_without_photographs_do_not_drown_the_others() {
    // Many are the same image, so that fewer directions differ than there are bits.
    let (n, d) = (120, 96);
    let (mut clean, mut copy) = copies(n, d, 1);
    for rows in [&mut clean, &mut copy] {
        let (own, again) = rows.split_at_mut(n / 2 * d);
        again.copy_from_slice(own);
    }
    let set = TrainingSet {
        clean: &clean,
        views: vec![&copy],
        d,
        prior: ClassifierPrior::default(),
    };
    let options = HeadOptions {
        code_len: 16,
        bits: 256,
        ..HeadOptions::default()
    };
    let head = train_copies_head(&set, &options).unwrap();
    let (clean, copy) = copies(200, d, 2);
    let (clean, copy) = (head.apply(&clean, 200), head.apply(&copy, 200));
    let differing = |a: usize, b: usize| {
        let pair = clean.logits[a * 256..][..256]
            .iter()
            .zip(&copy.logits[b * 256..][..256]);
        pair.filter(|(x, y)| (**x > 0.0) != (**y > 0.0)).count()
    };
    let nearest = |i: &usize| (0..200).min_by_key(|&j| differing(j, *i)) == Some(*i);
    let found = (0..200).filter(nearest).count();
    assert!(found > 160, "{found} of 200");
}

#[test]
fn without_altered_copies_nothing_is_learned() {
    let (clean, _) = copies(40, 32, 1);
    let set = TrainingSet {
        clean: &clean,
        views: Vec::new(),
        d: 32,
        prior: ClassifierPrior::default(),
    };
    let error = train_copies_head(&set, &HeadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("altered copies"), "{error}");
}

#[test]
fn the_file_computes_what_was_trained_and_mirroring_keeps_the_low_frequencies() {
    let base = EncoderFile::default_encoder().unwrap();
    let trunk = trunk_for_copies(&base).unwrap();
    let runtime = Runtime::load(&RuntimeOptions::default()).unwrap();
    let encoder =
        |file: &EncoderFile| Encoder::new(file, runtime, &SessionOptions::default()).unwrap();
    let (n, side) = (24, trunk.info().width as usize);
    let mut random = Normal::new(4);
    let mut images = Vec::new();
    for _ in 0..n {
        let waves: Vec<f32> = (0..9).map(|_| random.draw()).collect();
        for y in 0..side {
            for x in 0..side {
                let (y, x) = (y as f32 / side as f32, x as f32 / side as f32);
                images.extend(waves.chunks_exact(3).map(|wave| {
                    let phase = 7.0 * (wave[0] * x + wave[1] * y) + 3.0 * wave[2];
                    (phase.sin() * 120.0 + 128.0) as u8
                }));
            }
        }
    }
    let mirrored: Vec<u8> = images
        .chunks_exact(side * 3)
        .flat_map(|row| row.chunks_exact(3).rev().flatten().copied())
        .collect();
    let mut running = encoder(&trunk);
    let seen = running.encode(&images, n).unwrap();
    let turned = running.encode(&mirrored, n).unwrap();
    let features: Vec<f32> = (0..n).flat_map(|i| seen.features(i).to_vec()).collect();
    let views: Vec<f32> = (0..n).flat_map(|i| turned.features(i).to_vec()).collect();
    let d = features.len() / n;
    for (row, turned) in features.chunks_exact(d).zip(views.chunks_exact(d)) {
        for (part, turned) in [
            (
                &row[..d - low_frequencies()],
                &turned[..d - low_frequencies()],
            ),
            (
                &row[d - low_frequencies()..],
                &turned[d - low_frequencies()..],
            ),
        ] {
            let length: f32 = part.iter().map(|v| v * v).sum();
            assert!((length - 1.0).abs() < 1e-4, "{length}");
            let cosine: f32 = part.iter().zip(turned).map(|(a, b)| a * b).sum();
            let least = if part.len() == low_frequencies() {
                0.9999
            } else {
                0.5
            };
            assert!(cosine > least, "{} {cosine}", part.len());
        }
    }

    let set = TrainingSet {
        clean: &features,
        views: vec![&views],
        d,
        prior: ClassifierPrior::default(),
    };
    let options = HeadOptions {
        code_len: 8,
        bits: 16,
        ..HeadOptions::default()
    };
    let head = train_copies_head(&set, &options).unwrap();
    let file = head.encoder_file(&trunk, &Identity::default()).unwrap();
    assert_eq!(file.info().kind, COPIES);
    let made = encoder(&file).encode(&images, n).unwrap();
    let wanted = head.apply(&features, n);
    for i in 0..n {
        for (a, b) in made.code(i).iter().zip(&wanted.codes[i * 8..]) {
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
        for (a, b) in made.logits(i).iter().zip(&wanted.logits[i * 16..]) {
            assert!((a - b).abs() < 1e-2 * b.abs().max(1.0), "{a} {b}");
        }
    }
}

#[test]
fn the_trunk_is_made_once() {
    let base = EncoderFile::default_encoder().unwrap();
    let trunk = trunk_for_copies(&base).unwrap();
    let d = base.info().feature_len.unwrap();
    assert_eq!(trunk.info().feature_len, Some(d + low_frequencies()));
    assert!(trunk.info().is_trunk());
    let error = trunk_for_copies(&trunk).unwrap_err().to_string();
    assert!(error.contains("already"), "{error}");
}
