//! Codes: searched by the thousand, and stored without images.

use std::path::{Path, PathBuf};

use imgsearch::index::{
    Change, EncoderRecord, FileStat, FoldOptions, ImageId, NewContent, Query, SearchParams,
    SearchStrategy, Writer,
};
use numpy::{
    PyArray1, PyArray2, PyArrayMethods as _, PyReadonlyArray2, PyUntypedArrayMethods as _,
};
use pyo3::prelude::*;
use rayon::prelude::*;

use crate::answers::ranking;
use crate::errors::{Kind, error, raised};
use crate::process::{self, Own};
use crate::progress::{Reporter, run};

/// The id in place of an image that was not found.
const NONE: i64 = -1;

/// Codes that are stored in one transaction.
const BATCH: usize = 4096;

/// Queries that are answered between two looks at whether Ctrl-C was pressed.
const QUERIES: usize = 1024;

/// An index, to be searched with codes.
#[pyclass(frozen, module = "imgsearch._native")]
pub struct Index {
    index: Own<imgsearch::index::Index>,
}

/// How codes are searched: the entries of a dictionary.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub struct NearestArguments {
    k: usize,
    rank_by: String,
    exact: bool,
    ef: Option<usize>,
    expand: usize,
    radius: Option<f32>,
}

/// Ids and distances, `[n, k]` each.
type Nearest<'py> = (Bound<'py, PyArray2<i64>>, Bound<'py, PyArray2<f32>>);

/// Codes and hashes, `[n, numbers]` and `[n, bytes]`.
type Stored<'py> = (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray2<u8>>);

#[pymethods]
impl Index {
    #[new]
    fn new(py: Python<'_>, dir: PathBuf) -> PyResult<Self> {
        process::check()?;
        let index = py.detach(|| imgsearch::index::Index::open(&dir).map_err(raised))?;
        Ok(Self {
            index: Own::new(index),
        })
    }

    #[getter]
    fn dir(&self) -> PathBuf {
        self.index.dir().to_owned()
    }

    #[getter]
    fn code_length(&self) -> usize {
        self.index.encoder().code_len
    }

    #[getter]
    fn bits(&self) -> usize {
        self.index.encoder().bits
    }

    #[getter]
    fn encoder(&self) -> String {
        self.index.encoder().name.clone()
    }

    #[getter]
    fn fingerprint(&self) -> String {
        self.index.encoder().fingerprint.clone()
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        process::check()?;
        py.detach(|| self.index.len().map_err(raised))
    }

    /// Finds the nearest images of each row of codes, on all cores. Places that nothing was found for have the id -1
    /// and an infinite distance.
    fn nearest<'py>(
        &self,
        py: Python<'py>,
        codes: PyReadonlyArray2<'py, f32>,
        hashes: Option<PyReadonlyArray2<'py, u8>>,
        arguments: NearestArguments,
    ) -> PyResult<Nearest<'py>> {
        process::check()?;
        let k = arguments.k;
        let mut params = SearchParams::new(k).by(ranking(&arguments.rank_by)?);
        params.ef = arguments.ef;
        params.expand = arguments.expand;
        params.radius = arguments.radius;
        if arguments.exact {
            params.strategy = SearchStrategy::Exact;
        }
        let (n, width) = (codes.shape()[0], codes.shape()[1]);
        let flat = codes.as_slice()?;
        let hashes = hashes
            .as_ref()
            .map(|hashes| Ok::<_, PyErr>((hashes.as_slice()?, hashes.shape()[1])))
            .transpose()?;
        let rows: Vec<Query<'_>> = (0..n)
            .map(|row| {
                let query = Query::new(&flat[row * width..(row + 1) * width]);
                match hashes {
                    Some((hashes, bytes)) => query.hash(&hashes[row * bytes..(row + 1) * bytes]),
                    None => query,
                }
            })
            .collect();
        let (ids, distances) = run(py, None, |progress| {
            nearest(&self.index, &rows, k, &params, progress)
        })?;
        Ok((
            PyArray1::from_vec(py, ids).reshape([n, k])?,
            PyArray1::from_vec(py, distances).reshape([n, k])?,
        ))
    }

    /// Returns the paths of images; `None` for ids that are not stored.
    fn paths(&self, py: Python<'_>, ids: Vec<i64>) -> PyResult<Vec<Option<PathBuf>>> {
        process::check()?;
        py.detach(|| {
            let ids: Vec<ImageId> = ids.into_iter().map(ImageId).collect();
            let images = self.index.images(&ids).map_err(raised)?.into_iter();
            Ok(images.map(|image| image.map(|image| image.path)).collect())
        })
    }

    /// Returns the codes and hashes of images.
    fn stored<'py>(&self, py: Python<'py>, ids: Vec<i64>) -> PyResult<Stored<'py>> {
        process::check()?;
        let record = self.index.encoder();
        let (numbers, bytes) = (record.code_len, record.hash_bytes());
        let (codes, hashes) = py.detach(|| {
            let searcher = self.index.searcher().map_err(raised)?;
            let mut codes = Vec::with_capacity(ids.len() * numbers);
            let mut hashes = Vec::with_capacity(ids.len() * bytes);
            for &id in &ids {
                let id = ImageId(id);
                let Some((code, hash)) = searcher.stored(id) else {
                    return Err(raised(imgsearch::Error::NoSuchImage { id }));
                };
                codes.extend(code);
                hashes.extend(hash);
            }
            Ok((codes, hashes))
        })?;
        Ok((
            PyArray1::from_vec(py, codes).reshape([ids.len(), numbers])?,
            PyArray1::from_vec(py, hashes).reshape([ids.len(), bytes])?,
        ))
    }

    /// Returns the ids of all images, in ascending order.
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<i64>>> {
        process::check()?;
        let ids = py.detach(|| {
            let reader = self.index.to_reader().map_err(raised)?;
            let mut ids: Vec<i64> = reader
                .all()
                .map_err(raised)?
                .into_iter()
                .map(|image| image.id.0)
                .collect();
            ids.sort_unstable();
            Ok::<_, PyErr>(ids)
        })?;
        Ok(PyArray1::from_vec(py, ids))
    }
}

fn nearest(
    index: &imgsearch::index::Index,
    queries: &[Query<'_>],
    k: usize,
    params: &SearchParams,
    progress: &Reporter,
) -> PyResult<(Vec<i64>, Vec<f32>)> {
    let searcher = index.searcher().map_err(raised)?;
    let mut ids = vec![NONE; queries.len() * k];
    let mut distances = vec![f32::INFINITY; queries.len() * k];
    for (some, (ids, distances)) in queries.chunks(QUERIES).zip(
        ids.chunks_mut((QUERIES * k).max(1))
            .zip(distances.chunks_mut((QUERIES * k).max(1))),
    ) {
        if imgsearch::Progress::is_cancelled(progress) {
            return Err(raised(imgsearch::Error::Interrupted));
        }
        some.par_iter()
            .zip(ids.par_chunks_mut(k.max(1)))
            .zip(distances.par_chunks_mut(k.max(1)))
            .try_for_each(|((query, ids), distances)| {
                for (place, found) in searcher.search(query, params)?.iter().enumerate() {
                    ids[place] = found.id.0;
                    distances[place] = found.distance;
                }
                Ok(())
            })
            .map_err(|failed: imgsearch::index::Error| raised(failed))?;
    }
    Ok((ids, distances))
}

/// Makes an index of codes that did not come from images. Row `i` gets the path `names[i]`.
#[pyfunction]
#[expect(
    clippy::too_many_arguments,
    reason = "the Python side gives them names"
)]
pub fn build_index(
    py: Python<'_>,
    dir: PathBuf,
    codes: PyReadonlyArray2<'_, f32>,
    hashes: PyReadonlyArray2<'_, u8>,
    names: Vec<PathBuf>,
    name: String,
    fingerprint: String,
    hash_weight: f32,
    report: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    process::check()?;
    let (n, width) = (codes.shape()[0], codes.shape()[1]);
    let bytes = hashes.shape()[1];
    if names.len() != n || hashes.shape()[0] != n {
        return Err(error(
            Kind::BadQuery,
            format!(
                "{n} codes, {} hashes and {} names do not belong together",
                hashes.shape()[0],
                names.len()
            ),
        ));
    }
    let record = EncoderRecord {
        fingerprint,
        name,
        code_len: width,
        bits: bytes * 8,
        hash_weight,
        metadata: "{}".to_owned(),
    };
    let (codes, hashes) = (codes.as_slice()?, hashes.as_slice()?);
    run(py, report, |progress| {
        let mut writer = open_new(&dir, &record)?;
        for start in (0..n).step_by(BATCH) {
            if imgsearch::Progress::is_cancelled(progress) {
                return Err(raised(imgsearch::Error::Interrupted));
            }
            let end = (start + BATCH).min(n);
            let changes: Vec<Change> = (start..end)
                .map(|row| {
                    let code = &codes[row * width..(row + 1) * width];
                    let hash = &hashes[row * bytes..(row + 1) * bytes];
                    insert(row, &names[row], code, hash)
                })
                .collect();
            writer.apply(&changes).map_err(raised)?;
            progress.done("storing", end, n);
        }
        let mut options = FoldOptions::default();
        options.all = true;
        writer
            .fold(&options, &mut |step| {
                progress.done("folding", step.done, step.of);
                if imgsearch::Progress::is_cancelled(progress) {
                    std::ops::ControlFlow::Break(())
                } else {
                    std::ops::ControlFlow::Continue(())
                }
            })
            .map_err(raised)?;
        Ok(())
    })
}

/// Opens an index for writing that holds nothing yet.
fn open_new(dir: &Path, record: &EncoderRecord) -> PyResult<Writer> {
    let writer = Writer::open(dir, record).map_err(raised)?;
    let reader = writer.reader().map_err(raised)?;
    if reader.holds_images().map_err(raised)? {
        return Err(error(
            Kind::BadQuery,
            format!(
                "{} holds an index already: choose another folder",
                dir.display()
            ),
        ));
    }
    Ok(writer)
}

/// Returns the change that stores a code.
fn insert(row: usize, path: &Path, code: &[f32], hash: &[u8]) -> Change {
    let mut hasher = blake3::Hasher::new();
    // Rows are distinct contents, even if their codes are equal.
    hasher.update(&(row as u64).to_le_bytes());
    for number in code {
        hasher.update(&number.to_le_bytes());
    }
    Change::Insert {
        path: path.to_owned(),
        stat: FileStat::default(),
        content: NewContent {
            digest: *hasher.finalize().as_bytes(),
            width: 1,
            height: 1,
            format: "code".to_owned(),
            taken: None,
            damage: None,
            code: code.to_vec(),
            hash: hash.to_vec(),
            labels: Vec::new(),
        },
    }
}
