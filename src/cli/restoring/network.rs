//! Runs a network over a picture, in tiles.

use imgsearch::onnx::{Restorer, RestorerTask};

use super::picture::Picture;
use crate::cli::Result;

/// Side of the part of a tile that is kept. Around it lies as much as the network looks at, so that tiles
/// compute what the whole picture would.
const TILE: usize = 384;
/// Short side at which colours are seen.
const COLOUR_SIDE: usize = 128;
/// Shares of red, green and blue in the luma (ITU-R BT.601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// What is wanted of a restoration.
pub struct Wanted<'a> {
    /// 1 for each pixel to restore; all without it.
    pub mask: Option<&'a [f32]>,
    /// 1: as it was learned.
    pub strength: f32,
    /// Deviation of the noise, with pixels from 0 to 1; estimated without it.
    pub noise: Option<f32>,
}

/// Planes `[n, height, width]`.
struct Planes {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

/// Restores a picture.
pub fn restored(
    restorer: &mut Restorer,
    picture: &Picture,
    wanted: &Wanted<'_>,
) -> Result<Picture> {
    let (width, height) = (picture.width, picture.height);
    let area = width * height;
    let mut seen: Vec<f32> = (0..3)
        .flat_map(|colour| {
            let plane = picture.rgb.iter().skip(colour).step_by(3);
            plane.map(|&value| f32::from(value) / 255.0 - 0.5)
        })
        .collect();
    let original = seen.clone();
    let task = restorer.task();
    let made = match task {
        RestorerTask::Colourise => coloured(restorer, &seen, [height, width])?,
        _ => {
            let fourth = match (task, wanted.mask) {
                (RestorerTask::Denoise, _) => {
                    let level = wanted
                        .noise
                        .unwrap_or_else(|| noise(&seen, [height, width]));
                    vec![level * wanted.strength; area]
                }
                (RestorerTask::Inpaint, Some(mask)) => {
                    for (i, value) in seen.iter_mut().enumerate() {
                        *value *= 1.0 - mask[i % area];
                    }
                    mask.to_vec()
                }
                _ => vec![1.0; area],
            };
            seen.extend(fourth);
            let planes = Planes {
                width,
                height,
                values: seen,
            };
            tiled(restorer, &planes, TILE)?
        }
    };
    // The strength of noise is in what the network sees.
    let strength = match task {
        RestorerTask::Denoise => 1.0,
        _ => wanted.strength.min(1.0),
    };
    let mut rgb = vec![0; 3 * area];
    for (i, (&made, &own)) in made.iter().zip(&original).enumerate() {
        let (colour, pixel) = (i / area, i % area);
        let share = strength * wanted.mask.map_or(1.0, |mask| mask[pixel]);
        let value = own + share * (made - own);
        rgb[pixel * 3 + colour] = ((value + 0.5) * 255.0).round().clamp(0.0, 255.0) as u8;
    }
    Ok(picture.with(rgb))
}

/// Runs the network over planes of any size, in tiles whose kept part has this side, a multiple of
/// [`Restorer::MULTIPLE`]. Beyond its edges a picture goes on as its mirror image.
fn tiled(restorer: &mut Restorer, planes: &Planes, tile: usize) -> Result<Vec<f32>> {
    let (width, height) = (planes.width, planes.height);
    let area = width * height;
    let reach = Restorer::REACH;
    let mut made = vec![0.0; 3 * area];
    for top in (0..height).step_by(tile) {
        for left in (0..width).step_by(tile) {
            let kept = [tile.min(height - top), tile.min(width - left)];
            let sides = kept.map(|side| (side + 2 * reach).next_multiple_of(Restorer::MULTIPLE));
            let mut part = Vec::with_capacity(4 * sides[0] * sides[1]);
            for plane in planes.values.chunks_exact(area) {
                for y in 0..sides[0] {
                    let y = mirrored((top + y) as isize - reach as isize, height);
                    let row = &plane[y * width..][..width];
                    part.extend(
                        (0..sides[1])
                            .map(|x| row[mirrored((left + x) as isize - reach as isize, width)]),
                    );
                }
            }
            let part = restorer.restore(&part, sides)?;
            for (colour, plane) in part.chunks_exact(sides[0] * sides[1]).enumerate() {
                for y in 0..kept[0] {
                    let from = &plane[(y + reach) * sides[1] + reach..][..kept[1]];
                    made[colour * area + (top + y) * width + left..][..kept[1]]
                        .copy_from_slice(from);
                }
            }
        }
    }
    Ok(made)
}

/// Returns the place in a row of a place beyond its ends.
fn mirrored(place: isize, length: usize) -> usize {
    let round = 2 * length as isize;
    let place = place.rem_euclid(round);
    place.min(round - 1 - place) as usize
}

/// Estimates the deviation of the noise: the median of the finest diagonal differences, which a picture
/// itself has few of (Donoho and Johnstone 1994).
fn noise(planes: &[f32], [height, width]: [usize; 2]) -> f32 {
    let mut all = Vec::new();
    for plane in planes.chunks_exact(height * width) {
        for y in (0..height.saturating_sub(1)).step_by(2) {
            for x in (0..width.saturating_sub(1)).step_by(2) {
                let at = y * width + x;
                let (a, b) = (
                    plane[at] - plane[at + 1],
                    plane[at + width] - plane[at + width + 1],
                );
                all.push(((a - b) / 2.0).abs());
            }
        }
    }
    if all.is_empty() {
        return 0.0;
    }
    let middle = all.len() / 2;
    let (_, median, _) = all.select_nth_unstable_by(middle, f32::total_cmp);
    *median / 0.6745
}

/// Colours a picture: the colours of a small version are added to its luma.
fn coloured(
    restorer: &mut Restorer,
    seen: &[f32],
    [height, width]: [usize; 2],
) -> Result<Vec<f32>> {
    let area = height * width;
    let luma: Vec<f32> = (0..area)
        .map(|i| {
            (0..3)
                .map(|colour| LUMA[colour] * seen[colour * area + i])
                .sum()
        })
        .collect();
    let scale = (COLOUR_SIDE as f64 / height.min(width) as f64).min(1.0);
    let small = [height, width].map(|side| ((side as f64 * scale).round() as usize).max(1));
    let grey = resized(&luma, [height, width], small)?;
    let mut values = grey.repeat(3);
    values.extend(vec![0.0; grey.len()]);
    let planes = Planes {
        width: small[1],
        height: small[0],
        values,
    };
    let made = tiled(restorer, &planes, TILE)?;
    let own: Vec<f32> = (0..grey.len())
        .map(|i| {
            (0..3)
                .map(|colour| LUMA[colour] * made[colour * grey.len() + i])
                .sum()
        })
        .collect();
    let mut coloured = Vec::with_capacity(3 * area);
    for plane in made.chunks_exact(grey.len()) {
        let difference: Vec<f32> = plane.iter().zip(&own).map(|(a, b)| a - b).collect();
        let large = resized(&difference, small, [height, width])?;
        coloured.extend(
            large
                .iter()
                .zip(&luma)
                .map(|(difference, luma)| luma + difference),
        );
    }
    Ok(coloured)
}

/// Scales a plane.
fn resized(plane: &[f32], [height, width]: [usize; 2], to: [usize; 2]) -> Result<Vec<f32>> {
    let pixels = plane.to_vec();
    let image =
        image::ImageBuffer::<image::Luma<f32>, _>::from_raw(width as u32, height as u32, pixels)
            .ok_or("a plane has another size than its pixels")?;
    let filter = image::imageops::FilterType::Triangle;
    Ok(image::imageops::resize(&image, to[1] as u32, to[0] as u32, filter).into_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_beyond_the_ends_are_mirrored() {
        let places: Vec<usize> = (-3..7).map(|place| mirrored(place, 4)).collect();
        assert_eq!(places, [2, 1, 0, 0, 1, 2, 3, 3, 2, 1]);
        assert_eq!(mirrored(-48, 1), 0);
    }

    #[test]
    fn the_noise_of_a_flat_picture_is_estimated() {
        let mut state = 1u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 24) as f32
        };
        // The sum of twelve uniform numbers is about normal, with deviation 1.
        let planes: Vec<f32> = (0..3 * 64 * 64)
            .map(|_| 0.1 * ((0..12).map(|_| draw()).sum::<f32>() - 6.0))
            .collect();
        let level = noise(&planes, [64, 64]);
        assert!((level - 0.1).abs() < 0.01, "{level}");
        assert_eq!(noise(&[0.5; 3], [1, 1]), 0.0);
    }

    #[test]
    fn tiles_have_no_seams() {
        use std::ops::ControlFlow;

        use imgsearch::onnx::{Runtime, RuntimeOptions};
        use imgsearch::training::restoration::{Batch, Duration, Schedule, Task, train};

        let ramp =
            |n: usize| -> Vec<f32> { (0..n).map(|i| (i * 7 % 31) as f32 / 31.0 - 0.5).collect() };
        let batch = Batch {
            side: 16,
            inputs: ramp(4 * 256),
            targets: vec![0.2; 3 * 256],
            weights: vec![1.0; 256],
        };
        let schedule = Schedule {
            duration: Duration::Steps(10),
            width: 8,
            batch: 1,
            side: 16,
            ..Schedule::default()
        };
        let trained = train(
            Task::Denoise,
            &schedule,
            &batch,
            &mut |_, _| Ok(batch.clone()),
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap();
        let runtime = Runtime::load(&RuntimeOptions::default()).unwrap();
        let file = trained.file("{}").unwrap();
        let mut restorer = Restorer::new(&file, "own", runtime, 1).unwrap();
        let (width, height) = (150, 131);
        let planes = Planes {
            width,
            height,
            values: ramp(4 * width * height),
        };
        let whole = tiled(&mut restorer, &planes, TILE).unwrap();
        let parts = tiled(&mut restorer, &planes, 48).unwrap();
        let differences = whole.iter().zip(&parts).map(|(a, b)| (a - b).abs());
        assert!(differences.fold(0.0, f32::max) < 1.0 / 255.0);
        assert!(
            whole
                .iter()
                .zip(&planes.values)
                .any(|(a, b)| (a - b).abs() > 0.01)
        );
    }
}
