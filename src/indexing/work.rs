//! The workers: each reads, hashes, decodes and encodes its share of the jobs.
//!
//! Each core runs one worker with its own session, and the worker does all steps for its chunk of files. So cores
//! wait for each other only for memory: each worker has a batch of small images and one file of up to 8 MiB, and
//! larger ones share [`Limits::max_memory`].

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use imgsearch_index::{FailureKind, Label};

use super::plan::Job;
use crate::decode::{DecodeError, Decoded, Limits, ReadError, Source};
use crate::encode::engine::{Engine, Worker};
use crate::encode::labels::labels_of;
use crate::error::Result;

pub(crate) type Digest = [u8; 32];

/// The result of one job.
pub(super) enum JobResult {
    /// An image whose content was not stored before.
    Encoded {
        digest: Digest,
        decoded: Decoded,
        code: Vec<f32>,
        hash: Vec<u8>,
        labels: Vec<Label>,
        /// Features and logits, if they are kept.
        kept: Option<(Vec<f32>, Vec<f32>)>,
    },
    /// The content was stored before this run.
    Stored { digest: Digest },
    /// The content is that of another file of this run.
    DuplicateOfPending { digest: Digest },
    /// The content under this path is the same as before.
    Same,
    /// The file cannot be read or decoded.
    Failed {
        kind: FailureKind,
        reason: String,
        digest: Option<Digest>,
    },
}

/// The contents that workers of this run have taken on, so that identical files are encoded once.
#[derive(Default)]
pub(super) struct Claims(Mutex<HashSet<Digest>>);

impl Claims {
    /// Returns whether the caller is the first to claim this content.
    fn claim(&self, digest: Digest) -> bool {
        let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        claimed.insert(digest)
    }
}

/// Tells whether a content is stored with a sound code.
pub(super) type HasContent<'a> = Box<dyn Fn(&Digest) -> Result<bool> + 'a>;

/// The state of one worker.
pub(super) struct WorkerState<'a> {
    worker: Worker,
    has_content: HasContent<'a>,
    /// A batch of decoded images.
    pixels: Vec<u8>,
    /// The file that is being read.
    file: Source,
}

impl<'a> WorkerState<'a> {
    pub fn new(engine: &Engine, has_content: HasContent<'a>) -> Result<Self> {
        let worker = engine.worker()?;
        Ok(Self {
            pixels: vec![0; engine.batch() * worker.image_bytes()],
            worker,
            has_content,
            file: Source::default(),
        })
    }
}

/// What all workers share.
pub(super) struct WorkerContext {
    batch: usize,
    claims: Claims,
    limits: Limits,
}

impl WorkerContext {
    pub fn new(engine: &Engine) -> Self {
        Self {
            batch: engine.batch(),
            claims: Claims::default(),
            limits: *engine.limits(),
        }
    }

    /// Processes a chunk of at most `batch` jobs.
    ///
    /// # Errors
    ///
    /// If the index cannot be read or the encoder fails.
    pub fn run_chunk(
        &self,
        jobs: &[Job],
        state: &mut WorkerState<'_>,
        keep_features: bool,
    ) -> Result<Vec<JobResult>> {
        debug_assert!(jobs.len() <= self.batch);
        let WorkerState {
            worker,
            has_content,
            pixels,
            file,
        } = state;
        let size = worker.image_bytes();
        let mut made = Vec::with_capacity(jobs.len());
        // The places in `made` whose images lie in `pixels`, in order.
        let mut pending = Vec::with_capacity(jobs.len());
        for job in jobs {
            let slot = pending.len() * size..(pending.len() + 1) * size;
            let one = self.process(job, worker, has_content, &mut pixels[slot], file)?;
            if matches!(one, JobResult::Encoded { .. }) {
                pending.push(made.len());
            }
            made.push(one);
        }
        if !pending.is_empty() {
            let encodings = worker.encode(&pixels[..pending.len() * size], pending.len())?;
            for (i, &place) in pending.iter().enumerate() {
                if let JobResult::Encoded {
                    code,
                    hash,
                    labels,
                    kept,
                    ..
                } = &mut made[place]
                {
                    *code = encodings.code(i).to_vec();
                    *hash = encodings.hash(i);
                    *labels = labels_of(encodings.class_logits(i));
                    *kept = keep_features
                        .then(|| (encodings.features(i).to_vec(), encodings.logits(i).to_vec()));
                }
            }
        }
        Ok(made)
    }

    /// Processes one file, except for the encoding.
    fn process(
        &self,
        job: &Job,
        worker: &mut Worker,
        has_content: &HasContent<'_>,
        out: &mut [u8],
        file: &mut Source,
    ) -> Result<JobResult> {
        let failed = |kind, reason, digest| {
            Ok(JobResult::Failed {
                kind,
                reason,
                digest,
            })
        };
        if let Err(error) = file.reopen(&job.candidate.path, &self.limits) {
            let kind = match error {
                ReadError::OverLimit(_) => FailureKind::Limit,
                _ => FailureKind::Read,
            };
            return failed(kind, error.to_string(), None);
        }
        let digest = match file.digest() {
            Ok(digest) => digest,
            Err(error) => return failed(FailureKind::Read, error.to_string(), None),
        };
        // A content with a damaged code does not count as stored, so it is encoded again.
        if has_content(&digest)? {
            let same = job.before.is_some_and(|before| before.digest == digest);
            return Ok(if same {
                JobResult::Same
            } else {
                JobResult::Stored { digest }
            });
        }
        if !self.claims.claim(digest) {
            return Ok(JobResult::DuplicateOfPending { digest });
        }
        let decoded = worker.decode_into(&*file, out);
        // A file that stays on disk is read twice, so the digest may be that of other bytes than were decoded.
        // Another file of this run with that digest fails together with this one, and the next run reads both
        // again.
        if !file.is_unchanged().unwrap_or(false) {
            let reason = "the file changed while it was read".to_owned();
            return failed(FailureKind::Read, reason, Some(digest));
        }
        match decoded {
            Ok(decoded) => Ok(JobResult::Encoded {
                digest,
                decoded,
                code: Vec::new(),
                hash: Vec::new(),
                labels: Vec::new(),
                kept: None,
            }),
            Err(error) => failed(kind_of(&error), error.to_string(), Some(digest)),
        }
    }
}

/// Returns the kind of failure that an image which cannot be decoded is stored as.
fn kind_of(error: &DecodeError) -> FailureKind {
    match error {
        DecodeError::Unreadable(_) => FailureKind::Read,
        DecodeError::Unsupported(_) | DecodeError::NotSupported(_) => FailureKind::Unsupported,
        DecodeError::TooSlow { limit } => FailureKind::TimedOut { limit: *limit },
        _ if error.is_untried() => FailureKind::Deferred,
        _ if error.is_over_limit() => FailureKind::Limit,
        _ => FailureKind::Decode,
    }
}
