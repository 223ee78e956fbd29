//! What a directory says of its picture: the size, the samples of a pixel, what they mean, and where they are.

use super::super::claim::{Claim, Stop};
use super::super::error::DecodeError;
use super::{Directory, Tiff, tag};

/// Maximum number of pieces of a picture: 256 megapixels in tiles of 16 by 16.
const MAX_PIECES: usize = 1 << 20;

/// Bytes that the list of a piece takes, while it is read and afterwards.
const PIECE_BYTES: u64 = 40;

/// Maximum number of samples of a pixel. Satellites write a dozen.
const MAX_SAMPLES: usize = 64;

/// Maximum colours of a palette.
const MAX_COLOURS: usize = 1 << 16;

/// Maximum bytes of the tables of a JPEG.
const MAX_TABLES: usize = 64 << 10;

/// How samples are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    Unsigned,
    Signed,
    Float,
}

/// What the samples of a pixel mean (`PhotometricInterpretation`).
#[derive(Debug, Clone, PartialEq)]
pub enum Colour {
    /// Zero is black, or if `inverted` white.
    Grey {
        inverted: bool,
    },
    Rgb,
    Palette(Vec<[u8; 3]>),
    Cmyk,
    YCbCr(Ycc),
    /// CIE 1976 L*a*b*; a and b are signed, or else moved by half of their range (as ICC has it).
    Lab {
        signed: bool,
    },
}

impl Colour {
    /// Returns the number of samples.
    fn channels(&self) -> usize {
        match self {
            Self::Grey { .. } | Self::Palette(_) => 1,
            Self::Rgb | Self::YCbCr(_) | Self::Lab { .. } => 3,
            Self::Cmyk => 4,
        }
    }
}

/// How luma and colour differences become RGB.
#[derive(Debug, Clone, PartialEq)]
pub struct Ycc {
    /// The shares of red, green and blue in luma.
    pub shares: [f32; 3],
    /// For each sample, the values of black (or no colour) and white (or full colour).
    pub range: [f32; 6],
}

/// What the sample after the colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpha {
    Nothing,
    Straight,
    /// The colour is multiplied by it.
    Associated,
}

/// Numbers of `COMPRESSION`.
pub mod compression {
    pub const NONE: u64 = 1;
    /// Fax lines without marks, each at the start of a byte.
    pub const FAX_LINES: u64 = 2;
    pub const FAX4: u64 = 4;
    pub const LZW: u64 = 5;
    pub const OLD_JPEG: u64 = 6;
    pub const JPEG: u64 = 7;
    pub const DEFLATE: u64 = 8;
    pub const PACK_BITS: u64 = 32_773;
    /// The number of deflate before it was in the standard.
    pub const OLD_DEFLATE: u64 = 32_946;
}

/// A picture's layout.
#[derive(Debug, Clone)]
pub struct Layout {
    pub width: u32,
    pub height: u32,
    /// Bits of a sample.
    pub bits: u32,
    /// Samples of a pixel.
    pub samples: usize,
    pub numbers: Numbers,
    pub little: bool,
    pub colour: Colour,
    pub alpha: Alpha,
    pub compression: u64,
    pub predictor: u64,
    /// Each sample has pieces of its own.
    pub planar: bool,
    /// The lowest bit of a byte comes first.
    pub reversed: bool,
    pub fax_options: u64,
    /// Whether luma and colour differences are JPEG's concern.
    pub jpeg_transform: bool,
    pub jpeg_tables: Vec<u8>,
    /// Pixels that share a colour difference, across and down.
    pub subsampling: (u32, u32),
    /// Size in pixels of a piece: a strip or a tile.
    pub piece: (u32, u32),
    pub tiled: bool,
    /// Start and length of the pieces.
    pub pieces: Vec<(u64, u64)>,
    /// The highest value that the file declares.
    pub declared_max: Option<u64>,
}

fn unsupported(what: String) -> Stop {
    DecodeError::NotSupported(what).into()
}

fn broken(what: &str) -> Stop {
    DecodeError::Malformed(what.to_owned()).into()
}

impl Layout {
    /// Reads a directory.
    ///
    /// # Errors
    ///
    /// If the picture is of a kind that is not supported, makes no sense, or costs more than the limits allow.
    pub fn read(
        tiff: &Tiff<'_>,
        directory: &Directory,
        claim: &mut Claim<'_>,
    ) -> Result<Self, Stop> {
        let value = |tag| tiff.value(directory, tag);
        let side = |tag| value(tag).and_then(|side| u32::try_from(side).ok());
        let (width, height) = side(tag::WIDTH)
            .zip(side(tag::HEIGHT))
            .filter(|(width, height)| *width > 0 && *height > 0)
            .ok_or_else(|| broken("it has no pixels"))?;
        claim.limits.check_pixels(width, height)?;
        let samples = value(tag::SAMPLES).unwrap_or(1).max(1);
        let samples = usize::try_from(samples).unwrap_or(usize::MAX);
        if samples > MAX_SAMPLES {
            return Err(unsupported(format!("TIFFs of {samples} samples a pixel")));
        }
        let bits = tiff.values(directory, tag::BITS);
        if bits.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(unsupported("TIFFs whose samples differ in bits".to_owned()));
        }
        let compression = value(tag::COMPRESSION).unwrap_or(compression::NONE);
        let mut layout = Self {
            width,
            height,
            bits: bits
                .first()
                .map_or(1, |bits| u32::try_from(*bits).unwrap_or(u32::MAX)),
            samples,
            numbers: match value(tag::SAMPLE_FORMAT) {
                Some(2) => Numbers::Signed,
                Some(3) => Numbers::Float,
                Some(5 | 6) => return Err(unsupported("TIFFs of complex numbers".to_owned())),
                _ => Numbers::Unsigned,
            },
            little: tiff.is_little(),
            colour: Colour::Grey { inverted: false },
            alpha: Alpha::Nothing,
            compression,
            predictor: value(tag::PREDICTOR).unwrap_or(1),
            planar: value(tag::PLANES) == Some(2) && samples > 1,
            reversed: value(tag::FILL_ORDER) == Some(2),
            fax_options: value(tag::FAX3_OPTIONS).unwrap_or(0),
            jpeg_transform: false,
            jpeg_tables: Vec::new(),
            subsampling: (1, 1),
            piece: (width, height),
            tiled: false,
            pieces: Vec::new(),
            declared_max: value(tag::MAX_SAMPLE),
        };
        layout.read_colour(tiff, directory)?;
        layout.read_alpha(tiff, directory);
        layout.check_bits()?;
        layout.read_pieces(tiff, directory, claim)?;
        Ok(layout)
    }

    fn read_colour(&mut self, tiff: &Tiff<'_>, directory: &Directory) -> Result<(), Stop> {
        let meaning = tiff.value(directory, tag::COLOURS);
        self.colour = match meaning {
            Some(0) => Colour::Grey { inverted: true },
            // Missing: what the number of samples suggests; fax means black on white.
            None if self.samples >= 3 => Colour::Rgb,
            None if (compression::FAX_LINES..=compression::FAX4).contains(&self.compression) => {
                Colour::Grey { inverted: true }
            }
            Some(1 | 4) | None => Colour::Grey { inverted: false },
            Some(2) if self.samples < 3 => Colour::Grey { inverted: false },
            Some(2) => Colour::Rgb,
            Some(3) => Colour::Palette(palette(tiff, directory, self.bits)),
            Some(5) if tiff.value(directory, tag::INKS).unwrap_or(1) == 1 => Colour::Cmyk,
            Some(6) if self.samples < 3 => Colour::Grey { inverted: false },
            Some(6) => self.ycc(tiff, directory),
            Some(8) if self.samples >= 3 => Colour::Lab { signed: true },
            Some(9) if self.samples >= 3 => Colour::Lab { signed: false },
            Some(8 | 9) => Colour::Grey { inverted: false },
            Some(other) => return Err(unsupported(format!("TIFFs with colours of kind {other}"))),
        };
        if self.compression == compression::JPEG {
            let tables = tiff.bytes(directory, tag::JPEG_TABLES, MAX_TABLES);
            self.jpeg_tables = tables.unwrap_or_default();
            if matches!(self.colour, Colour::YCbCr(_)) {
                self.jpeg_transform = true;
                self.colour = Colour::Rgb;
                self.subsampling = (1, 1);
            }
        }
        if self.samples < self.colour.channels() {
            return Err(broken("its pixels have too few samples"));
        }
        Ok(())
    }

    fn ycc(&mut self, tiff: &Tiff<'_>, directory: &Directory) -> Colour {
        let mut ycc = Ycc {
            shares: [0.299, 0.587, 0.114],
            range: [0.0, 255.0, 128.0, 255.0, 128.0, 255.0],
        };
        if let [red, green, blue, ..] = tiff.fractions(directory, tag::YCC_COEFFICIENTS)[..]
            && [red, green, blue].iter().all(|share| *share > 0.0)
        {
            ycc.shares = [red, green, blue];
        }
        let range = tiff.fractions(directory, tag::BLACK_WHITE);
        if range.len() >= 6 && range.chunks_exact(2).take(3).all(|pair| pair[1] > pair[0]) {
            ycc.range.copy_from_slice(&range[..6]);
        }
        self.subsampling = match tiff.values(directory, tag::YCC_SUBSAMPLING)[..] {
            [across @ (1 | 2 | 4), down @ (1 | 2 | 4), ..] => (across as u32, down as u32),
            // The standard's default.
            _ => (2, 2),
        };
        Colour::YCbCr(ycc)
    }

    fn read_alpha(&mut self, tiff: &Tiff<'_>, directory: &Directory) {
        let extra = self.samples - self.colour.channels();
        let kind = tiff.value(directory, tag::EXTRA_SAMPLES);
        self.alpha = match kind {
            Some(1) if extra > 0 => Alpha::Associated,
            Some(2) if extra > 0 => Alpha::Straight,
            // Programs that do not say what the fourth sample is mean this.
            None if extra == 1 && self.colour == Colour::Rgb => Alpha::Straight,
            _ => Alpha::Nothing,
        };
    }

    fn check_bits(&self) -> Result<(), Stop> {
        let supported = match self.numbers {
            Numbers::Float => matches!(self.bits, 16 | 24 | 32 | 64),
            _ => matches!(self.bits, 1..=16 | 24 | 32 | 64),
        };
        let jpeg = matches!(self.compression, compression::JPEG | compression::OLD_JPEG);
        if !supported || (jpeg && self.bits != 8) {
            let kind = if jpeg { " in JPEG" } else { "" };
            let bits = self.bits;
            return Err(unsupported(format!("TIFFs of {bits} bits a sample{kind}")));
        }
        if matches!(self.colour, Colour::YCbCr(_)) && self.compression != compression::OLD_JPEG {
            let shared = self.subsampling != (1, 1);
            if self.bits != 8 || (shared && (self.planar || self.samples != 3)) {
                let kind = "TIFFs of luma and colour differences in this form";
                return Err(unsupported(kind.to_owned()));
            }
        }
        Ok(())
    }

    fn read_pieces(
        &mut self,
        tiff: &Tiff<'_>,
        directory: &Directory,
        claim: &mut Claim<'_>,
    ) -> Result<(), Stop> {
        let value = |tag| {
            let value = tiff.value(directory, tag).filter(|value| *value > 0);
            value.and_then(|value| u32::try_from(value).ok())
        };
        let has_tiles = directory.entry(tag::TILES).is_some();
        let sides = value(tag::TILE_WIDTH).zip(value(tag::TILE_HEIGHT));
        self.tiled = has_tiles || sides.is_some();
        let (starts, lengths) = if self.tiled {
            self.piece = sides.ok_or_else(|| broken("its tiles have no size"))?;
            if has_tiles {
                (tag::TILES, tag::TILE_LENGTHS)
            } else {
                // Older programs say where tiles are as if they were strips.
                (tag::STRIPS, tag::STRIP_LENGTHS)
            }
        } else {
            let rows = value(tag::STRIP_ROWS).unwrap_or(self.height);
            self.piece = (self.width, rows.min(self.height));
            (tag::STRIPS, tag::STRIP_LENGTHS)
        };
        let (across, down) = self.pieces_by_side();
        let planes = if self.planar { self.samples as u64 } else { 1 };
        let count = u64::from(across) * u64::from(down) * planes;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > MAX_PIECES {
            return Err(broken("it is cut into too many pieces"));
        }
        claim.bytes((self.width, self.height), count as u64 * PIECE_BYTES)?;
        let starts = tiff.many(directory, starts, count);
        let lengths = tiff.many(directory, lengths, count);
        let end = tiff.length();
        self.pieces = (0..count.min(starts.len()))
            .map(|i| {
                let start = starts[i];
                let after = || starts.get(i + 1).copied().filter(|next| *next > start);
                // Nothing of length zero: a length that is missing.
                let length = match lengths.get(i) {
                    Some(0) | None if start > 0 => after().unwrap_or(end).saturating_sub(start),
                    Some(length) => *length,
                    None => 0,
                };
                (start, length.min(end.saturating_sub(start)))
            })
            .collect();
        Ok(())
    }

    /// Returns the number of pieces across and down.
    pub fn pieces_by_side(&self) -> (u32, u32) {
        (
            self.width.div_ceil(self.piece.0),
            self.height.div_ceil(self.piece.1),
        )
    }

    /// Returns the samples of a pixel that are in one piece.
    pub fn together(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Returns the samples of a pixel that are colours.
    pub fn channels(&self) -> usize {
        self.colour.channels()
    }

    /// Returns the bytes of a row of a piece, unpacked.
    pub fn row_bytes(&self) -> u64 {
        (u64::from(self.piece.0) * self.together() as u64 * u64::from(self.bits)).div_ceil(8)
    }

    /// Returns the bytes of `rows` of a piece, unpacked.
    pub fn bytes_of(&self, rows: u32) -> u64 {
        if self.subsampling == (1, 1) {
            return self.row_bytes() * u64::from(rows);
        }
        let (across, down) = self.subsampling;
        let blocks = u64::from(self.piece.0.div_ceil(across)) * u64::from(rows.div_ceil(down));
        blocks * u64::from(across * down + 2)
    }

    /// Returns whether the picture is grey and has more than 8 bits, so that its range has to be found.
    pub fn is_deep_grey(&self) -> bool {
        matches!(self.colour, Colour::Grey { .. }) && self.bits > 8
    }
}

/// Reads the colours of a palette: all reds, all greens, all blues, in 16 bits.
fn palette(tiff: &Tiff<'_>, directory: &Directory, bits: u32) -> Vec<[u8; 3]> {
    let count = 1usize << bits.min(16);
    let values = tiff.many(directory, tag::PALETTE, count.min(MAX_COLOURS) * 3);
    let count = values.len() / 3;
    // Some programs write eight bits.
    let shift = if values.iter().all(|value| *value < 256) {
        0
    } else {
        8
    };
    let at = |place: usize| (values[place] >> shift).min(255) as u8;
    (0..count)
        .map(|i| [at(i), at(count + i), at(2 * count + i)])
        .collect()
}
