//! Codes and hashes in the shape that a scan reads.
//!
//! Rows in the order of ids. Codes are padded with zeros to whole lanes, which changes no
//! distance; hashes are whole words.

use crate::error::Result;
use crate::kernels::distance::{LANES, words};
use crate::store::checksum;
use crate::store::reader::Reader;
use crate::store::types::EncoderRecord;

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
#[derive(Debug, Default, Clone)]
pub(crate) struct Loaded {
    pub ids: Vec<i64>,
    /// Images that are left out: what is stored of them does not match its checksum.
    pub rotten: Vec<i64>,
    pub codes: Vec<f32>,
    pub stride: usize,
    pub hashes: Vec<u64>,
    pub hash_words: usize,
}

impl Loaded {
    /// Returns no rows, in the shape of an encoder's.
    pub fn empty(encoder: &EncoderRecord) -> Self {
        Self {
            stride: encoder.code_len.next_multiple_of(LANES),
            hash_words: encoder.bits.div_ceil(64),
            ..Self::default()
        }
    }

    /// Returns the number of images that were looked at.
    pub fn seen(&self) -> usize {
        self.ids.len() + self.rotten.len()
    }

    /// Returns the last number that was looked at.
    pub fn last(&self) -> Option<i64> {
        self.ids.last().max(self.rotten.last()).copied()
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

impl Reader {
    /// Loads the stored images with ids above `after` up to `last`, at most `limit` of them, those
    /// that are left out included.
    pub(crate) fn load(
        &self,
        encoder: &EncoderRecord,
        range: (i64, i64),
        limit: usize,
    ) -> Result<Loaded> {
        let mut loaded = Loaded::empty(encoder);
        self.load_more(&mut loaded, encoder, range, limit)?;
        Ok(loaded)
    }

    /// Loads more images, whose ids are above those that are loaded.
    pub(crate) fn load_more(
        &self,
        loaded: &mut Loaded,
        encoder: &EncoderRecord,
        range: (i64, i64),
        limit: usize,
    ) -> Result<()> {
        self.append(loaded, encoder, range, limit)
            .map_err(|source| self.fail(source))
    }

    fn append(
        &self,
        loaded: &mut Loaded,
        encoder: &EncoderRecord,
        (after, last): (i64, i64),
        limit: usize,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection().prepare_cached(
            "SELECT i.id, c.digest, c.code, c.hash, c.checksum
             FROM images i JOIN contents c ON c.id = i.content
             WHERE i.id > ?1 AND i.id <= ?2 ORDER BY i.id LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query((after, last, limit))?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let (code, hash) = (row.get_ref(2)?.as_blob(), row.get_ref(3)?.as_blob());
            let (true, Ok(code), Ok(hash)) = (checksum::holds(row, 1)?, code, hash) else {
                loaded.rotten.push(id);
                continue;
            };
            if code.len() != encoder.code_len * 4 || hash.len() != encoder.hash_bytes() {
                loaded.rotten.push(id);
                continue;
            }
            let (numbers, _) = code.as_chunks::<4>();
            loaded.ids.push(id);
            let numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
            loaded.codes.extend(numbers);
            let whole = loaded.ids.len() * loaded.stride;
            loaded.codes.resize(whole, 0.0);
            loaded.hashes.extend(words(hash));
        }
        Ok(())
    }
}
