//! The front door of the library, as a class.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use imgsearch::duplicates::{self, DuplicateGroup, DuplicateOptions, Level};
use imgsearch::groups::GroupOptions;
use imgsearch::index::{FoldOptions, ImageId};
use imgsearch::onnx::EncoderFile;
use imgsearch::{EngineOptions, IndexOptions, OpenOptions};
use pyo3::prelude::*;
use rayon::prelude::*;
use serde_json::json;

use crate::answers::{Answered, Asked, Filters, Options, named};
use crate::encoder::{encoder_file, engine_options};
use crate::errors::{Kind, error, raised};
use crate::process::{self, Own};
use crate::progress::run;

/// A library of images.
#[pyclass(frozen, module = "imgsearch._native")]
pub struct Library {
    library: Own<RwLock<imgsearch::Library>>,
    dir: PathBuf,
}

/// How an indexing run is done: the entries of a dictionary.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub struct IndexArguments {
    hidden: bool,
    ignore: Vec<String>,
    keep_missing: bool,
    prune: bool,
    retry: bool,
    adapt: bool,
}

/// A file of a group of duplicates: path, id, level, how it differs, bytes, width, height, format.
type Duplicate = (PathBuf, i64, &'static str, String, u64, u32, u32, String);

/// Groups of duplicates with the place of the best file, and the files that were left out with the reasons.
type Duplicates = (Vec<(Vec<Duplicate>, usize)>, Vec<(PathBuf, String)>);

impl Library {
    fn read(&self) -> RwLockReadGuard<'_, imgsearch::Library> {
        // A panic in another thread leaves a library as it was.
        self.library.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, imgsearch::Library> {
        self.library.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Library {
    #[new]
    fn new(
        py: Python<'_>,
        dir: PathBuf,
        encoder: Option<PathBuf>,
        create: bool,
        threads: usize,
        provider: &str,
    ) -> PyResult<Self> {
        process::check()?;
        let engine = engine_options(threads, provider)?;
        let opened = py.detach(|| open(&dir, encoder, create, engine))?;
        Ok(Self {
            library: Own::new(RwLock::new(opened)),
            dir,
        })
    }

    #[getter]
    fn dir(&self) -> PathBuf {
        self.dir.clone()
    }

    /// Indexes files and folders. Returns the summary of the run as JSON.
    fn index(
        &self,
        py: Python<'_>,
        paths: Vec<PathBuf>,
        arguments: IndexArguments,
        report: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        process::check()?;
        let mut options = IndexOptions::default();
        options.walk.hidden = arguments.hidden;
        options.walk.ignore = arguments.ignore;
        options.keep_missing = arguments.keep_missing;
        options.prune = arguments.prune;
        options.retry = arguments.retry;
        options.no_adapt = !arguments.adapt;
        run(py, report, |progress| {
            let mut library = self.write();
            let indexer = library.indexer().options(options).progress(progress);
            to_json(&indexer.run(paths).map_err(raised)?)
        })
    }

    /// Answers a question.
    fn search(
        &self,
        py: Python<'_>,
        parts: &Bound<'_, PyAny>,
        options: Options,
    ) -> PyResult<Answered> {
        process::check()?;
        let asked = Asked::of(parts)?;
        py.detach(|| asked.answer(&self.read(), &options))
    }

    /// Answers many questions on all cores. `plain` turns a picture into what the native part takes.
    fn search_batch(
        &self,
        py: Python<'_>,
        pictures: Vec<Py<PyAny>>,
        plain: &Bound<'_, PyAny>,
        options: Options,
        report: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<Answered>> {
        process::check()?;
        let plain = plain.clone().unbind();
        let of = pictures.len();
        run(py, report, |progress| {
            let library = self.read();
            let done = std::sync::atomic::AtomicUsize::new(0);
            let answers = pictures.par_iter().map(|picture| {
                if imgsearch::Progress::is_cancelled(progress) {
                    return Err(raised(imgsearch::Error::Interrupted));
                }
                let asked = Python::attach(|py| Asked::of(&plain.bind(py).call1((picture,))?))?;
                let answer = asked.answer(&library, &options);
                let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                progress.done("searching", done, of);
                answer
            });
            answers.collect()
        })
    }

    /// Finds what the collection holds twice.
    fn duplicates(
        &self,
        py: Python<'_>,
        level: &str,
        filter: Filters,
        min_similarity: Option<f32>,
        report: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Duplicates> {
        process::check()?;
        let mut options = DuplicateOptions::default();
        options.min_similarity = min_similarity;
        options.level = match level {
            "identical" => Level::Identical,
            "edited" => Level::Edited,
            "near" => Level::Near,
            _ => {
                return Err(error(
                    Kind::BadQuery,
                    format!("level is \"identical\", \"edited\" or \"near\", not {level:?}"),
                ));
            }
        };
        run(py, report, |progress| {
            let library = self.read();
            options.filter = filter.to_index(&library)?;
            let found = duplicates::find(&library, &options, progress).map_err(raised)?;
            let skipped = found.skipped.into_iter();
            let skipped = skipped.map(|skipped| (skipped.path, skipped.error.to_string()));
            let groups = found.groups.into_iter().map(files).collect();
            Ok((groups, skipped.collect()))
        })
    }

    /// Finds groups of images that resemble each other. Returns JSON.
    fn groups(
        &self,
        py: Python<'_>,
        min_size: Option<usize>,
        filter: Filters,
        report: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        process::check()?;
        run(py, report, |progress| {
            let library = self.read();
            let mut options = GroupOptions::default();
            options.min_size = min_size;
            options.filter = filter.to_index(&library)?;
            let found = library.groups(&options, progress).map_err(raised)?;
            to_json(&json!({
                "groups": found.groups, "ungrouped": found.ungrouped, "min_size": found.min_size,
            }))
        })
    }

    /// Returns what is stored, as JSON, and the folders of the last run.
    fn status(&self, py: Python<'_>) -> PyResult<(String, Vec<PathBuf>)> {
        process::check()?;
        py.detach(|| {
            let library = self.read();
            let index = library.index_view().map_err(raised)?;
            let reader = index.to_reader().map_err(raised)?;
            let encoder = reader.encoder().map_err(raised)?;
            let status = json!({
                "stats": reader.stats().map_err(raised)?,
                "encoder": encoder.name,
                "fingerprint": encoder.fingerprint,
                "code_length": encoder.code_len,
                "bits": encoder.bits,
                "without_labels": reader.unlabelled().map_err(raised)?,
            });
            let roots = library.last_roots().map_err(raised)?;
            Ok((to_json(&status)?, roots))
        })
    }

    /// Returns the files that could not be read or decoded: path, kind and reason.
    fn failures(&self, py: Python<'_>) -> PyResult<Vec<(PathBuf, &'static str, String)>> {
        process::check()?;
        py.detach(|| {
            let library = self.read();
            let index = library.index_view().map_err(raised)?;
            let failures = index.to_reader().and_then(|reader| reader.failures());
            let failures = failures.map_err(raised)?.into_iter();
            let plain = failures.map(|one| (one.path, one.kind.name(), one.reason));
            Ok(plain.collect())
        })
    }

    /// Forgets images, and returns their number.
    fn remove(&self, py: Python<'_>, paths: Vec<PathBuf>, forever: bool) -> PyResult<usize> {
        process::check()?;
        py.detach(|| {
            let mut library = self.write();
            let removed = if forever {
                library.remove_forever(paths)
            } else {
                library.remove(paths)
            };
            removed.map_err(raised)
        })
    }

    /// Brings removed images back, and returns their number.
    fn restore(&self, py: Python<'_>, paths: Vec<PathBuf>) -> PyResult<usize> {
        process::check()?;
        py.detach(|| {
            let restored = self.write().restore(&paths);
            Ok(restored.map_err(raised)?.images)
        })
    }

    /// Folds what is new into segments.
    fn optimize(&self, py: Python<'_>, report: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        process::check()?;
        run(py, report, |progress| {
            let mut options = FoldOptions::default();
            options.all = true;
            self.write().optimize(&options, progress).map_err(raised)?;
            Ok(())
        })
    }

    /// Returns the paths of stored images; `None` for ids that are not stored.
    fn paths(&self, py: Python<'_>, ids: Vec<i64>) -> PyResult<Vec<Option<PathBuf>>> {
        process::check()?;
        py.detach(|| {
            let ids: Vec<ImageId> = ids.into_iter().map(ImageId).collect();
            let library = self.read();
            let images = library.index_view().map_err(raised)?.images(&ids);
            let images = images.map_err(raised)?.into_iter();
            Ok(images.map(|image| image.map(|image| image.path)).collect())
        })
    }

    /// Returns the labels of stored images.
    fn labels(&self, py: Python<'_>, ids: Vec<i64>) -> PyResult<Vec<Vec<(String, f32)>>> {
        process::check()?;
        py.detach(|| {
            let ids: Vec<ImageId> = ids.into_iter().map(ImageId).collect();
            let library = self.read();
            let labels = library.index_view().map_err(raised)?.labels(&ids);
            Ok(labels
                .map_err(raised)?
                .iter()
                .map(|own| named(own))
                .collect())
        })
    }
}

fn open(
    dir: &std::path::Path,
    encoder: Option<PathBuf>,
    create: bool,
    engine: EngineOptions,
) -> PyResult<imgsearch::Library> {
    let encoder: Option<EncoderFile> = encoder.map(|path| encoder_file(Some(path))).transpose()?;
    let mut options = OpenOptions::default();
    options.encoder = encoder;
    options.engine = engine;
    let opened = if create {
        imgsearch::Library::open_or_create_with(dir, options)
    } else {
        imgsearch::Library::open_with(dir, options)
    };
    opened.map_err(raised)
}

fn files(group: DuplicateGroup) -> (Vec<Duplicate>, usize) {
    let files = group.files.into_iter().map(|file| {
        let difference = file.difference.map(|difference| difference.to_string());
        (
            file.path,
            file.id.0,
            file.level.name(),
            difference.unwrap_or_default(),
            file.bytes,
            file.width,
            file.height,
            file.format,
        )
    });
    (files.collect(), group.best)
}

/// Returns a value as JSON.
pub fn to_json(value: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|failed| error(Kind::Error, failed.to_string()))
}
