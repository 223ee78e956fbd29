//! Cache files of features.
//!
//! Encoding images and their altered copies takes minutes, and learning from them takes seconds. A hash
//! over the encoder, the options, the limits, and the path, size and modification time of each image
//! identifies the content of a file. If any of these differs, the file is written again.
//!
//! Little-endian: 24 bytes that name the format, the hash, the counts as eight u64, the failures as
//! JSON, features, views, codes, hashes and logits, and the BLAKE3 of all before.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::encode::engine::Engine;
use crate::error::{Error, Result};
use crate::library::save::Saving;
use crate::progress::Progress;
use crate::train::extract::{ExtractOptions, Extracted, extract};
use crate::train::jobs::report_unusable;

/// The first bytes of a file, with the number of the format.
const MAGIC: &[u8; 24] = b"imgsearch features 1\n\0\0\0";

/// Numbers that are converted at once.
const CHUNK: usize = 1 << 14;

/// The maximum number of altered copies in a valid file.
const MAX_VIEWS: usize = 1 << 16;

/// Extracts as [`extract`] does, or reads the result from `file` if it holds the same. Otherwise `file`
/// is written. Returns the result and whether it was read.
///
/// # Errors
///
/// The errors of [`extract`]; [`Error::Io`] if the file cannot be read or written, or holds something
/// else. Such a file stays as it is.
pub fn extract_cached(
    file: &Path,
    engine: &Engine,
    paths: &[PathBuf],
    options: ExtractOptions,
    progress: &dyn Progress,
) -> Result<(Extracted, bool)> {
    let key = key(engine, paths, options)?;
    if let Some(extracted) =
        read(file, &key, paths).map_err(|error| Error::io("read", file, error))?
    {
        progress.encoded(paths.len(), paths.len());
        report_unusable(&extracted.failed, progress);
        return Ok((extracted, true));
    }
    // A file that cannot be written is reported before the work.
    let (saving, out) = Saving::begin(file)?;
    let made = extract(engine, paths, options, progress);
    let made = match made {
        // Some images were not tried, and can be readable the next time.
        Ok(extracted) if extracted.untried => {
            saving.abandon();
            return Ok((extracted, false));
        }
        made => made,
    };
    let written = made.and_then(|extracted| {
        write(out, &key, paths, &extracted).map_err(|error| saving.failed(error))?;
        Ok((extracted, false))
    });
    saving.end(written)
}

/// Returns what identifies the features of these images: a hash over the encoder, the options, the limits,
/// and the path, size and modification time of each image.
///
/// # Errors
///
/// None today.
pub fn key(engine: &Engine, paths: &[PathBuf], options: ExtractOptions) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    put(engine.info().fingerprint.as_bytes());
    put(format!("{options:?} {:?}", engine.limits()).as_bytes());
    for path in paths {
        put(path.as_os_str().as_encoded_bytes());
        // A missing image is a failure, this time and the next.
        let stat = std::fs::metadata(path).ok();
        let changed = stat.as_ref().and_then(|stat| stat.modified().ok());
        let since = changed.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let opens = File::open(path).is_ok();
        put(format!("{:?} {since:?} {opens}", stat.map(|stat| stat.len())).as_bytes());
    }
    Ok(*hasher.finalize().as_bytes())
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn damaged() -> io::Error {
    invalid("it is damaged; delete it")
}

/// A stream that hashes its bytes.
struct Hashed<T> {
    inner: T,
    hasher: blake3::Hasher,
}

impl<T: Write> Hashed<T> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }

    fn put_floats(&mut self, values: &[f32]) -> io::Result<()> {
        for values in values.chunks(CHUNK) {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            self.put(&bytes)?;
        }
        Ok(())
    }
}

impl<T: Read> Hashed<T> {
    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        // The buffer grows as bytes come, so a damaged count takes no memory.
        let mut bytes = Vec::new();
        (&mut self.inner)
            .take(count as u64)
            .read_to_end(&mut bytes)?;
        if bytes.len() < count {
            return Err(invalid("it ends too early; delete it"));
        }
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    fn take_floats(&mut self, count: usize) -> io::Result<Vec<f32>> {
        let mut values = Vec::new();
        while values.len() < count {
            let bytes = self.take((count - values.len()).min(CHUNK) * 4)?;
            let (chunks, _) = bytes.as_chunks::<4>();
            values.extend(chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        }
        Ok(values)
    }
}

fn write(file: File, key: &[u8; 32], paths: &[PathBuf], extracted: &Extracted) -> io::Result<()> {
    let mut out = Hashed {
        inner: BufWriter::new(file),
        hasher: blake3::Hasher::new(),
    };
    let mut failed = Vec::new();
    let mut failures = extracted.failed.iter().peekable();
    for (place, path) in paths.iter().enumerate() {
        if let Some((_, reason)) = failures.next_if(|(failed, _)| failed == path) {
            failed.push((place, reason));
        }
    }
    let failed = serde_json::to_vec(&failed)?;
    let n = extracted.paths.len();
    out.put(MAGIC)?;
    out.put(key)?;
    for count in [
        n,
        extracted.feature_len,
        extracted.views.len(),
        extracted.codes.len(),
        extracted.hashes.len(),
        extracted.logits.len(),
        failed.len(),
        0,
    ] {
        out.put(&(count as u64).to_le_bytes())?;
    }
    out.put(&failed)?;
    out.put_floats(&extracted.features)?;
    for view in &extracted.views {
        out.put_floats(view)?;
    }
    out.put_floats(&extracted.codes)?;
    out.put(&extracted.hashes)?;
    out.put_floats(&extracted.logits)?;
    let hash = out.hasher.finalize();
    out.inner.write_all(hash.as_bytes())?;
    let file = out.inner.into_inner().map_err(|error| error.into_error())?;
    file.sync_all()
}

/// Reads the file. Returns `None` if there is none, or if it holds the features of something else.
fn read(path: &Path, key: &[u8; 32], paths: &[PathBuf]) -> io::Result<Option<Extracted>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut from = Hashed {
        inner: BufReader::new(file),
        hasher: blake3::Hasher::new(),
    };
    let other = || invalid("it is no file of features; name another, or one that does not exist");
    if from.take(MAGIC.len()).map_err(|_| other())? != MAGIC {
        return Err(other());
    }
    if from.take(key.len())? != key {
        return Ok(None);
    }
    let mut counts = [0usize; 8];
    for count in &mut counts {
        let bytes = from.take(8)?;
        let bytes: [u8; 8] = bytes.try_into().map_err(|_| damaged())?;
        *count = usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| damaged())?;
    }
    let [n, feature_len, views, codes, hashes, logits, failed, _] = counts;
    let rows = n.checked_mul(feature_len).ok_or_else(damaged)?;
    if views > MAX_VIEWS {
        return Err(damaged());
    }
    let failed: Vec<(usize, String)> = serde_json::from_slice(&from.take(failed)?)?;
    let extracted = Extracted {
        features: from.take_floats(rows)?,
        views: (0..views)
            .map(|_| from.take_floats(rows))
            .collect::<io::Result<_>>()?,
        codes: from.take_floats(codes)?,
        hashes: from.take(hashes)?,
        logits: from.take_floats(logits)?,
        feature_len,
        ..Extracted::default()
    };
    let hash = from.hasher.finalize();
    let mut written = [0; 32];
    from.inner.read_exact(&mut written)?;
    if written != *hash.as_bytes() {
        return Err(invalid("its checksum is wrong: it is damaged; delete it"));
    }
    let mut failures = failed.into_iter().peekable();
    let mut extracted = extracted;
    for (place, path) in paths.iter().enumerate() {
        match failures.next_if(|(failed, _)| *failed == place) {
            Some((_, reason)) => extracted.failed.push((path.clone(), reason)),
            None => extracted.paths.push(path.clone()),
        }
    }
    if extracted.paths.len() != n {
        return Err(damaged());
    }
    Ok(Some(extracted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (Vec<PathBuf>, Extracted) {
        let paths: Vec<PathBuf> = (0..5).map(|i| PathBuf::from(format!("{i}.jpg"))).collect();
        let floats = |count: usize| (0..count).map(|i| i as f32 * 0.5 - 3.0).collect::<Vec<_>>();
        let extracted = Extracted {
            paths: [0, 2, 4].map(|i| paths[i].clone()).to_vec(),
            features: floats(12),
            views: vec![floats(12), floats(12).into_iter().rev().collect()],
            codes: floats(6),
            hashes: (0..9).collect(),
            logits: floats(72),
            feature_len: 4,
            failed: [1, 3]
                .map(|i| (paths[i].clone(), format!("because of {i}")))
                .to_vec(),
            untried: false,
        };
        (paths, extracted)
    }

    #[test]
    fn a_written_file_is_read_and_damage_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features");
        let (paths, extracted) = made();
        let key = [7; 32];
        assert!(read(&path, &key, &paths).unwrap().is_none());
        write(File::create(&path).unwrap(), &key, &paths, &extracted).unwrap();
        let again = read(&path, &key, &paths).unwrap().unwrap();
        assert_eq!(again.paths, extracted.paths);
        assert_eq!(again.failed, extracted.failed);
        assert_eq!(again.features, extracted.features);
        assert_eq!(again.views, extracted.views);
        assert_eq!(again.codes, extracted.codes);
        assert_eq!(again.hashes, extracted.hashes);
        assert_eq!(again.logits, extracted.logits);
        assert!(read(&path, &[8; 32], &paths).unwrap().is_none());

        let bytes = std::fs::read(&path).unwrap();
        for end in 1..bytes.len() {
            std::fs::write(&path, &bytes[..end]).unwrap();
            assert!(read(&path, &key, &paths).is_err(), "cut at {end}");
        }
        // Past the key, which decides whether it is read at all.
        for at in 56..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x40;
            std::fs::write(&path, &bytes).unwrap();
            assert!(read(&path, &key, &paths).is_err(), "changed at {at}");
        }
        std::fs::write(&path, "my diary, which is not to be overwritten").unwrap();
        let error = read(&path, &key, &paths).unwrap_err().to_string();
        assert!(error.contains("no file of features"), "{error}");
    }
}
