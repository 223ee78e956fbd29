//! How much memory decoding takes. Each case runs in its own process, whose peak the system reports.
//!
//! ```text
//! cargo test --release --test memory
//! ```
//!
//! Linux only: on other systems the cases run, but the peak is unknown.

use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::sync::Barrier;
use std::time::Duration;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use imgsearch::decode::{DecodeError, Decoded, Decoder, Geometry, Limits, Resize, Source};

const MIB: u64 = 1 << 20;

const GEOMETRY: Geometry = Geometry {
    width: 224,
    height: 224,
    resize: Resize::ShortSideCrop { short: 224 },
};

/// Memory that a sparse file of 600 MB may take.
const SPARSE: u64 = 64 * MIB;

/// Memory that a process may take in addition to its budget: what is free for each of six decoders, and what the
/// allocator keeps.
const MARGIN: u64 = 80 * MIB;

/// The same for one decoder.
const MARGIN_OF_ONE: u64 = 32 * MIB;

/// The side of an image that takes 100 MB.
const SIDE: u32 = 5800;

const THREADS: usize = 6;

const FORMATS: [(ImageFormat, &str); 12] = [
    (ImageFormat::Jpeg, "jpeg"),
    (ImageFormat::Png, "png"),
    (ImageFormat::WebP, "webp"),
    (ImageFormat::Gif, "gif"),
    (ImageFormat::Bmp, "bmp"),
    (ImageFormat::Tiff, "tiff"),
    (ImageFormat::Pnm, "pnm"),
    (ImageFormat::Qoi, "qoi"),
    (ImageFormat::Tga, "tga"),
    (ImageFormat::Farbfeld, "farbfeld"),
    (ImageFormat::Hdr, "hdr"),
    (ImageFormat::OpenExr, "exr"),
];

/// Files of `tests/fixtures/formats` of the same side.
const MADE: [&str; 4] = ["heic", "avif", "jxl", "lossless.jxl"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [case, folder] = arguments.as_slice()
        && let Some(case) = case.strip_prefix("--case=")
    {
        run(case, Path::new(folder));
        return;
    }
    // Options that `cargo test` passes on to every test program.
    if arguments.iter().any(|argument| argument == "--list")
        || arguments
            .iter()
            .any(|filter| !filter.starts_with('-') && !"memory".contains(filter.as_str()))
    {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let mut cases: Vec<String> = ["sparse", "many", "refused", "header bombs"]
        .map(ToOwned::to_owned)
        .into();
    cases.extend(FORMATS.map(|(_, name)| name.to_owned()));
    cases.extend(MADE.map(ToOwned::to_owned));
    let mut failed = 0;
    for case in &cases {
        let status = Command::new(std::env::current_exe().unwrap())
            .arg(format!("--case={case}"))
            .arg(folder.path())
            .status()
            .unwrap();
        if !status.success() {
            eprintln!("FAILED: {case} ({status})");
            failed += 1;
        }
    }
    // In the format of other test programs, for whoever counts them.
    println!(
        "test result: {}. {} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out",
        if failed == 0 { "ok" } else { "FAILED" },
        cases.len() - failed,
    );
    exit(if failed > 0 { 101 } else { 0 });
}

/// Returns the peak memory of this process in bytes, or `None` if the system does not say.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}

/// Runs something, and fails if memory grows by more than `bound`.
fn within<T>(name: &str, bound: u64, work: impl FnOnce() -> T) -> T {
    let before = peak_memory();
    let result = work();
    let grown = peak_memory()
        .zip(before)
        // Linux counts pages per thread and adds them up late, so the peak may seem to shrink by a few.
        .map(|(after, before)| after.saturating_sub(before));
    match grown {
        Some(grown) => {
            println!(
                "{name}: memory grew by {} MiB of {}",
                grown / MIB,
                bound / MIB
            );
            assert!(grown <= bound, "{name}: {} MiB are too much", grown / MIB);
        }
        None => println!("{name}: this system does not tell the peak of memory"),
    }
    result
}

fn limits(max_memory: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_memory = max_memory;
    limits.max_time = Duration::from_hours(1);
    limits
}

/// Reads, hashes and decodes as a worker of `index` does.
fn decode(path: &Path, limits: Limits) -> Result<(Decoded, Vec<u8>), DecodeError> {
    let source = Source::open(path, &limits).unwrap();
    source.digest().unwrap();
    let mut out = vec![0; GEOMETRY.bytes()];
    let decoded = Decoder::new(limits).decode_into(&source, &GEOMETRY, &mut out)?;
    assert!(source.is_unchanged().unwrap());
    Ok((decoded, out))
}

fn run(case: &str, folder: &Path) {
    match case {
        "sparse" => {
            for name in ["png", "gif", "bmp", "webp", "ico", "tiff"] {
                let path = folder.join(format!("sparse.{name}"));
                let decoded = within(&format!("sparse {name}"), SPARSE, || {
                    decode(&path, limits(1 << 30))
                });
                // Zeros are the pixels of an intact BMP.
                let damaged = matches!(decoded, Err(DecodeError::Malformed(_)));
                assert!(damaged || name == "bmp", "{name}: {decoded:?}");
            }
            // A file that has to be loaded completely is refused if the limit does not allow it.
            let path = folder.join("sparse.jpeg");
            let decoded = within("sparse jpeg", SPARSE, || decode(&path, limits(250 * MIB)));
            let error = decoded.unwrap_err();
            assert!(
                matches!(error, DecodeError::TooMuchMemory { .. }),
                "{error}"
            );
        }
        "many" => {
            let path = folder.join("large.png");
            let limit = 250 * MIB;
            let barrier = Barrier::new(THREADS);
            within("six of 100 MB", limit + MARGIN, || {
                std::thread::scope(|scope| {
                    for _ in 0..THREADS {
                        scope.spawn(|| {
                            barrier.wait();
                            let (decoded, out) = decode(&path, limits(limit)).unwrap();
                            assert_eq!((decoded.width, decoded.height), (SIDE, SIDE));
                            assert!(out.chunks_exact(3).all(|pixel| pixel == [200, 100, 50]));
                        });
                    }
                });
            });
        }
        "refused" => {
            let path = folder.join("large.png");
            let refused = within("more than the limit", 16 * MIB, || {
                decode(&path, limits(90 * MIB))
            });
            let error = refused.unwrap_err();
            assert!(error.is_over_limit() && !error.is_untried(), "{error}");
            assert!(
                matches!(error, DecodeError::TooMuchMemory { .. }),
                "{error}"
            );
        }
        "header bombs" => {
            // A megabyte that contains a colour profile of a gigabyte.
            let path = folder.join("profile.png");
            let limit = 128 * MIB;
            let _ = within("a bomb in the headers", limit + MARGIN_OF_ONE, || {
                decode(&path, limits(limit))
            });
        }
        format => {
            let path = folder.join(format!("picture.{format}"));
            // The smallest limit that works is what is reserved, up to one step.
            let step = 4 * MIB;
            let mut limit = step;
            let before = peak_memory();
            loop {
                match decode(&path, limits(limit)) {
                    Ok(_) => break,
                    Err(error) if error.is_over_limit() => limit += step,
                    Err(error) => panic!("{format}: {error}"),
                }
            }
            if let Some((before, after)) = before.zip(peak_memory()) {
                let grown = after - before;
                println!(
                    "{format}: {} MiB are reserved, memory grew by {}",
                    limit / MIB,
                    grown / MIB
                );
                assert!(grown <= limit + MARGIN_OF_ONE, "{format}");
            }
        }
    }
}

fn write(path: PathBuf, image: &DynamicImage, format: ImageFormat) {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    fs::write(path, bytes.into_inner()).unwrap();
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind, data].concat();
    let length = (data.len() as u32).to_be_bytes();
    [&length, body.as_slice(), &crc32(&body).to_be_bytes()].concat()
}

fn write_files(folder: &Path) {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats");
    for kind in MADE {
        fs::copy(
            made.join(format!("large.{kind}")),
            folder.join(format!("picture.{kind}")),
        )
        .unwrap();
    }
    let large = RgbImage::from_pixel(SIDE, SIDE, Rgb([200, 100, 50]));
    write(folder.join("large.png"), &large.into(), ImageFormat::Png);

    let small = DynamicImage::ImageRgba8(image::RgbaImage::new(64, 64));
    let heads: [(&str, ImageFormat, usize); 7] = [
        // An intact header, with nothing after it.
        ("png", ImageFormat::Png, 33),
        ("gif", ImageFormat::Gif, 13),
        ("bmp", ImageFormat::Bmp, 30),
        ("webp", ImageFormat::WebP, 16),
        ("ico", ImageFormat::Ico, 22),
        ("tiff", ImageFormat::Tiff, 4),
        ("jpeg", ImageFormat::Jpeg, 20),
    ];
    for (name, format, length) in heads {
        let mut bytes = Cursor::new(Vec::new());
        let image = if format == ImageFormat::Jpeg {
            DynamicImage::ImageRgb8(small.to_rgb8())
        } else {
            small.clone()
        };
        image.write_to(&mut bytes, format).unwrap();
        let path = folder.join(format!("sparse.{name}"));
        fs::write(&path, &bytes.into_inner()[..length]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(600_000_000).unwrap();
    }

    let picture = RgbImage::from_fn(3200, 2400, |x, y| {
        Rgb([(x / 13) as u8, (y / 11) as u8, ((x ^ y) & 63) as u8])
    });
    let rgb = DynamicImage::ImageRgb8(picture);
    for (format, name) in FORMATS {
        let image = match format {
            ImageFormat::Farbfeld => DynamicImage::ImageRgba16(rgb.to_rgba16()),
            ImageFormat::Hdr | ImageFormat::OpenExr => DynamicImage::ImageRgb32F(rgb.to_rgb32f()),
            ImageFormat::WebP | ImageFormat::Gif | ImageFormat::Qoi => rgb.to_rgba8().into(),
            _ => rgb.clone(),
        };
        let path = folder.join(format!("picture.{name}"));
        write(path.clone(), &image, format);
        if format == ImageFormat::Tga {
            let mut bytes = fs::read(&path).unwrap();
            bytes.extend(b"\0\0\0\0\0\0\0\0TRUEVISION-XFILE.\0");
            fs::write(&path, bytes).unwrap();
        }
    }

    // A colour profile of zeros: each deflate block repeats 258 of them again and again.
    let mut small_png = Cursor::new(Vec::new());
    small.write_to(&mut small_png, ImageFormat::Png).unwrap();
    let png = small_png.into_inner();
    let zeros = zlib_zeros(1 << 30);
    let profile = [b"name\0\0".as_slice(), &zeros].concat();
    let bytes = [&png[..33], &chunk(b"iCCP", &profile), &png[33..]].concat();
    fs::write(folder.join("profile.png"), bytes).unwrap();
}

/// Returns zeros that are compressed by hand: one block of fixed codes.
fn zlib_zeros(count: u64) -> Vec<u8> {
    let mut bytes = vec![0x78, 0x9c];
    let (mut bits, mut held) = (0u64, 0);
    let mut put = |code: u64, length: u32, bytes: &mut Vec<u8>| {
        bits |= code << held;
        held += length;
        while held >= 8 {
            bytes.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    };
    // Codes start with their highest bit.
    let code = |code: u64, length: u32| code.reverse_bits() >> (64 - length);
    put(1, 1, &mut bytes);
    put(1, 2, &mut bytes);
    put(code(0x30, 8), 8, &mut bytes);
    for _ in 0..count / 258 {
        // A length of 258, at a distance of 1.
        put(code(0b1100_0101, 8), 8, &mut bytes);
        put(code(0, 5), 5, &mut bytes);
    }
    put(code(0, 7), 7, &mut bytes);
    put(0, 7, &mut bytes);
    // The checksum is wrong; decoders of profiles ignore that, or refuse it at the end.
    bytes.extend([0; 4]);
    bytes
}
