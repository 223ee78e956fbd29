//! The IDX format of MNIST and its like (LeCun, Cortes and Burges): images, packed or not.
//!
//! A file is read up to what its header promises, and that up to a limit, so that a small one that unpacks
//! without end takes no more memory than it says that it will.

use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

use super::design::Shape;
use super::samples::Samples;
use crate::error::{Error, Result};
use imgsearch_onnx::authoring::{open_regular, too_large};

/// The first bytes of an IDX file of bytes in three dimensions.
const MAGIC: [u8; 4] = [0, 0, 8, 3];
/// The first bytes of an IDX file of bytes in one dimension.
const LABELS: [u8; 4] = [0, 0, 8, 1];
/// The maximum side in pixels.
const MAX_SIDE: usize = 4096;
/// The most bytes of images, or of labels, that a file may promise: they are kept in memory. EMNIST, the largest
/// set of the kind, has an eighth of it.
const MAX_BYTES: u64 = 4 << 30;
/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Grey images of an IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxImages {
    /// The shape of each.
    pub shape: Shape,
    /// Bytes, `[n, height, width]`.
    pub pixels: Vec<u8>,
}

impl IdxImages {
    /// Returns the images as samples.
    pub fn samples(&self) -> Samples<'_> {
        Samples::new(self.shape, &self.pixels)
    }
}

/// What a file holds: the sides that its header gives, and the bytes behind it.
struct Content<const N: usize> {
    sides: [usize; N],
    bytes: Vec<u8>,
}

/// Reads a file of bytes in `N` dimensions, unpacked if it is packed; `None` if it is no such file.
fn content<const N: usize>(path: &Path, magic: [u8; 4]) -> io::Result<Option<Content<N>>> {
    let mut file = BufReader::new(open_regular(path)?);
    if file.fill_buf()?.starts_with(&GZIP) {
        // One part may follow another, as `cat` makes it.
        unpacked(&mut flate2::bufread::MultiGzDecoder::new(file), magic)
    } else {
        unpacked(&mut file, magic)
    }
}

fn unpacked<const N: usize>(from: &mut dyn Read, magic: [u8; 4]) -> io::Result<Option<Content<N>>> {
    let mut begin = [0; 4];
    let mut header = || -> io::Result<[usize; N]> {
        from.read_exact(&mut begin)?;
        let mut sides = [0; N];
        for side in &mut sides {
            let mut bytes = [0; 4];
            from.read_exact(&mut bytes)?;
            *side = usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX);
        }
        Ok(sides)
    };
    let sides = match header() {
        Ok(sides) if begin == magic => sides,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let promised = sides
        .iter()
        .try_fold(1u64, |all, &side| all.checked_mul(side as u64))
        .unwrap_or(u64::MAX);
    if promised > MAX_BYTES {
        return Err(too_large(promised, MAX_BYTES));
    }
    // The buffer grows as bytes come, because the promised bytes may be missing. One more byte shows
    // that the file is too long.
    let mut bytes = Vec::new();
    from.take(promised + 1).read_to_end(&mut bytes)?;
    Ok(Some(Content { sides, bytes }))
}

/// Reads the labels of an IDX file, a byte for each image.
///
/// # Errors
///
/// As [`read_idx`].
pub fn read_idx_labels(path: &Path) -> Result<Vec<u8>> {
    let read = content::<1>(path, LABELS).map_err(|source| Error::io("read", path, source))?;
    let whole = read.filter(|content| content.sides[0] == content.bytes.len());
    let Some(content) = whole else {
        return Err(Error::InvalidInput(format!(
            "{}: it is no whole IDX file of labels (bytes in one dimension)",
            path.display()
        )));
    };
    Ok(content.bytes)
}

/// Reads the images of an IDX file, which may be packed with gzip.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be read or promises more than 4 GiB, [`Error::InvalidInput`] if it is no such
/// file, is cut off, or holds more than it promises.
pub fn read_idx(path: &Path) -> Result<IdxImages> {
    let refuse = |what: String| Error::InvalidInput(format!("{}: {what}", path.display()));
    let read = content::<3>(path, MAGIC).map_err(|source| Error::io("read", path, source))?;
    let Some(Content {
        sides: [n, height, width],
        bytes: pixels,
    }) = read
    else {
        return Err(refuse(
            "it is no IDX file of images (bytes in three dimensions)".to_owned(),
        ));
    };
    if !(1..=MAX_SIDE).contains(&height) || !(1..=MAX_SIDE).contains(&width) {
        return Err(refuse(format!(
            "it declares images of {width} by {height} pixels"
        )));
    }
    let promised = n * height * width;
    if promised != pixels.len() {
        let held = if pixels.len() > promised {
            "more".to_owned()
        } else {
            pixels.len().to_string()
        };
        return Err(refuse(format!(
            "it declares {n} images of {width} by {height} pixels and holds {held} bytes of them, where {promised} would be right"
        )));
    }
    Ok(IdxImages {
        shape: Shape {
            height,
            width,
            channels: 1,
        },
        pixels,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

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
        assert_eq!(read.samples().len(), 2);
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

    /// A file whose header is followed by zeros, packed: a thousandth of what comes out.
    fn packed(header: &[u8], zeros: usize) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(header).unwrap();
        for _ in 0..zeros >> 16 {
            packed.write_all(&[0; 1 << 16]).unwrap();
        }
        packed.finish().unwrap()
    }

    /// How much is taken from what unpacks without end.
    struct Counted<R>(R, u64);

    impl<R: Read> Read for Counted<R> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read(out)?;
            self.1 += read as u64;
            Ok(read)
        }
    }

    #[test]
    fn no_more_is_unpacked_than_the_header_promises() {
        // Two images are promised, and zeros without end come.
        let endless = TWO[..16].chain(io::repeat(0));
        let mut counted = Counted(endless, 0);
        let read = unpacked::<3>(&mut counted, MAGIC).unwrap().unwrap();
        assert_eq!((read.bytes.len(), counted.1), (5, 16 + 5));

        let images = file(&packed(&TWO[..16], 64 << 20));
        let told = read_idx(images.path()).unwrap_err().to_string();
        assert!(told.contains("holds more bytes"), "{told}");
        let labels = file(&packed(&[0, 0, 8, 1, 0, 0, 0, 3], 64 << 20));
        let told = read_idx_labels(labels.path()).unwrap_err().to_string();
        assert!(told.contains("no whole IDX file of labels"), "{told}");
    }

    #[test]
    fn no_more_is_promised_than_the_limit() {
        let header = [0, 0, 8, 3, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 28, 0, 0, 0, 28];
        for content in [header.to_vec(), packed(&header, 0)] {
            let told = read_idx(file(&content).path()).unwrap_err().to_string();
            assert!(told.contains("are more than the 4294967296"), "{told}");
        }
    }
}
