//! The engine: an encoder file and the ONNX Runtime that runs it, ready to create workers.
//!
//! Owns how decoding and encoding are combined: a [`Worker`] turns image files into codes and hashes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use imgsearch_index::{EncoderRecord, Label, Query, pack_bits};
use imgsearch_onnx::{
    Encoder, EncoderFile, EncoderInfo, EncoderResize, Encodings, Provider, ProviderChoice, Runtime,
    RuntimeOptions, SessionOptions,
};

use crate::decode::{self, Content, Decoded, Decoder, Geometry, Limits};
use crate::encode::labels::labels_of;
use crate::encode::timings::ms_since;
use crate::error::{Error, Result};

/// Number of images that a session on the processor encodes at once. Larger batches were not faster on any tested
/// processor, and take more memory.
const CPU_BATCH: usize = 8;

/// Number of images that a session on a graphics card encodes at once.
const CUDA_BATCH: usize = 64;

/// Options of an [`Engine`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Where computations run. Default: the processor.
    pub provider: ProviderChoice,
    /// The ONNX Runtime library to load. Default: imgsearch looks for one.
    pub library: Option<PathBuf>,
    /// Never download ONNX Runtime. Default: it is downloaded once if it is missing.
    pub offline: bool,
    /// Number of worker threads. Default (0): one for each processor core.
    pub threads: usize,
    /// Limits of what one image may cost.
    pub limits: Limits,
    /// Called with a line of text before something is downloaded.
    pub notice: Option<fn(&str)>,
}

impl EngineOptions {
    /// Returns how to find ONNX Runtime.
    pub fn runtime(&self) -> RuntimeOptions {
        let mut runtime = RuntimeOptions::default();
        runtime.library.clone_from(&self.library);
        runtime.offline = self.offline;
        runtime.prefer_cuda = self.provider != ProviderChoice::Cpu;
        runtime.notice = self.notice;
        runtime
    }

    /// Returns the number of worker threads: the number that was set, or one per core.
    pub(crate) fn worker_threads(&self) -> usize {
        match self.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// Starts to load ONNX Runtime on another thread, so that a program with other things to do before its first
    /// [`Engine`] waits less for it. Nothing is downloaded, and errors show when the engine is created.
    pub fn preload(&self) -> Preloading {
        // On this thread: its documentation says why.
        imgsearch_onnx::disable_telemetry();
        let mut options = self.runtime();
        options.offline = true;
        let spawned = thread::Builder::new()
            .name("imgsearch-runtime".to_owned())
            .spawn(move || {
                if let Err(error) = Runtime::load(&options) {
                    tracing::debug!(%error, "ONNX Runtime was not preloaded");
                }
            });
        Preloading(
            spawned
                .inspect_err(|error| tracing::debug!(%error, "no thread to preload ONNX Runtime"))
                .ok(),
        )
    }
}

/// ONNX Runtime that [`EngineOptions::preload`] is loading. Dropping this waits for the end: a process must not
/// exit while a library is being initialised.
#[derive(Debug)]
#[must_use = "dropping it waits for the end of loading"]
pub struct Preloading(Option<JoinHandle<()>>);

impl Drop for Preloading {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take()
            && thread.join().is_err()
        {
            tracing::debug!("preloading ONNX Runtime panicked");
        }
    }
}

/// How long starting an engine took, in milliseconds.
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
    /// The reason why `auto` did not choose the graphics card, if it tried.
    provider_note: Option<String>,
    first: Mutex<Option<Encoder>>,
    started: Started,
    /// The session that all workers share on a graphics card.
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
        let start = Instant::now();
        let runtime = Runtime::load(&options.runtime())?;
        let runtime_waited_ms = ms_since(start);
        let start = Instant::now();
        let first = Encoder::new(&file, runtime, &SessionOptions::on(options.provider))?;
        let started = Started {
            runtime_waited_ms,
            session_ms: ms_since(start),
        };
        let provider = first.provider();
        let provider_note = first.provider_note().map(ToOwned::to_owned);
        let info = file.info();
        tracing::info!(
            name = info.name,
            fingerprint = info.fingerprint,
            ?provider,
            note = provider_note,
            "encoder"
        );
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

    /// Returns another encoder with the same options.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`].
    pub fn with(&self, file: EncoderFile) -> Result<Self> {
        Self::new(file, self.options.clone())
    }

    /// Returns the encoder's file.
    pub fn file(&self) -> &EncoderFile {
        &self.file
    }

    /// Returns what the encoder's file declares.
    pub fn info(&self) -> &EncoderInfo {
        self.file.info()
    }

    /// Returns the ONNX Runtime in use.
    pub fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// Returns where the computations run.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Returns why the computations do not run on a graphics card, if `auto` tried.
    pub fn provider_note(&self) -> Option<&str> {
        self.provider_note.as_deref()
    }

    /// Returns how images are brought to the encoder's input size.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Returns the limits of what one image may cost.
    pub fn limits(&self) -> &Limits {
        &self.options.limits
    }

    /// Returns how long starting it took.
    pub(crate) fn started(&self) -> Started {
        self.started
    }

    /// Returns the number of workers that keep this machine busy.
    pub fn threads(&self) -> usize {
        self.options.worker_threads()
    }

    /// Returns the number of images that a worker should encode at once.
    pub fn batch(&self) -> usize {
        match self.provider {
            Provider::Cuda => CUDA_BATCH,
            _ => CPU_BATCH,
        }
    }

    /// Returns a new worker. Each thread needs its own.
    ///
    /// # Errors
    ///
    /// If a session cannot be opened.
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

    /// Returns what an index stores about this encoder.
    pub fn record(&self) -> EncoderRecord {
        record_of(self.file.info())
    }
}

/// Returns how images are brought to the size that an encoder needs.
pub(crate) fn geometry_of(info: &EncoderInfo) -> Geometry {
    Geometry {
        width: info.width,
        height: info.height,
        resize: match info.resize {
            EncoderResize::ShortSideCrop { short } => decode::Resize::ShortSideCrop { short },
            EncoderResize::Squash => decode::Resize::Squash,
            // Files of a later format with other ways are refused when they are read.
            _ => decode::Resize::Squash,
        },
    }
}

/// Returns what an index stores about an encoder.
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

/// A worker's own session, or one that all workers share.
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

/// The encoding of one image.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Encoded {
    /// The code: as many numbers as the encoder declares.
    pub code: Vec<f32>,
    /// The semantic hash, bit `i` in byte `i / 8` at position `i % 8`.
    pub hash: Vec<u8>,
    /// The logits of the hash, one per bit: a bit is set if its logit is above zero.
    pub logits: Vec<f32>,
    /// The classes that it most likely shows, best first; empty if the encoder declares none.
    pub labels: Vec<Label>,
    /// Width in pixels of the upright image.
    pub width: u32,
    /// Height in pixels of the upright image.
    pub height: u32,
    /// What is wrong with the file, if only a part of the image could be used.
    pub damage: Option<String>,
}

impl Encoded {
    /// Returns the query for images like this one.
    pub(crate) fn query(&self) -> Query<'_> {
        Query::new(&self.code).hash(&self.hash).logits(&self.logits)
    }

    /// Returns the encoding of image `i` of a batch.
    pub(crate) fn of(encodings: &Encodings, i: usize, decoded: Decoded) -> Self {
        Self {
            code: encodings.code(i).to_vec(),
            hash: encodings.hash(i),
            logits: encodings.logits(i).to_vec(),
            labels: labels_of(encodings.class_logits(i)),
            width: decoded.width,
            height: decoded.height,
            damage: decoded.damage,
        }
    }

    /// Returns what was encoded before and kept elsewhere: a code, and the logits of its hash.
    pub fn of_code(code: Vec<f32>, logits: Vec<f32>) -> Self {
        Self {
            code,
            hash: pack_bits(&logits),
            logits,
            labels: Vec::new(),
            width: 0,
            height: 0,
            damage: None,
        }
    }
}

impl Worker {
    /// Returns the bytes that one decoded image takes in a batch.
    pub fn image_bytes(&self) -> usize {
        self.geometry.bytes()
    }

    /// Decodes one image into `out`, which has [`Worker::image_bytes`] bytes.
    ///
    /// # Errors
    ///
    /// If the image cannot be decoded or costs more than the limits allow.
    pub fn decode_into<'a>(
        &mut self,
        content: impl Into<Content<'a>>,
        out: &mut [u8],
    ) -> Result<Decoded, decode::DecodeError> {
        self.decoder.decode_into(content, &self.geometry, out)
    }

    /// Returns how images are brought to the encoder's input size.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Decodes one image whole and upright, at the size from which it would be resized.
    ///
    /// # Errors
    ///
    /// If the image cannot be decoded or costs more than the limits allow.
    pub fn decode_whole<'a>(
        &mut self,
        content: impl Into<Content<'a>>,
    ) -> Result<decode::Whole, decode::DecodeError> {
        self.decoder
            .decode_whole(content, self.geometry.short_side())
    }

    /// Encodes `n` decoded images, which lie one after the other in `pixels`.
    ///
    /// # Errors
    ///
    /// If the encoder fails.
    pub fn encode(&mut self, pixels: &[u8], n: usize) -> Result<Encodings> {
        Ok(match &mut self.session {
            Session::Own(encoder) => encoder.encode(pixels, n)?,
            Session::Shared(encoder) => lock(encoder).encode(pixels, n)?,
        })
    }

    /// Decodes and encodes one image file, or its bytes. Error messages call it `name`.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] if the image cannot be decoded, or the encoder's error.
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
        Ok(Encoded::of(&encodings, 0, decoded))
    }
}

fn lock(encoder: &Mutex<Encoder>) -> MutexGuard<'_, Encoder> {
    // A panic in another worker leaves the session as it was before the call.
    encoder.lock().unwrap_or_else(PoisonError::into_inner)
}
