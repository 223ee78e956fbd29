//! What many machines ask of one collection, whichever engine holds it.
//!
//! [`Collection`] is small on purpose: batches are stored and removed, images are looked up, and candidates for a
//! query are fetched with their codes and hashes. How these are ranked, mixed and cut to `k` is the same for every
//! engine (`ranked.rs`), so that an engine answers as the index in a folder does.
//!
//! [`FolderCollection`] is the index in a folder behind this trait. Servers are in the crate `imgsearch-engines`. All
//! of them pass the same tests.

mod folder;
pub(crate) mod ranked;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::search::{Neighbour, Query, RankBy, SearchParams, SearchStats};
use crate::store::types::{Digest, EncoderRecord, FileStat, Image, ImageId, Label, NewContent};

pub use crate::store::path::{below, from_bytes, to_bytes};
pub use folder::FolderCollection;

/// An image to be stored: where its file is, and what is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Absolute path of its file.
    pub path: PathBuf,
    /// Size and date of the file.
    pub stat: FileStat,
    /// What is in it.
    pub content: NewContent,
}

/// An image that may be among the nearest, with what it is ranked by.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The image.
    pub id: ImageId,
    /// Its code.
    pub code: Vec<f32>,
    /// Its packed hash.
    pub hash: Vec<u8>,
}

/// What candidates are wanted for: the nearest by code or by hash.
#[derive(Debug, Clone, Copy)]
pub enum Near<'a> {
    /// By the Euclidean distance from this code.
    Code(&'a [f32]),
    /// By the number of bits that differ from this packed hash.
    Hash(&'a [u8]),
}

/// How candidates are found.
#[derive(Debug, Clone, Copy)]
pub struct Fetch<'a> {
    /// How many, at least 1.
    pub n: usize,
    /// Candidates that a search along a graph keeps in view; the engine's own number if `None`.
    pub ef: Option<usize>,
    /// Whether nothing may be missed.
    pub exact: bool,
    /// Which images may be found.
    pub filter: &'a Filter,
}

/// A collection of images that many programs may search and change at once.
///
/// Everything that changes it may be repeated: an image is named by its path and its content, and storing it again
/// changes nothing. So a batch whose outcome is unknown, because a connection broke, is sent again.
///
/// # Errors
///
/// Every method fails if the engine cannot be reached ([`Error::Unreachable`]) or refuses
/// ([`Error::Engine`]). What a failed method was to change is changed wholly or not at all, batch by batch.
pub trait Collection: Send + Sync + std::fmt::Debug {
    /// Returns where the collection is, for people. It names no password.
    fn place(&self) -> &str;

    /// Returns the encoder that made the stored codes.
    fn encoder(&self) -> &EncoderRecord;

    /// Stores a batch. Each entry replaces what is stored under its path; of several with one path, the last counts.
    fn upsert(&self, batch: &[Entry]) -> Result<()>;

    /// Forgets images. Returns the number of those that were stored.
    fn remove(&self, ids: &[ImageId]) -> Result<usize>;

    /// Makes everything that was stored before visible to searches from anywhere, and fast to search.
    fn flush(&self) -> Result<()>;

    /// Returns the number of images that meet a filter.
    fn count(&self, filter: &Filter) -> Result<u64>;

    /// Returns images, in the order of their ids as given; `None` for those that are not stored.
    fn images(&self, ids: &[ImageId]) -> Result<Vec<Option<Image>>>;

    /// Returns the labels of images, in the order of their ids as given, each with the most likely first.
    fn labels(&self, ids: &[ImageId]) -> Result<Vec<Vec<Label>>>;

    /// Returns codes and hashes, in the order of the ids as given.
    fn codes(&self, ids: &[ImageId]) -> Result<Vec<Option<Candidate>>>;

    /// Returns what is stored under paths, in their order.
    fn by_paths(&self, paths: &[PathBuf]) -> Result<Vec<Option<Image>>>;

    /// Returns a stored content, so that another file that holds it need not be encoded.
    fn content(&self, digest: &Digest) -> Result<Option<NewContent>>;

    /// Returns at most `limit` images at and below a path, in the order of their ids; of those with an id above
    /// `after` if one is given.
    fn under(&self, path: &Path, after: Option<ImageId>, limit: usize) -> Result<Vec<Image>>;

    /// Returns at most `limit` images that show a class, the most likely first.
    fn labelled(&self, class: u16, limit: usize) -> Result<Vec<(ImageId, f32)>>;

    /// Returns the nearest images, in any order.
    fn candidates(&self, near: Near<'_>, how: &Fetch<'_>) -> Result<Vec<Candidate>>;

    /// Returns the images whose hashes differ in at most `radius` bits, in the order of (bits, id), but no more than
    /// `limit`.
    fn within_hamming(&self, hash: &[u8], radius: u32, limit: usize) -> Result<Vec<Neighbour>>;

    /// Returns what is wrong with the collection, in sentences for people; nothing if it is sound.
    fn check(&self) -> Result<Vec<String>>;

    /// Returns the bytes that the collection takes at its engine, if the engine says it.
    fn bytes(&self) -> Result<Option<u64>>;

    /// Returns the nearest images that meet the filter, within the radius, in the order of (distance, id), and how
    /// they were found.
    fn search(
        &self,
        query: &Query<'_>,
        params: &SearchParams,
    ) -> Result<(Vec<Neighbour>, SearchStats)> {
        ranked::search(self, query, params)
    }

    /// Returns an error unless codes of an encoder can be compared with the stored ones.
    fn check_encoder(&self, given: &EncoderRecord) -> Result<()> {
        same_encoder(self.place(), self.encoder(), given)
    }
}

/// Returns an error unless two encoders are one.
///
/// # Errors
///
/// [`Error::EncoderMismatch`].
pub fn same_encoder(place: &str, stored: &EncoderRecord, given: &EncoderRecord) -> Result<()> {
    if stored.fingerprint == given.fingerprint
        && (stored.code_len, stored.bits) == (given.code_len, given.bits)
    {
        return Ok(());
    }
    Err(Error::EncoderMismatch {
        dir: place.into(),
        made_by: stored.name.clone(),
        made_by_fingerprint: stored.fingerprint.clone(),
        given: given.name.clone(),
        given_fingerprint: given.fingerprint.clone(),
    })
}

/// Returns an error unless each entry of a batch can be stored.
///
/// # Errors
///
/// [`Error::InvalidInput`] for a code or hash of another length, and a number that is not finite.
pub fn check_batch(encoder: &EncoderRecord, batch: &[Entry]) -> Result<()> {
    for entry in batch {
        let content = &entry.content;
        let wrong = if content.code.len() != encoder.code_len {
            format!(
                "a code of {} numbers was given, and the collection holds codes of {}",
                content.code.len(),
                encoder.code_len
            )
        } else if content.hash.len() != encoder.hash_bytes() {
            format!(
                "a hash of {} bytes was given, and the collection holds hashes of {}",
                content.hash.len(),
                encoder.hash_bytes()
            )
        } else if !content.code.iter().all(|number| number.is_finite()) {
            "a code holds a number that is not finite".to_owned()
        } else {
            continue;
        };
        return Err(Error::InvalidInput(format!(
            "{}: {wrong}",
            entry.path.display()
        )));
    }
    Ok(())
}

/// Returns what a query of a ranking needs of its candidates.
fn is_by_hash(by: RankBy) -> bool {
    by != RankBy::Code
}
