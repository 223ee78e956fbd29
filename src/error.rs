//! The one error type of the crate. Its texts state facts; what to do next is said by whoever talks to people.

use std::path::{Path, PathBuf};

use crate::decode::{DecodeError, ReadError};

/// What can go wrong when images are indexed or searched.
///
/// If an image cannot be read or decoded during indexing, the run records a
/// [`Failure`](imgsearch_index::Failure) and continues. It is an error if the caller asked for this image,
/// as a query does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The index is missing, locked, damaged, or made by another encoder.
    #[error(transparent)]
    Index(#[from] imgsearch_index::Error),

    /// The encoder, its file or ONNX Runtime failed.
    #[error(transparent)]
    Encoder(#[from] imgsearch_onnx::Error),

    /// Training.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Training(#[from] imgsearch_train::Error),

    /// The requested image cannot be decoded.
    #[error("{}: {source}", path.display())]
    Image {
        /// The image.
        path: PathBuf,
        /// The reason.
        source: DecodeError,
    },

    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The action that failed, as a verb: `read`, `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },

    /// What needs an index in a folder is asked of a collection on a server.
    #[error("{place} is a collection on a server, and this needs an index in a folder")]
    NeedsFolder {
        /// The collection, without passwords.
        place: String,
    },

    /// A share of the files is to be indexed into a folder.
    #[error(
        "a share of the files can be indexed into a collection on a server only: an index in a folder has one writer"
    )]
    ShardOfFolder,

    /// No word of a text is known.
    #[error("{0}")]
    UnknownWords(String),

    /// No image shows what words name.
    #[error("no image shows anything like it")]
    NothingShown,

    /// Words are asked, and no image has labels.
    #[error(
        "words need to know what the images show, and none of the {images} images of this index has labels"
    )]
    NoLabels {
        /// Stored images.
        images: usize,
    },

    /// What the encoder knows is asked, and no image has labels.
    #[error("what the encoder knows shows in its labels, and none of the {images} images has any")]
    UnknownNeedsLabels {
        /// Stored images that were looked at.
        images: usize,
    },

    /// Groups cannot be found in this way.
    #[error("{0}")]
    BadGroups(String),

    /// Documents cannot be read, learned from or found.
    #[error("{0}")]
    BadDocuments(String),

    /// A text cannot be asked for.
    #[error("{0}")]
    BadWords(String),

    /// The built-in lexicon is broken.
    #[error("the built-in lexicon is broken: {0}")]
    Lexicon(String),

    /// A path to index does not exist.
    #[error("no such file or folder: {}\nNothing was changed; images already indexed under it are kept.", path.display())]
    NoSuchPath {
        /// The given path.
        path: PathBuf,
    },

    /// Nothing was indexed yet, so there is no folder to watch.
    #[error("nothing is indexed yet, so there is nothing to watch")]
    NothingToWatch,

    /// There are more folders than the system can watch.
    #[error(
        "there are more folders than the system can watch: {limit} is {}",
        value.map_or_else(|| "too low".to_owned(), |value| value.to_string())
    )]
    WatchLimit {
        /// The name of the limit.
        limit: &'static str,
        /// Its value, if the system says it.
        value: Option<u64>,
    },

    /// The system does not report changes of files.
    #[error("the system does not report changes of files: {reason}")]
    Watch {
        /// The reason.
        reason: String,
    },

    /// The index's copy of its encoder cannot be used.
    #[error(
        "{} {wrong}: the index's copy of the encoder that made it, {name:?} ({fingerprint})",
        path.display()
    )]
    EncoderCopy {
        /// The copy.
        path: PathBuf,
        /// What is wrong with the copy, as a predicate: `is missing`.
        wrong: String,
        /// The encoder's name.
        name: String,
        /// The encoder's fingerprint.
        fingerprint: String,
    },

    /// No collection can have this name.
    #[error("{name:?} cannot be the name of a collection: {reason}")]
    BadCollectionName {
        /// The name.
        name: String,
        /// The reason.
        reason: &'static str,
    },

    /// A collection has this name already.
    #[error("{name:?} is the name of a collection already: {}", dir.display())]
    CollectionExists {
        /// The name.
        name: String,
        /// The folder of its index.
        dir: PathBuf,
    },

    /// No collection has this name.
    #[error("no collection is called {name:?}")]
    NoSuchCollection {
        /// The name.
        name: String,
    },

    /// A name is that of a collection and of an index in the current folder.
    #[error(
        "{name:?} is the name of a collection, and another index lies in a folder of that name here"
    )]
    AmbiguousIndex {
        /// The name.
        name: String,
        /// The folder of the collection's index.
        dir: PathBuf,
    },

    /// The encoder cannot encode texts.
    #[error("the encoder {name:?} {reason}, so it cannot encode texts")]
    NoTextTower {
        /// The encoder's name.
        name: String,
        /// What it lacks, as a predicate.
        reason: String,
    },

    /// Stored images lie below a folder that is missing, empty, or not the one that held them.
    #[error(
        "{count} stored images lie under {}, which is missing, empty or not the folder that held them; is a disk not \
         mounted?\nThe index is unchanged.",
        root.display()
    )]
    OutOfReach {
        /// The number of images.
        count: usize,
        /// The folder.
        root: PathBuf,
    },

    /// Something else occupies a path that the program needs.
    #[error("{} is in the way: it holds something else", path.display())]
    NotOurs {
        /// The path.
        path: PathBuf,
    },

    /// Stored images cannot be read, so a new index would lose them.
    #[error(
        "{count} stored images cannot be encoded again, the first of them {}: {reason}\nThe index is unchanged.",
        path.display()
    )]
    StoredUnreadable {
        /// The number of images.
        count: usize,
        /// The first of them.
        path: PathBuf,
        /// The reason why it cannot be read.
        reason: String,
        /// Whether the first costs more than the limits allow.
        over_limit: bool,
    },

    /// Stored images are to be kept although their files are missing, and a new encoder cannot encode them.
    #[error(
        "the files of {count} stored images are missing, the first of them {}, so a new encoder cannot encode \
         them\nThe index is unchanged.",
        path.display()
    )]
    StoredMissing {
        /// The number of images.
        count: usize,
        /// The first of them.
        path: PathBuf,
    },

    /// The files of many stored images are missing, and nobody confirmed that the new index may leave them out.
    #[error(
        "the files of {count} of {of} stored images are missing, so the new index would not have these images\nThe \
         index is unchanged."
    )]
    Unconfirmed {
        /// The number of images whose files are missing.
        count: usize,
        /// The number of stored images.
        of: usize,
    },

    /// A glob of files to leave out is invalid.
    #[error("the pattern {pattern:?} is not a valid glob: {reason}")]
    BadPattern {
        /// The given pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The system has no default folder for the index.
    #[error("there is no home folder, so the index has no default place")]
    NoDataFolder,

    /// There are too few images for the request.
    #[error("{0}")]
    TooFewImages(String),

    /// The encoder has no features, which training needs.
    #[error("the encoder {name:?} has no output `features`, which training needs")]
    NoFeatures {
        /// The encoder's name.
        name: String,
    },

    /// A question has no part that could be searched for, or a weight that is not a number from 0 up.
    #[error("{0}")]
    BadQuestion(String),

    /// No image of this id is stored.
    #[error("no image with the id {id} is stored")]
    NoSuchImage {
        /// The id.
        id: imgsearch_index::ImageId,
    },

    /// A similarity was asked for, and none was measured for the encoder.
    #[error("it was not measured for the encoder {name:?} how similar images at a distance are")]
    NoSimilarity {
        /// The encoder's name.
        name: String,
    },

    /// A labelled folder does not have the shape that an evaluation needs.
    #[error("{0}")]
    BadEvaluation(String),

    /// The file of a stored image is not the one that was indexed.
    #[error("{} was changed or replaced since it was indexed", path.display())]
    FileChanged {
        /// The image.
        path: PathBuf,
    },

    /// The caller cancelled the operation.
    #[error("interrupted")]
    Interrupted,

    /// A worker thread panicked with this message. This is a defect of imgsearch, not of the input.
    #[error("a worker thread stopped unexpectedly: {0}; what was committed before is kept")]
    Worker(String),
}

/// [`std::result::Result`] with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns the error for an image at `path` that was not read.
    pub fn unread(error: ReadError, path: &Path) -> Self {
        match error {
            ReadError::Io(source) => Self::io("read", path, source),
            ReadError::OverLimit(source) => Self::Image {
                path: path.to_owned(),
                source,
            },
        }
    }

    /// Returns an I/O error with its path; `action` is a verb such as `read`.
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
