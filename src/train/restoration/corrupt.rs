//! Corruptions of patches, drawn from a seed.

use image::RgbImage;
use imgsearch_train::restoration::{Batch, Task};

use super::overlay;
use crate::random::SplitMix;
use crate::train::augment::rewritten;

/// The largest deviation of the noise that is learned, with pixels from 0 to 1.
const MAX_NOISE: f32 = 55.0 / 255.0;

/// Corrupts a patch `[3, side, side]` with values from 0 to 1, and adds both to a batch.
pub(super) fn add(
    task: Task,
    patch: &[f32],
    side: usize,
    random: &mut SplitMix,
    batch: &mut Batch,
) -> Result<(), String> {
    let area = side * side;
    let (planes, fourth, weights) = match task {
        Task::Denoise => {
            let noisy = noisy(patch, side, random)?;
            let level = deviation(&noisy, patch);
            (noisy, vec![level; area], vec![1.0; area])
        }
        Task::Inpaint => {
            let hole = hole(side, random);
            let mut holed = patch.to_vec();
            for (i, value) in holed.iter_mut().enumerate() {
                if hole[i % area] > 0.0 {
                    *value = 0.5;
                }
            }
            (holed, hole.clone(), hole)
        }
        Task::Watermark => {
            let covered = overlay::draw(patch, side, random);
            (covered, vec![1.0; area], vec![1.0; area])
        }
        Task::Colourise => (grey(patch, area), vec![0.0; area], vec![1.0; area]),
        _ => return Err("this task cannot be trained".to_owned()),
    };
    batch.inputs.extend(planes.iter().map(|value| value - 0.5));
    batch.inputs.extend(fourth);
    batch.targets.extend(patch.iter().map(|value| value - 0.5));
    batch.weights.extend(weights);
    Ok(())
}

/// The root mean square of a difference.
fn deviation(a: &[f32], b: &[f32]) -> f32 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
    (squares.sum::<f32>() / a.len() as f32).sqrt()
}

/// A standard normal number (Box and Muller 1958).
fn normal(random: &mut SplitMix) -> f32 {
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (std::f32::consts::TAU * random.unit()).cos()
}

/// Adds Gaussian noise, Poisson noise (as a normal number whose variance is the brightness) or what JPEG
/// leaves, of a drawn strength. Values are rounded to bytes, as those of a file are.
fn noisy(patch: &[f32], side: usize, random: &mut SplitMix) -> Result<Vec<f32>, String> {
    let level = random.unit() * MAX_NOISE;
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() / 255.0;
    Ok(match random.below(10) {
        0 => jpeg(patch, side, 10 + random.below(70) as u8)?,
        1 | 2 => patch
            .iter()
            .map(|value| byte(value + level * (2.0 * value).sqrt() * normal(random)))
            .collect(),
        _ => patch
            .iter()
            .map(|value| byte(value + level * normal(random)))
            .collect(),
    })
}

/// Writes a patch as a JPEG of this quality, and reads it again.
fn jpeg(patch: &[f32], side: usize, quality: u8) -> Result<Vec<f32>, String> {
    let area = side * side;
    let pixels = (0..area).flat_map(|i| [0, 1, 2].map(|c| (patch[c * area + i] * 255.0) as u8));
    let length = side as u32;
    let image = RgbImage::from_raw(length, length, pixels.collect())
        .ok_or("a patch has another size than its pixels")?;
    let read = rewritten(&image, quality)?;
    let plane = |c: usize| {
        read.pixels()
            .map(move |pixel| f32::from(pixel.0[c]) / 255.0)
    };
    Ok((0..3).flat_map(plane).collect())
}

/// Draws a hole of rectangles and strokes: 1 inside, 0 outside. It covers at most 30 % of the patch.
fn hole(side: usize, random: &mut SplitMix) -> Vec<f32> {
    let mut hole = vec![0.0; side * side];
    let wanted = 0.05 + 0.25 * random.unit();
    for _ in 0..8 {
        if random.below(2) == 0 {
            rectangle(&mut hole, side, random);
        } else {
            stroke(&mut hole, side, random);
        }
        if hole.iter().sum::<f32>() >= wanted * (side * side) as f32 {
            break;
        }
    }
    hole
}

fn rectangle(hole: &mut [f32], side: usize, random: &mut SplitMix) {
    let [width, height] = [0, 1].map(|_| 4 + random.below(side / 2 - 4));
    let (left, top) = (random.below(side - width), random.below(side - height));
    for y in top..top + height {
        hole[y * side + left..y * side + left + width].fill(1.0);
    }
}

/// A bent line, two to eight pixels thick.
fn stroke(hole: &mut [f32], side: usize, random: &mut SplitMix) {
    let end = side as f32;
    let (mut x, mut y) = (random.unit() * end, random.unit() * end);
    let mut angle = random.unit() * std::f32::consts::TAU;
    let radius = 1.0 + 3.0 * random.unit();
    for _ in 0..side {
        angle += (random.unit() - 0.5) * 0.4;
        x += angle.cos();
        y += angle.sin();
        for (i, value) in hole.iter_mut().enumerate() {
            let (dx, dy) = ((i % side) as f32 - x, (i / side) as f32 - y);
            if dx * dx + dy * dy <= radius * radius {
                *value = 1.0;
            }
        }
    }
}

/// The luma (ITU-R BT.601) in all three planes.
fn grey(patch: &[f32], area: usize) -> Vec<f32> {
    let luma = |i: usize| 0.299 * patch[i] + 0.587 * patch[area + i] + 0.114 * patch[2 * area + i];
    let plane: Vec<f32> = (0..area).map(luma).collect();
    plane.repeat(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 32;

    fn batch(task: Task, seed: u64) -> Batch {
        let patch: Vec<f32> = (0..3 * SIDE * SIDE)
            .map(|i| (i % 97) as f32 / 97.0)
            .collect();
        let mut batch = Batch::default();
        add(task, &patch, SIDE, &mut SplitMix::new(seed), &mut batch).unwrap();
        batch
    }

    #[test]
    fn corruptions_repeat_and_differ_between_seeds() {
        for task in [Task::Denoise, Task::Inpaint, Task::Watermark] {
            let made = batch(task, 1);
            assert_eq!(made.inputs, batch(task, 1).inputs);
            assert_ne!(made.inputs, batch(task, 2).inputs);
            assert_eq!(made.targets.len(), 3 * SIDE * SIDE);
            assert_eq!(made.inputs.len(), 4 * SIDE * SIDE);
            assert_eq!(made.weights.len(), SIDE * SIDE);
        }
    }

    #[test]
    fn the_level_is_the_deviation_of_the_noise() {
        for seed in 0..20 {
            let made = batch(Task::Denoise, seed);
            let (planes, level) = made.inputs.split_at(3 * SIDE * SIDE);
            let expected = deviation(planes, &made.targets);
            assert!((level[0] - expected).abs() < 1e-5);
        }
    }

    #[test]
    fn a_hole_is_marked_and_empty() {
        for seed in 0..20 {
            let made = batch(Task::Inpaint, seed);
            let (planes, mask) = made.inputs.split_at(3 * SIDE * SIDE);
            let share = mask.iter().sum::<f32>() / mask.len() as f32;
            assert!((0.01..0.8).contains(&share), "{share}");
            for (i, value) in planes.iter().enumerate() {
                let is_hole = mask[i % mask.len()] > 0.0;
                assert!(if is_hole {
                    *value == 0.0
                } else {
                    *value == made.targets[i]
                });
            }
        }
    }

    #[test]
    fn a_grey_patch_has_one_value_in_all_planes() {
        let made = batch(Task::Colourise, 0);
        let area = SIDE * SIDE;
        assert_eq!(made.inputs[..area], made.inputs[2 * area..3 * area]);
    }
}
