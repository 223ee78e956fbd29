//! The video codecs whose single pictures HEIC and AVIF store: HEVC and AV1.
//!
//! Owns the calls of their decoders, which know nothing of files. HEVC goes through `heifer-hevc-dec`, which is
//! safe Rust; AV1 through `re_rav1d`, which is dav1d in Rust with its assembly.

use super::error::DecodeError;
use super::hdr::Meaning;
#[cfg(feature = "heic")]
use super::isobmff::Fields;
use super::isobmff::Kind;
use super::planes::{Plane, Planes, Samples, Sampling};

/// A codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Hevc,
    Av1,
}

impl Codec {
    /// Returns the codec of items of a type, or `None` if there is no decoder for it.
    pub fn of(kind: Kind) -> Option<Self> {
        match &kind {
            b"hvc1" | b"hev1" if cfg!(feature = "heic") => Some(Self::Hevc),
            b"av01" if cfg!(feature = "avif") => Some(Self::Av1),
            _ => None,
        }
    }

    /// Returns the type of the box that describes a picture of it.
    pub fn configuration(self) -> Kind {
        match self {
            Self::Hevc => *b"hvcC",
            Self::Av1 => *b"av1C",
        }
    }

    /// Returns the bytes per pixel that decoding takes, in addition to the coded picture twice. With all of the colour
    /// in 8 bits, 7.2 (HEVC) and 3.8 (AV1) were measured; AV1 takes twice as much for more bits.
    pub fn memory(self) -> u64 {
        match self {
            Self::Hevc | Self::Av1 => 11,
        }
    }
}

/// The decoders of a picture, kept from one tile to the next: a photograph has 48, and starting a decoder of AV1 takes
/// much memory in pieces that the allocator hands out again badly.
#[derive(Default)]
pub(super) struct Decoders {
    /// With the most pixels that it takes.
    #[cfg(feature = "avif")]
    av1: Option<(u64, re_rav1d::dav1d::Decoder)>,
}

impl Decoders {
    /// Decodes a picture of at most `max_pixels`, and hands it to `draw` with what its numbers mean.
    ///
    /// # Errors
    ///
    /// If it is damaged, larger, or of a kind that the decoder lacks.
    pub fn decode(
        &mut self,
        codec: Codec,
        (configuration, coded): (&[u8], &[u8]),
        max_pixels: u64,
        draw: impl FnOnce(&Planes<'_>, &Meaning),
    ) -> Result<(), DecodeError> {
        match codec {
            #[cfg(feature = "heic")]
            Codec::Hevc => hevc(configuration, coded, max_pixels, draw),
            #[cfg(feature = "avif")]
            Codec::Av1 => {
                let kept = self.av1.take().filter(|(most, _)| *most == max_pixels);
                let mut decoder = match kept {
                    Some((_, decoder)) => decoder,
                    None => av1_decoder(max_pixels)?,
                };
                av1(&mut decoder, coded, draw)?;
                // What followed the picture is of no use. After an error it is not used again.
                decoder.flush();
                self.av1 = Some((max_pixels, decoder));
                Ok(())
            }
            #[cfg(not(all(feature = "heic", feature = "avif")))]
            _ => Err(DecodeError::Malformed(format!(
                "no decoder for it ({configuration:02x?}, {}, {max_pixels})",
                coded.len()
            ))),
        }
    }
}

fn broken(codec: &str, error: &dyn std::fmt::Display) -> DecodeError {
    DecodeError::Malformed(format!("{codec}: {error}"))
}

/// The start of a unit in a stream.
#[cfg(feature = "heic")]
const START: [u8; 4] = [0, 0, 0, 1];

/// Returns a picture as a stream: its parameters, and its units with start codes instead of lengths. `None` if the
/// configuration makes no sense; units that the file does not hold whole are left out.
#[cfg(feature = "heic")]
fn stream(configuration: &[u8], coded: &[u8]) -> Option<Vec<u8>> {
    let mut fields = Fields(configuration);
    fields.take(21)?;
    let of_length = (fields.number(1)? & 3) as usize + 1;
    let mut stream = Vec::with_capacity(configuration.len() + coded.len() + 64);
    for _ in 0..fields.number(1)? {
        fields.take(1)?;
        for _ in 0..fields.short()? {
            let length = fields.short()?;
            stream.extend(START);
            stream.extend(fields.take(length.into())?);
        }
    }
    let mut fields = Fields(coded);
    while let Some(length) = fields.number(of_length)
        && let Some(unit) = usize::try_from(length)
            .ok()
            .and_then(|count| fields.take(count))
    {
        stream.extend(START);
        stream.extend(unit);
    }
    Some(stream)
}

#[cfg(feature = "heic")]
fn hevc(
    configuration: &[u8],
    coded: &[u8],
    max_pixels: u64,
    draw: impl FnOnce(&Planes<'_>, &Meaning),
) -> Result<(), DecodeError> {
    use heifer_hevc_dec::decoder::{DecodeOptions, decode_picture};

    let stream = stream(configuration, coded)
        .ok_or_else(|| DecodeError::Malformed("HEVC: no parameters".to_owned()))?;
    let options = DecodeOptions {
        max_pixels,
        ..DecodeOptions::default()
    };
    let frame = decode_picture(&stream, options).map_err(|error| match error {
        heifer_hevc_dec::Error::UnexpectedEof => DecodeError::Truncated,
        error => broken("HEVC", &error),
    })?;
    let sampling = match frame.chroma_format {
        0 => Sampling::Grey,
        1 => Sampling::Quarter,
        2 => Sampling::Half,
        _ => Sampling::Full,
    };
    let plane = |i: usize| Plane {
        samples: Samples::Words(&frame.planes[i]),
        stride: frame.widths[i] as usize,
        width: frame.widths[i] as usize,
        height: frame.heights[i] as usize,
    };
    let planes = Planes {
        width: frame.widths[0],
        height: frame.heights[0],
        depth: frame.bit_depth[0],
        sampling,
        planes: [plane(0), plane(1), plane(2)],
    };
    let meaning = Meaning {
        primaries: 2,
        transfer: 2,
        matrix: frame.matrix_coeffs.into(),
        full_range: frame.full_range,
    };
    draw(&planes, &meaning);
    Ok(())
}

#[cfg(feature = "avif")]
fn av1_decoder(max_pixels: u64) -> Result<re_rav1d::dav1d::Decoder, DecodeError> {
    use re_rav1d::dav1d::{Decoder, Settings};

    let mut settings = Settings::new();
    // One worker decodes one image; the others have their own.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_frame_size_limit(u32::try_from(max_pixels).unwrap_or(u32::MAX));
    settings.set_all_layers(false);
    // Grain is drawn at random.
    settings.set_apply_grain(false);
    Decoder::with_settings(&settings).map_err(|error| broken("AV1", &error))
}

#[cfg(feature = "avif")]
fn av1(
    decoder: &mut re_rav1d::dav1d::Decoder,
    coded: &[u8],
    draw: impl FnOnce(&Planes<'_>, &Meaning),
) -> Result<(), DecodeError> {
    use re_rav1d::dav1d::{Error, PixelLayout, PlanarImageComponent};

    if coded.is_empty() {
        return Err(DecodeError::Truncated);
    }
    let failed = |error: Error| broken("AV1", &error);
    match decoder.send_data(coded.to_vec(), None, None, None) {
        // The rest is sent once the first picture is taken, which is all that is wanted.
        Ok(()) | Err(Error::Again) => {}
        Err(error) => return Err(failed(error)),
    }
    let picture = decoder.get_picture().map_err(|error| match error {
        Error::Again => DecodeError::Truncated,
        error => failed(error),
    })?;
    let sampling = match picture.pixel_layout() {
        PixelLayout::I400 => Sampling::Grey,
        PixelLayout::I420 => Sampling::Quarter,
        PixelLayout::I422 => Sampling::Half,
        PixelLayout::I444 => Sampling::Full,
    };
    let colours = [
        PlanarImageComponent::Y,
        PlanarImageComponent::U,
        PlanarImageComponent::V,
    ];
    let count = if sampling == Sampling::Grey { 1 } else { 3 };
    let data: Vec<_> = colours[..count]
        .iter()
        .map(|&component| picture.plane(component))
        .collect();
    let deep = picture.bit_depth() > 8;
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let plane = |i: usize| {
        let (across, down) = match (i, sampling) {
            (0, _) | (_, Sampling::Grey | Sampling::Full) => (1, 1),
            (_, Sampling::Half) => (2, 1),
            (_, Sampling::Quarter) => (2, 2),
        };
        let bytes: &[u8] = data.get(i).map(AsRef::as_ref).unwrap_or_default();
        let stride = picture.stride(colours[i]) as usize;
        Plane {
            samples: if deep {
                Samples::Pairs(bytes)
            } else {
                Samples::Bytes(bytes)
            },
            stride: if deep { stride / 2 } else { stride },
            width: width.div_ceil(across),
            height: height.div_ceil(down),
        }
    };
    let planes = Planes {
        width: picture.width(),
        height: picture.height(),
        depth: picture.bit_depth() as u8,
        sampling,
        planes: [plane(0), plane(1), plane(2)],
    };
    let meaning = Meaning {
        primaries: picture.color_primaries() as u16,
        transfer: picture.transfer_characteristic() as u16,
        matrix: picture.matrix_coefficients() as u16,
        full_range: picture.color_range() == re_rav1d::dav1d::pixel::YUVRange::Full,
    };
    draw(&planes, &meaning);
    Ok(())
}
