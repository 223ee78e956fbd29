//! The index in a folder as a collection.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Candidate, Collection, Entry, Fetch, Near, check_batch, same_encoder};
use crate::error::Result;
use crate::filter::Filter;
use crate::fold::FoldOptions;
use crate::index::Index;
use crate::search::{Neighbour, Query, RankBy, SearchParams, SearchStats, SearchStrategy};
use crate::store::types::{
    Change, Digest, EncoderRecord, Image, ImageId, KnownPath, Label, NewContent,
};
use crate::store::writer::Writer;

/// The index in a folder behind the trait of collections. It holds the writer's lock as long as it lives.
///
/// # Examples
///
/// ```
/// use imgsearch_index::collection::{Collection, Entry, FolderCollection};
/// use imgsearch_index::{EncoderRecord, FileStat, NewContent, Query, SearchParams};
///
/// let dir = tempfile::tempdir()?;
/// let encoder = EncoderRecord {
///     fingerprint: "1b2c".into(), name: "two numbers".into(), code_len: 2, bits: 8,
///     hash_weight: 1.0, metadata: "{}".into(),
/// };
/// let collection = FolderCollection::open(dir.path(), &encoder)?;
/// let content = NewContent {
///     digest: [1; 32], width: 640, height: 480, format: "jpeg".into(), taken: None,
///     damage: None, code: vec![1.0, 0.0], hash: vec![0], labels: Vec::new(),
/// };
/// let path = "/photos/1.jpg".into();
/// collection.upsert(&[Entry { path, stat: FileStat::default(), content }])?;
/// let (found, _) = collection.search(&Query::new(&[0.9, 0.0]), &SearchParams::new(10))?;
/// assert_eq!(found.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FolderCollection {
    place: String,
    encoder: EncoderRecord,
    writer: Mutex<Writer>,
    index: Index,
}

impl FolderCollection {
    /// Opens the index in a folder, and makes one if there is none.
    ///
    /// # Errors
    ///
    /// As [`Writer::open`].
    pub fn open(dir: &Path, encoder: &EncoderRecord) -> Result<Self> {
        let writer = Writer::open(dir, encoder)?;
        let index = Index::open(dir)?;
        let stored = index.encoder().clone();
        same_encoder(&dir.to_string_lossy(), &stored, encoder)?;
        Ok(Self {
            place: dir.display().to_string(),
            encoder: stored,
            writer: Mutex::new(writer),
            index,
        })
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A batch is a transaction, so a panic leaves none half-stored.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collection for FolderCollection {
    fn place(&self) -> &str {
        &self.place
    }

    fn encoder(&self) -> &EncoderRecord {
        &self.encoder
    }

    fn upsert(&self, batch: &[Entry]) -> Result<()> {
        check_batch(&self.encoder, batch)?;
        let mut writer = self.writer();
        let reader = writer.reader()?;
        let last: HashMap<&Path, usize> = batch
            .iter()
            .enumerate()
            .map(|(i, entry)| (entry.path.as_path(), i))
            .collect();
        let mut pending: HashSet<Digest> = HashSet::new();
        let mut changes = Vec::with_capacity(batch.len());
        for (i, entry) in batch.iter().enumerate() {
            if last.get(entry.path.as_path()) != Some(&i) {
                continue;
            }
            let (path, stat) = (entry.path.clone(), entry.stat);
            let digest = entry.content.digest;
            let known = reader.has_content(&digest)?;
            changes.push(match reader.by_path(&path)? {
                Some(KnownPath::Image(image)) if known && image.digest == digest => {
                    Change::Touch { path, stat }
                }
                _ if known || !pending.insert(digest) => Change::InsertKnown { path, stat, digest },
                _ => Change::Insert {
                    path,
                    stat,
                    content: entry.content.clone(),
                },
            });
        }
        drop(reader);
        writer.apply(&changes)
    }

    fn remove(&self, ids: &[ImageId]) -> Result<usize> {
        let mut writer = self.writer();
        let reader = writer.reader()?;
        let ids: HashSet<ImageId> = ids.iter().copied().collect();
        let mut changes = Vec::new();
        for id in ids {
            if reader.image(id)?.is_some() {
                changes.push(Change::Remove { id });
            }
        }
        drop(reader);
        writer.apply(&changes)?;
        Ok(changes.len())
    }

    fn flush(&self) -> Result<()> {
        let going_on = &mut |_| ControlFlow::Continue(());
        self.writer().fold(&FoldOptions::default(), going_on)?;
        Ok(())
    }

    fn count(&self, filter: &Filter) -> Result<u64> {
        let searcher = self.index.searcher()?;
        Ok(match filter.is_empty() {
            true => searcher.len(),
            false => searcher.select(filter)?.len(),
        } as u64)
    }

    fn images(&self, ids: &[ImageId]) -> Result<Vec<Option<Image>>> {
        self.index.images(ids)
    }

    fn labels(&self, ids: &[ImageId]) -> Result<Vec<Vec<Label>>> {
        self.index.labels(ids)
    }

    fn codes(&self, ids: &[ImageId]) -> Result<Vec<Option<Candidate>>> {
        let searcher = self.index.searcher()?;
        let codes = ids.iter().map(|&id| {
            let (code, hash) = searcher.stored(id)?;
            Some(Candidate { id, code, hash })
        });
        Ok(codes.collect())
    }

    fn by_paths(&self, paths: &[PathBuf]) -> Result<Vec<Option<Image>>> {
        let reader = self.index.to_reader()?;
        let known = paths.iter().map(|path| {
            Ok(match reader.by_path(path)? {
                Some(KnownPath::Image(image)) => Some(*image),
                _ => None,
            })
        });
        known.collect()
    }

    fn content(&self, digest: &Digest) -> Result<Option<NewContent>> {
        let reader = self.index.to_reader()?;
        let Some(image) = reader.images_with(digest, 1)?.into_iter().next() else {
            return Ok(None);
        };
        let Some((code, hash)) = self.index.searcher()?.stored(image.id) else {
            return Ok(None);
        };
        Ok(Some(NewContent {
            digest: image.digest,
            width: image.width,
            height: image.height,
            format: image.format,
            taken: image.taken,
            damage: image.damage,
            code,
            hash,
            labels: reader.labels(image.id)?,
        }))
    }

    fn under(&self, path: &Path, after: Option<ImageId>, limit: usize) -> Result<Vec<Image>> {
        let mut images = self.index.to_reader()?.under(path)?;
        images.retain(|image| after.is_none_or(|after| image.id > after));
        images.sort_unstable_by_key(|image| image.id);
        images.truncate(limit);
        Ok(images)
    }

    fn labelled(&self, class: u16, limit: usize) -> Result<Vec<(ImageId, f32)>> {
        self.index.to_reader()?.labelled(class, limit)
    }

    fn candidates(&self, near: Near<'_>, how: &Fetch<'_>) -> Result<Vec<Candidate>> {
        let searcher = self.index.searcher()?;
        let nothing = vec![0.0; self.encoder.code_len];
        let (query, by) = match near {
            Near::Code(code) => (Query::new(code), RankBy::Code),
            Near::Hash(hash) => (Query::new(&nothing).hash(hash), RankBy::Hash),
        };
        let mut params = SearchParams::new(how.n).by(by).filter(how.filter.clone());
        params.ef = how.ef;
        if how.exact {
            params.strategy = SearchStrategy::Exact;
        }
        let found = searcher.search(&query, &params)?;
        let found = found.into_iter().filter_map(|found| {
            let (code, hash) = searcher.stored(found.id)?;
            let id = found.id;
            Some(Candidate { id, code, hash })
        });
        Ok(found.collect())
    }

    fn within_hamming(&self, hash: &[u8], radius: u32, limit: usize) -> Result<Vec<Neighbour>> {
        let mut found = self.index.within_hamming(hash, radius)?;
        found.truncate(limit);
        Ok(found)
    }

    fn check(&self) -> Result<Vec<String>> {
        let checked = self.index.check(&mut |_| ControlFlow::Continue(()))?;
        if checked.is_sound() {
            return Ok(Vec::new());
        }
        let mut found = checked.database.clone();
        found.extend(checked.damaged.iter().map(ToString::to_string));
        if found.is_empty() {
            found.push("images cannot be found, or codes do not match their checksums".to_owned());
        }
        Ok(found)
    }

    fn bytes(&self) -> Result<Option<u64>> {
        Ok(Some(self.index.to_reader()?.stats()?.bytes))
    }

    fn search(
        &self,
        query: &Query<'_>,
        params: &SearchParams,
    ) -> Result<(Vec<Neighbour>, SearchStats)> {
        self.index.searcher()?.explain(query, params)
    }
}
