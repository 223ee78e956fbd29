//! Arrays in NumPy's file format, written row by row.
//!
//! The format, version 1.0, is documented in NumPy's manual (`numpy.lib.format`) and in its enhancement proposal
//! NEP 1: the bytes `\x93NUMPY`, the version, the length of the header as a little-endian `u16`, and the header, a
//! Python literal padded with spaces so that the data begin at a multiple of 64. The number of rows is known at the end,
//! so the header has room for any number and is written again.

use std::io::{self, Seek, SeekFrom, Write};

/// Bytes before the data. The literal of two columns of any size fits.
const HEADER: usize = 128;

/// What an array holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NpyType {
    /// 32-bit floats, little-endian.
    Float32,
    /// Bytes.
    Uint8,
}

/// Writes an array of two dimensions, row by row.
///
/// # Examples
///
/// ```
/// use std::io::Cursor;
///
/// use imgsearch::{NpyType, NpyWriter};
///
/// let mut writer = NpyWriter::new(Cursor::new(Vec::new()), NpyType::Uint8, 2)?;
/// writer.row(&[1, 2])?;
/// writer.row(&[3, 4])?;
/// let file = writer.finish()?.into_inner();
/// assert!(file.starts_with(b"\x93NUMPY\x01\x00"));
/// assert_eq!(file[128..], [1, 2, 3, 4]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct NpyWriter<W> {
    inner: W,
    kind: NpyType,
    columns: usize,
    rows: usize,
}

impl<W: Write + Seek> NpyWriter<W> {
    /// Begins an array with this number of columns at the start of `inner`.
    ///
    /// # Errors
    ///
    /// If `inner` cannot be written.
    pub fn new(inner: W, kind: NpyType, columns: usize) -> io::Result<Self> {
        let mut writer = Self {
            inner,
            kind,
            columns,
            rows: 0,
        };
        writer.header()?;
        Ok(writer)
    }

    /// Appends a row of numbers to an array of floats.
    ///
    /// # Errors
    ///
    /// If the array holds something else, if it has another number of columns, or if it cannot be written.
    pub fn floats(&mut self, row: &[f32]) -> io::Result<()> {
        self.check(NpyType::Float32, row.len())?;
        let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.inner.write_all(&bytes)?;
        self.rows += 1;
        Ok(())
    }

    /// Appends a row to an array of bytes.
    ///
    /// # Errors
    ///
    /// As [`NpyWriter::floats`].
    pub fn row(&mut self, row: &[u8]) -> io::Result<()> {
        self.check(NpyType::Uint8, row.len())?;
        self.inner.write_all(row)?;
        self.rows += 1;
        Ok(())
    }

    /// Returns the number of rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Writes the number of rows into the header, and returns what was written to.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.inner.seek(SeekFrom::Start(0))?;
        self.header()?;
        self.inner.seek(SeekFrom::End(0))?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn check(&self, kind: NpyType, columns: usize) -> io::Result<()> {
        if (kind, columns) == (self.kind, self.columns) {
            return Ok(());
        }
        let (own, of) = (self.kind, self.columns);
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a row of {columns} {kind:?} for an array with {of} columns of {own:?}"),
        ))
    }

    fn header(&mut self) -> io::Result<()> {
        let descr = match self.kind {
            NpyType::Float32 => "<f4",
            NpyType::Uint8 => "|u1",
        };
        let literal = format!(
            "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}, {}), }}",
            self.rows, self.columns
        );
        // Ten bytes before the literal, a new line after it.
        let length = HEADER - 10;
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((length as u16).to_le_bytes());
        bytes.extend(format!("{literal:<0$}\n", length - 1).as_bytes());
        self.inner.write_all(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn the_header_says_what_follows_at_a_multiple_of_64() {
        let mut writer = NpyWriter::new(Cursor::new(Vec::new()), NpyType::Float32, 3).unwrap();
        writer.floats(&[1.0, -2.5, 0.0]).unwrap();
        writer.floats(&[4.0, 5.0, 6.0]).unwrap();
        assert_eq!(writer.rows(), 2);
        let bytes = writer.finish().unwrap().into_inner();
        assert_eq!(bytes.len(), 128 + 2 * 3 * 4);
        assert_eq!(u16::from_le_bytes([bytes[8], bytes[9]]), 118);
        let header = std::str::from_utf8(&bytes[10..128]).unwrap();
        assert!(
            header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"),
            "{header}"
        );
        assert!(header.ends_with(" \n"), "{header}");
        assert_eq!(bytes[132..136], (-2.5f32).to_le_bytes());
    }

    #[test]
    fn the_largest_numbers_fit_and_wrong_rows_are_refused() {
        let mut writer =
            NpyWriter::new(Cursor::new(Vec::new()), NpyType::Uint8, usize::MAX).unwrap();
        writer.rows = usize::MAX;
        assert!(writer.row(&[1]).is_err() && writer.floats(&[1.0]).is_err());
        assert_eq!(writer.finish().unwrap().into_inner().len(), 128);
    }

    #[test]
    fn an_empty_array_has_no_rows() {
        let writer = NpyWriter::new(Cursor::new(Vec::new()), NpyType::Uint8, 32).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        assert!(String::from_utf8_lossy(&bytes).contains("'shape': (0, 32)"));
    }
}
