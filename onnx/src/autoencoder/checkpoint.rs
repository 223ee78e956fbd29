//! A run's state after a pass, in a file, so that it can go on from there.
//!
//! A line that names the format, the length of a header as a little-endian u64, the header as
//! JSON, and little-endian float32: the parameters, the best of them so far, and both moments of
//! the descent, each as long as the header says.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::design::{Design, Schedule};
use super::fit::Epoch;
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"imgsearch checkpoint 1\n";

/// What has to be the same for a run to go on, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub design: Design,
    pub schedule: Schedule,
    pub pictures: usize,
    pub held_out: usize,
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
    /// Writes beside and renames, so that the last one stays until this is whole.
    pub fn save(&self, path: &Path) -> Result<()> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::Training(format!(
                "cannot write the checkpoint {}: {error}",
                path.display()
            ))
        };
        let header = serde_json::to_vec(&self.header).map_err(|error| failed(&error))?;
        let mut aside = path.as_os_str().to_owned();
        aside.push(".new");
        let write = || -> std::io::Result<()> {
            let mut out = std::io::BufWriter::new(fs::File::create(&aside)?);
            out.write_all(MAGIC)?;
            out.write_all(&(header.len() as u64).to_le_bytes())?;
            out.write_all(&header)?;
            let moments = self.moments.iter().flat_map(|(one, other)| [one, other]);
            for values in self.parameters.iter().chain(&self.best).chain(moments) {
                for value in values {
                    out.write_all(&value.to_le_bytes())?;
                }
            }
            out.into_inner()?.sync_all()?;
            fs::rename(&aside, path)
        };
        write().map_err(|error| failed(&error))
    }

    /// Reads one.
    pub fn load(path: &Path) -> Result<Self> {
        let refuse = |reason: String| {
            Error::BadInput(format!(
                "the checkpoint {} {reason}; begin anew without --resume",
                path.display()
            ))
        };
        let bytes = fs::read(path).map_err(|error| refuse(format!("cannot be read ({error})")))?;
        let damaged = || refuse("is damaged or of another version".to_owned());
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| damaged())?;
        let (header, rest) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let header: Header = serde_json::from_slice(header).map_err(|_| damaged())?;
        let (numbers, over) = rest.as_chunks::<4>();
        let total = header
            .lengths
            .iter()
            .try_fold(0usize, |sum, length| sum.checked_add(*length));
        if !over.is_empty() || total.and_then(|total| total.checked_mul(4)) != Some(numbers.len()) {
            return Err(damaged());
        }
        let mut numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let mut take = |length: usize| numbers.by_ref().take(length).collect::<Vec<f32>>();
        let lengths = &header.lengths;
        Ok(Self {
            parameters: lengths.iter().map(|&length| take(length)).collect(),
            best: lengths.iter().map(|&length| take(length)).collect(),
            moments: lengths
                .iter()
                .map(|&length| (take(length), take(length)))
                .collect(),
            header,
        })
    }

    /// Refuses to go on with something else than what was begun.
    pub fn require(&self, wanted: &Header, path: &Path) -> Result<()> {
        let own = &self.header;
        let differs = [
            ("another design", own.design != wanted.design),
            ("another schedule or seed", own.schedule != wanted.schedule),
            (
                "other pictures",
                (own.pictures, own.held_out) != (wanted.pictures, wanted.held_out),
            ),
            ("other layers", own.lengths != wanted.lengths),
        ];
        match differs.iter().find(|(_, differs)| *differs) {
            None => Ok(()),
            Some((what, _)) => Err(Error::BadInput(format!(
                "the checkpoint {} is of a run with {what}; ask for the same, or begin anew without --resume",
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
                pictures: 100,
                held_out: 11,
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
    fn reads_what_it_wrote_and_refuses_every_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.checkpoint");
        let written = checkpoint();
        written.save(&path).unwrap();
        assert_eq!(Checkpoint::load(&path).unwrap(), written);
        let bytes = fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let error = Checkpoint::load(&path).unwrap_err().to_string();
            assert!(error.contains("run.checkpoint"), "{error}");
        }
    }

    #[test]
    fn goes_on_with_the_same_only() {
        let own = checkpoint();
        let path = Path::new("x");
        own.require(&own.header, path).unwrap();
        let mut other = own.header.clone();
        other.schedule.seed = 9;
        let error = own.require(&other, path).unwrap_err().to_string();
        assert!(error.contains("another schedule or seed"), "{error}");
        let mut other = own.header.clone();
        other.pictures = 9;
        assert!(own.require(&other, path).is_err());
    }
}
