//! Mending: what rotted in the database comes back from the segments, or waits to be read again.
//!
//! A segment is a copy of the database with checksums of its own. Where a stored code does not
//! match its checksum and the segment's does, the segment is right. Where neither does, nobody
//! knows the code any more: the image stays, is left out of answers, and the next run of indexing
//! takes its file for a changed one.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::segment::Segment;
use crate::store::change::set_aside;
use crate::store::checksum;
use crate::store::segments::StoredSegment;
use crate::store::types::{EncoderRecord, ImageId};
use crate::store::writer::Writer;

/// What became of stored codes that did not match their checksums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mended {
    /// Images whose codes came back from a segment.
    pub restored: usize,
    /// Images whose codes are lost. They are left out of answers until their files are indexed
    /// again, which the next run of indexing does.
    pub to_read: Vec<ImageId>,
}

impl Mended {
    pub(crate) fn add(&mut self, other: Self) {
        self.restored += other.restored;
        self.to_read.extend(other.to_read);
    }
}

/// Contents that do not match their checksums.
#[derive(Debug, Default)]
pub(crate) struct Rotten {
    /// Those that nobody has dealt with yet.
    pub contents: Vec<i64>,
    /// Those that wait for their files to be read again.
    pub waiting: Vec<i64>,
}

impl Rotten {
    /// Looks at every content.
    pub fn find(connection: &Connection) -> rusqlite::Result<Self> {
        let mut rotten = Self::default();
        let mut statement =
            connection.prepare("SELECT id, digest, code, hash, checksum FROM contents")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            if checksum::holds(row, 1)? {
                continue;
            }
            let waits = row.get::<_, Option<i64>>(4)?.is_none();
            let list = if waits {
                &mut rotten.waiting
            } else {
                &mut rotten.contents
            };
            list.push(row.get(0)?);
        }
        Ok(rotten)
    }
}

/// The images of a content.
pub(crate) fn images_of(connection: &Connection, content: i64) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached("SELECT id FROM images WHERE content = ?1 ORDER BY id")?
        .query_map([content], |row| row.get(0))?
        .collect()
}

impl Writer {
    /// Deals with every stored code that does not match its checksum: it comes back from a segment
    /// that still has it, or its image is left out of answers until the next run of indexing reads
    /// the file again.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn mend(&mut self) -> Result<Mended> {
        let rotten = Rotten::find(&self.connection).map_err(|source| self.fail(source))?;
        let mut mended = self.mend_contents(&rotten.contents)?;
        for content in rotten.waiting {
            let images =
                images_of(&self.connection, content).map_err(|source| self.fail(source))?;
            mended.to_read.extend(images.into_iter().map(ImageId));
        }
        Ok(mended)
    }

    /// As [`Writer::mend`], for the contents of some images.
    pub(crate) fn mend_images(&mut self, images: &[i64]) -> Result<Mended> {
        let fail = |source| Error::database(self.dir(), source);
        let mut contents = Vec::new();
        for image in images {
            let content: Option<i64> = self
                .connection
                .query_row("SELECT content FROM images WHERE id = ?1", [image], |row| {
                    row.get(0)
                })
                .optional()
                .map_err(fail)?;
            contents.extend(content);
        }
        contents.sort_unstable();
        contents.dedup();
        self.mend_contents(&contents)
    }

    fn mend_contents(&mut self, contents: &[i64]) -> Result<Mended> {
        let mut mended = Mended::default();
        if contents.is_empty() {
            return Ok(mended);
        }
        let mut copies = Copies::of(self)?;
        let dir = self.dir().to_owned();
        let fail = |source| Error::database(&dir, source);
        let transaction = self.connection.transaction().map_err(fail)?;
        for &content in contents {
            let images = images_of(&transaction, content).map_err(fail)?;
            let (digest, sum): (Vec<u8>, Option<i64>) = transaction
                .query_row(
                    "SELECT digest, checksum FROM contents WHERE id = ?1",
                    [content],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .map_err(fail)?;
            let copy = images.iter().find_map(|&image| {
                let (code, hash) = copies.of_image(image)?;
                (sum == Some(checksum::of(&digest, &code, &hash))).then_some((code, hash))
            });
            if let Some((code, hash)) = copy {
                transaction
                    .execute(
                        "UPDATE contents SET code = ?2, hash = ?3 WHERE id = ?1",
                        params![content, code, hash],
                    )
                    .map_err(fail)?;
                mended.restored += images.len();
            } else {
                set_aside(&transaction, content).map_err(fail)?;
                mended.to_read.extend(images.into_iter().map(ImageId));
            }
        }
        transaction
            .execute("UPDATE generation SET number = number + 1", ())
            .map_err(fail)?;
        transaction.commit().map_err(fail)?;
        Ok(mended)
    }

    fn fail(&self, source: rusqlite::Error) -> Error {
        Error::database(self.dir(), source)
    }
}

/// Codes and hashes as the sound segments hold them.
struct Copies {
    stored: Vec<(StoredSegment, std::path::PathBuf)>,
    encoder: EncoderRecord,
    /// By number, once they were needed; none where one is of no use.
    open: HashMap<i64, Option<Arc<Segment>>>,
}

impl Copies {
    fn of(writer: &Writer) -> Result<Self> {
        let stored = writer.reader()?.segments()?.into_iter();
        Ok(Self {
            stored: stored
                .map(|stored| {
                    let path = stored.path(writer.dir());
                    (stored, path)
                })
                .collect(),
            encoder: writer.encoder().clone(),
            open: HashMap::new(),
        })
    }

    /// An image's code and hash, as the database would store them.
    fn of_image(&mut self, image: i64) -> Option<(Vec<u8>, Vec<u8>)> {
        let Self {
            stored,
            encoder,
            open,
        } = self;
        let (stored, path) = stored
            .iter()
            .find(|(stored, _)| (stored.first..=stored.last).contains(&image))?;
        let segment = open.entry(stored.number).or_insert_with(|| {
            let opened = Segment::open(path, &stored.verified).and_then(|segment| {
                segment.verify()?;
                Ok(segment)
            });
            match opened {
                Ok(segment) => segment.fits(encoder).then_some(segment),
                Err(error) => {
                    tracing::debug!(%error, "nothing can be restored from a segment");
                    None
                }
            }
        });
        let rows = segment.as_ref()?.rows();
        let row = rows.ids.binary_search(&image).ok()?;
        let code = &rows.code(row)[..encoder.code_len];
        let mut hash: Vec<u8> = rows
            .hash(row)
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        hash.truncate(encoder.hash_bytes());
        Some((
            code.iter()
                .flat_map(|number| number.to_le_bytes())
                .collect(),
            hash,
        ))
    }
}
