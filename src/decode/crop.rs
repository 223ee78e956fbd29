//! A part of an image, given in pixels or per cent of the upright image.

use std::fmt;
use std::str::FromStr;

use super::{DecodeError, Rgb};

/// A rectangle in an upright image.
///
/// It is written `X,Y,WIDTH,HEIGHT`, from the top left corner. Each number is in pixels, or in per cent of the
/// image's width or height.
///
/// # Examples
///
/// ```
/// use imgsearch::decode::Crop;
///
/// let crop: Crop = "10%,0,50%,120".parse()?;
/// assert_eq!(crop.to_string(), "10%,0,50%,120");
/// assert!("10%,0,0,120".parse::<Crop>().is_err(), "an empty part");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crop {
    left: Length,
    top: Length,
    width: Length,
    height: Length,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Length {
    Pixels(u32),
    Percent(f64),
}

impl Length {
    fn of(self, whole: u32) -> f64 {
        match self {
            Self::Pixels(pixels) => f64::from(pixels),
            Self::Percent(percent) => percent / 100.0 * f64::from(whole),
        }
    }

    fn is_zero(self) -> bool {
        matches!(self, Self::Pixels(0)) || matches!(self, Self::Percent(percent) if percent == 0.0)
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let parsed = match text.strip_suffix('%') {
            Some(number) => {
                let number: Option<f64> = number.trim().parse().ok();
                let valid = number.filter(|number| number.is_finite() && *number >= 0.0);
                valid.map(Self::Percent)
            }
            None => text.parse().ok().map(Self::Pixels),
        };
        parsed.ok_or_else(|| {
            format!("{text:?} is neither a whole number of pixels from 0 up nor a percentage such as 12.5%")
        })
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels(pixels) => write!(f, "{pixels}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Crop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').collect();
        let [left, top, width, height] = parts[..] else {
            return Err(
                "it must be X,Y,WIDTH,HEIGHT in pixels or per cent, such as 10%,10%,50%,50%"
                    .to_owned(),
            );
        };
        let crop = Self {
            left: left.parse()?,
            top: top.parse()?,
            width: width.parse()?,
            height: height.parse()?,
        };
        if crop.width.is_zero() || crop.height.is_zero() {
            return Err("the part is empty: its width and height must be above 0".to_owned());
        }
        Ok(crop)
    }
}

impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{},{},{},{}",
            self.left, self.top, self.width, self.height
        )
    }
}

impl Crop {
    /// Cuts the part out of an upright image. Pixels are those of the given image, which should have its full size.
    ///
    /// # Errors
    ///
    /// [`DecodeError::OutsideOfImage`] if the part is not within the image.
    pub fn cut(&self, image: &Rgb) -> Result<Rgb, DecodeError> {
        let (columns, rows) = (
            range(self.left, self.width, image.width),
            range(self.top, self.height, image.height),
        );
        let (Some((left, right)), Some((top, bottom))) = (columns, rows) else {
            return Err(DecodeError::OutsideOfImage {
                part: self.to_string(),
                width: image.width,
                height: image.height,
            });
        };
        let line = image.width as usize * 3;
        let pixels = image
            .pixels
            .chunks_exact(line)
            .take(bottom as usize)
            .skip(top as usize)
            .flat_map(|row| &row[left as usize * 3..right as usize * 3])
            .copied()
            .collect();
        Ok(Rgb {
            width: right - left,
            height: bottom - top,
            pixels,
        })
    }
}

/// Returns the first pixel and the one behind the last; `None` if the range is empty or reaches beyond the image.
fn range(start: Length, length: Length, whole: u32) -> Option<(u32, u32)> {
    let (start, end) = (start.of(whole), start.of(whole) + length.of(whole));
    // Percentages such as 33.3 and 66.7 add up to a little more than the whole.
    if end > f64::from(whole) + 0.01 {
        return None;
    }
    let (first, behind) = (start.round() as u32, (end.round() as u32).min(whole));
    (first < behind).then_some((first, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image whose pixels are their column and row.
    fn places(width: u32, height: u32) -> Rgb {
        let pixels = (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 0]))
            .collect();
        Rgb {
            width,
            height,
            pixels,
        }
    }

    fn cut(text: &str, width: u32, height: u32) -> Result<(u8, u8, u32, u32), DecodeError> {
        let crop: Crop = text.parse().unwrap();
        let part = crop.cut(&places(width, height))?;
        assert_eq!(part.pixels.len() as u32, part.width * part.height * 3);
        let last = &part.pixels[part.pixels.len() - 3..];
        assert_eq!(
            u32::from(last[0]) + 1,
            u32::from(part.pixels[0]) + part.width
        );
        assert_eq!(
            u32::from(last[1]) + 1,
            u32::from(part.pixels[1]) + part.height
        );
        Ok((part.pixels[0], part.pixels[1], part.width, part.height))
    }

    #[test]
    fn a_part_is_cut_out_in_pixels_or_per_cent() {
        assert_eq!(cut("2,3,4,5", 20, 10), Ok((2, 3, 4, 5)));
        assert_eq!(cut("10%, 10%, 50%, 50%", 20, 10), Ok((2, 1, 10, 5)));
        assert_eq!(cut("5,50%,100%,1", 20, 10).ok(), None, "beyond the right");
        assert_eq!(cut("0,50%,100%,1", 20, 10), Ok((0, 5, 20, 1)));
        assert_eq!(cut("33.3%,0,66.7%,100%", 20, 10), Ok((7, 0, 13, 10)));
        assert_eq!(cut("0,0,100%,100%", 20, 10), Ok((0, 0, 20, 10)));
    }

    #[test]
    fn a_part_outside_of_the_image_or_without_a_pixel_is_refused() {
        for text in [
            "20,0,1,1",
            "0,8,1,3",
            "60%,0,41%,1",
            "0,0,1%,1",
            "0,0,4294967295,1",
        ] {
            let error = cut(text, 20, 10).unwrap_err();
            let outside = DecodeError::OutsideOfImage {
                part: text.to_owned(),
                width: 20,
                height: 10,
            };
            assert_eq!(error, outside);
        }
    }

    #[test]
    fn malformed_parts_are_refused() {
        for (text, why) in [
            ("", "X,Y,WIDTH,HEIGHT"),
            ("1,2,3", "X,Y,WIDTH,HEIGHT"),
            ("1,2,3,4,5", "X,Y,WIDTH,HEIGHT"),
            ("-1,2,3,4", "from 0 up"),
            ("1.5,2,3,4", "from 0 up"),
            ("a,2,3,4", "from 0 up"),
            ("nan%,2,3,4", "from 0 up"),
            ("-5%,2,3,4", "from 0 up"),
            ("0,0,0,4", "empty"),
            ("0,0,4,0%", "empty"),
        ] {
            let error = text.parse::<Crop>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
