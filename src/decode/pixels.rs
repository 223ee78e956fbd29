//! Pixels that are in memory already, as a file that every decoder path takes.

use super::Source;
use super::error::DecodeError;

impl Source {
    /// Makes a file of pixels: `width * height * channels` bytes, row by row, where an image has one channel (grey),
    /// three (RGB) or four (RGB and alpha).
    ///
    /// It is an uncompressed file (PNM) in memory, so limits, transparency and resizing are those of every other image,
    /// and pixels get the code that a lossless file of them gets.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] if the number of channels is another one, if there are no pixels, or if their number
    /// is not that of the bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgsearch::decode::Source;
    ///
    /// let two_grey_pixels = Source::from_pixels(2, 1, 1, &[0, 255])?;
    /// assert!(Source::from_pixels(2, 2, 3, &[0; 6]).is_err());
    /// # Ok::<(), imgsearch::decode::DecodeError>(())
    /// ```
    pub fn from_pixels(
        width: u32,
        height: u32,
        channels: u32,
        pixels: &[u8],
    ) -> Result<Self, DecodeError> {
        let bytes = u64::from(width)
            .checked_mul(u64::from(height))
            .and_then(|pixels| pixels.checked_mul(u64::from(channels)));
        let header = match channels {
            1 => format!("P5 {width} {height} 255\n"),
            3 => format!("P6 {width} {height} 255\n"),
            4 => format!(
                "P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
            ),
            _ => {
                return Err(DecodeError::Malformed(format!(
                    "an image has 1, 3 or 4 channels, and this has {channels}"
                )));
            }
        };
        if bytes != Some(pixels.len() as u64) || pixels.is_empty() {
            return Err(DecodeError::Malformed(format!(
                "{width} by {height} pixels of {channels} channels are not {} bytes",
                pixels.len()
            )));
        }
        Ok(Self::from([header.as_bytes(), pixels].concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, Limits};
    use super::*;

    fn decoded(channels: u32, pixels: &[u8]) -> Vec<u8> {
        let source = Source::from_pixels(2, 1, channels, pixels).unwrap();
        let whole = Decoder::new(Limits::default()).decode_whole(&source, 1);
        let rgb = whole.unwrap().into_rgb();
        assert_eq!((rgb.width, rgb.height), (2, 1));
        rgb.pixels
    }

    #[test]
    fn pixels_come_back_as_they_are_grey_as_rgb_and_transparency_on_white() {
        assert_eq!(decoded(1, &[7, 200]), [7, 7, 7, 200, 200, 200]);
        assert_eq!(decoded(3, &[1, 2, 3, 250, 10, 35]), [1, 2, 3, 250, 10, 35]);
        let rgba = [1, 2, 3, 255, 9, 9, 9, 0];
        assert_eq!(decoded(4, &rgba), [1, 2, 3, 255, 255, 255]);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for (width, height, channels, bytes) in [
            (2, 1, 2, 4),
            (2, 1, 3, 5),
            (0, 1, 3, 0),
            (u32::MAX, u32::MAX, 4, 16),
        ] {
            let made = Source::from_pixels(width, height, channels, &vec![0; bytes]);
            assert!(matches!(made, Err(DecodeError::Malformed(_))));
        }
    }
}
