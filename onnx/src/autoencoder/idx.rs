//! The IDX format of MNIST and its like (LeCun, Cortes and Burges): images, packed or not.

use std::io::Read as _;
use std::path::Path;

use super::design::Shape;
use super::fit::Pictures;
use crate::error::{Error, Result};

/// What an IDX file of bytes in three dimensions begins with.
const MAGIC: [u8; 4] = [0, 0, 8, 3];
/// What one of bytes in one dimension begins with.
const LABELS: [u8; 4] = [0, 0, 8, 1];
/// The longest side that is believed.
const MOST_SIDE: usize = 4096;
/// What a gzip file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Grey images of an IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxImages {
    /// Of each.
    pub shape: Shape,
    /// Bytes, `[n, height, width]`.
    pub pixels: Vec<u8>,
}

impl IdxImages {
    /// The images.
    pub fn pictures(&self) -> Pictures<'_> {
        Pictures::new(self.shape, &self.pixels)
    }
}

/// A file's bytes, unpacked where they are packed.
fn unpacked(path: &Path) -> Result<Vec<u8>> {
    let fail = |source| Error::io("read", path, source);
    let bytes = std::fs::read(path).map_err(fail)?;
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(&*bytes)
        .read_to_end(&mut unpacked)
        .map_err(fail)?;
    Ok(unpacked)
}

/// Reads the labels of an IDX file, a byte for each image.
///
/// # Errors
///
/// As [`read_idx`].
pub fn read_idx_labels(path: &Path) -> Result<Vec<u8>> {
    let bytes = unpacked(path)?;
    let labels = bytes.strip_prefix(&LABELS).and_then(|rest| {
        let (n, labels) = rest.split_first_chunk::<4>()?;
        (usize::try_from(u32::from_be_bytes(*n)) == Ok(labels.len())).then(|| labels.to_vec())
    });
    labels.ok_or_else(|| {
        Error::BadInput(format!(
            "{}: it is no whole IDX file of labels (bytes in one dimension)",
            path.display()
        ))
    })
}

/// Reads the images of an IDX file, which may be packed with gzip.
///
/// # Errors
///
/// [`Error::Io`] where it cannot be read, [`Error::BadInput`] where it is no such file or is cut
/// off.
pub fn read_idx(path: &Path) -> Result<IdxImages> {
    let bytes = unpacked(path)?;
    let refuse = |what: String| Error::BadInput(format!("{}: {what}", path.display()));
    let side = |place: usize| {
        let bytes = bytes.get(4 + place * 4..8 + place * 4)?;
        Some(
            bytes
                .iter()
                .fold(0, |side, &byte| side << 8 | usize::from(byte)),
        )
    };
    let (Some(&MAGIC), Some(n), Some(height), Some(width)) =
        (bytes.first_chunk(), side(0), side(1), side(2))
    else {
        return Err(refuse(
            "it is no IDX file of images (bytes in three dimensions)".to_owned(),
        ));
    };
    if !(1..=MOST_SIDE).contains(&height) || !(1..=MOST_SIDE).contains(&width) {
        return Err(refuse(format!(
            "it declares images of {width} by {height} pixels"
        )));
    }
    let pixels = &bytes[16..];
    if n.checked_mul(height * width) != Some(pixels.len()) {
        return Err(refuse(format!(
            "it declares {n} images of {width} by {height} pixels and holds {} bytes of them",
            pixels.len()
        )));
    }
    Ok(IdxImages {
        shape: Shape {
            height,
            width,
            channels: 1,
        },
        pixels: pixels.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn labels_are_read_and_a_cut_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels-idx1-ubyte");
        std::fs::write(&path, [0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9]).unwrap();
        assert_eq!(read_idx_labels(&path).unwrap(), [7, 0, 9]);
        std::fs::write(&path, [0, 0, 8, 1, 0, 0, 0, 3, 7, 0]).unwrap();
        let error = read_idx_labels(&path).unwrap_err().to_string();
        assert!(error.contains("labels-idx1-ubyte"), "{error}");
    }

    use std::io::Write as _;

    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    const TWO: [u8; 20] = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 9, 8, 7, 6];

    #[test]
    fn packed_or_not_images_are_read() {
        let read = read_idx(file(&TWO).path()).unwrap();
        assert_eq!(read.pixels, [9, 8, 7, 6]);
        assert_eq!((read.shape.height, read.shape.width), (1, 2));
        assert_eq!(read.pictures().len(), 2);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&TWO).unwrap();
        assert_eq!(
            read_idx(file(&packed.finish().unwrap()).path()).unwrap(),
            read
        );
    }

    #[test]
    fn what_is_no_such_file_is_refused_by_its_name() {
        let mut labels = TWO;
        labels[3] = 1;
        let mut huge = TWO;
        huge[8] = 255;
        for bad in [&TWO[..19], &TWO[..7], &labels, &huge, b"P5 2 2"] {
            let file = file(bad);
            let told = read_idx(file.path()).unwrap_err().to_string();
            assert!(told.contains(&file.path().display().to_string()), "{told}");
        }
    }
}
