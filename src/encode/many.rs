//! Encoding of many images on all cores, with results in the order of the images.

use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::decode::{Decoded, Source};
use crate::encode::engine::{Encoded, Engine, Worker};
use crate::error::{Error, Result};
use crate::indexing::worker_pool::{self, Jobs};
use crate::progress::Progress;

/// A thread's worker, its file, and room for a batch of images.
struct State {
    worker: Worker,
    file: Source,
    pixels: Vec<u8>,
}

impl Engine {
    /// Encodes the images at `paths` on [`Engine::threads`] threads. `receive` gets each path with its encoding or
    /// the reason why there is none, in the order of the paths and as soon as it is there, and may end it with
    /// `Break`. Nothing more is started once `progress` is cancelled.
    ///
    /// # Errors
    ///
    /// If the encoder fails, or makes no codes. An image that cannot be read or decoded is an error for `receive`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::ops::ControlFlow;
    /// use std::path::PathBuf;
    ///
    /// use imgsearch::onnx::EncoderFile;
    /// use imgsearch::{Engine, EngineOptions};
    ///
    /// let engine = Engine::new(EncoderFile::default_encoder()?, EngineOptions::default())?;
    /// let photos = [PathBuf::from("cat.jpg"), PathBuf::from("dog.jpg")];
    /// engine.encode_files(&photos, &(), |path, encoded| {
    ///     match encoded {
    ///         Ok(encoded) => println!("{}: {:?}", path.display(), encoded.code),
    ///         Err(error) => eprintln!("{error}"),
    ///     }
    ///     ControlFlow::Continue(())
    /// })?;
    /// # Ok::<(), imgsearch::Error>(())
    /// ```
    pub fn encode_files(
        &self,
        paths: &[PathBuf],
        progress: &dyn Progress,
        receive: impl FnMut(&Path, Result<Encoded>) -> ControlFlow<()>,
    ) -> Result<()> {
        let open = |file: &mut Source, path: &Path| {
            file.reopen(path, self.limits())
                .map_err(|unread| Error::unread(unread, path))
        };
        self.encode_opened(paths, &open, progress, receive)
    }

    /// As [`Engine::encode_files`], where `open` says what lies at a path: it puts the image in place of another one.
    ///
    /// # Errors
    ///
    /// As [`Engine::encode_files`].
    pub fn encode_opened(
        &self,
        paths: &[PathBuf],
        open: &(dyn Fn(&mut Source, &Path) -> Result<()> + Sync),
        progress: &dyn Progress,
        mut receive: impl FnMut(&Path, Result<Encoded>) -> ControlFlow<()>,
    ) -> Result<()> {
        self.file().require_codes()?;
        let ended = AtomicBool::new(false);
        let progress = Until {
            progress,
            ended: &ended,
        };
        let threads = self.threads();
        // A few images are spread over all threads.
        let chunk = paths.len().div_ceil(threads).clamp(1, self.batch());
        worker_pool::run(
            Jobs::in_order(threads, paths.len(), chunk),
            &progress,
            || {
                let worker = self.worker()?;
                let pixels = vec![0; chunk * worker.image_bytes()];
                Ok(State {
                    worker,
                    file: Source::default(),
                    pixels,
                })
            },
            |state, range| state.encode(&paths[range], open),
            |range: Range<usize>, made| {
                for (path, encoded) in paths[range].iter().zip(made) {
                    if ended.load(Ordering::Relaxed) {
                        break;
                    }
                    if receive(path, encoded).is_break() {
                        ended.store(true, Ordering::Relaxed);
                    }
                }
                Ok(())
            },
        )
    }
}

impl State {
    /// Encodes the images of a chunk together. Fails only if the encoder does.
    fn encode(
        &mut self,
        paths: &[PathBuf],
        open: &(dyn Fn(&mut Source, &Path) -> Result<()> + Sync),
    ) -> Result<Vec<Result<Encoded>>> {
        let size = self.worker.image_bytes();
        let mut decoded: Vec<Result<Decoded>> = Vec::with_capacity(paths.len());
        let mut n = 0;
        for path in paths {
            let slot = &mut self.pixels[n * size..(n + 1) * size];
            let one = open(&mut self.file, path).and_then(|()| {
                let made = self.worker.decode_into(&self.file, slot);
                made.map_err(|source| Error::Image {
                    path: path.clone(),
                    source,
                })
            });
            n += usize::from(one.is_ok());
            decoded.push(one);
        }
        if n == 0 {
            return Ok(decoded
                .into_iter()
                .filter_map(Result::err)
                .map(Err)
                .collect());
        }
        let encodings = self.worker.encode(&self.pixels[..n * size], n)?;
        let mut places = 0..;
        let made = decoded.into_iter().map(|one| {
            // Those that were decoded lie one after the other.
            one.map(|decoded| Encoded::of(&encodings, places.next().unwrap_or_default(), decoded))
        });
        Ok(made.collect())
    }
}

/// A progress that is also cancelled when nobody receives any more.
struct Until<'a> {
    progress: &'a dyn Progress,
    ended: &'a AtomicBool,
}

impl Progress for Until<'_> {
    fn is_cancelled(&self) -> bool {
        self.ended.load(Ordering::Relaxed) || self.progress.is_cancelled()
    }
}
