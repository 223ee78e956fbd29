//! Mending: what rotted in the database comes back from the segments, or waits to be read again.
//!
//! A segment is a copy of the database with checksums of its own. If a stored code does not
//! match its checksum and the segment's does, the segment is right. If neither does, nobody
//! knows the code any more: the image stays, is left out of answers, and the next run of indexing
//! takes its file for a changed one.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use crate::error::Result;
use crate::segment::Segment;
use crate::store::rotten::StoredCode;
use crate::store::segments::StoredSegment;
use crate::store::types::{EncoderRecord, ImageId};
use crate::store::writer::Writer;

/// What became of stored codes that did not match their checksums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Repaired {
    /// Images whose codes came back from a segment.
    pub restored: usize,
    /// Images whose codes are lost. They are left out of answers until their files are indexed
    /// again, which the next run of indexing does.
    pub to_read: Vec<ImageId>,
}

impl Repaired {
    pub(crate) fn add(&mut self, other: Self) {
        self.restored += other.restored;
        self.to_read.extend(other.to_read);
    }
}

impl Writer {
    /// Deals with every stored code that does not match its checksum: it comes back from a segment
    /// that still has it, or its image is left out of answers until the next run of indexing reads
    /// the file again.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn repair(&mut self) -> Result<Repaired> {
        let reader = self.reader()?;
        let rotten = reader.rotten()?;
        let mut repaired = self.repair_contents(&rotten.contents)?;
        for content in rotten.waiting {
            let images = reader.images_of(content)?;
            repaired.to_read.extend(images.into_iter().map(ImageId));
        }
        Ok(repaired)
    }

    /// Does what [`Writer::repair`] does, for the contents of some images.
    pub(crate) fn repair_images(&mut self, images: &[i64]) -> Result<Repaired> {
        let contents = self.contents_of(images)?;
        self.repair_contents(&contents)
    }

    fn repair_contents(&mut self, contents: &[i64]) -> Result<Repaired> {
        if contents.is_empty() {
            return Ok(Repaired::default());
        }
        let mut copies = Copies::of(self)?;
        let outcome = self.replace_codes(contents, |image| copies.of_image(image))?;
        Ok(Repaired {
            restored: outcome.restored,
            to_read: outcome.lost,
        })
    }
}

/// Codes and hashes as the sound segments hold them.
struct Copies {
    stored: Vec<(StoredSegment, std::path::PathBuf)>,
    encoder: EncoderRecord,
    /// By number, once they were needed; none if one is of no use.
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

    /// Returns an image's code and hash, as the database would store them.
    fn of_image(&mut self, image: i64) -> Option<StoredCode> {
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
