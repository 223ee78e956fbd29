//! The pictures to learn from, in memory, and patches of them.

use std::path::PathBuf;

use super::RestorerOptions;
use crate::decode::{Decoder, Rgb, Source};
use crate::error::Result;
use crate::indexing::worker_pool::Jobs;
use crate::progress::Progress;
use crate::random::SplitMix;
use crate::train::jobs;
use imgsearch_train::restoration::Task;

/// Files that a worker decodes at once.
const CHUNK: usize = 8;
/// Bytes of pixels that are kept of all pictures together.
const MAX_BYTES: usize = 600 << 20;
/// Short side in pixels at which pictures are read.
const SHORT_SIDE: u32 = 512;
/// Short side in pixels of pictures whose colours are learned.
pub(super) const COLOUR_SIDE: u32 = 128;

/// Pictures of which patches are drawn.
#[derive(Debug, Clone)]
pub(super) struct Pictures {
    all: Vec<Rgb>,
    side: usize,
}

/// Reads pictures that are large enough for patches of `side` pixels. Others, and those that cannot be
/// decoded, are reported.
pub(super) fn read(
    paths: &[PathBuf],
    side: usize,
    options: &RestorerOptions,
    progress: &dyn Progress,
) -> Result<Vec<Rgb>> {
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    // A cut of each, so that all fit.
    let area = (MAX_BYTES / 3 / paths.len().max(1)).max(side * side * 4);
    let cut = (area as f64).sqrt() as u32;
    let (mut made, mut failed) = (Vec::new(), Vec::new());
    jobs::run(
        Jobs::in_order(threads, paths.len(), CHUNK),
        progress,
        || Ok((Decoder::new(options.limits), Source::default())),
        |(decoder, file), range| {
            let decoded = paths[range].iter().map(|path| {
                file.reopen(path, &options.limits)
                    .map_err(|error| error.to_string())?;
                let whole = decoder
                    .decode_whole(&*file, SHORT_SIDE)
                    .map_err(|error| error.to_string())?
                    .into_rgb();
                let whole = if options.task == Task::Colourise {
                    scaled(whole, COLOUR_SIDE)?
                } else {
                    whole
                };
                if (whole.width.min(whole.height) as usize) < side {
                    return Err(format!(
                        "{} × {} pixels are fewer than a patch of {side} × {side}",
                        whole.width, whole.height
                    ));
                }
                Ok(centre(whole, cut))
            });
            Ok(decoded.collect::<Vec<Result<Rgb, String>>>())
        },
        |range, decoded| {
            for (path, decoded) in paths[range.clone()].iter().zip(decoded) {
                match decoded {
                    Ok(picture) => made.push(picture),
                    Err(reason) => failed.push((path.clone(), reason)),
                }
            }
            progress.encoded(range.end, paths.len());
            Ok(())
        },
    )?;
    jobs::report_unusable(&failed, progress);
    Ok(made)
}

/// Scales a picture down to a short side.
fn scaled(picture: Rgb, short: u32) -> Result<Rgb, String> {
    use crate::decode::{Geometry, Resize, resized};
    let least = picture.width.min(picture.height);
    if least <= short {
        return Ok(picture);
    }
    let of = |side: u32| {
        let side = f64::from(side) * f64::from(short) / f64::from(least);
        side.round().max(1.0) as u32
    };
    let geometry = Geometry {
        width: of(picture.width),
        height: of(picture.height),
        resize: Resize::Squash,
    };
    let pixels = resized(&picture, &geometry).map_err(|error| error.to_string())?;
    Ok(Rgb {
        width: geometry.width,
        height: geometry.height,
        pixels,
    })
}

/// Cuts out the centre, with sides of at most `side` pixels.
fn centre(picture: Rgb, side: u32) -> Rgb {
    let (width, height) = (picture.width.min(side), picture.height.min(side));
    if (width, height) == (picture.width, picture.height) {
        return picture;
    }
    let (left, top) = ((picture.width - width) / 2, (picture.height - height) / 2);
    let rows = (top..top + height).flat_map(|y| {
        let start = (y as usize * picture.width as usize + left as usize) * 3;
        picture.pixels[start..start + width as usize * 3]
            .iter()
            .copied()
    });
    Rgb {
        width,
        height,
        pixels: rows.collect(),
    }
}

impl Pictures {
    pub fn new(all: Vec<Rgb>, side: usize) -> Self {
        Self { all, side }
    }

    /// Draws a patch: a place of a picture, mirrored or not and turned or not. `[3, side, side]`, 0 to 1.
    pub fn patch(&self, random: &mut SplitMix) -> Vec<f32> {
        let picture = &self.all[random.below(self.all.len())];
        let (width, height) = (picture.width as usize, picture.height as usize);
        let side = self.side;
        let left = random.below(width + 1 - side);
        let top = random.below(height + 1 - side);
        let mirrored = random.below(2) == 1;
        let mut patch = vec![0.0; 3 * side * side];
        for y in 0..side {
            for x in 0..side {
                let from = if mirrored { side - 1 - x } else { x };
                let at = ((top + y) * width + left + from) * 3;
                for colour in 0..3 {
                    patch[(colour * side + y) * side + x] =
                        f32::from(picture.pixels[at + colour]) / 255.0;
                }
            }
        }
        patch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_a_part_of_its_picture() {
        let pixels: Vec<u8> = (0..20 * 16 * 3).map(|i| (i / 3 % 20) as u8).collect();
        let picture = Rgb {
            width: 20,
            height: 16,
            pixels,
        };
        assert_eq!(centre(picture.clone(), 10).pixels[0], 5);
        let pictures = Pictures::new(vec![picture], 8);
        for seed in 0..10 {
            let patch = pictures.patch(&mut SplitMix::new(seed));
            let step = (patch[1] - patch[0]) * 255.0;
            assert!((step.abs() - 1.0).abs() < 1e-3, "{step}");
            assert_eq!(patch[..8], patch[8..16]);
        }
    }
}
