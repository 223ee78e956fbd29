//! The engine: an encoder file and the ONNX Runtime that runs it, ready to hand out workers.
//!
//! Owns how decoding and encoding are put together: a [`Worker`] turns the bytes of one or
//! several image files into codes and hashes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use imgsearch_index::EncoderRecord;
use imgsearch_onnx::{
    Encoder, EncoderFile, EncoderInfo, Encodings, Provider, ProviderChoice, Resize, Runtime,
    RuntimeOptions, SessionOptions,
};

use crate::decode::{self, Content, Decoded, Decoder, Geometry, Limits};
use crate::encode::timings::ms_since;
use crate::error::{Error, Result};

/// How many images a processor's session encodes at once. Larger batches were not faster on
/// any processor tried, and hold more memory.
const CPU_BATCH: usize = 8;

/// How many images a graphics card's session encodes at once.
const CUDA_BATCH: usize = 64;

/// How an [`Engine`] is set up.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Where computations run. Default: the processor.
    pub provider: ProviderChoice,
    /// The ONNX Runtime library to load. Default: it is looked for.
    pub library: Option<PathBuf>,
    /// Never fetch ONNX Runtime. Default: it is fetched once where it is missing.
    pub offline: bool,
    /// Worker threads. Default (0): one for each processor core.
    pub threads: usize,
    /// What an image may cost before it is refused.
    pub limits: Limits,
    /// Told, in one line, that something is about to be fetched.
    pub notice: Option<fn(&str)>,
}

impl EngineOptions {
    /// How ONNX Runtime is looked for.
    pub fn runtime(&self) -> RuntimeOptions {
        let mut runtime = RuntimeOptions::default();
        runtime.library.clone_from(&self.library);
        runtime.offline = self.offline;
        runtime.prefer_cuda = self.provider != ProviderChoice::Cpu;
        runtime.notice = self.notice;
        runtime
    }

    /// Begins to load ONNX Runtime in a thread of its own, so that a program which has other
    /// things to do before its first [`Engine`] waits less for it. Only where it lies on this
    /// machine: nothing is fetched, and what is wrong shows when the engine is made.
    pub fn preload(&self) -> Preloading {
        // Here, not there: see what it says of threads.
        imgsearch_onnx::disable_telemetry();
        let mut options = self.runtime();
        options.offline = true;
        let spawned = thread::Builder::new()
            .name("imgsearch-runtime".to_owned())
            .spawn(move || {
                if let Err(error) = Runtime::load(&options) {
                    tracing::debug!(%error, "ONNX Runtime was not loaded ahead");
                }
            });
        Preloading(
            spawned
                .inspect_err(
                    |error| tracing::debug!(%error, "no thread to load ONNX Runtime ahead in"),
                )
                .ok(),
        )
    }
}

/// ONNX Runtime that is being loaded, by [`EngineOptions::preload`]. Dropping it waits for the end:
/// a process must not exit while a library is being set up.
#[derive(Debug)]
#[must_use = "dropped at once, it is waited for at once"]
pub struct Preloading(Option<JoinHandle<()>>);

impl Drop for Preloading {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take()
            && thread.join().is_err()
        {
            tracing::debug!("loading ONNX Runtime ahead panicked");
        }
    }
}

/// What starting an engine took, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started {
    /// Waiting for ONNX Runtime.
    pub runtime_waited_ms: f64,
    /// Starting the first session.
    pub session_ms: f64,
}

/// An encoder with the runtime that runs it.
#[derive(Debug)]
pub struct Engine {
    file: EncoderFile,
    runtime: &'static Runtime,
    options: EngineOptions,
    geometry: Geometry,
    provider: Provider,
    /// Why the provider is not what could have been hoped for, where `auto` fell back.
    provider_note: Option<String>,
    first: Mutex<Option<Encoder>>,
    started: Started,
    /// One session that all workers share, where the computations run on a graphics card.
    shared: Option<Arc<Mutex<Encoder>>>,
}

impl Engine {
    /// Loads ONNX Runtime and opens `file` on the chosen provider.
    ///
    /// # Errors
    ///
    /// If ONNX Runtime is not found and cannot be fetched, if the requested provider is not available,
    /// or if the file breaks the encoder contract.
    pub fn new(file: EncoderFile, options: EngineOptions) -> Result<Self> {
        let begun = Instant::now();
        let runtime = Runtime::load(&options.runtime())?;
        let runtime_waited_ms = ms_since(begun);
        let begun = Instant::now();
        let first = Encoder::new(&file, runtime, &SessionOptions::on(options.provider))?;
        let started = Started {
            runtime_waited_ms,
            session_ms: ms_since(begun),
        };
        let provider = first.provider();
        let provider_note = first.provider_note().map(ToOwned::to_owned);
        let geometry = geometry_of(file.info());
        let (first, shared) = match provider {
            Provider::Cuda => (None, Some(Arc::new(Mutex::new(first)))),
            _ => (Some(first), None),
        };
        Ok(Self {
            file,
            runtime,
            options,
            geometry,
            provider,
            provider_note,
            first: Mutex::new(first),
            started,
            shared,
        })
    }

    /// Another encoder, set up as this one.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`].
    pub fn with(&self, file: EncoderFile) -> Result<Self> {
        Self::new(file, self.options.clone())
    }

    /// The encoder's file.
    pub fn file(&self) -> &EncoderFile {
        &self.file
    }

    /// What the encoder's file declares.
    pub fn info(&self) -> &EncoderInfo {
        self.file.info()
    }

    /// The ONNX Runtime in use.
    pub fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// Where the computations run.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Why the computations do not run on a graphics card although `auto` tried.
    pub fn provider_note(&self) -> Option<&str> {
        self.provider_note.as_deref()
    }

    /// How images are brought to the encoder's input size.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// What an image may cost.
    pub fn limits(&self) -> &Limits {
        &self.options.limits
    }

    /// What starting it took.
    pub(crate) fn started(&self) -> Started {
        self.started
    }

    /// How many workers keep this machine busy.
    pub fn threads(&self) -> usize {
        match self.options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }

    /// How many images a worker should encode at once.
    pub fn batch(&self) -> usize {
        match self.provider {
            Provider::Cuda => CUDA_BATCH,
            _ => CPU_BATCH,
        }
    }

    /// A new worker. Each thread needs its own.
    ///
    /// # Errors
    ///
    /// Where a session cannot be opened.
    pub fn worker(&self) -> Result<Worker> {
        let session = match &self.shared {
            Some(shared) => Session::Shared(Arc::clone(shared)),
            None => {
                let ready = self
                    .first
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                Session::Own(Box::new(match ready {
                    Some(encoder) => encoder,
                    None => Encoder::new(
                        &self.file,
                        self.runtime,
                        &SessionOptions::on(self.options.provider),
                    )?,
                }))
            }
        };
        Ok(Worker {
            decoder: Decoder::new(self.options.limits),
            session,
            geometry: self.geometry,
        })
    }

    /// What an index remembers of this encoder.
    pub fn record(&self) -> EncoderRecord {
        record_of(self.file.info())
    }
}

/// How pictures are brought to the size that the encoder of `info` wants.
pub(crate) fn geometry_of(info: &EncoderInfo) -> Geometry {
    Geometry {
        width: info.width,
        height: info.height,
        resize: match info.resize {
            Resize::ShortSideCrop { short } => decode::Resize::ShortSideCrop { short },
            Resize::Squash => decode::Resize::Squash,
            // A way of resizing of a later format was refused when the file was read.
            _ => decode::Resize::Squash,
        },
    }
}

/// What an index remembers of the encoder that `info` describes.
pub(crate) fn record_of(info: &EncoderInfo) -> EncoderRecord {
    EncoderRecord {
        fingerprint: info.fingerprint.clone(),
        name: info.name.clone(),
        code_len: info.code_len,
        bits: info.bits,
        hash_weight: info.hash_weight,
        metadata: info.training.clone(),
    }
}

/// A session of a worker's own, or one that all share.
enum Session {
    Own(Box<Encoder>),
    Shared(Arc<Mutex<Encoder>>),
}

/// Decodes and encodes images on one thread.
pub struct Worker {
    decoder: Decoder,
    session: Session,
    geometry: Geometry,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("geometry", &self.geometry)
            .finish_non_exhaustive()
    }
}

/// What one image was turned into.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Encoded {
    /// The code: as many numbers as the encoder declares.
    pub code: Vec<f32>,
    /// The semantic hash, bit `i` in byte `i / 8` at position `i % 8`.
    pub hash: Vec<u8>,
    /// The logits of the hash, one per bit: a bit is set if its logit is above zero.
    pub logits: Vec<f32>,
    /// Width in pixels, as it is looked at (orientation applied).
    pub width: u32,
    /// Height in pixels, as it is looked at.
    pub height: u32,
    /// What is wrong with the file, where a part of the picture could still be used.
    pub damage: Option<String>,
}

impl Worker {
    /// The bytes that one decoded image takes in a batch.
    pub fn image_bytes(&self) -> usize {
        self.geometry.bytes()
    }

    /// Decodes one image into `out`, of [`Worker::image_bytes`] bytes.
    ///
    /// # Errors
    ///
    /// What is wrong with the image.
    pub fn decode_into<'a>(
        &mut self,
        content: impl Into<Content<'a>>,
        out: &mut [u8],
    ) -> Result<Decoded, decode::DecodeError> {
        self.decoder.decode_into(content, &self.geometry, out)
    }

    /// How images are brought to the encoder's input size.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Decodes one image whole and upright, as large as it is resized from.
    ///
    /// # Errors
    ///
    /// What is wrong with the image.
    pub fn decode_whole<'a>(
        &mut self,
        content: impl Into<Content<'a>>,
    ) -> Result<decode::Whole, decode::DecodeError> {
        self.decoder
            .decode_whole(content, self.geometry.short_side())
    }

    /// Encodes `n` images that lie decoded one behind the other in `pixels`.
    ///
    /// # Errors
    ///
    /// Where the encoder fails on them.
    pub fn encode(&mut self, pixels: &[u8], n: usize) -> Result<Encodings> {
        Ok(match &mut self.session {
            Session::Own(encoder) => encoder.encode(pixels, n)?,
            Session::Shared(encoder) => lock(encoder).encode(pixels, n)?,
        })
    }

    /// Decodes and encodes one image file, or its bytes; `name` stands in error messages.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] where it is no image that can be decoded.
    pub fn encode_image<'a>(
        &mut self,
        content: impl Into<Content<'a>>,
        name: &Path,
    ) -> Result<Encoded> {
        let mut pixels = vec![0; self.image_bytes()];
        let decoded = self
            .decode_into(content, &mut pixels)
            .map_err(|source| Error::Image {
                path: name.to_owned(),
                source,
            })?;
        self.encode_decoded(&pixels, decoded)
    }

    /// Encodes one image that was decoded into `pixels`.
    pub(crate) fn encode_decoded(&mut self, pixels: &[u8], decoded: Decoded) -> Result<Encoded> {
        let encodings = self.encode(pixels, 1)?;
        Ok(Encoded {
            code: encodings.code(0).to_vec(),
            hash: encodings.hash(0),
            logits: encodings.logits(0).to_vec(),
            width: decoded.width,
            height: decoded.height,
            damage: decoded.damage,
        })
    }
}

fn lock(encoder: &Mutex<Encoder>) -> MutexGuard<'_, Encoder> {
    // A panic in another worker leaves the session as it was before the call.
    encoder.lock().unwrap_or_else(PoisonError::into_inner)
}
