//! How close the encoder's features are to those of a full decode.

use std::path::Path;

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use imgsearch::decode::{self, Decoder, Limits, Rgb};
use imgsearch::onnx::EncoderFile;
use imgsearch::{Engine, EngineOptions, Worker};

use crate::Result;
use crate::folders::Folder;

/// The sides of the preview that a camera stores in a file.
const PREVIEW: (u32, u32) = (160, 120);
/// Its quality; the file must be smaller than 64 kB.
const PREVIEW_QUALITY: u8 = 85;

/// Short sides at which a JPEG is decoded, at least; imgsearch uses [`decode::MIN_SHORT_SIDE`].
const SHORT_SIDES: [u32; 3] = [256, decode::MIN_SHORT_SIDE, 1024];

/// A way to decode, and the cosines of its results.
struct Way {
    name: String,
    features: Vec<f64>,
    codes: Vec<f64>,
}

impl Way {
    fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            features: Vec::new(),
            codes: Vec::new(),
        }
    }

    fn print(mut self) {
        let summary = |cosines: &mut Vec<f64>| {
            cosines.sort_by(f64::total_cmp);
            let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
            format!("{mean:.5} {:.5}", cosines[cosines.len() / 100])
        };
        println!(
            "{:<44} {:>18} {:>18}",
            self.name,
            summary(&mut self.features),
            summary(&mut self.codes)
        );
    }
}

/// Prints the cosines for the images of a folder.
pub fn measure(folder: &Folder) -> Result {
    let engine = Engine::new(EncoderFile::default_encoder()?, EngineOptions::default())?;
    let mut worker = engine.worker()?;
    let mut decoder = Decoder::new(Limits::default());
    let mut scaled =
        SHORT_SIDES.map(|side| Way::new(format!("decoded at a short side of {side} or more")));
    let mut other = Way::new("decoded whole by another decoder");
    let mut preview = Way::new("a preview of 160 pixels");
    for file in &folder.files {
        let bytes = std::fs::read(file)?;
        let mut at_least = |side: u32| -> Result<Vec<u8>> {
            let picture = decoder.decode_whole(&bytes, side)?;
            Ok(decode::resized(&picture, &worker.geometry())?)
        };
        let full = at_least(u32::MAX)?;
        let ways = SHORT_SIDES.map(&mut at_least);
        let truth = of_pixels(&mut worker, &full)?;
        for (way, pixels) in scaled.iter_mut().zip(ways) {
            compare(way, &mut worker, &pixels?, &truth)?;
        }
        let whole = image::load_from_memory(&bytes)?.to_rgb8();
        let pixels = decode::resized(&rgb(&whole), &worker.geometry())?;
        compare(&mut other, &mut worker, &pixels, &truth)?;
        let small = as_preview(&whole, file)?;
        let pixels = decode::resized(&rgb(&small), &worker.geometry())?;
        compare(&mut preview, &mut worker, &pixels, &truth)?;
    }
    println!(
        "cosine to a full decode, {} photographs of {}: mean and 1st percentile",
        folder.files.len(),
        folder.name
    );
    println!("{:<44} {:>18} {:>18}", "", "features", "codes");
    for way in scaled {
        way.print();
    }
    other.print();
    preview.print();
    Ok(())
}

type Encoding = (Vec<f32>, Vec<f32>);

fn of_pixels(worker: &mut Worker, pixels: &[u8]) -> Result<Encoding> {
    let encodings = worker.encode(pixels, 1)?;
    Ok((encodings.features(0).to_vec(), encodings.code(0).to_vec()))
}

fn compare(way: &mut Way, worker: &mut Worker, pixels: &[u8], truth: &Encoding) -> Result {
    let (features, code) = of_pixels(worker, pixels)?;
    way.features.push(cosine(&features, &truth.0));
    way.codes.push(cosine(&code, &truth.1));
    Ok(())
}

/// Returns the cosine of the angle between two vectors.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn rgb(picture: &RgbImage) -> Rgb {
    Rgb {
        width: picture.width(),
        height: picture.height(),
        pixels: picture.as_raw().clone(),
    }
}

/// Returns the pixels of an image's preview.
fn as_preview(whole: &RgbImage, file: &Path) -> Result<RgbImage> {
    let (width, height) = PREVIEW;
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, PREVIEW_QUALITY).encode_image(&resize(
        whole,
        width,
        height,
        FilterType::Lanczos3,
    ))?;
    if bytes.len() > 64_000 {
        return Err(format!("a preview of {} is too large", file.display()).into());
    }
    Ok(image::load_from_memory(&bytes)?.to_rgb8())
}
