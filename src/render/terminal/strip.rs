//! A row of a grid as one image.

use std::io::Cursor;

use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};

use crate::decode::{DecodeError, Rgb};

/// An image in RGBA whose pixels are opaque or transparent. Transparent pixels show the terminal.
pub(super) struct Strip {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
}

impl Strip {
    /// Creates a transparent image.
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![0; width * height * 4],
        }
    }

    /// Puts an image at the bottom, `left` pixels from the left. What does not fit is left out.
    pub fn put(&mut self, image: &Rgb, left: usize) {
        let rows = image.pixels.chunks_exact(image.width as usize * 3).rev();
        let into = self.pixels.chunks_exact_mut(self.width * 4).rev();
        for (row, into) in rows.zip(into) {
            let pixels = into.chunks_exact_mut(4).skip(left);
            for (pixel, from) in pixels.zip(row.chunks_exact(3)) {
                pixel[..3].copy_from_slice(from);
                pixel[3] = u8::MAX;
            }
        }
    }

    /// Returns the colour of a pixel, if it is opaque.
    pub fn colour(&self, x: usize, y: usize) -> Option<[u8; 3]> {
        let at = (y * self.width + x) * 4;
        match self.pixels.get(at..at + 4) {
            Some(&[red, green, blue, u8::MAX]) => Some([red, green, blue]),
            _ => None,
        }
    }

    /// Returns the image as a PNG file.
    ///
    /// # Errors
    ///
    /// If the encoder refuses it, as it does without any pixels.
    pub fn png(&self) -> Result<Vec<u8>, DecodeError> {
        let mut file = Cursor::new(Vec::new());
        PngEncoder::new(&mut file)
            .write_image(
                &self.pixels,
                self.width as u32,
                self.height as u32,
                ExtendedColorType::Rgba8,
            )
            .map_err(|error| DecodeError::Malformed(error.to_string()))?;
        Ok(file.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_stand_at_the_bottom_and_the_rest_is_transparent() {
        let mut strip = Strip::new(4, 3);
        let image = Rgb {
            width: 2,
            height: 2,
            pixels: (0..12).collect(),
        };
        strip.put(&image, 1);
        assert_eq!(strip.colour(1, 0), None);
        assert_eq!(strip.colour(0, 2), None);
        assert_eq!(strip.colour(1, 1), Some([0, 1, 2]));
        assert_eq!(strip.colour(2, 2), Some([9, 10, 11]));
        let png = image::load_from_memory(&strip.png().unwrap()).unwrap();
        assert_eq!(png.to_rgba8().into_raw(), strip.pixels);
        // What does not fit is left out.
        strip.put(&image, 3);
        assert_eq!(strip.colour(3, 1), Some([0, 1, 2]));
    }
}
