//! Encoders that recognise copies: the same photograph, edited, and not one like it.
//!
//! ```text
//! images ─▶ blurred ─▶ trunk ─▶ direction ┐
//!    └────▶ low frequencies ─▶ direction ─┴─▶ features ─▶ whitened within copies ─▶ code, hash
//! ```
//!
//! The trunk is shown the picture without its fine detail, which re-encoding, scaling and blurring
//! change, and beside it stand the lowest frequencies of the picture itself: those of the discrete
//! cosine transform, as perceptual hashes use them, of grey and of two colour differences, and of
//! those that mirroring turns round only the size. What is seen is then whitened by how it differs
//! between a photograph and its altered copies, and the directions are kept along which photographs
//! differ most from each other: linear discriminant analysis with each photograph as its own class
//! (Fisher 1936).

use std::f64::consts::PI;

use super::baseline::Pca;
use super::head::{Head, Record};
use super::lens::{Lens, Prior, directions, unit};
use super::linear::{mean, product, scatter, whitening};
use super::set::check;
use super::{TrainOptions, TrainingSet, hashing::hash_layer};
use crate::contract::{EncoderFile, EncoderInfo, FEATURES, INPUT};
use crate::error::{Error, Result};
use crate::proto::{AttributeProto, ModelProto, data_type};
use crate::surgery::{Grafter, cut_trunk, drop_constants, rename_input, rename_output};

/// What [`EncoderInfo::kind`](crate::EncoderInfo) says of such an encoder.
pub const COPIES: &str = "recogniser of copies on a pretrained trunk";

/// What [`TrainOptions::hash_weight`] should be for these: the hash tells copies apart better than
/// the code, for it has more directions.
pub const HASH_WEIGHT: f32 = 16.0;

/// Of each side of the picture that the trunk is shown, one pixel in so many is kept, and the
/// others are made between them.
const STRIDE: usize = 4;
/// Pixels of the window whose mean is kept.
const WINDOW: usize = 8;
/// The picture whose frequencies are taken has so many pixels a side.
const SMALL: usize = 16;
/// The lowest frequencies of grey that count, in each direction; of colours half as many.
const LOWEST: usize = 8;
/// How much of the mean spread within copies counts in every direction.
const RIDGE: f32 = 0.1;

/// Names in the graph begin with this.
const PREFIX: &str = "copies.";

/// The trunk of `base` as it sees copies: its features are the trunk's of the blurred picture,
/// length 1, and the picture's low frequencies, length 1.
///
/// # Errors
///
/// [`Error::Contract`] where `base` has no features, or sees pictures whose sides are no
/// multiples of 16; [`Error::BadInput`] where it recognises copies already.
pub fn trunk_for_copies(base: &EncoderFile) -> Result<EncoderFile> {
    let info = base.info();
    let seen = base.model()?.graph.is_some_and(|graph| {
        let mut outputs = graph.node.iter().flat_map(|node| &node.output);
        outputs.any(|output| output.starts_with(PREFIX))
    });
    if info.kind == COPIES || seen {
        return Err(Error::BadInput(format!(
            "{:?} recognises copies already, or its trunk does; name the encoder that it was made from, or none for the built-in one",
            info.name
        )));
    }
    let contract = |reason: String| Error::Contract {
        name: info.name.clone(),
        reason,
    };
    let d = info
        .feature_len
        .ok_or_else(|| contract(format!("it has no output `{FEATURES}`")))?;
    let (width, height) = (info.width as usize, info.height as usize);
    if !width.is_multiple_of(SMALL) || !height.is_multiple_of(SMALL) {
        return Err(contract(format!(
            "it sees pictures of {width}×{height} pixels, and recognising copies needs sides that are multiples of \
             {SMALL}"
        )));
    }
    let mut model = cut_trunk(&base.model()?, &info.name)?;
    drop_constants(&mut model);
    let blurred = format!("{PREFIX}blurred");
    let trunk = format!("{PREFIX}trunk");
    rename_input(&mut model, INPUT, &blurred);
    rename_output(&mut model, FEATURES, &trunk);
    let nodes = model
        .graph
        .as_mut()
        .map(|graph| std::mem::take(&mut graph.node));
    let low = see(&mut model, (width, height));
    // Nodes stand in the order of computation.
    if let Some(graph) = &mut model.graph {
        graph.node.extend(nodes.unwrap_or_default());
    }
    let mut graft = Grafter::new(&mut model, PREFIX);
    let trunk = unit(&mut graft, &trunk, d, "trunk.direction");
    let low = unit(&mut graft, &low, low_frequencies(), "low.direction");
    let axis = [AttributeProto::int("axis", 1)];
    let all = graft.node_with("Concat", &[&trunk, &low], "seen", &axis);
    let feature_len = d + low_frequencies();
    graft.output_node("Identity", &[&all], FEATURES, feature_len);
    let info = EncoderInfo {
        kind: COPIES.to_owned(),
        feature_len: Some(feature_len),
        code_len: 0,
        bits: 0,
        ..info.clone()
    };
    EncoderFile::from_model(model, &info)
}

/// Grafts what is done to the picture; the name of its low frequencies.
fn see(model: &mut ModelProto, (width, height): (usize, usize)) -> String {
    let mut graft = Grafter::new(model, PREFIX);
    let to = |kind: i32| [AttributeProto::int("to", i64::from(kind))];
    let float = graft.node_with("Cast", &[INPUT], "float", &to(data_type::FLOAT));
    let planes = [AttributeProto::ints("perm", &[0, 3, 1, 2])];
    let planes = graft.node_with("Transpose", &[&float], "planes", &planes);

    let pad = (WINDOW - STRIDE) / 2;
    let small = graft.node_with(
        "AveragePool",
        &[&planes],
        "small",
        &[
            AttributeProto::ints("kernel_shape", &[WINDOW; 2]),
            AttributeProto::ints("strides", &[STRIDE; 2]),
            AttributeProto::ints("pads", &[pad; 4]),
        ],
    );
    let factor = STRIDE as f32;
    let scales = graft.constant("scales", &[4], &[1.0, 1.0, factor, factor]);
    let linear = [AttributeProto::string("mode", "linear")];
    let large = graft.node_with("Resize", &[&small, "", &scales], "large", &linear);
    let pixels = [AttributeProto::ints("perm", &[0, 2, 3, 1])];
    let pixels = graft.node_with("Transpose", &[&large], "pixels", &pixels);
    let rounded = graft.node("Round", &[&pixels], "rounded");
    graft.node_with("Cast", &[&rounded], "blurred", &to(data_type::UINT8));

    let block = [height / SMALL, width / SMALL];
    let small = graft.node_with(
        "AveragePool",
        &[&planes],
        "blocks",
        &[
            AttributeProto::ints("kernel_shape", &block),
            AttributeProto::ints("strides", &block),
        ],
    );
    let flat = [AttributeProto::int("axis", 1)];
    let small = graft.node_with("Flatten", &[&small], "flat", &flat);
    let [even, odd] = transforms();
    let inputs = 3 * SMALL * SMALL;
    let matrix = |graft: &mut Grafter<'_>, name: &str, values: &[f32]| {
        let weights = graft.constant(name, &[inputs, values.len() / inputs], values);
        graft.node("MatMul", &[&small, &weights], &format!("{name}.product"))
    };
    let even = matrix(&mut graft, "even", &even);
    let odd = matrix(&mut graft, "odd", &odd);
    let odd = graft.node("Abs", &[&odd], "odd.size");
    graft.node_with("Concat", &[&even, &odd], "low", &flat)
}

/// Numbers that the low frequencies take: all of grey but its mean, and of two colour differences.
const fn low_frequencies() -> usize {
    LOWEST * LOWEST - 1 + 2 * (LOWEST / 2) * (LOWEST / 2)
}

/// From planes of red, green and blue, [`SMALL`] pixels a side, to their lowest frequencies: the
/// columns that mirroring leaves as they are, and those whose sign it turns. Each
/// `[3 * SMALL * SMALL, columns]`, row-major.
fn transforms() -> [Vec<f32>; 2] {
    // How much red, green and blue count, and how many frequencies.
    let channels = [
        ([0.299, 0.587, 0.114], LOWEST, 1),
        ([1.0, -1.0, 0.0], LOWEST / 2, 0),
        ([0.5, 0.5, -1.0], LOWEST / 2, 0),
    ];
    let wave = |k: usize, i: usize| {
        let scale = if k == 0 { 1.0 } else { 2.0f64 } / SMALL as f64;
        scale.sqrt() * (PI * (2 * i + 1) as f64 * k as f64 / (2 * SMALL) as f64).cos()
    };
    [0, 1].map(|parity| {
        let mut columns: Vec<Vec<f32>> = Vec::new();
        for (weights, most, first) in channels {
            for down in 0..most {
                for across in (parity..most).step_by(2) {
                    if down + across < first {
                        continue;
                    }
                    let mut column = Vec::with_capacity(3 * SMALL * SMALL);
                    for weight in weights {
                        for y in 0..SMALL {
                            column.extend(
                                (0..SMALL)
                                    .map(|x| (weight * wave(down, y) * wave(across, x)) as f32),
                            );
                        }
                    }
                    columns.push(column);
                }
            }
        }
        (0..3 * SMALL * SMALL)
            .flat_map(|i| columns.iter().map(move |column| column[i]))
            .collect()
    })
}

/// Trains a head that recognises copies, on features of [`trunk_for_copies`]. There are no passes:
/// it is found in closed form.
///
/// # Errors
///
/// [`Error::BadInput`] as [`super::train_head`], and where there are no altered copies.
pub fn train_copies_head(set: &TrainingSet<'_>, options: &TrainOptions) -> Result<Head> {
    let n = check(set, options)?;
    if set.views.is_empty() {
        return Err(Error::BadInput(
            "recognising copies is learned from altered copies, and there are none".to_owned(),
        ));
    }
    let d = set.d;
    let lens = Lens::new(mean(set.clean, d), Prior::default(), options);
    let clean = directions(set.clean, &lens.mean);
    let mut within = vec![0.0; d * d];
    for view in &set.views {
        let mut changes = directions(view, &lens.mean);
        let pairs = changes.iter_mut().zip(&clean);
        pairs.for_each(|(change, clean)| *change -= clean);
        let scatter = scatter(&changes, n, d);
        let sums = within.iter_mut().zip(&scatter);
        sums.for_each(|(sum, value)| *sum += value / set.views.len() as f32);
    }
    let white = whitening(&within, d, RIDGE)?;
    let kept = d.min(n - 1).min(options.bits.max(options.code_len));
    if options.code_len > kept {
        return Err(Error::BadInput(format!(
            "a code of {} numbers cannot be learned from {n} photographs and {d} features; ask for at most {kept}",
            options.code_len
        )));
    }
    let pca = Pca::fit(&product(&clean, &white, n, d, d), n, d, kept)?;
    // Whitened twice: within copies, and along the directions that are kept. Copies vary by about one
    // there: added, it holds back directions along which photographs hardly differ more than that.
    let mut along = product(&white, &pca.directions, d, d, kept);
    for row in along.chunks_exact_mut(kept) {
        for (value, variance) in row.iter_mut().zip(&pca.variances) {
            *value /= (variance + 1.0).sqrt();
        }
    }
    let middle = product(&mean(&clean, d), &along, 1, d, kept);
    let mut rows = product(&clean, &along, n, d, kept);
    super::linear::centre(&mut rows, &middle);
    let (hash, medians) = hash_layer(&rows, (n, kept), (options.bits, options.seed))?;
    let below = product(&middle, &hash, 1, kept, options.bits);
    let hash_bias = below.iter().zip(&medians).map(|(a, b)| -a - b).collect();
    let code = along
        .chunks_exact(kept)
        .flat_map(|row| &row[..options.code_len])
        .copied()
        .collect();
    Ok(Head {
        lens,
        hidden: None,
        code,
        code_bias: middle[..options.code_len].iter().map(|v| -v).collect(),
        hash: product(&along, &hash, d, kept, options.bits),
        hash_bias,
        hash_weight: options.hash_weight,
        kind: COPIES,
        record: Record {
            photographs: n,
            views: set.views.len(),
            seed: options.seed,
            ..Record::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::linear::Normal;
    use super::*;
    use crate::train::Identity;
    use crate::{Encoder, Runtime, RuntimeOptions, SessionOptions};

    /// Planes of red, green and blue.
    fn picture(of: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
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
        let seen = low(&picture(noise));
        assert_eq!(seen.len(), low_frequencies());
        let mirrored = low(&picture(|c, y, x| noise(c, y, SMALL - 1 - x)));
        let upside_down = low(&picture(|c, y, x| noise(c, SMALL - 1 - y, x)));
        let apart = |other: &[f32]| {
            let differences = seen.iter().zip(other).map(|(a, b)| (a - b).abs());
            differences.fold(0.0, f32::max)
        };
        assert!(apart(&mirrored) < 1e-2, "{}", apart(&mirrored));
        assert!(apart(&upside_down) > 1.0);
    }

    #[test]
    fn an_even_grey_picture_has_no_low_frequencies() {
        let seen = low(&picture(|_, _, _| 128.0));
        assert!(seen.iter().all(|v| v.abs() < 1e-2), "{seen:?}");
        let coloured = low(&picture(|c, _, _| [200.0, 100.0, 50.0][c]));
        assert_eq!(coloured.iter().filter(|v| v.abs() > 1.0).count(), 2);
    }

    /// Photographs that differ in a few directions, and copies that differ from them in others,
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
            prior: Prior::default(),
        };
        let options = TrainOptions {
            code_len: 16,
            bits: 64,
            ..TrainOptions::default()
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
        // Many are the same photograph, so that fewer directions differ than there are bits.
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
            prior: Prior::default(),
        };
        let options = TrainOptions {
            code_len: 16,
            bits: 256,
            ..TrainOptions::default()
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
            prior: Prior::default(),
        };
        let error = train_copies_head(&set, &TrainOptions::default()).unwrap_err();
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
            prior: Prior::default(),
        };
        let options = TrainOptions {
            code_len: 8,
            bits: 16,
            ..TrainOptions::default()
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
}
