//! From the planes of a video codec to RGB in 8 bits, at the full size or a fraction of it.
//!
//! Owns what the numbers of a coded picture mean: matrix, range and depth (ITU-T H.273). `hdr.rs` knows the rest.

use super::hdr::{Meaning, Tone};

/// How colour is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sampling {
    /// Brightness only.
    Grey,
    /// A colour sample for two by two pixels (4:2:0).
    Quarter,
    /// A colour sample for two pixels in a row (4:2:2).
    Half,
    /// A colour sample for every pixel (4:4:4).
    Full,
}

impl Sampling {
    /// Returns how many pixels share a colour sample in a row, and in a column.
    fn steps(self) -> (usize, usize) {
        match self {
            Self::Grey | Self::Full => (1, 1),
            Self::Half => (2, 1),
            Self::Quarter => (2, 2),
        }
    }
}

/// Samples in one of the forms in which codecs return them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Samples<'a> {
    #[cfg_attr(not(feature = "avif"), allow(dead_code, reason = "only AV1 has them"))]
    Bytes(&'a [u8]),
    #[cfg_attr(not(feature = "heic"), allow(dead_code, reason = "only HEVC has them"))]
    Words(&'a [u16]),
    /// Two bytes each, in the machine's order.
    #[cfg_attr(not(feature = "avif"), allow(dead_code, reason = "only AV1 has them"))]
    Pairs(&'a [u8]),
}

impl Samples<'_> {
    /// Returns the sum of the samples of a row from `start` to `end`. Samples that are not there count as 0.
    fn sum(self, start: usize, end: usize) -> u32 {
        match self {
            Self::Bytes(all) => all
                .get(start..end)
                .unwrap_or_default()
                .iter()
                .map(|&sample| u32::from(sample))
                .sum(),
            Self::Words(all) => all
                .get(start..end)
                .unwrap_or_default()
                .iter()
                .map(|&sample| u32::from(sample))
                .sum(),
            Self::Pairs(all) => all
                .get(2 * start..2 * end)
                .unwrap_or_default()
                .chunks_exact(2)
                .map(|pair| u32::from(u16::from_ne_bytes([pair[0], pair[1]])))
                .sum(),
        }
    }
}

/// A plane of a picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plane<'a> {
    pub samples: Samples<'a>,
    /// Samples from one row to the next.
    pub stride: usize,
    pub width: usize,
    pub height: usize,
}

impl Plane<'_> {
    /// Returns the mean of a block, as far as the plane has it.
    fn mean(&self, (x, y): (usize, usize), (width, height): (usize, usize)) -> f32 {
        // A colour plane may be short of the last column or row.
        let (x, y) = (
            x.min(self.width.saturating_sub(1)),
            y.min(self.height.saturating_sub(1)),
        );
        let (right, bottom) = ((x + width).min(self.width), (y + height).min(self.height));
        let sum: u32 = (y..bottom)
            .map(|row| {
                let start = row * self.stride;
                self.samples.sum(start + x, start + right)
            })
            .sum();
        sum as f32 / ((right - x) * (bottom - y)).max(1) as f32
    }
}

/// A decoded picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planes<'a> {
    pub width: u32,
    pub height: u32,
    /// Bits of a sample.
    pub depth: u8,
    pub sampling: Sampling,
    /// Brightness and two of colour; only the first if it is grey.
    pub planes: [Plane<'a>; 3],
}

/// A picture at a fraction of its size, into which its parts are drawn.
#[derive(Debug)]
pub(super) struct Canvas {
    /// The side in pixels of the blocks that become a pixel.
    pub step: u32,
    pub width: u32,
    pub height: u32,
    /// Bytes of a pixel: 3 for RGB, 1 for transparency.
    pub channels: usize,
    pub pixels: Vec<u8>,
}

impl Canvas {
    /// Creates a canvas for a picture of that size, filled with `fill`.
    pub fn new((width, height): (u32, u32), step: u32, channels: usize, fill: u8) -> Self {
        let (width, height) = (width.div_ceil(step), height.div_ceil(step));
        Self {
            step,
            width,
            height,
            channels,
            pixels: vec![fill; width as usize * height as usize * channels],
        }
    }

    /// Draws a part whose upper left corner is at `place` of the full picture, a multiple of the step. What does not
    /// fit is left out.
    pub fn draw(&mut self, part: &Planes<'_>, place: (u32, u32), meaning: &Meaning) {
        let convert = if self.channels == 1 {
            Converter::of_layer(part)
        } else {
            Converter::new(part, meaning)
        };
        let step = self.step as usize;
        let (left, top) = (
            (place.0 / self.step) as usize,
            (place.1 / self.step) as usize,
        );
        let columns = (part.width as usize)
            .div_ceil(step)
            .min((self.width as usize).saturating_sub(left));
        let rows = (part.height as usize)
            .div_ceil(step)
            .min((self.height as usize).saturating_sub(top));
        let line = self.width as usize * self.channels;
        for row in 0..rows {
            let start = (top + row) * line + left * self.channels;
            let out = &mut self.pixels[start..start + columns * self.channels];
            for (column, pixel) in out.chunks_exact_mut(self.channels).enumerate() {
                convert.pixel(part, (column, row), step, pixel);
            }
        }
    }
}

/// Weights of red and blue in the brightness, by the code point of a matrix.
fn weights(matrix: u16) -> (f32, f32) {
    match matrix {
        1 => (0.2126, 0.0722),
        4 => (0.30, 0.11),
        7 => (0.212, 0.087),
        9 | 10 => (0.2627, 0.0593),
        // BT.601, which also stands for what is not specified.
        _ => (0.299, 0.114),
    }
}

/// How three samples become a colour.
enum Mix {
    Grey,
    /// Green, blue and red as they are.
    Identity,
    /// YCgCo.
    Lifting,
    /// Factors of the two colour differences: red by the second, green by both, blue by the first.
    Weighted([f32; 4]),
}

struct Converter {
    mix: Mix,
    /// Sample of black, and factor to 0..=1.
    luma: (f32, f32),
    /// Sample of no colour, and factor to -0.5..=0.5.
    chroma: (f32, f32),
    tone: Option<Tone>,
}

impl Converter {
    fn new(part: &Planes<'_>, meaning: &Meaning) -> Self {
        let unit = f32::from(1u16 << part.depth.saturating_sub(8).min(7));
        let most = 256.0 * unit - 1.0;
        let (luma, chroma) = if meaning.full_range {
            ((0.0, 1.0 / most), (128.0 * unit, 1.0 / most))
        } else {
            (
                (16.0 * unit, 1.0 / (219.0 * unit)),
                (128.0 * unit, 1.0 / (224.0 * unit)),
            )
        };
        let mix = match meaning.matrix {
            _ if part.sampling == Sampling::Grey => Mix::Grey,
            0 => Mix::Identity,
            8 => Mix::Lifting,
            matrix => {
                let (red, blue) = weights(matrix);
                let green = 1.0 - red - blue;
                Mix::Weighted([
                    2.0 * (1.0 - red),
                    2.0 * (1.0 - blue) * blue / green,
                    2.0 * (1.0 - red) * red / green,
                    2.0 * (1.0 - blue),
                ])
            }
        };
        Self {
            mix,
            luma,
            chroma,
            tone: Tone::of(meaning),
        }
    }

    /// Returns what reads a layer of transparency, whose numbers are what they are.
    fn of_layer(part: &Planes<'_>) -> Self {
        let meaning = Meaning {
            primaries: 2,
            transfer: 2,
            matrix: 2,
            full_range: true,
        };
        Self {
            mix: Mix::Grey,
            ..Self::new(part, &meaning)
        }
    }

    /// Converts one block of `step` by `step` pixels.
    fn pixel(&self, part: &Planes<'_>, (x, y): (usize, usize), step: usize, out: &mut [u8]) {
        let [luma, first, second] = &part.planes;
        let light = luma.mean((x * step, y * step), (step, step));
        let light = (light - self.luma.0) * self.luma.1;
        let colour = |plane: &Plane<'_>| {
            let (across, down) = part.sampling.steps();
            let block = ((step / across).max(1), (step / down).max(1));
            plane.mean((x * step / across, y * step / down), block)
        };
        let difference = |plane| (colour(plane) - self.chroma.0) * self.chroma.1;
        let mut rgb = match &self.mix {
            Mix::Grey => [light; 3],
            Mix::Identity => {
                let [blue, red] =
                    [first, second].map(|plane| (colour(plane) - self.luma.0) * self.luma.1);
                [red, light, blue]
            }
            Mix::Lifting => {
                let (green, orange) = (difference(first), difference(second));
                let rest = light - green;
                [rest + orange, light + green, rest - orange]
            }
            Mix::Weighted([red, green_blue, green_red, blue]) => {
                let (cb, cr) = (difference(first), difference(second));
                [
                    light + red * cr,
                    light - green_blue * cb - green_red * cr,
                    light + blue * cb,
                ]
            }
        };
        if let Some(tone) = &self.tone {
            rgb = tone.down(rgb);
        }
        for (byte, value) in out.iter_mut().zip(rgb) {
            *byte = (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(samples: &[u16], width: usize) -> Plane<'_> {
        Plane {
            samples: Samples::Words(samples),
            stride: width,
            width,
            height: samples.len() / width,
        }
    }

    fn meaning(matrix: u16, full_range: bool) -> Meaning {
        Meaning {
            primaries: 1,
            transfer: 13,
            matrix,
            full_range,
        }
    }

    fn one(samples: [u16; 3], depth: u8, meaning: &Meaning) -> [u8; 3] {
        let parts = samples.map(|sample| [sample]);
        let planes = Planes {
            width: 1,
            height: 1,
            depth,
            sampling: Sampling::Full,
            planes: [0, 1, 2].map(|i| plane(&parts[i], 1)),
        };
        let mut canvas = Canvas::new((1, 1), 1, 3, 0);
        canvas.draw(&planes, (0, 0), meaning);
        canvas.pixels.try_into().unwrap()
    }

    #[test]
    fn colours_are_those_of_the_standards() {
        // Red, BT.601 and BT.709, in the numbers that their tables give.
        assert_eq!(one([81, 90, 240], 8, &meaning(6, false)), [254, 0, 0]);
        assert_eq!(one([63, 102, 240], 8, &meaning(1, false)), [255, 1, 0]);
        assert_eq!(one([76, 85, 255], 8, &meaning(5, true)), [254, 0, 0]);
        assert_eq!(
            one([4 * 81, 4 * 90, 4 * 240], 10, &meaning(6, false)),
            [254, 0, 0]
        );
        assert_eq!(one([10, 20, 30], 8, &meaning(0, true)), [30, 10, 20]);
        assert_eq!(one([4095, 2048, 2048], 12, &meaning(9, true)), [255; 3]);
        // YCgCo of green.
        assert_eq!(one([128, 255, 128], 8, &meaning(8, true)), [1, 255, 1]);
    }

    #[test]
    fn a_block_becomes_its_mean_and_edges_are_blocks_of_what_is_there() {
        let light: Vec<u16> = (0..15).map(|i| 10 * i).collect();
        // Three by two blocks of colour for five by three pixels.
        let colour = [128; 6];
        let planes = Planes {
            width: 5,
            height: 3,
            depth: 8,
            sampling: Sampling::Quarter,
            planes: [plane(&light, 5), plane(&colour, 3), plane(&colour, 3)],
        };
        let mut canvas = Canvas::new((5, 3), 2, 3, 7);
        canvas.draw(&planes, (0, 0), &meaning(6, true));
        assert_eq!((canvas.width, canvas.height), (3, 2));
        let grey: Vec<u8> = canvas.pixels.chunks(3).map(|pixel| pixel[0]).collect();
        assert_eq!(grey, [30, 50, 65, 105, 125, 140]);
        // A part beside another.
        let mut wide = Canvas::new((9, 3), 2, 3, 7);
        wide.draw(&planes, (4, 0), &meaning(6, true));
        assert_eq!(wide.pixels[..6], [7; 6]);
        assert_eq!(wide.pixels[6], 30);
        assert_eq!(wide.pixels.len(), 5 * 2 * 3);
    }
}
