//! Codes and hashes in the shape that a scan reads.
//!
//! Rows in the order of ids. Codes are padded with zeros to whole lanes, which changes no
//! distance; hashes are whole words.

use rusqlite::Connection;

use crate::distance::{LANES, words};
use crate::types::EncoderRecord;

/// Why rows cannot be loaded.
#[derive(Debug)]
pub(crate) enum LoadError {
    Database(rusqlite::Error),
    Corrupt(String),
}

impl From<rusqlite::Error> for LoadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Rows, wherever they lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// Ascending.
    pub ids: &'a [i64],
    /// Codes, `stride` numbers each.
    pub codes: &'a [f32],
    pub stride: usize,
    /// Hashes, `hash_words` words each.
    pub hashes: &'a [u64],
    pub hash_words: usize,
}

impl<'a> Rows<'a> {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    #[inline(always)]
    pub fn code(&self, row: usize) -> &'a [f32] {
        &self.codes[row * self.stride..(row + 1) * self.stride]
    }

    #[inline(always)]
    pub fn hash(&self, row: usize) -> &'a [u64] {
        &self.hashes[row * self.hash_words..(row + 1) * self.hash_words]
    }
}

/// Rows in memory.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub ids: Vec<i64>,
    pub codes: Vec<f32>,
    pub stride: usize,
    pub hashes: Vec<u64>,
    pub hash_words: usize,
}

impl Loaded {
    /// No rows, in the shape of an encoder's.
    pub fn empty(encoder: &EncoderRecord) -> Self {
        Self {
            stride: encoder.code_len.next_multiple_of(LANES),
            hash_words: encoder.bits.div_ceil(64),
            ..Self::default()
        }
    }

    /// The stored images with numbers above `after` up to `last`, at most `limit` of them.
    pub fn load(
        connection: &Connection,
        encoder: &EncoderRecord,
        (after, last): (i64, i64),
        limit: usize,
    ) -> Result<Self, LoadError> {
        let mut loaded = Self::empty(encoder);
        let mut statement = connection.prepare_cached(
            "SELECT i.id, c.code, c.hash FROM images i JOIN contents c ON c.id = i.content
             WHERE i.id > ?1 AND i.id <= ?2 ORDER BY i.id LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query((after, last, limit))?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let wrong = |what: &str| {
                LoadError::Corrupt(format!("the {what} of image {id} has the wrong length"))
            };
            let code = row.get_ref(1)?.as_blob().map_err(|_| wrong("code"))?;
            let hash = row.get_ref(2)?.as_blob().map_err(|_| wrong("hash"))?;
            if code.len() != encoder.code_len * 4 {
                return Err(wrong("code"));
            }
            if hash.len() != encoder.hash_bytes() {
                return Err(wrong("hash"));
            }
            let (numbers, _) = code.as_chunks::<4>();
            loaded.ids.push(id);
            let numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
            loaded.codes.extend(numbers);
            let whole = loaded.ids.len() * loaded.stride;
            loaded.codes.resize(whole, 0.0);
            loaded.hashes.extend(words(hash));
        }
        Ok(loaded)
    }

    pub fn rows(&self) -> Rows<'_> {
        Rows {
            ids: &self.ids,
            codes: &self.codes,
            stride: self.stride,
            hashes: &self.hashes,
            hash_words: self.hash_words,
        }
    }
}
