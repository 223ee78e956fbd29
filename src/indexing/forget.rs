//! Forgetting: the one place that decides whether the file of a stored image is gone for good.
//!
//! A file that is not there was deleted, or lies on a disk that is not mounted. It counts as deleted only if the
//! nearest existing folder above it can be read and is the same as before, and if its own folder was on the same
//! disk as that one. A folder is the same if the walk found an unchanged stored image in or below it, or if its
//! device, inode and creation time are those that were recorded when images were last found in it. Otherwise the
//! image is kept and marked as away, and it stays so until its file is found again: meanwhile another disk may be
//! mounted there, with other images, and look the same as before.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use imgsearch_index::{FolderId, Reader, Writer};

use super::report::WhyKept;
use crate::error::Result;
use crate::indexing::walk::Walked;

/// What happened to a stored image that the walk did not find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its file exists, and an option left it out.
    There,
    /// Its file exists, and is not an image any more.
    NoImage,
    /// Its file exists, and an ignore file leaves it out.
    Ignored,
    /// Its file exists, and the walk found it under another name.
    OtherName,
    /// Its file was deleted.
    Gone,
    /// Its file may still exist.
    OutOfSight(Doubt),
}

impl Fate {
    /// Returns whether the image is to be forgotten.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::NoImage | Self::Ignored | Self::OtherName | Self::Gone
        )
    }
}

/// A folder in doubt, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Doubt {
    pub folder: PathBuf,
    pub why: WhyKept,
}

/// The evidence about the folders of stored images.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    walked: &'a Walked,
    /// Sorted.
    roots: Vec<PathBuf>,
    /// Whether only a part of the roots was walked.
    is_part: bool,
    /// The folders as they were when images were last found in them.
    recorded: HashMap<PathBuf, FolderId>,
    /// Folders, each with an unchanged stored image in or below it.
    met: HashMap<PathBuf, PathBuf>,
    /// Cached: the doubts about files that are missing from a folder.
    judged: HashMap<PathBuf, Option<Doubt>>,
    /// Cached: whether a root holds anything.
    shows: HashMap<PathBuf, bool>,
    /// Cached: pairs of a disk's number before and now.
    disks: Option<HashSet<(u64, u64)>>,
}

impl<'a> Evidence<'a> {
    /// Loads what the index knows. `roots` are sorted folders; an empty one means that a disk is not mounted.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub fn new(reader: &Reader, walked: &'a Walked, roots: Vec<PathBuf>) -> Result<Self> {
        Ok(Self {
            walked,
            is_part: false,
            roots,
            recorded: reader.folders()?,
            met: HashMap::new(),
            judged: HashMap::new(),
            shows: HashMap::new(),
            disks: None,
        })
    }

    /// Loads what the index knows, for a walk of a part of the sorted folders `within`, or of everything.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub fn of_part(
        reader: &Reader,
        walked: &'a Walked,
        within: Option<&[PathBuf]>,
    ) -> Result<Self> {
        let roots = within.unwrap_or(&walked.roots).to_vec();
        Ok(Self {
            is_part: within.is_some(),
            ..Self::new(reader, walked, roots)?
        })
    }

    /// Records that the walk found a stored image unchanged, which was not away.
    pub fn met(&mut self, image: &Path) {
        for folder in image.ancestors().skip(1) {
            if self.met.contains_key(folder) {
                return;
            }
            self.met.insert(folder.to_owned(), image.to_owned());
        }
    }

    /// Clears the caches, because more images were found or time has passed.
    pub fn forget_answers(&mut self) {
        self.judged.clear();
        self.shows.clear();
        self.disks = None;
    }

    /// Returns what happened to an image that the walk did not find. `away` says that it was in doubt before and
    /// has not been found since.
    pub fn fate(&mut self, path: &Path, away: bool) -> Fate {
        match fs::symlink_metadata(path) {
            // The file itself is better evidence than an unreadable folder.
            Ok(metadata) if metadata.is_dir() || self.is_other(path) => return Fate::NoImage,
            Ok(_) if self.walked.is_ignored(path) => return Fate::Ignored,
            Ok(_) if self.walked.is_second_name(path) => return Fate::OtherName,
            Err(error) if !is_missing(&error) => {
                return Fate::OutOfSight(self.unreadable(path, path.parent().unwrap_or(path)));
            }
            there => {
                if self.is_unreadable(path) {
                    return Fate::OutOfSight(self.unreadable(path, path));
                }
                if there.is_ok() {
                    return Fate::There;
                }
            }
        }
        if let Some(root) = self.root_of(path)
            && !self.shows_anything(&root, path)
        {
            return Fate::OutOfSight(Doubt {
                folder: root,
                why: WhyKept::Empty,
            });
        }
        match self.doubt(path) {
            Some(doubt) => Fate::OutOfSight(doubt),
            None if away => Fate::OutOfSight(Doubt {
                folder: topmost_missing(path),
                why: WhyKept::Unseen,
            }),
            None => Fate::Gone,
        }
    }

    /// Returns whether a new file of the same content shows that the missing image at `path` was moved. Outside the
    /// walked folders, that is only so if its folder exists and is not empty.
    pub fn may_have_moved(&mut self, path: &Path, away: bool, keep_missing: bool) -> Moved {
        // A file that the walk found has its own job, even if it is gone by now.
        if self.was_met(path)
            || !matches!(fs::symlink_metadata(path), Err(error) if is_missing(&error))
        {
            return Moved::No;
        }
        if self.walked.covers(path) {
            return match self.fate(path, away) {
                Fate::Gone => Moved::Yes,
                Fate::OutOfSight(Doubt {
                    why: WhyKept::Elsewhere,
                    ..
                }) if !away => Moved::Perhaps,
                _ => Moved::No,
            };
        }
        let folder = path.parent().unwrap_or(path);
        let stands = !keep_missing && !away && holds_anything(folder) && self.doubt(path).is_none();
        if stands {
            return Moved::Yes;
        }
        Moved::Outside(Doubt {
            folder: topmost_missing(path),
            why: WhyKept::NotWalked,
        })
    }

    /// Returns the doubt, if there is one, that a missing file was deleted from the folder of `path`, whatever the
    /// indexed folders hold.
    pub fn doubt(&mut self, path: &Path) -> Option<Doubt> {
        let folder = path.parent().unwrap_or(path);
        if let Some(doubt) = self.judged.get(folder) {
            return doubt.clone();
        }
        let doubt = self.judge(folder);
        self.judged.insert(folder.to_owned(), doubt.clone());
        doubt
    }

    fn judge(&mut self, folder: &Path) -> Option<Doubt> {
        let mut nearest = None;
        for place in folder.ancestors() {
            match fs::metadata(place) {
                Ok(metadata) if metadata.is_dir() => {
                    nearest = Some((place, metadata));
                    break;
                }
                Ok(_) => {}
                Err(error) if is_missing(&error) => {}
                Err(_) => return doubted(place, WhyKept::Unreadable),
            }
        }
        let Some((nearest, metadata)) = nearest else {
            return doubted(folder, WhyKept::Elsewhere);
        };
        if fs::read_dir(nearest).is_err() {
            return doubted(nearest, WhyKept::Unreadable);
        }
        let now = id_of(&metadata);
        let then = self.recorded.get(nearest).copied();
        let own = self.recorded.get(folder).copied();
        // Folders of an index before format 3 were not recorded; there, only the images that were found count.
        let is_same = self.meets(nearest)
            || match (own, then, now) {
                (Some(_), Some(then), Some(now)) => self.is_same(then, now),
                _ => false,
            };
        if !is_same {
            return doubted(nearest, WhyKept::Elsewhere);
        }
        // The folder may have been on another disk, mounted below.
        match (own, then.or(now)) {
            (Some(own), Some(above)) if own.device != above.device => {
                doubted(&topmost_missing_of(folder), WhyKept::Elsewhere)
            }
            _ => None,
        }
    }

    /// Returns whether an image that was found in or below a folder still exists.
    fn meets(&self, folder: &Path) -> bool {
        let image = self.met.get(folder);
        image.is_some_and(|image| fs::symlink_metadata(image).is_ok())
    }

    /// Returns whether a folder is the same as before. On a system without creation times, another disk may have
    /// taken the place and the numbers of the first; then an image must have been found on the disk.
    fn is_same(&mut self, then: FolderId, now: FolderId) -> bool {
        let births_known = then.born_ns != 0 && now.born_ns != 0;
        let same_births = births_known && then.born_ns == now.born_ns;
        then.inode == now.inode
            && if births_known {
                same_births && (then.device == now.device || self.is_same_disk(then, now))
            } else {
                self.is_same_disk(then, now)
            }
    }

    /// Returns whether an image was found that shows that the disk is the same.
    fn is_same_disk(&mut self, then: FolderId, now: FolderId) -> bool {
        let disks = self.disks.get_or_insert_with(|| {
            let pairs = self.met.iter().filter_map(|(folder, image)| {
                let then = self.recorded.get(folder)?;
                let now = id_at(folder).filter(|now| now.inode == then.inode)?;
                fs::symlink_metadata(image).ok()?;
                Some((then.device, now.device))
            });
            pairs.collect()
        });
        disks.contains(&(then.device, now.device))
    }

    /// Returns whether the walk found a file.
    pub fn was_met(&self, path: &Path) -> bool {
        let candidates = &self.walked.candidates;
        candidates
            .binary_search_by(|candidate| candidate.path.as_path().cmp(path))
            .is_ok()
    }

    fn is_other(&self, path: &Path) -> bool {
        let others = &self.walked.others;
        others
            .binary_search_by(|other| other.as_path().cmp(path))
            .is_ok()
    }

    fn is_unreadable(&self, path: &Path) -> bool {
        self.walked
            .errors
            .iter()
            .any(|(folder, _)| path.starts_with(folder))
    }

    /// Returns the doubt about a path in or below something unreadable.
    fn unreadable(&self, path: &Path, otherwise: &Path) -> Doubt {
        let mut errors = self.walked.errors.iter();
        let folder = errors.find(|(folder, _)| path.starts_with(folder));
        Doubt {
            folder: folder.map_or(otherwise, |(folder, _)| folder).to_owned(),
            why: WhyKept::Unreadable,
        }
    }

    /// Returns the outermost root of a path.
    fn root_of(&self, path: &Path) -> Option<PathBuf> {
        self.roots
            .iter()
            .find(|root| path.starts_with(root))
            .cloned()
    }

    fn shows_anything(&mut self, root: &Path, path: &Path) -> bool {
        // For a file that was indexed by name, the folder around it counts.
        let folder = if root == path {
            root.parent().unwrap_or(root)
        } else {
            root
        };
        if let Some(&shows) = self.shows.get(folder) {
            return shows;
        }
        let shows = holds_anything(folder);
        self.shows.insert(folder.to_owned(), shows);
        shows
    }

    /// Records the folders in which images were found, as evidence for later runs. `known` are stored images that
    /// were not found and are kept. With `only_new`, existing records stay as they are. They also stay for a folder
    /// of which only a part was walked: its other images may be those of another disk.
    ///
    /// # Errors
    ///
    /// If the index cannot be written.
    pub fn record<'p>(
        &self,
        writer: &mut Writer,
        known: impl Iterator<Item = &'p Path>,
        only_new: bool,
    ) -> Result<()> {
        let mut shown: HashMap<&Path, &Path> = HashMap::new();
        for candidate in &self.walked.candidates {
            self.for_each_folder(&candidate.path, |folder| {
                let new = !shown.contains_key(folder);
                if new {
                    shown.insert(folder, &candidate.path);
                }
                new
            });
        }
        let reader = writer.reader()?;
        let mut changed: Vec<(&Path, FolderId)> = Vec::new();
        for (&folder, image) in &shown {
            let recorded = self.recorded.get(folder);
            let is_known = recorded.is_some() && only_new;
            if is_known || !self.speaks_for(folder, &reader)? {
                continue;
            }
            // A folder that lost its images since the walk is not the one that held them.
            let id = id_at(folder).filter(|_| fs::symlink_metadata(image).is_ok());
            changed.extend(id.filter(|id| recorded != Some(id)).map(|id| (folder, id)));
        }
        if only_new {
            if !changed.is_empty() {
                writer.set_folders(changed, [])?;
            }
            return Ok(());
        }
        // If a disk has another number now, the folders on it that are gone have it, too.
        let renumbered: HashMap<u64, u64> = changed
            .iter()
            .filter_map(|(folder, id)| {
                let then = self.recorded.get(*folder)?;
                (then.inode == id.inode && then.device != id.device)
                    .then_some((then.device, id.device))
            })
            .collect();
        let mut needed: HashSet<&Path> = HashSet::new();
        for path in known {
            self.for_each_folder(path, |folder| needed.insert(folder));
        }
        let mut forgotten = Vec::new();
        for (folder, id) in &self.recorded {
            if shown.contains_key(folder.as_path()) {
                continue;
            }
            if self.walked.covers(folder) && !needed.contains(folder.as_path()) {
                forgotten.push(folder.as_path());
            } else if let Some(&device) = renumbered.get(&id.device) {
                changed.push((folder, FolderId { device, ..*id }));
            }
        }
        if !changed.is_empty() || !forgotten.is_empty() {
            writer.set_folders(changed, forgotten)?;
        }
        Ok(())
    }

    /// Returns whether the walk shows which folder stands at a path. If only a part of it was walked, stored images
    /// in the rest may have been in another one.
    fn speaks_for(&self, folder: &Path, reader: &Reader) -> Result<bool> {
        if !self.is_part || self.walked.covers(folder) {
            return Ok(true);
        }
        if self.recorded.contains_key(folder) {
            return Ok(false);
        }
        let limit = self.walked.candidates.len() + 1;
        let other = reader.find_under(folder, limit, |image| !self.was_met(&image.path))?;
        Ok(other.is_none())
    }

    /// Calls `more` for each folder above a path, up to the walked root, until it returns false.
    fn for_each_folder<'p>(&self, path: &'p Path, mut more: impl FnMut(&'p Path) -> bool) {
        for folder in path.ancestors().skip(1) {
            let after = self.roots.partition_point(|root| root.as_path() <= folder);
            let root = self.roots[..after].last();
            let is_inside = root.is_some_and(|root| folder.starts_with(root) && folder != root);
            if !more(folder) || !is_inside {
                return;
            }
        }
    }
}

/// Whether a missing image was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Moved {
    Yes,
    No,
    /// It may show when more images are found.
    Perhaps,
    /// The image lies outside the walked folders, and nothing shows that it is gone from there.
    Outside(Doubt),
}

fn doubted(folder: &Path, why: WhyKept) -> Option<Doubt> {
    Some(Doubt {
        folder: folder.to_owned(),
        why,
    })
}

/// Returns the outermost missing folder above a path, or its own folder.
fn topmost_missing(path: &Path) -> PathBuf {
    topmost_missing_of(path.parent().unwrap_or(path))
}

fn topmost_missing_of(folder: &Path) -> PathBuf {
    let missing = folder.ancestors().take_while(|place| !place.is_dir());
    missing.last().unwrap_or(folder).to_owned()
}

fn holds_anything(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// Returns whether an error means that nothing is there.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn id_at(folder: &Path) -> Option<FolderId> {
    let metadata = fs::metadata(folder).ok()?;
    metadata.is_dir().then(|| id_of(&metadata)).flatten()
}

#[cfg(unix)]
fn id_of(metadata: &Metadata) -> Option<FolderId> {
    use std::os::unix::fs::MetadataExt;
    Some(FolderId {
        device: metadata.dev(),
        inode: metadata.ino(),
        // Some file systems have no creation times.
        born_ns: metadata
            .created()
            .map_or(0, crate::indexing::walk::nanoseconds),
    })
}

#[cfg(not(unix))]
fn id_of(_: &Metadata) -> Option<FolderId> {
    None
}
