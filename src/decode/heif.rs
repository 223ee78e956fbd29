//! HEIC and AVIF: pictures of a video codec in a file of boxes (ISO/IEC 23008-12).
//!
//! Owns what the items of such a file mean together: which of them is shown, the grid of tiles that it may be cut
//! into, its transparency, and how the container turns it. A picture is drawn tile by tile at the smallest fraction
//! of its size that is enough, so a large photograph takes the memory of one tile and of the result.

use super::Rgb;
use super::claim::{Claim, Stop};
use super::codec::{Codec, Decoders};
use super::error::DecodeError;
use super::isobmff::Kind;
use super::items::Items;
use super::picture::Picture;
use super::planes::Canvas;
use super::properties::{alpha, crop, orientation, profile, size, taken, told};

/// Maximum number of items that lead from one to the next before a picture is coded.
const MAX_DEPTH: u8 = 4;

/// Maximum number of tiles: what 256 megapixels in tiles of 256 by 256 take.
const MAX_TILES: usize = 4096;

/// Pixels that a codec may add at the edges of a picture, which it codes in blocks.
const EDGE: u64 = 128;

/// A picture shows next to nothing if less than this share of it could be decoded.
const MIN_SHARE: f64 = 0.25;

/// The code point of colours that are described elsewhere.
const UNSPECIFIED: u16 = 2;

/// The grey of what could not be decoded.
const MISSING: u8 = 128;

/// Decodes the picture that a viewer shows.
///
/// # Errors
///
/// If the file is damaged, of a kind without a decoder, or costs more than the limits allow, or if its memory is not
/// free now.
pub(super) fn decode(
    file: &[u8],
    name: &'static str,
    claim: &mut Claim<'_>,
) -> Result<Picture, Stop> {
    let none = || DecodeError::Malformed("it has no picture".to_owned());
    let items = Items::read(file).ok_or_else(none)?;
    let primary = items.primary;
    let whole = size(&items, primary).ok_or_else(none)?;
    claim.limits.check_pixels(whole.0, whole.1)?;
    let orientation = orientation(&items, primary);
    claim.orientation = orientation;
    let short = claim.task.short_side().max(1);
    let shown = smallest(&items, primary, whole, short);
    let from = size(&items, shown).ok_or_else(none)?;
    let step = [8, 4, 2]
        .into_iter()
        .find(|step| from.0.min(from.1) / step >= short);
    let mut part = Part {
        items: &items,
        step: step.unwrap_or(1),
        name,
        drawn: 0,
        missing: 0,
        damage: None,
        decoders: Decoders::default(),
    };
    let tile = part.tile(shown, MAX_DEPTH)?;
    part.check_cover(shown, tile, from)?;
    // Tiles have to begin at whole pixels of the result.
    while tile != from && (tile.0 % part.step != 0 || tile.1 % part.step != 0) {
        part.step /= 2;
    }
    let alpha = alpha(&items, shown);
    claim_for(claim, &part, (shown, alpha), from)?;
    let mut canvas = Canvas::new(from, part.step, 3, MISSING);
    part.draw(shown, &mut canvas, (0, 0), MAX_DEPTH)?;
    let damage = part.verdict()?;
    if let Some(alpha) = alpha {
        let premultiplied = !items.referred(shown, *b"prem").is_empty();
        on_white(&mut canvas, &part, alpha, premultiplied)?;
    }
    let crop = crop(&items, shown, from);
    Ok(Picture {
        rgb: cut(canvas, crop),
        width: scaled(whole.0, crop.map(|crop| crop[2]), from.0),
        height: scaled(whole.1, crop.map(|crop| crop[3]), from.1),
        orientation,
        taken: taken(&items),
        profile: profile(&items, shown).or_else(|| profile(&items, primary)),
        damage,
    })
}

/// Returns a side of the full picture after it is cut as `cut` of `from`.
fn scaled(side: u32, cut: Option<u32>, from: u32) -> u32 {
    cut.map_or(side, |cut| {
        (u64::from(side) * u64::from(cut) / u64::from(from.max(1))).max(1) as u32
    })
}

/// Returns the smallest of a picture and its thumbnails that is large enough and has its shape.
fn smallest(items: &Items<'_>, primary: u32, whole: (u32, u32), short: u32) -> u32 {
    let thumbnails = items.referring(primary, *b"thmb").filter_map(|id| {
        let (width, height) = size(items, id)?;
        let ratio = f64::from(width) * f64::from(whole.1);
        let ratio = ratio / (f64::from(height) * f64::from(whole.0));
        let fits = width.min(height) >= short
            && width < whole.0
            && (ratio - 1.0).abs() < 0.02
            && items.kind(id).is_some_and(|kind| Codec::of(kind).is_some())
            && orientation(items, id) == orientation(items, primary);
        fits.then_some((width, id))
    });
    thumbnails.min().map_or(primary, |(_, id)| id)
}

/// Cuts a canvas to a part of the full picture.
fn cut(canvas: Canvas, crop: Option<[u32; 4]>) -> Rgb {
    let whole = Rgb {
        width: canvas.width,
        height: canvas.height,
        pixels: canvas.pixels,
    };
    let Some(crop) = crop else {
        return whole;
    };
    let [left, top, width, height] = crop.map(|side| side / canvas.step);
    let (width, height) = (width.max(1), height.max(1));
    let fits = left + width <= whole.width && top + height <= whole.height;
    if !fits || (width, height) == (whole.width, whole.height) {
        return whole;
    }
    let line = whole.width as usize * 3;
    let rows = whole.pixels.chunks_exact(line).skip(top as usize);
    let pixels = rows
        .take(height as usize)
        .flat_map(|row| &row[left as usize * 3..(left + width) as usize * 3])
        .copied()
        .collect();
    Rgb {
        width,
        height,
        pixels,
    }
}

/// Reserves the memory for the largest picture that is coded as one, and for the result.
fn claim_for(
    claim: &mut Claim<'_>,
    part: &Part<'_>,
    (shown, alpha): (u32, Option<u32>),
    from: (u32, u32),
) -> Result<(), Stop> {
    let mut coding = 0;
    for id in [Some(shown), alpha].into_iter().flatten() {
        let tile = part.tile(id, MAX_DEPTH)?;
        claim.limits.check_pixels(tile.0, tile.1)?;
        let codec = part.codec(id, MAX_DEPTH).map_or(0, Codec::memory);
        coding = coding.max(with_edges(tile) * codec);
    }
    let out = (from.0.div_ceil(part.step), from.1.div_ceil(part.step));
    let pixels = u64::from(out.0) * u64::from(out.1);
    let layers = if alpha.is_some() { 4 } else { 3 };
    // Cutting takes the result once more.
    let result = pixels * layers + (pixels * 3).max(claim.afterwards(out));
    let coded = 2 * part.items.longest();
    claim.bytes(from, result.saturating_add(coding).saturating_add(coded))
}

fn with_edges((width, height): (u32, u32)) -> u64 {
    (u64::from(width) + EDGE).saturating_mul(u64::from(height) + EDGE)
}

fn no_grid() -> DecodeError {
    DecodeError::Malformed("the grid of its tiles is missing".to_owned())
}

/// The drawing of a picture.
struct Part<'a> {
    items: &'a Items<'a>,
    step: u32,
    /// The name of the file's format.
    name: &'static str,
    /// Pixels that were drawn, and that could not be.
    drawn: u64,
    missing: u64,
    damage: Option<DecodeError>,
    decoders: Decoders,
}

impl Part<'_> {
    /// Returns the item that an item is made of, and itself if it is coded.
    fn first(&self, id: u32) -> Option<u32> {
        self.items.referred(id, *b"dimg").first().copied()
    }

    fn codec(&self, id: u32, depth: u8) -> Option<Codec> {
        let kind = self.items.kind(id)?;
        Codec::of(kind).or_else(|| match &kind {
            b"grid" | b"iden" if depth > 0 => self.codec(self.first(id)?, depth - 1),
            _ => None,
        })
    }

    /// Returns the size of the pictures that an item is made of.
    fn tile(&self, id: u32, depth: u8) -> Result<(u32, u32), DecodeError> {
        let none = || DecodeError::Malformed("a part of it is missing".to_owned());
        let kind = self.items.kind(id).ok_or_else(none)?;
        match &kind {
            b"grid" | b"iden" if depth > 0 => {
                self.tile(self.first(id).ok_or_else(none)?, depth - 1)
            }
            _ if Codec::of(kind).is_some() => size(self.items, id).ok_or_else(none),
            _ => Err(self.unsupported(kind)),
        }
    }

    /// Refuses a grid of tiles that does not fill its picture, before there is memory for it.
    fn check_cover(&self, id: u32, tile: (u32, u32), size: (u32, u32)) -> Result<(), DecodeError> {
        if self.items.kind(id) == Some(*b"grid") {
            let (rows, columns) = self.grid(id)?;
            let reach = |tiles: u32, side: u32| u64::from(tiles) * u64::from(side);
            if reach(columns, tile.0) < size.0.into() || reach(rows, tile.1) < size.1.into() {
                return Err(DecodeError::Malformed(
                    "its tiles do not fill it".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// Returns the rows and columns of a grid of tiles.
    fn grid(&self, id: u32) -> Result<(u32, u32), DecodeError> {
        let content = self.items.content(id);
        match content.as_ref().map(|content| &*content.bytes) {
            Some([_, _, rows, columns, ..]) => Ok((u32::from(*rows) + 1, u32::from(*columns) + 1)),
            _ => Err(no_grid()),
        }
    }

    fn unsupported(&self, kind: Kind) -> DecodeError {
        match &kind {
            b"hvc1" | b"hev1" | b"av01" => DecodeError::Unsupported(self.name),
            kind => DecodeError::NotSupported(format!(
                "{} images of the type {}",
                self.name,
                kind.escape_ascii()
            )),
        }
    }

    /// Draws an item with its upper left corner at `place`.
    fn draw(
        &mut self,
        id: u32,
        canvas: &mut Canvas,
        place: (u32, u32),
        depth: u8,
    ) -> Result<(), DecodeError> {
        let none = || DecodeError::Malformed("a part of it is missing".to_owned());
        let kind = self.items.kind(id).ok_or_else(none)?;
        match &kind {
            b"grid" if depth > 0 => self.draw_grid(id, canvas, place, depth - 1),
            b"iden" if depth > 0 => {
                let of = self.first(id).ok_or_else(none)?;
                self.draw(of, canvas, place, depth - 1)
            }
            _ => {
                let codec = Codec::of(kind).ok_or_else(|| self.unsupported(kind))?;
                let (width, height) = size(self.items, id).ok_or_else(none)?;
                let pixels = u64::from(width) * u64::from(height);
                match self.draw_coded(id, codec, canvas, place) {
                    Ok(()) => self.drawn += pixels,
                    Err(error) => {
                        self.missing += pixels;
                        self.damage.get_or_insert(error);
                    }
                }
                Ok(())
            }
        }
    }

    fn draw_grid(
        &mut self,
        id: u32,
        canvas: &mut Canvas,
        place: (u32, u32),
        depth: u8,
    ) -> Result<(), DecodeError> {
        let (rows, columns) = self.grid(id)?;
        let items = self.items;
        let tiles = items.referred(id, *b"dimg");
        if tiles.len() > MAX_TILES {
            return Err(DecodeError::Malformed("it has too many tiles".to_owned()));
        }
        let (width, height) = self.tile(id, MAX_DEPTH)?;
        for (i, &tile) in (0u32..).zip(tiles) {
            if i / columns >= rows {
                break;
            }
            // All of a grid have one size, so that memory and places follow from the first.
            if size(items, tile) != Some((width, height)) || items.kind(tile) == Some(*b"grid") {
                return Err(DecodeError::Malformed(
                    "its tiles differ in size".to_owned(),
                ));
            }
            let at = (
                (i % columns).saturating_mul(width).saturating_add(place.0),
                (i / columns).saturating_mul(height).saturating_add(place.1),
            );
            if at.0 / canvas.step < canvas.width && at.1 / canvas.step < canvas.height {
                self.draw(tile, canvas, at, depth)?;
            }
        }
        let lacking = u64::from(rows * columns).saturating_sub(tiles.len() as u64);
        if lacking > 0 {
            self.missing += lacking * u64::from(width) * u64::from(height);
            self.damage.get_or_insert_with(no_grid);
        }
        Ok(())
    }

    fn draw_coded(
        &mut self,
        id: u32,
        codec: Codec,
        canvas: &mut Canvas,
        place: (u32, u32),
    ) -> Result<(), DecodeError> {
        let none = || DecodeError::Malformed("a part of it is missing".to_owned());
        let items = self.items;
        let content = items.content(id).ok_or_else(none)?;
        let configuration = items.property(id, codec.configuration()).ok_or_else(none)?;
        let max_pixels = with_edges(size(items, id).ok_or_else(none)?);
        let own = told(items, id);
        let told = own.or_else(|| told(items, items.primary));
        let has_profile = profile(items, id).is_some() || profile(items, items.primary).is_some();
        let drawn = self.decoders.decode(
            codec,
            (configuration, &content.bytes),
            max_pixels,
            |planes, coded| {
                let mut meaning = told.unwrap_or(*coded);
                if has_profile {
                    // It says it, and is applied at the end.
                    (meaning.primaries, meaning.transfer) = (UNSPECIFIED, UNSPECIFIED);
                }
                canvas.draw(planes, place, &meaning);
            },
        );
        match drawn {
            // A decoder calls a part of a picture damaged.
            Err(_) if content.cut => Err(DecodeError::Truncated),
            drawn => drawn,
        }
    }

    /// Returns what is wrong with the picture, or the error if next to nothing of it was drawn.
    fn verdict(&mut self) -> Result<Option<String>, DecodeError> {
        let Some(error) = self.damage.take() else {
            return Ok(None);
        };
        let all = (self.drawn + self.missing).max(1);
        if (self.drawn as f64) < MIN_SHARE * all as f64 {
            return Err(error);
        }
        Ok(Some(match error {
            DecodeError::Truncated => "truncated: the end of the file is missing".to_owned(),
            error => format!("a part of it could not be decoded ({error})"),
        }))
    }
}

/// Shows a canvas on white where it is transparent.
fn on_white(
    canvas: &mut Canvas,
    of: &Part<'_>,
    alpha: u32,
    premultiplied: bool,
) -> Result<(), DecodeError> {
    let size = size(of.items, alpha).unwrap_or((1, 1));
    let mut part = Part {
        damage: None,
        drawn: 0,
        missing: 0,
        decoders: Decoders::default(),
        items: of.items,
        step: of.step,
        name: of.name,
    };
    // What of it cannot be decoded counts as opaque.
    let mut layer = Canvas::new(size, of.step, 1, 255);
    part.draw(alpha, &mut layer, (0, 0), MAX_DEPTH)?;
    let same = (layer.width, layer.height) == (canvas.width, canvas.height);
    for (row, line) in (0u64..).zip(canvas.pixels.chunks_exact_mut(canvas.width as usize * 3)) {
        for (column, pixel) in (0u64..).zip(line.chunks_exact_mut(3)) {
            let (x, y) = if same {
                (column, row)
            } else {
                (
                    column * u64::from(layer.width) / u64::from(canvas.width),
                    row * u64::from(layer.height) / u64::from(canvas.height),
                )
            };
            let opacity = u16::from(layer.pixels[(y * u64::from(layer.width) + x) as usize]);
            for value in pixel {
                let own = match premultiplied {
                    true => u16::from(*value) * 255,
                    false => u16::from(*value) * opacity,
                };
                *value = ((u32::from(own) + 255 * (255 - u32::from(opacity)) + 127) / 255).min(255)
                    as u8;
            }
        }
    }
    Ok(())
}
