//! The state of a run after an epoch, in a file, so that the run can resume.
//!
//! A line that names the format, the length of a header as a little-endian u64, the header as
//! JSON, and little-endian float32: the parameters, the best of them so far, and both moments of
//! the descent, each as long as the header says. Last the BLAKE3 of all before.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::design::{Design, Schedule};
use super::epoch::Epoch;
use crate::error::{Error, Result};
use imgsearch_onnx::authoring::open_regular;

const MAGIC: &[u8; 23] = b"imgsearch checkpoint 2\n";

/// The first bytes of a checkpoint of any version.
const ANY: &[u8] = b"imgsearch checkpoint ";

/// The maximum size of a header. An epoch takes a few hundred bytes of it.
const MAX_HEADER: u64 = 64 << 20;

/// Bytes of a number.
const NUMBER: u64 = 4;

/// Arrays of each parameter: itself, the best of it, and two moments.
const ARRAYS: u64 = 4;

/// Bytes of the checksum.
const CHECKSUM: u64 = 32;

/// What must be the same to resume a run, and the run so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub design: Design,
    pub schedule: Schedule,
    #[serde(rename = "pictures")]
    pub samples: usize,
    pub held_out: usize,
    /// BLAKE3, in hexadecimal, of the samples or their source.
    pub content: String,
    pub epochs: Vec<Epoch>,
    /// The pass whose parameters are the best.
    pub best: usize,
    /// Steps done.
    pub steps: i32,
    /// Numbers in each parameter.
    pub lengths: Vec<usize>,
}

/// The state.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checkpoint {
    pub header: Header,
    pub parameters: Vec<Vec<f32>>,
    pub best: Vec<Vec<f32>>,
    pub moments: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Checkpoint {
    /// Writes a temporary file and renames it, so that the last checkpoint stays until this one is
    /// complete.
    pub fn save(&self, path: &Path) -> Result<()> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::Training(format!(
                "cannot write the checkpoint {}: {error}",
                path.display()
            ))
        };
        let header = serde_json::to_vec(&self.header).map_err(|error| failed(&error))?;
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let write = || -> io::Result<()> {
            // A leftover file of an earlier run is removed, and a link is not followed.
            match fs::remove_file(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut out = Hashed {
                inner: BufWriter::new(File::create_new(&temporary)?),
                hasher: blake3::Hasher::new(),
            };
            out.write_all(MAGIC)?;
            out.write_all(&(header.len() as u64).to_le_bytes())?;
            out.write_all(&header)?;
            let moments = self.moments.iter().flat_map(|(one, other)| [one, other]);
            for values in self.parameters.iter().chain(&self.best).chain(moments) {
                for value in values {
                    out.write_all(&value.to_le_bytes())?;
                }
            }
            let checksum = out.hasher.finalize();
            out.inner.write_all(checksum.as_bytes())?;
            out.inner.into_inner()?.sync_all()?;
            fs::rename(&temporary, path)
        };
        write().map_err(|error| failed(&error))
    }

    /// Reads the checkpoint of the `wanted` run. The run determines its size, so no more than that is
    /// read.
    pub fn load(path: &Path, wanted: &Header) -> Result<Self> {
        let refuse = |reason: String| {
            Error::InvalidInput(format!(
                "the checkpoint {} {reason}; start over with --restart",
                path.display()
            ))
        };
        let unread = |error: io::Error| refuse(format!("cannot be read ({error})"));
        let damaged = || refuse("is damaged".to_owned());
        let ended = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged(),
            _ => unread(error),
        };
        let file = open_regular(path).map_err(unread)?;
        let size = file.metadata().map_err(unread)?.len();
        let mut from = Hashed {
            inner: BufReader::new(file),
            hasher: blake3::Hasher::new(),
        };
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic).map_err(ended)?;
        if magic != *MAGIC {
            return Err(refuse("is damaged or of another version".to_owned()));
        }
        let mut length = [0; 8];
        from.read_exact(&mut length).map_err(ended)?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER.min(size) {
            return Err(damaged());
        }
        let mut header = vec![0; usize::try_from(length).map_err(|_| damaged())?];
        from.read_exact(&mut header).map_err(ended)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| damaged())?;
        header.require(wanted, path)?;
        // The steps are counted from here on.
        if header.best > header.epochs.len() || !(0..i32::MAX / 2).contains(&header.steps) {
            return Err(damaged());
        }
        let lengths = &wanted.lengths;
        let numbers: u64 = lengths.iter().map(|&length| length as u64).sum();
        let before = MAGIC.len() as u64 + 8 + length;
        if size != before + numbers * ARRAYS * NUMBER + CHECKSUM {
            return Err(damaged());
        }
        let mut take = |length: usize| -> Result<Vec<f32>> {
            let mut bytes = vec![0; length * NUMBER as usize];
            from.read_exact(&mut bytes).map_err(ended)?;
            let (numbers, _) = bytes.as_chunks::<4>();
            Ok(numbers.iter().map(|v| f32::from_le_bytes(*v)).collect())
        };
        let checkpoint = Self {
            parameters: lengths.iter().map(|&n| take(n)).collect::<Result<_>>()?,
            best: lengths.iter().map(|&n| take(n)).collect::<Result<_>>()?,
            moments: lengths
                .iter()
                .map(|&n| Ok((take(n)?, take(n)?)))
                .collect::<Result<_>>()?,
            header,
        };
        let checksum = from.hasher.finalize();
        let mut written = [0; CHECKSUM as usize];
        from.inner.read_exact(&mut written).map_err(ended)?;
        if written != *checksum.as_bytes() {
            return Err(damaged());
        }
        Ok(checkpoint)
    }
}

/// Returns whether a file is a checkpoint of this program, of any version.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be read.
pub fn is_checkpoint(path: &Path) -> Result<bool> {
    let mut begin = Vec::new();
    open_regular(path)
        .and_then(|file| file.take(ANY.len() as u64).read_to_end(&mut begin))
        .map_err(|source| Error::io("read", path, source))?;
    Ok(begin == ANY)
}

/// A stream that hashes its bytes.
struct Hashed<T> {
    inner: T,
    hasher: blake3::Hasher,
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashed<T> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.hasher.update(&out[..read]);
        Ok(read)
    }
}

impl Header {
    /// Checks that this is the header of the `wanted` run.
    pub fn require(&self, wanted: &Header, path: &Path) -> Result<()> {
        let own = self;
        let differs = [
            ("another design", own.design != wanted.design),
            ("another schedule or seed", own.schedule != wanted.schedule),
            (
                "other images",
                (own.samples, own.held_out, &own.content)
                    != (wanted.samples, wanted.held_out, &wanted.content),
            ),
            ("other layers", own.lengths != wanted.lengths),
        ];
        match differs.iter().find(|(_, differs)| *differs) {
            None => Ok(()),
            Some((what, _)) => Err(Error::InvalidInput(format!(
                "the checkpoint {} is of a run with {what}; use the same options and data, or start over with --restart",
                path.display()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoencoder::Shape;

    fn checkpoint() -> Checkpoint {
        let shape = Shape {
            height: 8,
            width: 8,
            channels: 1,
        };
        Checkpoint {
            header: Header {
                design: Design::deep(shape),
                schedule: Schedule::default(),
                samples: 100,
                held_out: 11,
                content: "0123".to_owned(),
                epochs: Vec::new(),
                best: 0,
                steps: 7,
                lengths: vec![3, 1],
            },
            parameters: vec![vec![1.0, 2.0, 3.0], vec![4.0]],
            best: vec![vec![5.0, 6.0, 7.0], vec![8.0]],
            moments: vec![(vec![0.1; 3], vec![0.2; 3]), (vec![0.3], vec![0.4])],
        }
    }

    #[test]
    fn reads_what_it_wrote_and_refuses_every_cut_and_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.checkpoint");
        let written = checkpoint();
        let load = || Checkpoint::load(&path, &written.header);
        written.save(&path).unwrap();
        assert_eq!(load().unwrap(), written);
        assert!(is_checkpoint(&path).unwrap());
        let bytes = fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let error = load().unwrap_err().to_string();
            assert!(error.contains("run.checkpoint"), "{error}");
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, &bytes).unwrap();
            assert!(load().is_err(), "changed at {at}");
        }
        fs::write(&path, "my own notes").unwrap();
        assert!(!is_checkpoint(&path).unwrap());
    }

    #[test]
    fn a_header_or_a_file_without_end_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.checkpoint");
        let written = checkpoint();
        written.save(&path).unwrap();
        // No memory holds either.
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        let error = Checkpoint::load(&path, &written.header).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
        let mut bytes = MAGIC.to_vec();
        bytes.extend(u64::MAX.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        let error = Checkpoint::load(&path, &written.header).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_place_of_the_temporary_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.checkpoint");
        let foreign = dir.path().join("foreign");
        fs::write(&foreign, "not ours").unwrap();
        std::os::unix::fs::symlink(&foreign, dir.path().join("run.checkpoint.new")).unwrap();
        checkpoint().save(&path).unwrap();
        assert_eq!(fs::read(&foreign).unwrap(), b"not ours");
    }

    #[test]
    fn a_run_resumes_with_the_same_samples_only() {
        let own = checkpoint().header;
        let path = Path::new("x");
        own.require(&own, path).unwrap();
        let told = |change: &dyn Fn(&mut Header)| {
            let mut other = own.clone();
            change(&mut other);
            own.require(&other, path).unwrap_err().to_string()
        };
        let error = told(&|other| other.schedule.seed = 9);
        assert!(error.contains("another schedule or seed"), "{error}");
        let error = told(&|other| other.samples = 9);
        assert!(error.contains("other images"), "{error}");
        // As many, but others.
        let error = told(&|other| other.content = "4567".to_owned());
        assert!(error.contains("other images"), "{error}");
    }
}
