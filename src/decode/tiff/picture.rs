//! The first picture of a TIFF, from its directory to pixels: piece by piece, within the memory that it claims.
//!
//! Owns the order of the work. A piece that is missing or damaged costs itself; a picture of which less than a quarter is
//! there is refused.

use super::super::claim::{Claim, Stop};
use super::super::colour::Inks;
use super::super::error::DecodeError;
use super::super::exif::{Exif, Orientation, date};
use super::super::source::Data;
use super::super::{Rgb, deep, ground, metadata, partial};
use super::bits;
use super::colours;
use super::jpeg::{self, Jpegs};
use super::layout::{Alpha, Colour, Layout, Numbers};
use super::{Directory, Tiff, tag, unpack};

/// Maximum bytes of a colour profile that is read.
const MAX_PROFILE: usize = super::super::colour::MAX_PROFILE;

/// Maximum bytes of a text that is read.
const MAX_TEXT: usize = 1 << 20;

/// A TIFF whose directory was read.
pub struct Opened<'a> {
    tiff: Tiff<'a>,
    pub directory: Directory,
    pub layout: Layout,
}

/// Reads the directory of the first picture.
///
/// # Errors
///
/// If there is none, or its picture is not supported or costs more than the limits allow.
pub fn open<'a>(data: Data<'a>, claim: &mut Claim<'_>) -> Result<Opened<'a>, Stop> {
    let broken = || DecodeError::Malformed("it has no directory of a picture".to_owned());
    let (tiff, first) = Tiff::open(data, 0).ok_or_else(broken)?;
    let (directory, _) = tiff.directory(first).ok_or_else(broken)?;
    let layout = Layout::read(&tiff, &directory, claim)?;
    Ok(Opened {
        tiff,
        directory,
        layout,
    })
}

impl Opened<'_> {
    /// Returns the picture as a JPEG file, if it is one: see [`jpeg::whole`].
    ///
    /// # Errors
    ///
    /// As [`jpeg::whole`].
    pub fn as_jpeg(&self, claim: &mut Claim<'_>) -> Result<Option<Vec<u8>>, Stop> {
        jpeg::whole(&self.tiff, &self.directory, &self.layout, claim)
    }

    /// Returns the orientation and the date of the picture.
    pub fn exif(&self) -> Exif {
        let value = |tag| self.tiff.value(&self.directory, tag);
        let dated = |directory: &Directory, tag| {
            let text = self.tiff.text(directory, tag)?;
            date(text.get(..19)?)
        };
        let camera = value(tag::EXIF).and_then(|place| self.tiff.directory(place));
        let taken = camera.and_then(|(camera, _)| {
            let tags = [tag::TAKEN, tag::DIGITISED];
            tags.into_iter().find_map(|tag| dated(&camera, tag))
        });
        let orientation = value(tag::ORIENTATION).filter(|value| (1..=8).contains(value));
        let exif = Exif {
            orientation: orientation.map(|value| Orientation::of(value as u8)),
            taken: taken.or_else(|| dated(&self.directory, tag::CHANGED)),
        };
        let block = |tag| {
            self.tiff
                .bytes(&self.directory, tag, MAX_TEXT)
                .unwrap_or_default()
        };
        let xmp = || metadata::in_xmp(&block(tag::XMP));
        exif.or_else(xmp)
            .or_else(|| metadata::in_iptc(&block(tag::IPTC)))
    }

    /// Returns the colour profile.
    pub fn profile(&self) -> Option<Vec<u8>> {
        let profile = self
            .tiff
            .bytes(&self.directory, tag::PROFILE, MAX_PROFILE + 1);
        profile.filter(|profile| !profile.is_empty())
    }

    /// Decodes the picture. Returns what is missing, too.
    ///
    /// # Errors
    ///
    /// If too little of it can be decoded, or its memory is not free now.
    pub fn decode(&self, claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
        let layout = &self.layout;
        let size = (layout.width, layout.height);
        claim.bytes(size, self.memory(claim))?;
        let inks = match layout.colour {
            Colour::Cmyk => Inks::of(self.profile().as_deref()),
            _ => Inks::of(None),
        };
        let mut canvas = Canvas::new(layout, inks);
        let mut trouble = None;
        let mut jpegs = Jpegs::default();
        let (across, down) = layout.pieces_by_side();
        for row in 0..down {
            for column in 0..across {
                let found = self.piece(row * across + column, &mut jpegs);
                match found {
                    Ok(planes) => canvas.add(&planes, (column, row)),
                    Err(error) => trouble = trouble.or(Some(error)),
                }
            }
        }
        let damage = partial::judge(canvas.there, u64::from(size.0) * u64::from(size.1), trouble)?;
        Ok((canvas.finish(), damage.or_else(|| self.damage())))
    }

    /// Returns what is wrong with the file around its pixels: it ends within its directory or the tables of its JPEG.
    pub fn damage(&self) -> Option<String> {
        self.tiff
            .ends_within(&self.directory, tag::JPEG_TABLES)
            .then(|| "truncated: the end of the file is missing".to_owned())
    }

    /// Returns the bytes that decoding takes.
    fn memory(&self, claim: &Claim<'_>) -> u64 {
        let layout = &self.layout;
        let pixels = u64::from(layout.width) * u64::from(layout.height);
        let planes = if layout.planar {
            layout.samples as u64
        } else {
            1
        };
        // A piece as it is stored, unpacked, and with shared colours for each pixel.
        let packed = layout.pieces.iter().map(|piece| piece.1).max();
        let unpacked = layout.bytes_of(layout.piece.1);
        let shared = if layout.subsampling == (1, 1) {
            0
        } else {
            u64::from(layout.piece.0) * u64::from(layout.piece.1) * 3
        };
        let row = u64::from(layout.piece.0) * layout.samples as u64 * 6;
        let pieces = packed.unwrap_or(0) * 2 + (unpacked.saturating_mul(2) + shared) * planes + row;
        let canvas = match () {
            () if layout.is_deep_grey() => 4 + 3,
            () if layout.alpha != Alpha::Nothing => 4,
            () => 3,
        };
        let afterwards = claim.afterwards((layout.width, layout.height));
        (pixels * canvas).saturating_add(pieces.max(afterwards))
    }

    /// Unpacks a piece: for each plane the bytes that are there.
    fn piece(&self, index: u32, jpegs: &mut Jpegs) -> Result<Vec<Plane>, DecodeError> {
        let layout = &self.layout;
        let (across, down) = layout.pieces_by_side();
        let row = index / across;
        let rows = if layout.tiled {
            layout.piece.1
        } else {
            (layout.height - row * layout.piece.1).min(layout.piece.1)
        };
        let planes = if layout.planar {
            layout.channels_needed()
        } else {
            1
        };
        (0..planes)
            .map(|plane| {
                let place = plane * (across * down) as usize + index as usize;
                let missing = || DecodeError::Malformed("a piece of it is missing".to_owned());
                let &(start, length) = layout.pieces.get(place).ok_or_else(missing)?;
                let expected = usize::try_from(layout.bytes_of(rows)).unwrap_or(usize::MAX);
                if (start, length) == (0, 0) {
                    // A hole, which is how maps store emptiness.
                    return Ok(Plane::of(vec![0; expected], layout, rows));
                }
                let packed = self
                    .tiff
                    .piece(start, usize::try_from(length).unwrap_or(usize::MAX));
                let bytes = unpack::piece(layout, packed, rows, jpegs)?;
                if bytes.is_empty() {
                    return Err(DecodeError::Malformed(
                        "a piece of it is damaged".to_owned(),
                    ));
                }
                Ok(Plane::of(bytes, layout, rows))
            })
            .collect()
    }
}

impl Layout {
    /// Returns whether the samples are declared as signed, and what they look like has to tell whether that is true.
    fn may_be_unsigned(&self) -> bool {
        self.numbers == Numbers::Signed
            && self.bits == 8
            && self.alpha == Alpha::Nothing
            && matches!(self.colour, Colour::Grey { .. } | Colour::Rgb)
    }

    /// Returns the number of planes that are needed: colours and transparency.
    fn channels_needed(&self) -> usize {
        let alpha = usize::from(self.alpha != Alpha::Nothing);
        (self.channels() + alpha).min(self.samples)
    }
}

/// The unpacked bytes of a piece, or of one of its samples.
struct Plane {
    bytes: Vec<u8>,
    /// Bytes of a row.
    row: usize,
    /// Whole rows that are there.
    rows: usize,
    /// Whether numbers now begin with their highest byte.
    swapped: bool,
}

impl Plane {
    fn of(mut bytes: Vec<u8>, layout: &Layout, rows: u32) -> Self {
        let mut row = usize::try_from(layout.row_bytes()).unwrap_or(usize::MAX);
        if layout.subsampling != (1, 1) {
            let expected = layout.bytes_of(rows).max(1);
            let there = u64::from(rows) * bytes.len() as u64 / expected;
            bytes = colours::unshared(&bytes, layout, rows);
            row = layout.piece.0 as usize * 3;
            bytes.truncate(row * there as usize);
        }
        let whole = bytes.len() / row;
        let mut swapped = false;
        if layout.predictor > 1 {
            for row in bytes.chunks_exact_mut(row) {
                swapped = bits::undo_differences(row, layout);
            }
        }
        Self {
            bytes,
            row,
            rows: whole,
            swapped,
        }
    }
}

/// The picture that is made.
struct Canvas<'a> {
    layout: Layout,
    of: &'a Layout,
    inks: Inks,
    /// RGB, or RGB and alpha.
    pixels: Vec<u8>,
    /// The values of greys of more than 8 bits, instead.
    values: Vec<f32>,
    /// The number of pixels that were decoded.
    there: u64,
}

impl<'a> Canvas<'a> {
    fn new(of: &'a Layout, inks: Inks) -> Self {
        let pixels = of.width as usize * of.height as usize;
        let (pixels, values) = if of.is_deep_grey() {
            (Vec::new(), vec![f32::NAN; pixels])
        } else {
            let channels = if of.alpha == Alpha::Nothing { 3 } else { 4 };
            (vec![partial::MISSING; pixels * channels], Vec::new())
        };
        let mut layout = of.clone();
        layout.pieces = Vec::new();
        if layout.planar {
            layout.samples = of.channels_needed();
        }
        if layout.bits > 8 {
            // As `small` scales them.
            layout.bits = 8;
        }
        Self {
            layout,
            of,
            inks,
            pixels,
            values,
            there: 0,
        }
    }

    /// Adds a piece at a column and a row of pieces.
    fn add(&mut self, planes: &[Plane], (column, row): (u32, u32)) {
        let of = self.of;
        let (left, top) = (column * of.piece.0, row * of.piece.1);
        let width = (of.width - left).min(of.piece.0) as usize;
        let height = (of.height - top).min(of.piece.1) as usize;
        let rows = planes.iter().map(|plane| plane.rows).min();
        let rows = rows.unwrap_or(0).min(height);
        let mut samples = Vec::new();
        let mut line = Vec::new();
        let mut values = Vec::new();
        for y in 0..rows {
            let place = (top as usize + y) * of.width as usize + left as usize;
            if of.is_deep_grey() {
                values.clear();
                read_values(&planes[0], y, of, width * of.together(), &mut values);
                let greys = values.iter().step_by(of.together());
                for (to, value) in self.values[place..].iter_mut().zip(greys).take(width) {
                    *to = *value;
                }
                continue;
            }
            samples.clear();
            self.row(planes, y, width, &mut samples, &mut values);
            line.clear();
            let with_alpha = of.alpha != Alpha::Nothing;
            colours::add(&samples, &self.layout, &self.inks, with_alpha, &mut line);
            let channels = if with_alpha { 4 } else { 3 };
            self.pixels[place * channels..][..line.len()].copy_from_slice(&line);
        }
        self.there += (rows * width) as u64;
    }

    /// Reads a row of samples of 8 bits or less, from all planes.
    fn row(
        &self,
        planes: &[Plane],
        y: usize,
        width: usize,
        samples: &mut Vec<u8>,
        values: &mut Vec<f32>,
    ) {
        let of = self.of;
        let count = width * of.together();
        let read = |plane: &Plane, values: &mut Vec<f32>, out: &mut Vec<u8>| {
            if of.bits <= 8 {
                let row = &plane.bytes[y * plane.row..(y + 1) * plane.row];
                bits::small(row, of.bits, count, out);
                let is_signed = of.numbers == Numbers::Signed && !of.may_be_unsigned();
                if is_signed && !matches!(of.colour, Colour::Lab { .. }) {
                    let half = 1u8 << (of.bits - 1);
                    out.iter_mut().for_each(|value| *value ^= half);
                }
                return;
            }
            values.clear();
            read_values(plane, y, of, count, values);
            out.extend(values.iter().map(|value| in_bytes(*value, of)));
        };
        if let [plane] = planes {
            return read(plane, values, samples);
        }
        let mut apart = Vec::with_capacity(count * planes.len());
        for plane in planes {
            let mut one = Vec::with_capacity(count);
            read(plane, values, &mut one);
            apart.extend(one);
        }
        samples.extend(
            (0..count)
                .flat_map(|x| (0..planes.len()).map(move |p| (p, x)))
                .map(|(plane, x)| apart.get(plane * count + x).copied().unwrap_or(0)),
        );
    }

    fn finish(self) -> Rgb {
        let of = self.of;
        let pixels = if of.is_deep_grey() {
            let range = deep::Range {
                bits: of.bits,
                signed: of.numbers == Numbers::Signed,
                float: of.numbers == Numbers::Float,
                declared: of.declared_max,
            };
            let inverted = of.colour == Colour::Grey { inverted: true };
            deep::greys(&self.values, range, inverted)
        } else if of.may_be_unsigned() {
            as_smooth(self.pixels, of.width as usize)
        } else if of.alpha == Alpha::Nothing {
            self.pixels
        } else {
            ground::show(self.pixels)
        };
        Rgb {
            width: of.width,
            height: of.height,
            pixels,
        }
    }
}

/// Returns pixels whose samples are signed or, if the picture is smoother so, unsigned: many programs declare the wrong
/// one of the two. Read wrongly, a picture has edges wherever its light passes the middle.
fn as_smooth(mut pixels: Vec<u8>, width: usize) -> Vec<u8> {
    let steps = |moved: u8| -> u64 {
        let rows = pixels.chunks_exact(width * 3);
        rows.flat_map(|row| row.iter().zip(row.iter().skip(3)))
            .map(|(a, b)| u64::from((a ^ moved).abs_diff(b ^ moved)))
            .sum()
    };
    if steps(0x80) <= steps(0) {
        pixels.iter_mut().for_each(|value| *value ^= 0x80);
    }
    pixels
}

fn read_values(plane: &Plane, y: usize, of: &Layout, count: usize, values: &mut Vec<f32>) {
    let row = &plane.bytes[y * plane.row..(y + 1) * plane.row];
    if plane.swapped && of.little {
        let swapped = Layout {
            little: false,
            pieces: Vec::new(),
            ..of.clone()
        };
        bits::values(row, &swapped, count, values);
    } else {
        bits::values(row, of, count, values);
    }
}

/// Returns a sample of more than 8 bits in 8.
fn in_bytes(value: f32, of: &Layout) -> u8 {
    match (&of.colour, of.numbers) {
        // The index of a colour.
        (Colour::Palette(_), _) => value as u8,
        (Colour::Lab { signed: true }, _) => {
            (value / 2f32.powi(of.bits as i32 - 8)).floor() as i32 as u8
        }
        (_, Numbers::Float) => (value.clamp(0.0, 1.0) * 255.0).round() as u8,
        (_, Numbers::Unsigned) => (value * 255.0 / top(of.bits)).round() as u8,
        (_, Numbers::Signed) => {
            let half = 2f32.powi(of.bits as i32 - 1);
            ((value + half) * 255.0 / top(of.bits)).round() as u8
        }
    }
}

fn top(bits: u32) -> f32 {
    2f32.powi(bits as i32) - 1.0
}
