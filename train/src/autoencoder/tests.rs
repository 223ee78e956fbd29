//! Autoencoders as a whole: trained, resumed, and their files in ONNX Runtime.

use std::ops::ControlFlow;

use imgsearch_onnx::{CodeDecoder, Encoder, EncoderFile, Runtime, RuntimeOptions, SessionOptions};

use super::*;
use crate::head::Identity;
use crate::linear::Normal;

const SIDE: usize = 9;

/// Blurred spots on a plane: what 4 numbers say.
fn spots(n: usize, channels: usize, seed: u64) -> Vec<u8> {
    let mut random = Normal::new(seed);
    let mut pixels = Vec::new();
    for _ in 0..n {
        let (x, y) = (random.unit() * 8.0, random.unit() * 8.0);
        let (size, level) = (1.0 + 2.0 * random.unit(), 0.4 + 0.6 * random.unit());
        for i in 0..SIDE * SIDE {
            let (dx, dy) = ((i % SIDE) as f32 - x, (i / SIDE) as f32 - y);
            let value = level * (-(dx * dx + dy * dy) / (2.0 * size * size)).exp();
            for channel in 0..channels {
                pixels.push((255.0 * value / (1 + channel) as f32) as u8);
            }
        }
    }
    pixels
}

fn shape(channels: usize) -> Shape {
    Shape {
        height: SIDE,
        width: SIDE,
        channels,
    }
}

fn schedule(epochs: usize) -> Schedule {
    Schedule {
        epochs,
        batch: 32,
        learning_rate: 3e-3,
        ..Schedule::default()
    }
}

fn recipe(design: &Design, schedule: Schedule, bits: usize) -> Recipe {
    Recipe {
        design: design.clone(),
        schedule,
        bits,
    }
}

fn trained(design: &Design, epochs: usize) -> (Autoencoder, Vec<u8>) {
    let (pixels, held_out) = (
        spots(600, design.shape.channels, 1),
        spots(60, design.shape.channels, 2),
    );
    let of = |pixels| Samples::new(design.shape, pixels);
    let autoencoder = train(
        &of(&pixels),
        &of(&held_out),
        &recipe(design, schedule(epochs), 16),
        &mut |_| ControlFlow::Continue(()),
    )
    .unwrap();
    (autoencoder, held_out)
}

fn small(layers: Layers, channels: usize) -> Design {
    Design {
        layers,
        code_len: 4,
        ..Design::deep(shape(channels))
    }
}

#[test]
fn a_deep_one_beats_main_components_and_says_so_by_its_files() {
    let design = small(Layers::Dense(vec![64, 32]), 1);
    let (autoencoder, held_out) = trained(&design, 40);
    let samples = Samples::new(design.shape, &held_out);
    let error = autoencoder.squared_error(&samples).unwrap();

    let others = spots(600, 1, 1);
    let others = Samples::new(design.shape, &others);
    let of_pca = component_error(&others, &samples, 4).unwrap().unwrap();
    // As many components as numbers leave nothing.
    let all = component_error(&others, &samples, SIDE * SIDE).unwrap();
    assert!(all.unwrap() < 1e-3 * of_pca, "{all:?} {of_pca}");
    assert!(error < of_pca / 1.5, "{error} against {of_pca}");
}

/// What the files compute is what was trained, for every shape of network.
#[test]
fn the_files_compute_what_was_trained() {
    let twins = |design: Design| Design {
        twin_bits: 6,
        ..design
    };
    let squashed = |design: Design| Design {
        sparsity: Some(Sparsity::Kl {
            target: 0.2,
            weight: 0.1,
        }),
        ..design
    };
    let runtime = Runtime::load(&RuntimeOptions::default()).unwrap();
    for design in [
        small(Layers::Dense(vec![20]), 1),
        twins(small(Layers::Dense(vec![12]), 3)),
        squashed(small(Layers::Convolutional(vec![3, 5]), 1)),
        twins(small(Layers::Convolutional(vec![4]), 3)),
    ] {
        let (autoencoder, held_out) = trained(&design, 2);
        let samples = Samples::new(design.shape, &held_out);
        let n = samples.len();
        let identity = Identity {
            name: "small".to_owned(),
            ..Identity::default()
        };
        let file = autoencoder.encoder_file(&identity).unwrap();
        let bits = if design.twin_bits > 0 { 6 } else { 16 };
        assert_eq!((file.info().code_len, file.info().bits), (4, bits));
        let mut encoder = Encoder::new(&file, runtime, &SessionOptions::default()).unwrap();
        let rgb: Vec<u8> = match design.shape.channels {
            1 => held_out.iter().flat_map(|&v| [v; 3]).collect(),
            _ => held_out.clone(),
        };
        let encodings = encoder.encode(&rgb, n).unwrap();
        let codes = autoencoder.codes(&samples).unwrap();
        let close = |a: &[f32], b: &[f32]| {
            assert_eq!(a.len(), b.len());
            for (a, b) in a.iter().zip(b) {
                assert!(
                    (a - b).abs() < 1e-4 * b.abs().max(1.0),
                    "{a} {b} {design:?}"
                );
            }
        };
        close(&encodings.codes, &codes);

        let bytes = autoencoder.decoder_file(&file).unwrap();
        let mut decoder = CodeDecoder::new(&bytes, "small.decoder", file.info(), runtime).unwrap();
        assert_eq!(decoder.has_twins(), design.twin_bits > 0);
        let (sides, made) = decoder.decode(&encodings).unwrap();
        assert_eq!(sides, [SIDE, SIDE, design.shape.channels]);
        let mut error = 0.0;
        for (made, &byte) in made.iter().zip(&held_out) {
            error += f64::from(made - f32::from(byte) / 255.0).powi(2) / n as f64;
        }
        let expected = autoencoder.squared_error(&samples).unwrap();
        assert!(
            (error - expected).abs() < 1e-3 * expected,
            "{error} {expected}"
        );

        let other = EncoderFile::default_encoder().unwrap();
        let refused = CodeDecoder::new(&bytes, "small.decoder", other.info(), runtime).unwrap_err();
        assert!(refused.to_string().contains(&file.info().fingerprint));
    }
}

#[test]
fn every_kind_learns_and_the_same_seed_gives_the_same_file() {
    let plain = small(Layers::Dense(vec![32]), 1);
    let kinds = [
        Design {
            noise: Some(Noise::Masking(0.3)),
            ..plain.clone()
        },
        Design {
            sparsity: Some(Sparsity::L1 { weight: 0.01 }),
            ..plain.clone()
        },
        Design {
            contraction: 0.001,
            loss: Loss::Bce,
            ..plain.clone()
        },
        Design {
            beta: Some(0.01),
            ..plain.clone()
        },
        Design {
            neighbourhood: 0.5,
            coding_rate: 0.05,
            loss: Loss::Cosine,
            ..plain.clone()
        },
        Design {
            layers: Layers::Convolutional(vec![4, 8]),
            ..plain
        },
    ];
    for design in kinds {
        let (autoencoder, _) = trained(&design, 8);
        let epochs = &autoencoder.record().epochs;
        let (first, last) = (&epochs[0], &epochs[autoencoder.record().best - 1]);
        assert!(
            last.held_out < 0.9 * first.held_out,
            "{}: {epochs:?}",
            design.kind()
        );
        let file = |autoencoder: &Autoencoder| {
            let file = autoencoder.encoder_file(&Identity::default()).unwrap();
            file.info().fingerprint.clone()
        };
        let (again, _) = trained(&design, 8);
        assert_eq!(file(&autoencoder), file(&again), "{}", design.kind());
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let plain = small(Layers::Dense(vec![8]), 1);
    let refused = |change: &dyn Fn(&mut Design)| {
        let mut design = plain.clone();
        change(&mut design);
        design.check().unwrap_err().to_string()
    };
    plain.check().unwrap();
    let l1 = Some(Sparsity::L1 { weight: 1.0 });
    type Change<'a> = &'a dyn Fn(&mut Design);
    let wrong: [(&str, Change<'_>); 8] = [
        ("variational and sparse", &|d| {
            (d.beta, d.sparsity) = (Some(1.0), l1)
        }),
        ("variational and twin", &|d| {
            (d.beta, d.twin_bits) = (Some(1.0), 8)
        }),
        ("likelihood", &|d| {
            (d.beta, d.loss) = (Some(1.0), Loss::Cosine)
        }),
        ("a code of 0", &|d| d.code_len = 0),
        ("layers of [0]", &|d| d.layers = Layers::Dense(vec![0])),
        ("share of 1.5", &|d| d.noise = Some(Noise::Masking(1.5))),
        ("contraction", &|d| d.contraction = f64::NAN),
        ("square", &|d| {
            d.layers = Layers::Convolutional(vec![2]);
            d.shape.width = 12;
        }),
    ];
    for (told, change) in wrong {
        let said = refused(change);
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[test]
fn training_ends_when_nothing_is_gained_and_the_best_is_kept() {
    let design = small(Layers::Dense(vec![16]), 1);
    let pixels = spots(64, 1, 1);
    let samples = Samples::new(design.shape, &pixels);
    let schedule = Schedule {
        patience: 1,
        epochs: 500,
        learning_rate: 0.05,
        ..schedule(500)
    };
    let recipe = recipe(&design, schedule, 8);
    let autoencoder = train(&samples, &samples, &recipe, &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let record = autoencoder.record();
    assert!(record.epochs.len() < 500);
    assert_eq!(record.epochs.len(), record.best + 1);
    let error = autoencoder.squared_error(&samples).unwrap();
    let kept = record.epochs[record.best - 1].held_out;
    assert!((error - kept).abs() < 1e-4 * kept, "{error} {kept}");
}

#[test]
fn a_run_that_was_stopped_goes_on_as_if_it_had_not_been() {
    let design = Design {
        noise: Some(Noise::Masking(0.2)),
        ..small(Layers::Dense(vec![16]), 1)
    };
    let (own, held_out) = (spots(200, 1, 1), spots(20, 1, 2));
    let of = |pixels| Samples::new(design.shape, pixels);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.checkpoint");
    let schedule = schedule(5);
    let run = |checkpoint: Option<&std::path::Path>, stop_after: usize| {
        let mut passes = Vec::new();
        let made = train_from(
            &of(&own),
            &of(&held_out),
            &recipe(&design, schedule.clone(), 8),
            checkpoint,
            &mut |epoch| {
                passes.push(epoch.epoch);
                if epoch.epoch == stop_after {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        )
        .unwrap();
        (made.codes(&of(&held_out)).unwrap(), passes)
    };
    let (whole, _) = run(None, 0);
    let (half, first) = run(Some(&path), 2);
    assert_eq!(first, [1, 2]);
    assert_ne!(half, whole);
    let (resumed, rest) = run(Some(&path), 0);
    assert_eq!(rest, [3, 4, 5]);
    assert_eq!(resumed, whole);

    let other = Schedule {
        seed: 3,
        ..schedule.clone()
    };
    let refused = train_from(
        &of(&own),
        &of(&held_out),
        &recipe(&design, other, 8),
        Some(&path),
        &mut |_| ControlFlow::Continue(()),
    );
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("another schedule or seed"), "{refused}");
}

#[test]
fn one_on_features_is_trained_and_its_codes_tell_rows_apart() {
    let mut random = Normal::new(4);
    let d = 12;
    // Two directions and a little noise.
    let rows: Vec<f32> = (0..300)
        .flat_map(|_| {
            let (a, b) = (random.draw(), random.draw());
            let noise: Vec<f32> = (0..d).map(|_| 0.05 * random.draw()).collect();
            (0..d)
                .map(move |i| 3.0 + if i % 2 == 0 { a } else { b } + noise[i])
                .collect::<Vec<f32>>()
        })
        .collect();
    let scaling = Scaling::of(&rows, d).unwrap();
    let all = Samples::features(&rows, &scaling);
    let (own, held_out): (Vec<usize>, Vec<usize>) = (0..300).partition(|i| i % 10 != 9);
    let design = Design {
        layers: Layers::Dense(vec![16]),
        code_len: 2,
        ..Design::deep(Shape::features(d))
    };
    let made = train(
        &all.only(&own),
        &all.only(&held_out),
        &recipe(&design, schedule(40), 8),
        &mut |_| ControlFlow::Continue(()),
    )
    .unwrap();
    // Rows have a squared length of one on average; two numbers keep nearly all of it.
    let error = made.squared_error(&all.only(&held_out)).unwrap();
    assert!(error < 0.1, "{error}");
    for (change, word) in [
        (Layers::Convolutional(vec![4]), "neighbouring pixels"),
        (Layers::Dense(vec![]), "cross-entropy"),
    ] {
        let loss = if matches!(change, Layers::Dense(_)) {
            Loss::Bce
        } else {
            Loss::Mse
        };
        let wrong = Design {
            layers: change,
            loss,
            ..design.clone()
        };
        let refused = wrong.check().unwrap_err().to_string();
        assert!(refused.contains(word), "{refused}");
    }
    let flat = vec![1.0f32; 24];
    assert!(Scaling::of(&flat, d).is_err());
}

#[test]
fn pictures_are_told_apart_by_their_content_or_by_their_source() {
    let shape = Shape {
        height: 2,
        width: 2,
        channels: 1,
    };
    let (one, other) = ([1u8, 2, 3, 4, 5, 6, 7, 8], [1u8, 2, 3, 4, 5, 6, 7, 9]);
    let digest = |pixels: &[u8], only: &[usize]| Samples::new(shape, pixels).only(only).digest();
    assert_eq!(digest(&one, &[0]), digest(&other, &[0]));
    assert_ne!(digest(&one, &[0, 1]), digest(&other, &[0, 1]));
    assert_ne!(digest(&one, &[0, 1]), digest(&one, &[1, 0]));

    // A graphics card's numbers differ in their last digits from run to run.
    let (rows, again) = ([1.0f32, 2.0, 3.0, 4.0], [1.0f32, 2.0, 3.0, 4.000_001]);
    let scaling = Scaling::of(&rows, 2).unwrap();
    let digest = |rows: &[f32], source| {
        let features = Samples::features(rows, &scaling);
        features.from_source([source; 32]).only(&[0, 1]).digest()
    };
    assert_eq!(digest(&rows, 7), digest(&again, 7));
    assert_ne!(digest(&rows, 7), digest(&rows, 8));
}
