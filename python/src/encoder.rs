//! Encoders: from pictures to codes and hashes.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use imgsearch::decode::Source;
use imgsearch::onnx::{EncoderFile, ProviderChoice};
use imgsearch::{Encoded, Engine, EngineOptions, Error};
use numpy::{PyArray1, PyArray2, PyArrayMethods as _};
use pyo3::prelude::*;

use crate::answers::named;
use crate::errors::{Kind, error, raised};
use crate::pictures::Picture;
use crate::process::{self, Own};
use crate::progress::{Reporter, run};

/// An encoder that runs.
#[pyclass(frozen, module = "imgsearch._native")]
pub struct Encoder {
    engine: Own<Engine>,
}

/// Codes, hashes, labels, and the images that have none with the reasons.
type Encodings<'py> = (
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray2<u8>>,
    Vec<Vec<(String, f32)>>,
    Vec<(usize, String)>,
);

/// Returns how an encoder runs.
///
/// # Errors
///
/// If the provider is unknown.
pub fn engine_options(threads: usize, provider: &str) -> PyResult<EngineOptions> {
    let mut options = EngineOptions::default();
    options.threads = threads;
    options.provider = match provider {
        "cpu" => ProviderChoice::Cpu,
        "cuda" => ProviderChoice::Cuda,
        "auto" => ProviderChoice::Auto,
        _ => {
            return Err(error(
                Kind::BadQuery,
                format!("provider is \"cpu\", \"cuda\" or \"auto\", not {provider:?}"),
            ));
        }
    };
    Ok(options)
}

/// Reads an encoder file; the built-in encoder without one.
///
/// # Errors
///
/// If it cannot be read, or is none.
pub fn encoder_file(path: Option<PathBuf>) -> PyResult<EncoderFile> {
    match path {
        Some(path) => EncoderFile::from_path(&path),
        None => EncoderFile::default_encoder(),
    }
    .map_err(raised)
}

#[pymethods]
impl Encoder {
    #[new]
    fn new(
        py: Python<'_>,
        path: Option<PathBuf>,
        threads: usize,
        provider: &str,
    ) -> PyResult<Self> {
        process::check()?;
        let options = engine_options(threads, provider)?;
        let engine = py.detach(|| {
            let file = encoder_file(path)?;
            file.require_codes().map_err(raised)?;
            Engine::new(file, options).map_err(raised)
        })?;
        Ok(Self {
            engine: Own::new(engine),
        })
    }

    #[getter]
    fn name(&self) -> String {
        self.engine.info().name.clone()
    }

    #[getter]
    fn fingerprint(&self) -> String {
        self.engine.info().fingerprint.clone()
    }

    #[getter]
    fn code_length(&self) -> usize {
        self.engine.info().code_len
    }

    #[getter]
    fn bits(&self) -> usize {
        self.engine.info().bits
    }

    #[getter]
    fn hash_weight(&self) -> f32 {
        self.engine.info().hash_weight
    }

    /// Encodes pictures on all cores. `plain` turns a picture into what the native part takes; it is called when the
    /// picture's turn has come. With `keep_going`, a picture that cannot be used has a code of NaN and a hash of zeros.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        pictures: Vec<Py<PyAny>>,
        plain: &Bound<'py, PyAny>,
        keep_going: bool,
        report: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Encodings<'py>> {
        process::check()?;
        let plain = plain.clone().unbind();
        let n = pictures.len();
        let made = run(py, report, |progress| {
            encode(&self.engine, &pictures, &plain, keep_going, progress)
        })?;
        let info = self.engine.info();
        Ok((
            PyArray1::from_vec(py, made.codes).reshape([n, info.code_len])?,
            PyArray1::from_vec(py, made.hashes).reshape([n, info.bits.div_ceil(8)])?,
            made.labels,
            made.failed,
        ))
    }
}

#[derive(Default)]
struct Made {
    codes: Vec<f32>,
    hashes: Vec<u8>,
    labels: Vec<Vec<(String, f32)>>,
    failed: Vec<(usize, String)>,
}

fn encode(
    engine: &Engine,
    pictures: &[Py<PyAny>],
    plain: &Py<PyAny>,
    keep_going: bool,
    progress: &Reporter,
) -> PyResult<Made> {
    // The library names pictures by paths.
    let names: Vec<PathBuf> = Python::attach(|py| {
        let own = pictures.iter().enumerate();
        own.map(|(at, picture)| name(at, picture.bind(py)))
            .collect()
    });
    // An exception cannot travel through the library.
    let thrown: Mutex<Option<PyErr>> = Mutex::new(None);
    let throw = |failed: PyErr| {
        let mut thrown = thrown.lock().unwrap_or_else(PoisonError::into_inner);
        thrown.get_or_insert(failed);
        progress.stop();
        Error::Interrupted
    };
    let open = |file: &mut Source, name: &Path| {
        let Some(picture) = number(name).and_then(|at| pictures.get(at)) else {
            return Picture::Path(name.to_owned()).open(file, engine.limits());
        };
        let made = Python::attach(|py| Picture::of(&plain.bind(py).call1((picture,))?));
        made.map_err(&throw)?.open(file, engine.limits())
    };
    let info = engine.info();
    let bytes = info.bits.div_ceil(8);
    let mut made = Made::default();
    let mut done = 0;
    let encoded = engine.encode_opened(&names, &open, progress, |_, encoded| {
        match encoded {
            Ok(Encoded {
                code, hash, labels, ..
            }) => {
                made.codes.extend(code);
                made.hashes.extend(hash);
                made.labels.push(named(&labels));
            }
            Err(Error::Interrupted) => return ControlFlow::Break(()),
            Err(failed) if keep_going => {
                made.codes
                    .extend(std::iter::repeat_n(f32::NAN, info.code_len));
                made.hashes.extend(std::iter::repeat_n(0, bytes));
                made.labels.push(Vec::new());
                made.failed.push((done, failed.to_string()));
            }
            Err(failed) => {
                throw(raised(failed));
                return ControlFlow::Break(());
            }
        }
        done += 1;
        progress.done("encoding", done, pictures.len());
        ControlFlow::Continue(())
    });
    let thrown = thrown.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(thrown) = thrown {
        return Err(thrown);
    }
    encoded.map_err(raised)?;
    if done < pictures.len() {
        return Err(raised(Error::Interrupted));
    }
    Ok(made)
}

/// Returns the path of a picture, or a name with its place if it is in memory.
fn name(at: usize, picture: &Bound<'_, PyAny>) -> PathBuf {
    match picture.extract::<PathBuf>() {
        // No name of a picture in memory is absolute.
        Ok(path) if number(&path).is_some() => std::path::absolute(&path).unwrap_or(path),
        Ok(path) => path,
        Err(_) => PathBuf::from(format!("<image {at}>")),
    }
}

/// Returns the place of a picture in memory.
fn number(name: &Path) -> Option<usize> {
    let inner = name.to_str()?.strip_prefix("<image ")?.strip_suffix('>')?;
    inner.parse().ok()
}
