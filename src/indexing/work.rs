//! The workers: each reads, hashes, decodes and encodes its share of the jobs.
//!
//! Every core runs one worker with a session of its own, and a worker does all the steps for
//! its chunk of files, so no core waits for another but for memory, of which each worker has a batch of
//! small pictures and one file of up to 8 MiB; larger ones come out of [`Limits::max_memory`].

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use imgsearch_index::{FailureKind, Reader};

use super::plan::Job;
use crate::decode::{DecodeError, Decoded, Limits, Source, Unread};
use crate::encode::engine::{Engine, Worker};
use crate::error::Result;

pub(super) type Digest = [u8; 32];

/// What a worker made of one job.
pub(super) enum Made {
    /// A picture of a content not stored before.
    Encoded {
        digest: Digest,
        decoded: Decoded,
        code: Vec<f32>,
        hash: Vec<u8>,
    },
    /// The content is that of an image stored before this run.
    Stored { digest: Digest },
    /// The content is that of another file of this run.
    Twin { digest: Digest },
    /// The content is what it was under this path.
    Same,
    /// It cannot be read or decoded.
    Failed {
        kind: FailureKind,
        reason: String,
        digest: Option<Digest>,
    },
}

/// The contents that some worker of this run has taken on, so that identical files are
/// encoded once.
#[derive(Default)]
pub(super) struct Claims(Mutex<HashSet<Digest>>);

impl Claims {
    /// Whether the caller is the first to ask for this content.
    fn claim(&self, digest: Digest) -> bool {
        let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        claimed.insert(digest)
    }
}

/// What a worker has of its own.
pub(super) struct Desk {
    worker: Worker,
    reader: Reader,
    /// A batch of decoded pictures.
    pixels: Vec<u8>,
    /// The file being read.
    file: Source,
}

impl Desk {
    pub fn new(engine: &Engine, index: &Path) -> Result<Self> {
        let worker = engine.worker()?;
        Ok(Self {
            pixels: vec![0; engine.batch() * worker.image_bytes()],
            worker,
            reader: Reader::open(index)?,
            file: Source::default(),
        })
    }
}

/// What all workers share.
pub(super) struct Shift {
    pub batch: usize,
    pub claims: Claims,
    pub limits: Limits,
}

impl Shift {
    /// Deals with a chunk of at most `batch` jobs.
    pub fn chunk(&self, jobs: &[Job], desk: &mut Desk) -> Result<Vec<Made>> {
        debug_assert!(jobs.len() <= self.batch);
        let Desk {
            worker,
            reader,
            pixels,
            file,
        } = desk;
        let size = worker.image_bytes();
        let mut made = Vec::with_capacity(jobs.len());
        // The places in `made` whose pictures lie in `pixels`, in order.
        let mut pending = Vec::with_capacity(jobs.len());
        for job in jobs {
            let slot = pending.len() * size..(pending.len() + 1) * size;
            let one = self.one(job, worker, reader, &mut pixels[slot], file)?;
            if matches!(one, Made::Encoded { .. }) {
                pending.push(made.len());
            }
            made.push(one);
        }
        if !pending.is_empty() {
            let encodings = worker.encode(&pixels[..pending.len() * size], pending.len())?;
            for (i, &place) in pending.iter().enumerate() {
                if let Made::Encoded { code, hash, .. } = &mut made[place] {
                    *code = encodings.code(i).to_vec();
                    *hash = encodings.hash(i);
                }
            }
        }
        Ok(made)
    }

    /// Deals with one file, all but the encoding.
    fn one(
        &self,
        job: &Job,
        worker: &mut Worker,
        reader: &Reader,
        out: &mut [u8],
        file: &mut Source,
    ) -> Result<Made> {
        let failed = |kind, reason, digest| {
            Ok(Made::Failed {
                kind,
                reason,
                digest,
            })
        };
        if let Err(error) = file.reopen(&job.candidate.path, &self.limits) {
            let kind = match error {
                Unread::OverLimit(_) => FailureKind::Limit,
                _ => FailureKind::Read,
            };
            return failed(kind, error.to_string(), None);
        }
        let digest = match file.digest() {
            Ok(digest) => digest,
            Err(error) => return failed(FailureKind::Read, error.to_string(), None),
        };
        // A content whose code is damaged is not stored, and is encoded again.
        if reader.has_content(&digest)? {
            let same = job.before.is_some_and(|before| before.digest == digest);
            return Ok(if same {
                Made::Same
            } else {
                Made::Stored { digest }
            });
        }
        if !self.claims.claim(digest) {
            return Ok(Made::Twin { digest });
        }
        let decoded = worker.decode_into(&*file, out);
        // What stays on disk is read twice: the digest may be that of other bytes than were decoded.
        // Another file of this run with that digest fails with this one, and both are read again by
        // the next run.
        if !file.is_unchanged().unwrap_or(false) {
            let reason = "it was changed while it was read".to_owned();
            return failed(FailureKind::Read, reason, Some(digest));
        }
        match decoded {
            Ok(decoded) => Ok(Made::Encoded {
                digest,
                decoded,
                code: Vec::new(),
                hash: Vec::new(),
            }),
            Err(error) => failed(kind_of(&error), error.to_string(), Some(digest)),
        }
    }
}

/// Returns the kind of failure that an image which cannot be decoded is stored as.
fn kind_of(error: &DecodeError) -> FailureKind {
    match error {
        DecodeError::Unreadable(_) => FailureKind::Read,
        DecodeError::Unsupported(_) => FailureKind::Unsupported,
        DecodeError::TooSlow { limit } => FailureKind::TimedOut { limit: *limit },
        _ if error.is_untried() => FailureKind::Deferred,
        _ if error.is_over_limit() => FailureKind::Limit,
        _ => FailureKind::Decode,
    }
}
