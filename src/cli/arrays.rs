//! Codes and hashes as arrays for NumPy: `imgsearch encode --npy STEM`.
//!
//! Three files: the codes, the hashes, and the image of each row. Each is written next to its place and put there when
//! all are complete, so a failure leaves the old ones.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use imgsearch::{Encoded, NpyType, NpyWriter};
use serde_json::json;
use tempfile::NamedTempFile;

use super::Result;
use super::output::{shown, with_path};

/// The ends of the names of the files.
const ENDS: [&str; 3] = [".codes.npy", ".hashes.npy", ".images.jsonl"];

/// The files while they are written.
pub struct Arrays {
    stem: PathBuf,
    files: [NamedTempFile; 3],
    /// Begun with the first image, which says how long its code is.
    writers: Option<Writers>,
}

struct Writers {
    codes: NpyWriter<BufWriter<File>>,
    hashes: NpyWriter<BufWriter<File>>,
    images: BufWriter<File>,
}

impl Writers {
    fn begin(files: &[NamedTempFile; 3], length: usize, bytes: usize) -> io::Result<Self> {
        let buffered =
            |i: usize| Ok::<_, io::Error>(BufWriter::new(files[i].as_file().try_clone()?));
        Ok(Self {
            codes: NpyWriter::new(buffered(0)?, NpyType::Float32, length)?,
            hashes: NpyWriter::new(buffered(1)?, NpyType::Uint8, bytes)?,
            images: buffered(2)?,
        })
    }

    fn add(&mut self, image: &Path, encoded: &Encoded) -> io::Result<()> {
        self.codes.floats(&encoded.code)?;
        self.hashes.row(&encoded.hash)?;
        let line =
            json!({"width": encoded.width, "height": encoded.height, "damage": encoded.damage});
        writeln!(self.images, "{}", with_path(line, "path", image))
    }

    /// Completes the files and returns the number of rows.
    fn finish(mut self) -> io::Result<usize> {
        let rows = self.codes.rows();
        self.images.flush()?;
        self.codes.finish()?;
        self.hashes.finish()?;
        Ok(rows)
    }
}

impl Arrays {
    /// Creates the files, so that a folder that cannot be written is an error before the work.
    pub fn begin(stem: &Path) -> Result<Self> {
        let folder = match stem.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if stem.file_name().is_none() {
            return Err(format!("--npy {}: name the start of file names", shown(stem)).into());
        }
        let mut builder = tempfile::Builder::new();
        // As any other file that is written: who else may read it is up to the user's mask.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut new = || {
            builder
                .prefix(".imgsearch-")
                .tempfile_in(folder)
                .map_err(|error| format!("no file can be written in {}: {error}", shown(folder)))
        };
        Ok(Self {
            stem: stem.to_owned(),
            files: [new()?, new()?, new()?],
            writers: None,
        })
    }

    /// Appends a row to each file.
    pub fn add(&mut self, image: &Path, encoded: &Encoded) -> Result<()> {
        let written = match &mut self.writers {
            Some(writers) => writers.add(image, encoded),
            None => Writers::begin(&self.files, encoded.code.len(), encoded.hash.len()).and_then(
                |mut writers| {
                    let added = writers.add(image, encoded);
                    self.writers = Some(writers);
                    added
                },
            ),
        };
        written.map_err(|error| self.failed(&error).into())
    }

    /// Puts the files in their places and returns the number of rows. Without an image, the arrays have no rows of
    /// this length and these bytes.
    pub fn finish(mut self, length: usize, bytes: usize) -> Result<usize> {
        let writers = match self.writers.take() {
            Some(writers) => Ok(writers),
            None => Writers::begin(&self.files, length, bytes),
        };
        let rows = writers
            .and_then(Writers::finish)
            .map_err(|error| self.failed(&error))?;
        for file in &self.files {
            file.as_file()
                .sync_all()
                .map_err(|error| self.failed(&error))?;
        }
        for (file, end) in self.files.into_iter().zip(ENDS) {
            let mut path = self.stem.clone().into_os_string();
            path.push(end);
            let path = PathBuf::from(path);
            file.persist(&path)
                .map_err(|error| format!("cannot write {}: {}", shown(&path), error.error))?;
        }
        Ok(rows)
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("cannot write the arrays {}: {error}", shown(&self.stem))
    }
}
