//! Forgetting: the one place that decides whether the file of a stored image is gone for good.
//!
//! A file that is not there was deleted, or lies on a disk that is not there. It counts as deleted
//! only if the nearest folder above it that exists can be read and is the same as before, and if its
//! own folder was on the same disk as that one. A folder is the same where the walk met an image in
//! it, or below, that was stored before and has not changed; or where device, inode and birth of the
//! folder are what was recorded when images were last met in it. Otherwise the image stays, marked as
//! away, and is not judged again before its file has been met: by then another disk may stand there,
//! with other images, and be the same as at the time before.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use imgsearch_index::{FolderId, Reader, Writer};

use super::report::WhyKept;
use crate::error::Result;
use crate::indexing::walk::Walked;

/// What became of a stored image that the walk did not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its file is there, and was left out on request.
    There,
    /// Its file is there, and is no image any more.
    NoImage,
    /// Its file is there, and an ignore file leaves it out.
    Ignored,
    /// Its file is there, and the walk met it under another name.
    OtherName,
    /// Its file was deleted.
    Gone,
    /// It may still exist.
    OutOfSight(Doubt),
}

impl Fate {
    /// Whether the image is to be forgotten.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::NoImage | Self::Ignored | Self::OtherName | Self::Gone
        )
    }
}

/// Where and why it is in doubt whether a file is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Doubt {
    pub folder: PathBuf,
    pub why: WhyKept,
}

/// What is known of the places where stored images were.
#[derive(Debug)]
pub(crate) struct Grounds<'a> {
    walked: &'a Walked,
    /// Sorted.
    roots: Vec<PathBuf>,
    /// The folders as they were when images were last met in them.
    recorded: HashMap<PathBuf, FolderId>,
    /// Folders, and for each an image at or below it that was stored before and has not changed.
    met: HashMap<PathBuf, PathBuf>,
    /// The doubts about files that are missing from a folder, as far as they were looked into.
    judged: HashMap<PathBuf, Option<Doubt>>,
    /// Whether there is anything in a root, as far as it was looked into.
    shows: HashMap<PathBuf, bool>,
    /// The numbers of a disk before and now, as far as they are known.
    disks: Option<HashSet<(u64, u64)>>,
}

impl<'a> Grounds<'a> {
    /// What the index knows; `roots` are the sorted folders of which an empty one stands for a disk
    /// that is not there.
    pub fn new(reader: &Reader, walked: &'a Walked, roots: Vec<PathBuf>) -> Result<Self> {
        Ok(Self {
            walked,
            roots,
            recorded: reader.folders()?,
            met: HashMap::new(),
            judged: HashMap::new(),
            shows: HashMap::new(),
            disks: None,
        })
    }

    /// An image that was stored before, and not away, was met unchanged.
    pub fn met(&mut self, image: &Path) {
        for folder in image.ancestors().skip(1) {
            if self.met.contains_key(folder) {
                return;
            }
            self.met.insert(folder.to_owned(), image.to_owned());
        }
    }

    /// Looks again at what it has looked at: more images were met, or time has passed.
    pub fn look_again(&mut self) {
        self.judged.clear();
        self.shows.clear();
        self.disks = None;
    }

    /// What became of the image stored under a path that the walk did not meet; `away` where it was
    /// in doubt before and has not been met since.
    pub fn fate(&mut self, path: &Path, away: bool) -> Fate {
        match fs::symlink_metadata(path) {
            // The file itself says more than a folder that cannot be read.
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

    /// Whether a new file of the same content shows that the image at `path` was moved, whose file is
    /// missing. What lies outside the folders that were walked was moved only if its folder is there,
    /// and something in it.
    pub fn may_have_moved(&mut self, path: &Path, away: bool, keep_missing: bool) -> Moved {
        // What the walk met has a job of its own, though its file be gone by now.
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

    /// Whether what is missing from the folder of `path` is missing for another reason than that it
    /// was deleted, whatever the folders to be indexed show; to be asked of missing files only.
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
        // Where a folder was never recorded, as in an index of before format 3, what is met has to do.
        let is_same = self.meets(nearest)
            || match (own, then, now) {
                (Some(_), Some(then), Some(now)) => self.is_same(then, now),
                _ => false,
            };
        if !is_same {
            return doubted(nearest, WhyKept::Elsewhere);
        }
        // What lay on another disk, mounted below, may have taken its folder along.
        match (own, then.or(now)) {
            (Some(own), Some(above)) if own.device != above.device => {
                doubted(&topmost_missing_of(folder), WhyKept::Elsewhere)
            }
            _ => None,
        }
    }

    /// Whether an image that was met in a folder, or below, is still there.
    fn meets(&self, folder: &Path) -> bool {
        let image = self.met.get(folder);
        image.is_some_and(|image| fs::symlink_metadata(image).is_ok())
    }

    /// Whether a folder is the one that it was. Where the system does not tell when folders were
    /// made, another disk may have taken the place and the numbers of the one before; then something
    /// has to be met on the disk.
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

    /// Whether something was met on the disk that shows that it is the one that it was.
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

    /// Whether the walk met a file.
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

    /// The doubt about a path at or below something that cannot be read.
    fn unreadable(&self, path: &Path, otherwise: &Path) -> Doubt {
        let mut errors = self.walked.errors.iter();
        let folder = errors.find(|(folder, _)| path.starts_with(folder));
        Doubt {
            folder: folder.map_or(otherwise, |(folder, _)| folder).to_owned(),
            why: WhyKept::Unreadable,
        }
    }

    /// The outermost root that a path lies at or below.
    fn root_of(&self, path: &Path) -> Option<PathBuf> {
        self.roots
            .iter()
            .find(|root| path.starts_with(root))
            .cloned()
    }

    fn shows_anything(&mut self, root: &Path, path: &Path) -> bool {
        // Of a file that was indexed by name, the folder around it speaks.
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

    /// Records the folders in which images were met, for the judgements of later runs. `known` are
    /// stored images that were not met and stay. Where `only_new`, what is recorded stays as it is.
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
        // A folder that lost its images between the walk and now is not the one that held them.
        let now = shown.iter().filter_map(|(&folder, image)| {
            let recorded = self.recorded.get(folder);
            if only_new && recorded.is_some() {
                return None;
            }
            let id = id_at(folder)?;
            fs::symlink_metadata(image).ok()?;
            (recorded != Some(&id)).then_some((folder, id))
        });
        let mut changed: Vec<(&Path, FolderId)> = now.collect();
        if only_new {
            if !changed.is_empty() {
                writer.set_folders(changed, [])?;
            }
            return Ok(());
        }
        // A disk that has another number now has it for the folders that have gone, too.
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

    /// Goes through the folders above a path up to the root that was walked, as long as `more`.
    fn for_each_folder<'p>(&self, path: &'p Path, mut more: impl FnMut(&'p Path) -> bool) {
        for folder in path.ancestors().skip(1) {
            if !more(folder) || !self.walked.covers(folder) || self.walked.is_root(folder) {
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
    /// Once more images were met it may show.
    Perhaps,
    /// It lies outside the folders that were walked, and nothing shows that it did not stay there.
    Outside(Doubt),
}

fn doubted(folder: &Path, why: WhyKept) -> Option<Doubt> {
    Some(Doubt {
        folder: folder.to_owned(),
        why,
    })
}

/// The outermost folder above a path that is missing, or its own folder.
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

/// Whether an error says that nothing is there.
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
        // Some file systems do not tell.
        born_ns: metadata
            .created()
            .map_or(0, crate::indexing::walk::nanoseconds),
    })
}

#[cfg(not(unix))]
fn id_of(_: &Metadata) -> Option<FolderId> {
    None
}
