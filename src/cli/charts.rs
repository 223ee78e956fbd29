//! The charts that training writes next to an encoder.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage, imageops};
use imgsearch::render::chart::{self, Series};
use imgsearch::training::baseline::Pca;

use super::Result;

/// Images are enlarged to about this side, in pixels.
const SHOWN_SIDE: u32 = 96;
/// Pixels between images.
const GAP: u32 = 4;
/// Room for a line of a caption.
const LINE: u32 = chart::LETTER.1 + 2;
/// The maximum number of dots in a chart.
const MAX_DOTS: usize = 4_000;

/// Returns the path of a chart: `my.losses.png` for `my.onnx`.
fn path_of(encoder: &Path, what: &str) -> PathBuf {
    encoder.with_extension(format!("{what}.png"))
}

/// Saves an image in the format of its extension, completely or not at all, and never through a link.
pub fn save(picture: &RgbImage, path: PathBuf) -> Result<PathBuf> {
    let mut bytes = Cursor::new(Vec::new());
    ImageFormat::from_path(&path)
        .and_then(|format| picture.write_to(&mut bytes, format))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    imgsearch::save(&path, bytes.get_ref())?;
    Ok(path)
}

/// Draws losses, each with a name and one value per epoch.
pub fn losses(encoder: &Path, losses: &[(&str, Vec<f64>)]) -> Result<PathBuf> {
    let series: Vec<Series> = losses
        .iter()
        .map(|(name, values)| Series {
            name: (*name).to_owned(),
            points: (1..).map(f64::from).zip(values.iter().copied()).collect(),
        })
        .collect();
    let chart = chart::lines("Losses by epoch", ["epoch", "loss"], false, &series);
    save(&chart, path_of(encoder, "losses"))
}

/// Draws codes along their two principal components, coloured by group.
pub fn codes(
    encoder: &Path,
    codes: &[f32],
    code_len: usize,
    groups: &[String],
) -> Result<Option<PathBuf>> {
    let n = groups.len();
    if n < 3 || code_len < 2 {
        return Ok(None);
    }
    let plane = Pca::fit(codes, n, code_len, 2)?.project(codes, n);
    let mut names = groups.to_vec();
    names.sort_unstable();
    names.dedup();
    let shown = n.min(MAX_DOTS);
    let points: Vec<(f64, f64, usize)> = (0..shown)
        .map(|i| i * n / shown)
        .map(|i| {
            let group = names.binary_search(&groups[i]).unwrap_or_default();
            (f64::from(plane[2 * i]), f64::from(plane[2 * i + 1]), group)
        })
        .collect();
    let title = format!("Codes of {n} images, along their two principal components");
    let chart = chart::dots(&title, ["first", "second"], &points, &names);
    save(&chart, path_of(encoder, "codes")).map(Some)
}

/// Draws rows of images, the last with captions below.
pub fn reconstructions(
    encoder: &Path,
    rows: &[Vec<RgbImage>],
    captions: &[Vec<String>],
) -> Result<PathBuf> {
    save(&grid(rows, captions), path_of(encoder, "reconstructions"))
}

/// Returns an image of numbers from 0 to 1, channels last.
pub fn image([height, width, channels]: [usize; 3], values: &[f32]) -> Option<RgbImage> {
    let bytes = values.chunks_exact(channels).flat_map(|pixel| {
        let channel = |i: usize| (pixel[i % channels].clamp(0.0, 1.0) * 255.0).round() as u8;
        [channel(0), channel(1), channel(2)]
    });
    RgbImage::from_raw(width as u32, height as u32, bytes.collect())
}

/// Returns rows of images on white, enlarged by a whole factor. Each row can have captions below its
/// images.
pub fn grid(rows: &[Vec<RgbImage>], captions: &[Vec<String>]) -> RgbImage {
    let (width, height) = rows[0][0].dimensions();
    let scale = (SHOWN_SIDE / width.max(height)).max(1);
    let (width, height) = (width * scale, height * scale);
    let lines = |row: usize| {
        let own = captions.get(row).into_iter().flatten();
        own.map(|caption| caption.lines().count())
            .max()
            .unwrap_or(0) as u32
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or(1) as u32;
    let tall: u32 = (0..rows.len())
        .map(|row| height + GAP + lines(row) * LINE)
        .sum();
    let mut grid = RgbImage::from_pixel(columns * (width + GAP) + GAP, tall + GAP, Rgb([255; 3]));
    let mut top = GAP;
    for (y, row) in rows.iter().enumerate() {
        for (x, image) in row.iter().enumerate() {
            let large = imageops::resize(image, width, height, imageops::FilterType::Nearest);
            let left = GAP + x as u32 * (width + GAP);
            imageops::replace(&mut grid, &large, i64::from(left), i64::from(top));
            let caption = captions.get(y).and_then(|row| row.get(x));
            for (i, line) in caption
                .into_iter()
                .flat_map(|text| text.lines())
                .enumerate()
            {
                // As many letters as fit under the image.
                let line: String = line
                    .chars()
                    .take((width / chart::LETTER.0) as usize)
                    .collect();
                chart::caption(&mut grid, &line, (left, top + height + 2 + i as u32 * LINE));
            }
        }
        top += height + GAP + lines(y) * LINE;
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_chart_takes_the_place_of_a_link_and_not_of_its_target() {
        let dir = tempfile::tempdir().unwrap();
        let (encoder, other) = (dir.path().join("my.onnx"), dir.path().join("other"));
        std::fs::write(&other, "somebody else's").unwrap();
        let chart = dir.path().join("my.losses.png");
        for link in [chart.clone(), dir.path().join("my.losses.png.new")] {
            std::os::unix::fs::symlink("other", link).unwrap();
            let drawn = losses(&encoder, &[("loss", vec![2.0, 1.0])]).unwrap();
            assert_eq!(drawn, chart);
            assert!(chart.symlink_metadata().unwrap().is_file());
            assert!(image::open(&chart).is_ok());
            assert_eq!(std::fs::read(&other).unwrap(), b"somebody else's");
        }
        let refused = save(&RgbImage::new(1, 1), dir.path().join("picture.none"));
        assert!(refused.unwrap_err().to_string().contains("picture.none"));
    }
}
