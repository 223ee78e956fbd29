//! Pictures as Python gives them: paths, bytes of files, and pixels.

use std::path::{Path, PathBuf};

use imgsearch::decode::{Limits, Source};
use imgsearch::{Encoded, Error, Library};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::raised;

/// A picture, as `imgsearch._images.plain` returns it.
pub enum Picture {
    /// A file.
    Path(PathBuf),
    /// What is in memory: a file, or pixels made one.
    Memory(Source),
}

impl Picture {
    /// Reads a path, the bytes of a file, or `(width, height, channels, bytes)`.
    ///
    /// # Errors
    ///
    /// If it is none of them.
    pub fn of(plain: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = plain.cast::<PyBytes>() {
            return Ok(Self::Memory(Source::from(bytes.as_bytes().to_vec())));
        }
        if let Ok((width, height, channels, pixels)) =
            plain.extract::<(u32, u32, u32, Bound<'_, PyBytes>)>()
        {
            let source = Source::from_pixels(width, height, channels, pixels.as_bytes());
            return Ok(Self::Memory(source.map_err(|source| {
                raised(Error::Image {
                    path: PathBuf::from("the array"),
                    source,
                })
            })?));
        }
        Ok(Self::Path(plain.extract()?))
    }

    /// Encodes it as a query. Messages call what is in memory `name`.
    ///
    /// # Errors
    ///
    /// If it cannot be read or decoded.
    pub fn encode(&self, library: &Library, name: &Path) -> imgsearch::Result<Encoded> {
        match self {
            Self::Path(path) => library.encode_file(path),
            Self::Memory(source) => library.encode_bytes(source, name),
        }
    }

    /// Puts it in place of another file.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn open(self, file: &mut Source, limits: &Limits) -> imgsearch::Result<()> {
        match self {
            Self::Path(path) => file
                .reopen(&path, limits)
                .map_err(|unread| Error::unread(unread, &path)),
            Self::Memory(source) => {
                *file = source;
                Ok(())
            }
        }
    }
}
