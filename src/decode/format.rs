//! File formats, recognised by content.

use std::path::Path;

use image::ImageFormat;
use serde::{Deserialize, Serialize};

/// A file format of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG, animated or not.
    Png,
    /// WebP.
    WebP,
    /// GIF.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF.
    Tiff,
    /// Windows icon.
    Ico,
    /// Portable any-map: PBM, PGM, PPM, PAM.
    Pnm,
    /// QOI.
    Qoi,
    /// Radiance HDR.
    Hdr,
    /// OpenEXR.
    Exr,
    /// DirectDraw surface.
    Dds,
    /// Farbfeld.
    Farbfeld,
    /// Truevision TGA version 2, which has its mark at the end; version 1 has none.
    Tga,
    /// HEIC or HEIF, with the cargo feature `heic`.
    Heif,
    /// AVIF, with the cargo feature `avif`.
    Avif,
    /// JPEG XL, with the cargo feature `jxl`.
    JpegXl,
    /// A camera's raw file, of which the large JPEG preview is used: CR2, CR3, NEF, ARW, RAF, ORF, RW2, DNG, PEF.
    Raw,
    /// JPEG 2000, with the cargo feature `jpeg2000`.
    Jpeg2000,
    /// Photoshop's files, of which the merged picture is used: PSD, PSB.
    Psd,
    /// PCX and DCX.
    Pcx,
    /// SGI's pictures.
    Sgi,
    /// Sun's raster files.
    Sun,
    /// X bitmaps.
    Xbm,
    /// X pixmaps.
    Xpm,
    /// FITS: pictures of telescopes.
    Fits,
    /// Apple's icons.
    Icns,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 27] = [
        Self::Jpeg,
        Self::Png,
        Self::WebP,
        Self::Gif,
        Self::Bmp,
        Self::Tiff,
        Self::Ico,
        Self::Pnm,
        Self::Qoi,
        Self::Hdr,
        Self::Exr,
        Self::Dds,
        Self::Farbfeld,
        Self::Tga,
        Self::Heif,
        Self::Avif,
        Self::JpegXl,
        Self::Raw,
        Self::Jpeg2000,
        Self::Psd,
        Self::Pcx,
        Self::Sgi,
        Self::Sun,
        Self::Xbm,
        Self::Xpm,
        Self::Fits,
        Self::Icns,
    ];

    /// Returns the format with a name or a usual extension, in upper or lower case.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim_start_matches('.').to_ascii_lowercase();
        let name = match name.as_str() {
            "jpg" | "jpe" => "jpeg",
            "tif" => "tiff",
            "heic" => "heif",
            "jxl" => "jpeg-xl",
            "jp2" | "j2k" | "jpf" | "jpx" => "jpeg-2000",
            "psb" => "psd",
            "dcx" => "pcx",
            "ras" => "sun",
            "cur" => "ico",
            "fit" | "fts" => "fits",
            "ppm" | "pgm" | "pbm" | "pam" | "pfm" => "pnm",
            "cr2" | "cr3" | "nef" | "nrw" | "arw" | "raf" | "orf" | "rw2" | "dng" | "pef" => "raw",
            other => other,
        };
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Returns the format's name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
            Self::Ico => "ico",
            Self::Pnm => "pnm",
            Self::Qoi => "qoi",
            Self::Hdr => "hdr",
            Self::Exr => "exr",
            Self::Dds => "dds",
            Self::Farbfeld => "farbfeld",
            Self::Tga => "tga",
            Self::Heif => "heif",
            Self::Avif => "avif",
            Self::JpegXl => "jpeg-xl",
            Self::Raw => "raw",
            Self::Jpeg2000 => "jpeg-2000",
            Self::Psd => "psd",
            Self::Pcx => "pcx",
            Self::Sgi => "sgi",
            Self::Sun => "sun",
            Self::Xbm => "xbm",
            Self::Xpm => "xpm",
            Self::Fits => "fits",
            Self::Icns => "icns",
        }
    }

    /// Returns whether this build can decode the format.
    pub fn is_decoded(self) -> bool {
        match self {
            Self::Heif => cfg!(feature = "heic"),
            Self::Avif => cfg!(feature = "avif"),
            Self::JpegXl => cfg!(feature = "jxl"),
            Self::Jpeg2000 => cfg!(feature = "jpeg2000"),
            Self::Raw | Self::Psd | Self::Pcx | Self::Sgi | Self::Sun | Self::Xbm => true,
            Self::Xpm | Self::Fits | Self::Icns => true,
            format => format.decoder().is_some(),
        }
    }

    /// Returns the name of the format in the crate `image`, or `None` if that does not decode it.
    pub(super) fn decoder(self) -> Option<ImageFormat> {
        Some(match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::WebP => ImageFormat::WebP,
            Self::Gif => ImageFormat::Gif,
            Self::Bmp => ImageFormat::Bmp,
            Self::Tiff => ImageFormat::Tiff,
            Self::Ico => ImageFormat::Ico,
            Self::Pnm => ImageFormat::Pnm,
            Self::Qoi => ImageFormat::Qoi,
            Self::Hdr => ImageFormat::Hdr,
            Self::Exr => ImageFormat::OpenExr,
            Self::Dds => ImageFormat::Dds,
            Self::Farbfeld => ImageFormat::Farbfeld,
            Self::Tga => ImageFormat::Tga,
            Self::Heif | Self::Avif | Self::JpegXl | Self::Raw | Self::Jpeg2000 => return None,
            Self::Psd | Self::Pcx | Self::Sgi | Self::Sun | Self::Xbm => return None,
            Self::Xpm | Self::Fits | Self::Icns => return None,
        })
    }
}

/// Returns the format of a file by its first bytes, or `None` if it is not a known image. 64 bytes are enough,
/// except for TGA, whose last bytes decide, and for raw files that begin like a TIFF, which count as one here. Two letters that could begin any text (`BM`, `P6`) count only with what
/// must follow.
pub fn sniff(head: &[u8]) -> Option<Format> {
    let starts = |mark: &[u8]| head.starts_with(mark);
    let at =
        |place: usize, mark: &[u8]| head.get(place..).is_some_and(|rest| rest.starts_with(mark));
    let format = if starts(b"\xff\xd8\xff") {
        Format::Jpeg
    } else if starts(b"\x89PNG\r\n\x1a\n") {
        Format::Png
    } else if starts(b"GIF87a") || starts(b"GIF89a") {
        Format::Gif
    } else if starts(b"RIFF") && at(8, b"WEBP") {
        Format::WebP
    } else if is_raw(head) {
        Format::Raw
    } else if starts(b"II*\0") || starts(b"MM\0*") || starts(b"II+\0") || starts(b"MM\0+") {
        Format::Tiff
    } else if is_bitmap(head) {
        Format::Bmp
    } else if starts(b"qoif") {
        Format::Qoi
    } else if starts(b"#?RADIANCE") || starts(b"#?RGBE") {
        Format::Hdr
    } else if starts(b"\x76\x2f\x31\x01") {
        Format::Exr
    } else if starts(b"DDS ") {
        Format::Dds
    } else if starts(b"farbfeld") {
        Format::Farbfeld
    } else if (starts(b"\0\0\x01\0") || starts(b"\0\0\x02\0"))
        && head.get(4).is_some_and(|&count| count > 0)
        && at(5, b"\0")
    {
        Format::Ico
    } else if is_pnm(head) {
        Format::Pnm
    } else if starts(b"\xff\x0a") || starts(b"\0\0\0\x0cJXL \r\n\x87\n") {
        Format::JpegXl
    } else if starts(b"\0\0\0\x0cjP  \r\n\x87\n") || starts(b"\xff\x4f\xff\x51") {
        Format::Jpeg2000
    } else if at(4, b"ftyp") {
        by_brands(head)?
    } else if let Some(format) = of_older_programs(head) {
        format
    } else if head.ends_with(TGA_FOOTER) {
        Format::Tga
    } else if jpeg_start(head).is_some() {
        Format::Jpeg
    } else {
        return None;
    };
    Some(format)
}

/// Bytes that may come before a JPEG: what the program that stored it left there.
const MAX_STRAY: usize = 32;

/// Returns where a JPEG begins that has a few bytes before its start.
pub(super) fn jpeg_start(head: &[u8]) -> Option<usize> {
    let start = memchr::memmem::find(&head[..head.len().min(MAX_STRAY + 4)], b"\xff\xd8\xff")?;
    // The segments that files begin with.
    matches!(head.get(start + 3), Some(0xe0 | 0xe1 | 0xdb | 0xee | 0xfe)).then_some(start)
}

/// Returns whether a file is a bitmap: with the header of a file, whose reserved bytes may hold anything, or with that
/// of the bitmap alone. The size of the header and one plane tell it from a text.
fn is_bitmap(head: &[u8]) -> bool {
    let number = |place: usize, length: usize| {
        let bytes = head.get(place..place + length)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0u32, |sum, byte| sum << 8 | u32::from(*byte)),
        )
    };
    let has_header = |place: usize| match number(place, 4) {
        Some(12) => number(place + 8, 2) == Some(1),
        Some(16 | 40 | 52 | 56 | 64 | 108 | 124) => {
            number(place + 14, 2).is_some_and(|bits| matches!(bits, 1 | 2 | 4 | 8 | 16 | 24 | 32))
        }
        _ => false,
    };
    if head.starts_with(b"BM") {
        let plain =
            number(6, 4) == Some(0) && number(14, 4).is_some_and(|size| (12..256).contains(&size));
        return plain || has_header(14);
    }
    // Alone only in its commonest forms, with one plane.
    matches!(number(0, 4), Some(40 | 108 | 124)) && number(12, 2) == Some(1) && has_header(0)
}

/// Returns the format of a file by the marks of older programs.
fn of_older_programs(head: &[u8]) -> Option<Format> {
    Some(match head {
        [b'8', b'B', b'P', b'S', 0, 1 | 2, ..] => Format::Psd,
        [1, 0xda, 0 | 1, 1 | 2, 0, 1..=3, ..] => Format::Sgi,
        [0x59, 0xa6, 0x6a, 0x95, ..] => Format::Sun,
        [0xb1, 0x68, 0xde, 0x3a, ..] => Format::Pcx,
        [10, 0 | 2..=5, 0 | 1, 1 | 2 | 4 | 8, _, _, ..] if head.len() > 12 => Format::Pcx,
        _ if head.starts_with(b"/* XPM") => Format::Xpm,
        _ if head.starts_with(b"SIMPLE  =") => Format::Fits,
        [b'i', b'c', b'n', b's', 0, _, _, _, next, ..] if next.is_ascii_alphabetic() => {
            Format::Icns
        }
        [b'P', b'F' | b'f', b'\n' | b'\r' | b' ', next, ..] if next.is_ascii_digit() => Format::Pnm,
        [b'#', b'd', b'e', b'f', b'i', b'n', b'e', b' ', ..]
            if memchr::memmem::find(head.get(..64).unwrap_or(head), b"_width ").is_some() =>
        {
            Format::Xbm
        }
        _ => return None,
    })
}

/// Bytes of a TGA's header.
const TGA_HEADER: usize = 18;

/// Returns `Tga` for one of version 1, which has no mark: if all of its header makes sense and its pixels fit into its
/// `length`. Files that are looked for by content alone are not judged by this.
pub(super) fn old_tga(head: &[u8], length: u64) -> Option<Format> {
    let header = head.get(..TGA_HEADER)?;
    let number = |place: usize| u64::from(u16::from_le_bytes([header[place], header[place + 1]]));
    let (mapped, kind, bits, about) = (header[1], header[2], header[16], header[17]);
    let map = match mapped {
        0 => number(3) == 0 && number(5) == 0,
        1 => (1..=256).contains(&number(5)) && matches!(header[7], 15 | 16 | 24 | 32),
        _ => false,
    };
    let depth = match kind {
        1 | 9 => mapped == 1 && bits == 8,
        2 | 10 => matches!(bits, 15 | 16 | 24 | 32),
        3 | 11 => matches!(bits, 8 | 16),
        _ => false,
    };
    let (width, height) = (number(12), number(14));
    // A run takes five bytes at most for up to 128 pixels.
    let pixels = width * height * u64::from(bits.div_ceil(8)) / if kind > 8 { 128 } else { 1 };
    let start = TGA_HEADER as u64 + u64::from(header[0]) + number(5) * u64::from(header[7]) / 8;
    let makes_sense = map && depth && width > 0 && height > 0;
    let is_plain = about & 0xc0 == 0 && matches!(about & 15, 0 | 1 | 8);
    (makes_sense && is_plain && start + pixels <= length).then_some(Format::Tga)
}

/// Returns whether a file is a camera's, by the mark of its maker: Fuji's, Canon's, Panasonic's and Olympus's.
fn is_raw(head: &[u8]) -> bool {
    let starts = |mark: &&[u8]| head.starts_with(mark);
    head.starts_with(b"FUJIFILMCCD-RAW ")
        || (head.starts_with(b"II*\0") && head.get(8..10) == Some(b"CR"))
        || [&b"IIU\0"[..], b"IIRO", b"IIRS", b"MMOR"]
            .iter()
            .any(starts)
        || head.get(4..12) == Some(b"ftypcrx ")
}

/// Returns the format of a file of boxes by its main brand, or else by the first that it is compatible with.
fn by_brands(head: &[u8]) -> Option<Format> {
    let length = u32::from_be_bytes(head.get(..4)?.try_into().ok()?) as usize;
    let others = head.get(16..length.min(head.len())).unwrap_or_default();
    let mut general = false;
    for brand in head.get(8..12).into_iter().chain(others.chunks_exact(4)) {
        match brand {
            b"avif" | b"avis" => return Some(Format::Avif),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => return Some(Format::Heif),
            b"mif1" | b"msf1" => general = true,
            _ => {}
        }
    }
    general.then_some(Format::Heif)
}

/// The end of a TGA of version 2.
const TGA_FOOTER: &[u8] = b"TRUEVISION-XFILE.\0";

/// Returns whether a file is a PNM: `P1` to `P7`, white space, and then a number, a comment or PAM's first key.
fn is_pnm(head: &[u8]) -> bool {
    let [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = head else {
        return false;
    };
    let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
    next.is_some_and(|&byte| {
        byte.is_ascii_digit() || byte == b'#' || (head[1] == b'7' && byte.is_ascii_uppercase())
    })
}

/// The usual extensions of image files.
const EXTENSIONS: &[&str] = &[
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff", "ico",
    "cur", "pbm", "pgm", "ppm", "pam", "pnm", "pfm", "qoi", "hdr", "exr", "dds", "ff", "tga",
    "heic", "heif", "avif", "jxl", "jp2", "j2k", "jpf", "jpx", "psd", "psb", "pcx", "dcx", "sgi",
    "rgb", "rgba", "ras", "xbm", "cr2", "cr3", "nef", "nrw", "arw", "raf", "orf", "rw2", "dng",
    "pef", "xpm", "fits", "fit", "fts", "icns",
];

/// Returns whether a file has the extension of an image.
pub fn has_image_extension(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_not_images() {
        for text in [
            &b"BMW is a maker of cars, and this is a text"[..],
            b"P6 is a processor of 1995",
            b"P1\nnothing",
            b"II is the Roman two",
            b"GIF is a format",
            b"",
            b"\0\0\x01",
            b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2",
            b"\n\x03\x01",
            b"#define a 1\n#define b_height 2\n",
            b"PFund and Pfennig",
            b"\x28\0\0\0 and more of it",
        ] {
            assert_eq!(sniff(text), None, "{}", text.escape_ascii());
        }
        assert_eq!(sniff(b"P6\n# made by hand\n2 2\n255\n"), Some(Format::Pnm));
        assert_eq!(sniff(b"P7\nWIDTH 2\n"), Some(Format::Pnm));
        assert_eq!(sniff(b"\0\0\0\x20ftypheic\0\0\0\0"), Some(Format::Heif));
        let general = b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif";
        assert_eq!(sniff(general), Some(Format::Avif));
        assert_eq!(
            sniff(b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom"),
            Some(Format::Raw)
        );
        assert_eq!(sniff(b"II*\0\x10\0\0\0CR\x02\0"), Some(Format::Raw));
        assert_eq!(sniff(b"II*\0\x08\0\0\0\x0f\0"), Some(Format::Tiff));
    }

    #[test]
    fn a_jpeg_may_begin_a_little_late() {
        assert_eq!(sniff(b"\r\n\xff\xd8\xff\xe0\0\x10JFIF"), Some(Format::Jpeg));
        assert_eq!(jpeg_start(b"\xff\xd8\xff\xe1"), Some(0));
        let far = [&[b' '; 40][..], b"\xff\xd8\xff\xe0"].concat();
        assert_eq!(sniff(&far), None);
    }

    #[test]
    fn an_old_tga_is_known_by_all_of_its_header() {
        let mut header = vec![0; 18];
        header[2] = 2;
        header[12] = 4;
        header[14] = 3;
        header[16] = 24;
        assert_eq!(old_tga(&header, 18 + 36), Some(Format::Tga));
        assert_eq!(old_tga(&header, 18 + 35), None, "too short");
        for (place, value) in [(1, 7), (2, 5), (5, 1), (16, 12), (17, 0x80), (12, 0)] {
            let mut other = header.clone();
            other[place] = value;
            assert_eq!(old_tga(&other, 1 << 20), None, "{place}");
        }
    }

    #[test]
    fn extensions_in_any_case() {
        for name in ["a.JPG", "b.jpeg", "c.TiFf", "d.heic"] {
            assert!(has_image_extension(Path::new(name)), "{name}");
        }
        for name in ["jpg", "a.txt", "a.jpg.xmp", ".png"] {
            assert!(!has_image_extension(Path::new(name)), "{name}");
        }
    }
}
