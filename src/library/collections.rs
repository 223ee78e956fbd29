//! Collections: indexes with names.
//!
//! Owns the folder `collections` in the user's data folder. The index of a collection is the folder of its name in
//! there. Indexes that lie elsewhere have their names in [`NAMES`], a JSON object from name to path.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use imgsearch_index::Index;

use super::encoder_copy;
use super::places::default_dir;
use super::save::save;
use crate::error::{Error, Result};

/// The name of the index that commands use if none is named. No collection can have it.
pub const DEFAULT_NAME: &str = "default";

/// The file with the names of indexes that lie elsewhere.
const NAMES: &str = "names.json";

/// Characters of a name at most.
const MAX_NAME: usize = 64;

/// An index with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collection {
    /// The name.
    pub name: String,
    /// The folder of the index.
    pub dir: PathBuf,
    /// Whether the index lies elsewhere than in the user's data folder.
    pub elsewhere: bool,
}

/// The collections of a user.
///
/// # Examples
///
/// ```no_run
/// use imgsearch::{Collections, Library};
///
/// let dir = Collections::of_user()?.locate("holiday")?;
/// let mut library = Library::open_or_create(dir)?;
/// library.index(["photos/holiday"])?;
/// # Ok::<(), imgsearch::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Collections {
    folder: PathBuf,
}

impl Collections {
    /// Returns the collections in the user's data folder.
    ///
    /// # Errors
    ///
    /// [`Error::NoDataFolder`].
    pub fn of_user() -> Result<Self> {
        Ok(Self::in_folder(default_dir()?.join("collections")))
    }

    /// Returns the collections in a folder, which need not exist yet.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Returns the folder of the collections.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns all collections, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the folder or the file of names cannot be read.
    pub fn list(&self) -> Result<Vec<Collection>> {
        let mut all: BTreeMap<String, Collection> = BTreeMap::new();
        for (name, dir) in self.elsewhere()? {
            let collection = Collection {
                name: name.clone(),
                dir,
                elsewhere: true,
            };
            all.insert(name, collection);
        }
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(all.into_values().collect());
            }
            Err(error) => return Err(Error::io("list", &self.folder, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| Error::io("list", &self.folder, error))?;
            let name = entry.file_name();
            if let Some(name) = name.to_str().filter(|name| why_not(name).is_none())
                && let Some(collection) = self.own(name)
            {
                all.insert(name.to_owned(), collection);
            }
        }
        Ok(all.into_values().collect())
    }

    /// Returns the collection of a name.
    ///
    /// # Errors
    ///
    /// As [`Collections::list`].
    pub fn find(&self, name: &str) -> Result<Option<Collection>> {
        if why_not(name).is_some() {
            return Ok(None);
        }
        if let Some(own) = self.own(name) {
            return Ok(Some(own));
        }
        let dir = self.elsewhere()?.remove(name);
        Ok(dir.map(|dir| Collection {
            name: name.to_owned(),
            dir,
            elsewhere: true,
        }))
    }

    /// Names an index that lies elsewhere. A relative `dir` lies in the current folder.
    ///
    /// # Errors
    ///
    /// [`Error::BadCollectionName`], [`Error::CollectionExists`]; if no index lies in `dir`
    /// ([`imgsearch_index::Error::IndexNotFound`]), or its path is no text ([`Error::Io`]); if the name cannot be
    /// stored.
    pub fn add(&self, name: &str, dir: &Path) -> Result<Collection> {
        if let Some(reason) = why_not(name) {
            return Err(Error::BadCollectionName {
                name: name.to_owned(),
                reason,
            });
        }
        if let Some(there) = self.find(name)? {
            return Err(Error::CollectionExists {
                name: name.to_owned(),
                dir: there.dir,
            });
        }
        let dir = std::path::absolute(dir).map_err(|error| Error::io("find", dir, error))?;
        if !Index::lies_in(&dir) {
            return Err(imgsearch_index::Error::IndexNotFound { dir }.into());
        }
        let mut names = self.elsewhere()?;
        names.insert(name.to_owned(), dir.clone());
        self.store(&names)?;
        Ok(Collection {
            name: name.to_owned(),
            dir,
            elsewhere: true,
        })
    }

    /// Forgets the name of an index that lies elsewhere. The index stays.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchCollection`] if no index elsewhere has this name; if the names cannot be stored.
    pub fn forget(&self, name: &str) -> Result<()> {
        let mut names = self.elsewhere()?;
        if names.remove(name).is_none() {
            return Err(self.unknown(name));
        }
        self.store(&names)
    }

    /// Deletes the index of a collection, wherever it lies, and its name. The images themselves are never touched.
    /// Returns what else lies in the folder of the index, and stays.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchCollection`], and those of [`Index::delete`]. The name is then still there.
    pub fn delete(&self, name: &str) -> Result<Vec<PathBuf>> {
        let Some(collection) = self.find(name)? else {
            return Err(self.unknown(name));
        };
        let mut left = Index::delete(&collection.dir)?;
        if !left.is_empty() {
            encoder_copy::remove_all(&collection.dir)?;
            #[cfg(feature = "train")]
            crate::documents::delete(&collection.dir)?;
            // Again, because the copies of encoders were in the way.
            left = Index::delete(&collection.dir)?;
        }
        if collection.elsewhere {
            self.forget(name)?;
        }
        Ok(left)
    }

    /// Returns the folder of the index that was named, by its name or path:
    ///
    /// 1. What has a separator in it, or is no name of a collection, is a path.
    /// 2. [`DEFAULT_NAME`] is [`default_dir`], unless an index lies in a folder of this name here.
    /// 3. The name of a collection is its index.
    /// 4. A folder of this name here, if an index lies in it or it is empty, is that folder.
    /// 5. Everything else is the name of a collection that does not exist yet: it would lie in the data folder.
    ///
    /// # Errors
    ///
    /// [`Error::AmbiguousIndex`] if a name is that of a collection and of another index here; as
    /// [`Collections::list`].
    pub fn locate(&self, named: impl AsRef<Path>) -> Result<PathBuf> {
        let named = named.as_ref();
        let mut parts = named.components();
        let only = (parts.next(), parts.next());
        let ends_in_separator = named
            .as_os_str()
            .as_encoded_bytes()
            .last()
            .is_some_and(|&byte| std::path::is_separator(char::from(byte)));
        let name = match only {
            (Some(Component::Normal(name)), None) if !ends_in_separator => name.to_str(),
            _ => None,
        };
        let Some(name) = name else {
            return Ok(named.to_owned());
        };
        if name == DEFAULT_NAME && !Index::lies_in(named) {
            return default_dir();
        }
        if why_not(name).is_some() {
            return Ok(named.to_owned());
        }
        if let Some(collection) = self.find(name)? {
            if Index::lies_in(named)
                && !same_file::is_same_file(named, &collection.dir).unwrap_or(false)
            {
                return Err(Error::AmbiguousIndex {
                    name: name.to_owned(),
                    dir: collection.dir,
                });
            }
            return Ok(collection.dir);
        }
        let is_empty = || fs::read_dir(named).is_ok_and(|mut entries| entries.next().is_none());
        // A file of that name is an error for whoever opens it as an index, with its path.
        if Index::lies_in(named) || named.is_file() || is_empty() {
            return Ok(named.to_owned());
        }
        Ok(self.folder.join(name))
    }

    /// Returns the collection of this name in the data folder, if an index lies there.
    fn own(&self, name: &str) -> Option<Collection> {
        let dir = self.folder.join(name);
        Index::lies_in(&dir).then(|| Collection {
            name: name.to_owned(),
            dir,
            elsewhere: false,
        })
    }

    fn unknown(&self, name: &str) -> Error {
        Error::NoSuchCollection {
            name: name.to_owned(),
        }
    }

    fn elsewhere(&self) -> Result<BTreeMap<String, PathBuf>> {
        let path = self.folder.join(NAMES);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Error::io("read", &path, io::Error::other(error))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(Error::io("read", &path, error)),
        }
    }

    fn store(&self, names: &BTreeMap<String, PathBuf>) -> Result<()> {
        let path = self.folder.join(NAMES);
        fs::create_dir_all(&self.folder).map_err(|error| Error::io("make", &self.folder, error))?;
        let text = serde_json::to_vec_pretty(names)
            .map_err(|error| Error::io("write", &path, io::Error::other(error)))?;
        save(&path, &text)
    }
}

/// Returns why no collection can be called so, or `None` if one can.
fn why_not(name: &str) -> Option<&'static str> {
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ' | '+');
    if name == DEFAULT_NAME || name == NAMES {
        Some("imgsearch uses this name itself")
    } else if name.is_empty() || name.chars().count() > MAX_NAME {
        Some("a name has 1 to 64 characters")
    } else if !name.starts_with(|c: char| c.is_alphanumeric()) || name.ends_with([' ', '.']) {
        Some("a name begins with a letter or a digit, and ends with no space or dot")
    } else if !name.chars().all(is_allowed) {
        Some("a name has letters, digits, spaces and - _ + . in it")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_that_every_file_system_takes() {
        for good in ["holiday", "2024-05", "Köln", "a b", "v1.2", "c++"] {
            assert_eq!(why_not(good), None, "{good}");
        }
        let long = "x".repeat(65);
        for bad in [
            "",
            "default",
            "names.json",
            ".hidden",
            "-q",
            "a/b",
            "a\\b",
            "a:b",
            "a\n",
            "a.",
            "a ",
            &long,
        ] {
            assert!(why_not(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_stays_a_path_and_a_new_word_is_a_collection() {
        let place = tempfile::tempdir().unwrap();
        let collections = Collections::in_folder(place.path().join("collections"));
        for path in ["./holiday", "/holiday", "a/b", "..", ".", "holiday/", "a:b"] {
            assert_eq!(collections.locate(path).unwrap(), Path::new(path), "{path}");
        }
        let dir = collections.locate("no such holiday").unwrap();
        assert_eq!(dir, place.path().join("collections/no such holiday"));
        assert_eq!(collections.list().unwrap(), []);
    }

    #[test]
    fn damaged_names_are_an_error_with_their_file() {
        let place = tempfile::tempdir().unwrap();
        let collections = Collections::in_folder(place.path());
        fs::write(place.path().join(NAMES), "{").unwrap();
        let error = collections.list().unwrap_err().to_string();
        assert!(error.contains(NAMES), "{error}");
        assert!(collections.add("a", place.path()).is_err());
        assert_eq!(fs::read(place.path().join(NAMES)).unwrap(), b"{");
    }
}
