//! Codes and hashes in memory, in the shape that a scan reads.
//!
//! Rows in the order of ids. Codes are padded with zeros to whole lanes, which changes no
//! distance; hashes are whole words.

use rusqlite::Connection;

use crate::distance::{LANES, words};
use crate::types::{EncoderRecord, ImageId};

/// Why rows cannot be loaded.
pub(crate) enum LoadError {
    Database(rusqlite::Error),
    Corrupt(String),
}

impl From<rusqlite::Error> for LoadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// All codes and hashes of an index at one instant.
#[derive(Debug, Default)]
pub(crate) struct Vectors {
    pub ids: Vec<ImageId>,
    /// Codes, `stride` numbers each.
    pub codes: Vec<f32>,
    pub stride: usize,
    /// Hashes, `hash_words` words each.
    pub hashes: Vec<u64>,
    pub hash_words: usize,
}

impl Vectors {
    pub fn load(connection: &Connection, encoder: &EncoderRecord) -> Result<Self, LoadError> {
        let mut vectors = Self {
            stride: encoder.code_len.next_multiple_of(LANES),
            hash_words: encoder.bits.div_ceil(64),
            ..Self::default()
        };
        let count: i64 =
            connection.query_row("SELECT count(*) FROM images", (), |row| row.get(0))?;
        let count = usize::try_from(count).unwrap_or(0);
        vectors.ids.reserve(count);
        vectors.codes.reserve(count * vectors.stride);
        vectors.hashes.reserve(count * vectors.hash_words);

        let mut statement = connection.prepare(
            "SELECT i.id, c.code, c.hash FROM images i JOIN contents c ON c.id = i.content ORDER BY i.id",
        )?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let id = ImageId(row.get(0)?);
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
            vectors.push(id, code, hash);
        }
        Ok(vectors)
    }

    fn push(&mut self, id: ImageId, code: &[u8], hash: &[u8]) {
        self.ids.push(id);
        let (numbers, _) = code.as_chunks::<4>();
        self.codes
            .extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        self.codes.resize(self.ids.len() * self.stride, 0.0);
        self.hashes.extend(words(hash));
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn code(&self, row: usize) -> &[f32] {
        &self.codes[row * self.stride..(row + 1) * self.stride]
    }

    pub fn hash(&self, row: usize) -> &[u64] {
        &self.hashes[row * self.hash_words..(row + 1) * self.hash_words]
    }
}
