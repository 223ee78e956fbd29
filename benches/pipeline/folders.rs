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

/// The size of enlarged images.
const LARGE_SIDES: (u32, u32) = (4000, 3000);

/// Files of the mixed folder, without the large ones.
const MIXED: usize = 144;
/// Number of 12-megapixel images of each lossless format.
const MIXED_LARGE: usize = 2;

/// The fastest speed of the GIF encoder.
const GIF_SPEED: i32 = 30;

/// A folder of images, and its content.
pub struct Folder {
    pub name: &'static str,
    pub path: PathBuf,
    pub files: Vec<PathBuf>,
}

impl Folder {
    /// Returns the images of a folder.
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

    /// Creates a folder with `make`, or uses an existing one.
    fn made(name: &'static str, path: &Path, make: impl FnOnce(&Path) -> Result) -> Result<Self> {
        if !path.is_dir() {
            // Under another name until it is complete.
            let temp = path.with_extension("new");
            if temp.is_dir() {
                fs::remove_dir_all(&temp)?;
            }
            fs::create_dir_all(&temp)?;
            make(&temp)?;
            fs::rename(&temp, path)?;
        }
        Self::of(name, path)
    }
}

/// Makes `count` images of 12 megapixels, with as much detail as a file of that size has.
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

/// Makes the same images in six formats in turns and at half to four times their size, and some lossless ones of 12
/// megapixels.
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

/// Saves an image in the format of its name.
fn save(image: &RgbImage, path: &Path) -> Result {
    match ImageFormat::from_path(path)? {
        // By default, choosing colours takes seconds.
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

/// Copies files `times` times with a few bytes after the image, so that each has its own content.
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
