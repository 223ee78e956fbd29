//! Runs an encoder: images in, codes and hashes out.

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionOutputs};
use ort::value::TensorRef;
use serde::Serialize;

use crate::encoder_file::{
    CLASS_LOGITS, CODE, ClassList, EncoderFile, EncoderInfo, FEATURES, HASH, INPUT,
};
use crate::error::{Error, Result};
use crate::runtime::Runtime;

/// Where computations should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ProviderChoice {
    /// On the processor.
    #[default]
    Cpu,
    /// On an NVIDIA graphics card, or not at all.
    Cuda,
    /// The graphics card if there is one, else the processor.
    Auto,
}

/// Where computations run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Provider {
    /// On the processor.
    Cpu,
    /// On an NVIDIA graphics card.
    Cuda,
}

/// How an encoder runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionOptions {
    /// Where.
    pub provider: ProviderChoice,
    /// Threads inside one session. Default: 1, because several sessions of one thread each
    /// encode more images than one session of several.
    pub threads: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            provider: ProviderChoice::Cpu,
            threads: 1,
        }
    }
}

impl SessionOptions {
    /// On a provider, with one thread.
    pub fn on(provider: ProviderChoice) -> Self {
        Self {
            provider,
            ..Self::default()
        }
    }
}

/// An encoder, ready to run on one thread at a time.
#[derive(Debug)]
pub struct Encoder {
    session: Session,
    info: EncoderInfo,
    provider: Provider,
    provider_note: Option<String>,
}

impl Encoder {
    /// Opens a session for an encoder file.
    ///
    /// # Errors
    ///
    /// [`Error::NoCuda`] if the options ask for the graphics card and it is not available,
    /// [`Error::Run`] if ONNX Runtime refuses the file.
    pub fn new(file: &EncoderFile, runtime: &Runtime, options: &SessionOptions) -> Result<Self> {
        let open = |cuda| open(file, runtime, options.threads, cuda);
        let refused = |source: ort::Error| Error::Run {
            name: file.info().name.clone(),
            source: Box::new(source),
        };
        let (session, provider, provider_note) = match options.provider {
            ProviderChoice::Cpu => (open(false).map_err(refused)?, Provider::Cpu, None),
            ProviderChoice::Cuda => {
                if !runtime.providers().contains(&"cuda") {
                    return Err(no_cuda(runtime));
                }
                let session = open(true).map_err(|error| Error::NoCuda {
                    reason: error.to_string(),
                })?;
                (session, Provider::Cuda, None)
            }
            ProviderChoice::Auto if !runtime.providers().contains(&"cuda") => (
                open(false).map_err(refused)?,
                Provider::Cpu,
                Some("this ONNX Runtime was built without CUDA".to_owned()),
            ),
            ProviderChoice::Auto => match open(true) {
                Ok(session) => (session, Provider::Cuda, None),
                Err(error) => (
                    open(false).map_err(refused)?,
                    Provider::Cpu,
                    Some(error.to_string()),
                ),
            },
        };
        Ok(Self {
            session,
            info: file.info().clone(),
            provider,
            provider_note,
        })
    }

    /// Returns where it runs.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Returns why it does not run on the graphics card, if that was tried.
    pub fn provider_note(&self) -> Option<&str> {
        self.provider_note.as_deref()
    }

    /// Returns what its file declares.
    pub fn info(&self) -> &EncoderInfo {
        &self.info
    }

    /// Returns the number of classes whose logits it computes.
    fn classes(&self) -> usize {
        let classes = self.info.classes.filter(|_| !self.info.is_trunk());
        classes.map_or(0, ClassList::count)
    }

    /// Encodes `n` images: `pixels` holds `n * height * width * 3` bytes of RGB, row by row.
    ///
    /// The code of an image does not depend on the rest of the batch.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if `pixels` has another length, [`Error::Run`] if ONNX Runtime
    /// fails, [`Error::Contract`] if the outputs are not what the file declares, or not finite.
    pub fn encode(&mut self, pixels: &[u8], n: usize) -> Result<Encodings> {
        let (height, width) = (self.info.height as usize, self.info.width as usize);
        if pixels.len() != n * height * width * 3 || n == 0 {
            return Err(Error::InvalidInput(format!(
                "{} bytes are not {n} images of {width} by {height} pixels in RGB",
                pixels.len()
            )));
        }
        let failed = |source: ort::Error| Error::Run {
            name: self.info.name.clone(),
            source: Box::new(source),
        };
        let classes = self.classes();
        let input = TensorRef::from_array_view(([n, height, width, 3], pixels)).map_err(failed)?;
        let outputs = self
            .session
            .run(ort::inputs![INPUT => input])
            .map_err(failed)?;
        let take = |output: &str, length| take(&outputs, output, [n, length], &self.info.name);
        Ok(Encodings {
            codes: take(CODE, self.info.code_len)?,
            logits: take(HASH, self.info.bits)?,
            features: take(FEATURES, self.info.feature_len.unwrap_or(0))?,
            class_logits: take(CLASS_LOGITS, classes)?,
            n,
        })
    }
}

/// Takes the rows of an output, whose shape must be `[n, length]`; none if `length` is 0. Errors call the model
/// `name`.
pub(crate) fn take(
    outputs: &SessionOutputs<'_>,
    output: &str,
    [n, length]: [usize; 2],
    name: &str,
) -> Result<Vec<f32>> {
    if length == 0 {
        return Ok(Vec::new());
    }
    let broken = |reason: String| Error::Contract {
        name: name.to_owned(),
        reason,
    };
    let value = outputs
        .get(output)
        .ok_or_else(|| broken(format!("it gave no output `{output}`")))?;
    let (shape, values) = value
        .try_extract_tensor::<f32>()
        .map_err(|error| broken(error.to_string()))?;
    if **shape != [n as i64, length as i64] {
        return Err(broken(format!(
            "it gave `{output}` the shape {shape:?} and declares [{n}, {length}]"
        )));
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(broken(format!(
            "it gave numbers in `{output}` that are not finite"
        )));
    }
    Ok(values.to_vec())
}

fn no_cuda(runtime: &Runtime) -> Error {
    Error::NoCuda {
        reason: format!(
            "the ONNX Runtime {} in {} was built without it",
            runtime.version(),
            runtime.library().display()
        ),
    }
}

fn open(
    file: &EncoderFile,
    runtime: &Runtime,
    threads: usize,
    cuda: bool,
) -> Result<Session, ort::Error> {
    let mut builder = Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?;
    if cuda {
        // The default falls back to the processor silently.
        let provider = ort::ep::CUDA::default().build().error_on_failure();
        builder = builder.with_execution_providers([provider])?;
    }
    builder.commit_from_memory(&file.with_class_logits())
}

/// The outputs for a batch of images.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Encodings {
    /// Images in the batch.
    pub n: usize,
    /// Codes, `[n, code_len]`, row-major; empty for a trunk.
    pub codes: Vec<f32>,
    /// Hash logits, `[n, bits]`; empty for a trunk.
    pub logits: Vec<f32>,
    /// Features, `[n, feature_len]`; empty if the file has none.
    pub features: Vec<f32>,
    /// Logits of the classes, `[n, classes]`; empty if the file declares none.
    pub class_logits: Vec<f32>,
}

impl Encodings {
    /// Returns a batch of `n` codes without hashes and features, as a decoder takes it.
    #[doc(hidden)]
    pub fn of_codes(n: usize, codes: Vec<f32>) -> Self {
        Self {
            n,
            codes,
            logits: Vec::new(),
            features: Vec::new(),
            class_logits: Vec::new(),
        }
    }

    /// Returns the code of image `i`.
    pub fn code(&self, i: usize) -> &[f32] {
        row(&self.codes, self.n, i)
    }

    /// Returns the hash of image `i`: bit `b` is set if logit `b` is above zero, and is in byte
    /// `b / 8` at position `b % 8`.
    pub fn hash(&self, i: usize) -> Vec<u8> {
        pack(row(&self.logits, self.n, i))
    }

    /// Returns the logits of the hash of image `i`.
    pub fn logits(&self, i: usize) -> &[f32] {
        row(&self.logits, self.n, i)
    }

    /// Returns the logits of the classes of image `i`.
    pub fn class_logits(&self, i: usize) -> &[f32] {
        row(&self.class_logits, self.n, i)
    }

    /// Returns the features of image `i`.
    pub fn features(&self, i: usize) -> &[f32] {
        row(&self.features, self.n, i)
    }
}

fn row(rows: &[f32], n: usize, i: usize) -> &[f32] {
    let length = rows.len() / n.max(1);
    &rows[i * length..(i + 1) * length]
}

/// Packs logits into bits, the lowest bit of the first byte first.
pub fn pack(logits: &[f32]) -> Vec<u8> {
    logits
        .chunks(8)
        .map(|chunk| {
            chunk
                .iter()
                .enumerate()
                .fold(0, |byte, (i, &logit)| byte | (u8::from(logit > 0.0) << i))
        })
        .collect()
}
