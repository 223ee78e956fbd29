//! JPEG XL through `jxl`, the decoder of the format's own project, which two browsers use.
//!
//! It decodes at the full size: its passes at an eighth take nearly as long, because they are scaled up again. The
//! first frame of an animation is shown. A file that is cut shows what is there, as with JPEG.

use std::io::Read as _;

use jxl::api::{
    Endianness, Event, ExtraChannel, JxlBasicInfo, JxlColorEncoding, JxlColorProfile, JxlColorType,
    JxlDataFormat, JxlDecoder, JxlDecoderOptions, JxlOutputBuffer, JxlPixelFormat, JxlPrimaries,
    JxlTransferFunction, ProfileLevel,
};

use super::Rgb;
use super::claim::{Claim, Stop};
use super::error::DecodeError;
use super::exif::{self, Orientation};
use super::hdr::{Meaning, Tone};
use super::isobmff::{Fields, atoms, find};
use super::picture::Picture;

/// Bytes per pixel that the decoder takes in addition to the result: for pictures in the format's own colours, which
/// are coded in blocks, and for others, which can be held whole between steps. The first is what was measured and
/// half as much again.
const CODED: u64 = 8;
const HELD: u64 = 16;

/// The largest frame, as a multiple of the picture's samples: frames may be larger than it.
const MAX_FRAME: u64 = 2;

/// A file shows next to nothing if the last three quarters of it or more are empty.
const EMPTY_SHARE: f64 = 0.75;

fn broken(error: jxl::error::Error) -> DecodeError {
    DecodeError::Malformed(error.to_string())
}

/// Decodes the first frame.
///
/// # Errors
///
/// If the file is damaged or costs more than the limits allow, or if its memory is not free now.
pub(super) fn decode(mut file: &[u8], claim: &mut Claim<'_>) -> Result<Picture, Stop> {
    let taken = taken(file);
    // The size is read first, because a decoder that knows a limit calls a larger picture damaged.
    let mut decoder = JxlDecoder::new(options(None));
    until(&mut decoder, &mut &*file, None, Event::BasicInfo)?;
    let info = decoder.basic_info().ok_or(DecodeError::Truncated)?.clone();
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let (width, height) = (side(info.size.0), side(info.size.1));
    claim.limits.check_pixels(width, height)?;
    if width == 0 || height == 0 {
        return Err(DecodeError::Malformed("it has no pixels".to_owned()).into());
    }
    let layout = Layout::of(&info, decoder.embedded_color_profile());
    let pixels = u64::from(width) * u64::from(height);
    let coding = if info.uses_original_profile {
        HELD
    } else {
        CODED
    };
    let bytes = pixels * (layout.bytes() as u64 + coding);
    claim.bytes(
        (width, height),
        bytes.max(pixels * 3 + claim.afterwards((width, height))),
    )?;
    let samples = pixels.saturating_mul(4 + info.extra_channels.len() as u64);
    let mut decoder = JxlDecoder::new(options(Some(samples.saturating_mul(MAX_FRAME))));
    until(&mut decoder, &mut file, None, Event::BasicInfo)?;
    decoder
        .set_pixel_format(layout.format(&info))
        .map_err(broken)?;

    let line = info.size.0 * layout.bytes();
    let mut raw = vec![0; line * info.size.1];
    let mut out = [JxlOutputBuffer::new(&mut raw, info.size.1, line)];
    let whole = until(
        &mut decoder,
        &mut file,
        Some(&mut out),
        Event::FrameComplete {
            has_more_frames: false,
        },
    );
    let damage = match whole {
        Ok(()) => None,
        Err(DecodeError::Truncated) => {
            decoder.flush_pixels(&mut out, None).map_err(broken)?;
            Some("truncated: the end of the file is missing".to_owned())
        }
        Err(error) => return Err(error.into()),
    };
    if damage.is_some() && is_empty(&raw, line) {
        return Err(DecodeError::Truncated.into());
    }
    Ok(Picture {
        rgb: Rgb {
            width,
            height,
            pixels: layout.rgb(raw),
        },
        width,
        height,
        // The decoder has turned it; EXIF data of the file do not count.
        orientation: Orientation::UPRIGHT,
        taken,
        profile: match decoder.output_color_profile() {
            Some(JxlColorProfile::Icc(profile)) => Some(profile.clone()),
            _ => None,
        },
        damage,
    })
}

fn options(max_samples: Option<u64>) -> JxlDecoderOptions {
    let mut options = JxlDecoderOptions::default();
    options.max_profile_level = ProfileLevel::Main10;
    options.sample_limit = max_samples.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
    options
}

/// Decodes up to an event.
fn until(
    decoder: &mut JxlDecoder,
    file: &mut &[u8],
    mut out: Option<&mut [JxlOutputBuffer<'_>]>,
    event: Event,
) -> Result<(), DecodeError> {
    loop {
        let seen = decoder
            .process(file, out.as_deref_mut(), None)
            .map_err(broken)?;
        match seen {
            Event::NeedMoreInput { .. } => return Err(DecodeError::Truncated),
            Event::Complete => return Ok(()),
            seen if std::mem::discriminant(&seen) == std::mem::discriminant(&event) => {
                return Ok(());
            }
            _ => {}
        }
    }
}

/// Returns whether most of a picture is what it was before it was decoded.
fn is_empty(raw: &[u8], line: usize) -> bool {
    let empty = raw.chunks_exact(line).rev();
    let empty = empty
        .take_while(|row| row.iter().all(|&byte| byte == 0))
        .count();
    empty as f64 >= EMPTY_SHARE * (raw.len() / line) as f64
}

/// Maximum bytes of EXIF data that were compressed.
const MAX_EXIF: u64 = 1 << 20;

/// Returns when the picture was taken.
fn taken(file: &[u8]) -> Option<i64> {
    let unpacked;
    let block = match find(file, *b"Exif") {
        Some(block) => block,
        None => {
            let mut packed = atoms(file).filter(|atom| atom.kind == *b"brob");
            let packed = packed.find_map(|atom| atom.body.strip_prefix(b"Exif"))?;
            let mut bytes = Vec::new();
            let stream = brotli_decompressor::Decompressor::new(packed, 4096);
            // What was unpacked before an error counts.
            let _ = stream.take(MAX_EXIF).read_to_end(&mut bytes);
            unpacked = bytes;
            &unpacked
        }
    };
    let start = Fields(block).long()? as usize;
    exif::read_block(block.get(4usize.checked_add(start)?..)?).taken
}

/// How the decoder returns pixels.
struct Layout {
    alpha: bool,
    grey: bool,
    /// For a high dynamic range, in 16 bits.
    tone: Option<Tone>,
}

impl Layout {
    fn of(info: &JxlBasicInfo, profile: Option<&JxlColorProfile>) -> Self {
        let alpha = |channel: &jxl::api::JxlExtraChannel| channel.ec_type == ExtraChannel::Alpha;
        let grey = matches!(
            profile,
            Some(JxlColorProfile::Simple(
                JxlColorEncoding::GrayscaleColorSpace { .. }
            ))
        );
        Self {
            alpha: info.extra_channels.iter().any(alpha),
            grey: grey || profile.is_some_and(|profile| profile.channels() == 1),
            tone: profile
                .and_then(meaning)
                .and_then(|meaning| Tone::of(&meaning)),
        }
    }

    fn channels(&self) -> usize {
        let colours = if self.grey { 1 } else { 3 };
        colours + usize::from(self.alpha)
    }

    /// Returns the bytes of a pixel.
    fn bytes(&self) -> usize {
        self.channels() * if self.tone.is_some() { 2 } else { 1 }
    }

    fn format(&self, info: &JxlBasicInfo) -> JxlPixelFormat {
        let data = match self.tone {
            None => JxlDataFormat::U8 { bit_depth: 8 },
            Some(_) => JxlDataFormat::U16 {
                endianness: Endianness::native(),
                bit_depth: 16,
            },
        };
        JxlPixelFormat {
            color_type: match (self.grey, self.alpha) {
                (false, false) => JxlColorType::Rgb,
                (false, true) => JxlColorType::Rgba,
                (true, false) => JxlColorType::Grayscale,
                (true, true) => JxlColorType::GrayscaleAlpha,
            },
            color_data_format: Some(data),
            extra_channel_format: vec![None; info.extra_channels.len()],
        }
    }

    /// Returns RGB in 8 bits, on white where it is transparent.
    fn rgb(&self, raw: Vec<u8>) -> Vec<u8> {
        if self.channels() == 3 && self.tone.is_none() {
            return raw;
        }
        let mut pixels = raw;
        let (step, count) = (self.bytes(), pixels.len() / self.bytes());
        if step < 3 {
            let grey = pixels.chunks_exact(step);
            return grey.flat_map(|pixel| self.pixel(pixel)).collect();
        }
        // In place: a pixel is written to where it or an earlier one was read.
        for i in 0..count {
            let rgb = self.pixel(&pixels[i * step..(i + 1) * step]);
            pixels[i * 3..i * 3 + 3].copy_from_slice(&rgb);
        }
        pixels.truncate(count * 3);
        pixels
    }

    fn pixel(&self, bytes: &[u8]) -> [u8; 3] {
        let value = |i: usize| match self.tone {
            None => f32::from(bytes[i]) / 255.0,
            Some(_) => f32::from(u16::from_ne_bytes([bytes[2 * i], bytes[2 * i + 1]])) / 65535.0,
        };
        let mut rgb = match self.grey {
            true => [value(0); 3],
            false => [value(0), value(1), value(2)],
        };
        if let Some(tone) = &self.tone {
            rgb = tone.down(rgb);
        }
        let opacity = if self.alpha {
            value(self.channels() - 1)
        } else {
            1.0
        };
        rgb.map(|value| ((value * opacity + 1.0 - opacity) * 255.0 + 0.5) as u8)
    }
}

/// Returns what the numbers of a picture mean, as far as it matters here.
fn meaning(profile: &JxlColorProfile) -> Option<Meaning> {
    let JxlColorProfile::Simple(JxlColorEncoding::RgbColorSpace {
        primaries,
        transfer_function,
        ..
    }) = profile
    else {
        return None;
    };
    Some(Meaning {
        primaries: match primaries {
            JxlPrimaries::BT2100 => 9,
            JxlPrimaries::P3 => 12,
            _ => 1,
        },
        transfer: match transfer_function {
            JxlTransferFunction::PQ => 16,
            JxlTransferFunction::HLG => 18,
            _ => 13,
        },
        matrix: 0,
        full_range: true,
    })
}
