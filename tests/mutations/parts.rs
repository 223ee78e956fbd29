//! The parts that are mutated, and what is required of each mutant.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use imgsearch::decode::{DecodeError, Decoder, Geometry, Limits, Resize};
use imgsearch::index::{Error as IndexError, fuzzing};
use imgsearch::onnx::EncoderFile;

use crate::mutate::{self, Random};
use crate::seeds::{self, Seed};

/// Returns the outcome of a file, or what is wrong with it.
pub type Judge = Box<dyn FnMut(&[u8]) -> Result<String, String>>;

/// One kind of file.
pub struct Part {
    pub name: &'static str,
    /// The fuzz target for such files.
    target: &'static str,
    seeds: Vec<Seed>,
    /// Corrects a mutant, such as its checksums.
    finish: fn(&mut Vec<u8>, usize, &mut Random),
    pub judge: fn() -> Judge,
    /// How the outcome of an intact file begins.
    good: &'static str,
    /// Checks files that are cut everywhere: returns their number, and what is wrong.
    pub cuts: fn() -> (u64, Vec<String>),
    /// Bytes by which the process may grow for each of its threads.
    pub memory_a_thread: u64,
}

pub struct Mutant {
    pub of: String,
    pub bytes: Vec<u8>,
}

impl Part {
    /// Writes the intact files into the folder from which the fuzzer of this kind of file starts.
    pub fn write_seeds(&self, corpus: &Path) -> io::Result<()> {
        let folder = corpus.join(self.target);
        fs::create_dir_all(&folder)?;
        for seed in &self.seeds {
            fs::write(folder.join(seed.name.replace(' ', "-")), &seed.bytes)?;
        }
        Ok(())
    }

    /// Returns the intact files that are not processed as intact ones, so their mutants would not be, either.
    pub fn spoiled_seeds(&self) -> Vec<String> {
        let mut judge = (self.judge)();
        let mut wrong = Vec::new();
        for seed in &self.seeds {
            match judge(&seed.bytes) {
                Ok(outcome) if outcome.starts_with(self.good) => {}
                other => wrong.push(format!("{}, unchanged: {other:?}", seed.name)),
            }
        }
        wrong
    }

    /// Returns a mutant of a run.
    pub fn mutant(&self, seed: u64, number: u64) -> Mutant {
        let mut random = Random::of(seed, number);
        let own = &self.seeds[random.below(self.seeds.len())];
        let other = &self.seeds[random.below(self.seeds.len())];
        let mut bytes = mutate::mutant(&own.bytes, &other.bytes, &mut random);
        (self.finish)(&mut bytes, own.bytes.len(), &mut random);
        Mutant {
            of: own.name.clone(),
            bytes,
        }
    }
}

/// Returns all parts.
pub fn all() -> Vec<Part> {
    let nothing: fn() -> (u64, Vec<String>) = || (0, Vec::new());
    vec![
        Part {
            name: "images",
            target: "decode",
            seeds: seeds::images(),
            finish: |bytes, _, random| check_png(bytes, random),
            judge: || Box::new(image_judge()),
            good: "decoded",
            cuts,
            // The limit, and as much again for what decoders keep in addition to an image.
            memory_a_thread: 2 * MEMORY,
        },
        Part {
            name: "segments",
            target: "segment",
            seeds: seeds::segments(),
            finish: seal,
            judge: || Box::new(segment),
            good: "opened",
            cuts: nothing,
            memory_a_thread: 32 << 20,
        },
        Part {
            name: "encoders",
            target: "encoder_contract",
            seeds: seeds::encoders(),
            finish: |_, _, _| {},
            judge: || Box::new(encoder),
            good: "accepted",
            cuts: nothing,
            memory_a_thread: 32 << 20,
        },
    ]
}

/// Memory that an image may take.
const MEMORY: u64 = 64 << 20;

/// Pixels that an image may have.
const PIXELS: u64 = 16_000_000;

const GEOMETRY: Geometry = Geometry {
    width: 32,
    height: 32,
    resize: Resize::ShortSideCrop { short: 36 },
};

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_memory = MEMORY;
    limits.max_pixels = PIXELS;
    // The run has its own clock, and is to see what the decoders do.
    limits.max_time = Duration::from_hours(1);
    limits
}

fn image_judge() -> impl FnMut(&[u8]) -> Result<String, String> {
    let mut decoder = Decoder::new(limits());
    let mut out = vec![0; 32 * 32 * 3];
    let mut turn = 0u32;
    move |bytes| {
        // Whole images now and then.
        turn += 1;
        if turn.is_multiple_of(8)
            && let Ok(whole) = decoder.decode_whole(bytes, 64)
            && whole.pixels.len() != whole.width as usize * whole.height as usize * 3
        {
            return Err(format!(
                "{} bytes are not {} by {} pixels",
                whole.pixels.len(),
                whole.width,
                whole.height
            ));
        }
        Ok(match decoder.decode_into(bytes, &GEOMETRY, &mut out) {
            Ok(decoded) => {
                let pixels = u64::from(decoded.width) * u64::from(decoded.height);
                if pixels == 0 || pixels > PIXELS {
                    return Err(format!("{pixels} pixels were decoded"));
                }
                match decoded.damage {
                    None => "decoded".to_owned(),
                    Some(_) => "decoded, and known to be damaged".to_owned(),
                }
            }
            Err(error) => match error {
                DecodeError::Empty => "refused: empty",
                DecodeError::NotAnImage => "refused: no image",
                DecodeError::Unsupported(_) | DecodeError::NotSupported(_) => {
                    "refused: of a format that is not decoded"
                }
                DecodeError::Malformed(_) => "refused: damaged",
                DecodeError::Truncated => "refused: truncated",
                DecodeError::TooManyPixels { .. } => "refused: too many pixels",
                DecodeError::TooMuchMemory { .. } | DecodeError::LongHeaders { .. } => {
                    "refused: too much memory"
                }
                DecodeError::Panicked(_) => "refused: a panic of a decoder, caught",
                error => return Err(format!("refused for what it was not to be: {error}")),
            }
            .to_owned(),
        })
    }
}

/// Gives most mutants of PNGs the right checksums for their chunks.
fn check_png(bytes: &mut [u8], random: &mut Random) {
    const MARK: usize = 8;
    if !bytes.starts_with(b"\x89PNG") || random.once_in(4) {
        return;
    }
    let mut start = MARK;
    while let Some(length) = bytes.get(start..start + 4) {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let end = start + 8 + length;
        let Some(chunk) = bytes.get(start + 4..end) else {
            break;
        };
        let own = mutate::crc32(chunk).to_be_bytes();
        let Some(place) = bytes.get_mut(end..end + 4) else {
            break;
        };
        place.copy_from_slice(&own);
        start = end + 4;
    }
}

/// Checks every cut of every JPEG: decoders would fill it up with grey and call it intact.
fn cuts() -> (u64, Vec<String>) {
    let mut decoder = Decoder::new(limits());
    let mut out = vec![0; 32 * 32 * 3];
    let mut count = 0;
    let mut wrong = Vec::new();
    for seed in seeds::images() {
        if !seed.name.starts_with("jpeg") {
            continue;
        }
        let end = seed.bytes.windows(2).rposition(|pair| pair == [0xff, 0xd9]);
        let end = end.unwrap() + 2;
        let whole = decoder.decode_into(&seed.bytes[..end], &GEOMETRY, &mut out);
        if whole.as_ref().map(|decoded| decoded.damage.is_some()) != Ok(false) {
            wrong.push(format!(
                "{}: not whole from the start: {whole:?}",
                seed.name
            ));
        }
        for length in 0..end {
            count += 1;
            if let Ok(decoded) = decoder.decode_into(&seed.bytes[..length], &GEOMETRY, &mut out)
                && decoded.damage.is_none()
            {
                wrong.push(format!(
                    "{}: {length} of {end} bytes pass for the whole",
                    seed.name
                ));
            }
        }
    }
    (count, wrong)
}

/// Gives most mutants of segments their length and the right checksums, because nothing else reaches the code after
/// these checks.
fn seal(bytes: &mut Vec<u8>, length: usize, random: &mut Random) {
    if !random.once_in(4) {
        bytes.resize(length, 0);
    }
    if !random.once_in(8) {
        fuzzing::reseal(bytes, random.once_in(2));
    }
}

fn segment(bytes: &[u8]) -> Result<String, String> {
    match fuzzing::search(bytes) {
        Ok(0) => Ok("opened, with nothing to find".to_owned()),
        Ok(_) => Ok("opened and searched".to_owned()),
        Err(IndexError::DamagedSegment { what, .. }) => Ok(format!("refused: {what}")),
        Err(IndexError::NewerSegment { .. }) => Ok("refused: of a newer format".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn encoder(bytes: &[u8]) -> Result<String, String> {
    let file = match EncoderFile::from_bytes(bytes.to_vec(), "a mutant") {
        Ok(file) => file,
        Err(imgsearch::onnx::Error::Contract { reason, .. }) => {
            let kind = if reason.starts_with("it is not an ONNX file") {
                "refused: no ONNX file"
            } else {
                "refused: against the contract"
            };
            return Ok(kind.to_owned());
        }
        Err(error) => return Err(error.to_string()),
    };
    let info = file.info();
    if info.is_trunk() == file.require_codes().is_ok() {
        return Err("a trunk passes for an encoder, or the other way".to_owned());
    }
    if !(1..=4096).contains(&info.width) || !(1..=4096).contains(&info.height) {
        return Err(format!(
            "{} by {} pixels were accepted",
            info.width, info.height
        ));
    }
    if let Ok(trunk) = file.trunk_at(48, None)
        && !trunk.info().is_trunk()
    {
        return Err("the trunk of it is none".to_owned());
    }
    Ok("accepted".to_owned())
}
