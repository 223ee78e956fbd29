//! The folders that are measured.

use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{ImageFormat, RgbImage};
use imgsearch::{WalkOptions, walk};
use rayon::prelude::*;

use crate::Result;

/// The size of photographs made large.
const LARGE_SIDES: (u32, u32) = (4000, 3000);

/// Files of the mixed folder, but for the large ones.
const MIXED: usize = 144;
/// Of each format without loss, so many of 12 megapixels.
const MIXED_LARGE: usize = 2;

/// As a GIF encoder counts it: its fastest.
const GIF_SPEED: i32 = 30;

/// A folder of photographs, and what it holds.
pub struct Folder {
    pub name: &'static str,
    pub path: PathBuf,
    pub files: Vec<PathBuf>,
}

impl Folder {
    /// The photographs of a folder.
    pub fn of(name: &'static str, path: &Path) -> Result<Self> {
        let walked = walk(&[path.to_owned()], &WalkOptions::default())?;
        let files: Vec<PathBuf> = walked
            .candidates
            .into_iter()
            .map(|found| found.path)
            .collect();
        if files.is_empty() {
            return Err(format!("{} holds no photograph", path.display()).into());
        }
        Ok(Self {
            name,
            path: path.to_owned(),
            files,
        })
    }

    /// Makes a folder by `make`, or takes it where it is already.
    fn made(name: &'static str, path: &Path, make: impl FnOnce(&Path) -> Result) -> Result<Self> {
        if !path.is_dir() {
            // Under another name until it is whole.
            let aside = path.with_extension("new");
            if aside.is_dir() {
                fs::remove_dir_all(&aside)?;
            }
            fs::create_dir_all(&aside)?;
            make(&aside)?;
            fs::rename(&aside, path)?;
        }
        Self::of(name, path)
    }
}

/// `count` photographs of 12 megapixels with the detail that a file of that size has.
pub fn large(photos: &Folder, count: usize, made: &Path) -> Result<Folder> {
    let name = format!("large-{count}");
    Folder::made("12 megapixel", &made.join(name), |folder| {
        let some: Vec<_> = photos.files.iter().take(count).enumerate().collect();
        some.into_par_iter().try_for_each(|(i, file)| {
            let large = enlarged(file, i).map_err(|error| error.to_string())?;
            let out = fs::File::create(folder.join(format!("{i:03}.jpg")))
                .map_err(|error| error.to_string())?;
            JpegEncoder::new_with_quality(BufWriter::new(out), 90)
                .encode_image(&large)
                .map_err(|error| error.to_string())
        })?;
        Ok(())
    })
}

fn enlarged(file: &Path, number: usize) -> Result<RgbImage> {
    let (width, height) = LARGE_SIDES;
    let mut large = resize(
        &image::open(file)?.to_rgb8(),
        width,
        height,
        FilterType::Triangle,
    );
    let mut noise = number as u32 + 1;
    for channel in large.iter_mut() {
        // Xorshift (Marsaglia 2003): grain of up to three levels.
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        *channel = channel.saturating_add((noise % 7) as u8).saturating_sub(3);
    }
    Ok(large)
}

/// The same photographs in six formats by turns and at half to four times their size, and some of
/// 12 megapixels without loss.
pub fn mixed(photos: &Folder, large: &Folder, made: &Path) -> Result<Folder> {
    const FORMATS: [&str; 6] = ["jpg", "png", "webp", "tiff", "gif", "bmp"];
    const HALVES: [u32; 4] = [1, 2, 4, 8];
    Folder::made("mixed", &made.join("mixed"), |folder| {
        let some: Vec<_> = photos.files.iter().take(MIXED).enumerate().collect();
        some.into_par_iter()
            .try_for_each(|(i, file)| -> Result<(), String> {
                let image = image::open(file)
                    .map_err(|error| error.to_string())?
                    .to_rgb8();
                let halves = HALVES[i / FORMATS.len() % HALVES.len()];
                let sized = resize(
                    &image,
                    image.width() * halves / 2,
                    image.height() * halves / 2,
                    FilterType::Triangle,
                );
                let name = format!("{i:03}.{}", FORMATS[i % FORMATS.len()]);
                save(&sized, &folder.join(name)).map_err(|error| error.to_string())
            })?;
        let some: Vec<_> = ["png", "webp", "tiff"]
            .into_iter()
            .flat_map(|format| (0..MIXED_LARGE).map(move |i| (format, i)))
            .zip(large.files.iter().cycle())
            .collect();
        some.into_par_iter()
            .try_for_each(|((format, i), file)| -> Result<(), String> {
                let image = image::open(file)
                    .map_err(|error| error.to_string())?
                    .to_rgb8();
                save(&image, &folder.join(format!("large-{i}.{format}")))
                    .map_err(|error| error.to_string())
            })?;
        Ok(())
    })
}

/// Saves a picture in the format that its name says.
fn save(image: &RgbImage, path: &Path) -> Result {
    match ImageFormat::from_path(path)? {
        // By default it takes seconds to choose colours.
        ImageFormat::Gif => {
            let out = BufWriter::new(fs::File::create(path)?);
            GifEncoder::new_with_speed(out, GIF_SPEED).encode(
                image.as_raw(),
                image.width(),
                image.height(),
                image::ExtendedColorType::Rgb8,
            )?;
        }
        format => image.save_with_format(path, format)?,
    }
    Ok(())
}

/// Copies of files with a few bytes behind the picture, so that each is a content of its own;
/// `times` of each.
pub fn copies(folder: &Folder, times: usize, to: &Path) -> Result {
    fs::create_dir_all(to)?;
    for (i, file) in folder.files.iter().enumerate() {
        let mut bytes = fs::read(file)?;
        let end = file.extension().unwrap_or_default().to_string_lossy();
        for time in 0..times {
            bytes.extend_from_slice(b"copy");
            fs::write(to.join(format!("{i}-{time}.{end}")), &bytes)?;
        }
    }
    Ok(())
}
