//! Decoding with a limit on time.
//!
//! A decoder cannot be interrupted. So slow decoding happens on a helper thread, and the caller stops waiting when
//! the time is up: the helper is abandoned and finishes by itself, its result is dropped, and the next image gets a
//! new helper. So that a folder of such images cannot fill the machine with helpers, no new one starts while
//! [`MAX_ABANDONED`] of them are still busy; an image that would need one is not tried.
//!
//! Only the time of decoding counts, not that of waiting for memory (`budget.rs`) or of reading the file.
//!
//! With [`Limits::sandbox`], the helper hands the file to a process, which is ended when the time is up (`sandbox/`).
//!
//! The hand-over costs about two thread switches. What cannot be slow is decoded on the calling thread: a JPEG
//! whose headers bound the work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::core::Core;
use super::error::DecodeError;
use super::format::{Format, sniff};
use super::sandbox::{Killer, Remote};
use super::source::{Content, Data, Source};
use super::{Limits, Output, Task, frame};

/// Maximum number of abandoned helpers of this process that are still busy.
pub(super) const MAX_ABANDONED: usize = 4;

/// JPEG samples, or bytes of a file, that any machine decodes in a second: a fiftieth of what was measured on one
/// core of an ordinary machine.
const MIN_SAMPLES_PER_SECOND: u64 = 10_000_000;

/// How long a decoder only waited for memory: finished waits, and the start of the current one.
#[derive(Default)]
pub(super) struct Pauses(Mutex<(Duration, Option<Instant>)>);

impl Pauses {
    fn lock(&self) -> MutexGuard<'_, (Duration, Option<Instant>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records how long `wait` takes.
    pub fn during<T>(&self, wait: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        self.lock().1 = Some(started);
        let result = wait();
        let mut all = self.lock();
        all.0 += started.elapsed();
        all.1 = None;
        result
    }

    /// Returns the total so far, including the current wait.
    fn total(&self) -> Duration {
        let (ended, lasting) = *self.lock();
        ended + lasting.map_or(Duration::ZERO, |started| started.elapsed())
    }
}

/// The abandoned helpers that are still busy.
struct Abandoned {
    count: usize,
    /// Whether somebody waited in vain for one of them. Nobody else waits until one ends.
    hopeless: bool,
}

/// The helpers of a process.
struct Pool {
    left: Mutex<Abandoned>,
    /// Signals that one has finished.
    finished: Condvar,
}

static POOL: Pool = Pool::new();

impl Pool {
    const fn new() -> Self {
        Self {
            left: Mutex::new(Abandoned {
                count: 0,
                hopeless: false,
            }),
            finished: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Abandoned> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that one has finished.
    fn finish(&self) {
        let mut left = self.lock();
        left.count -= 1;
        left.hopeless = false;
        self.finished.notify_all();
    }

    /// Waits until fewer than [`MAX_ABANDONED`] are busy, for at most `time`, and not at all if another has waited
    /// in vain. Returns whether that is so.
    fn has_room_within(&self, time: Duration) -> bool {
        let full = |left: &mut Abandoned| left.count >= MAX_ABANDONED && !left.hopeless;
        let (mut left, waited) = self
            .finished
            .wait_timeout_while(self.lock(), time, full)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() && left.count >= MAX_ABANDONED {
            left.hopeless = true;
            self.finished.notify_all();
        }
        left.count < MAX_ABANDONED
    }
}

/// Returns whether decoding a file certainly ends within the limit on time.
pub(super) fn is_quick(data: Data<'_>, limits: &Limits) -> bool {
    let Data::Memory(bytes) = data else {
        return false;
    };
    if sniff(bytes) != Some(Format::Jpeg) {
        // Files that are not images are not decoded. Other formats can be small and contain much.
        return data.format().is_none_or(|format| !format.is_decoded());
    }
    let Some(frame) = frame::read(bytes) else {
        return false;
    };
    // A decoder may stop at fewer scans or not: `image` reads any number of scans of a baseline image.
    let work = u128::from(frame.samples) * u128::from(frame::max_scans(bytes));
    let work = work + bytes.len() as u128;
    work * 1_000_000_000 / u128::from(MIN_SAMPLES_PER_SECOND) < limits.max_time.as_nanos()
}

/// One file to decode.
struct Job {
    source: Source,
    task: Task,
}

type Reply = Result<Output, DecodeError>;

/// A thread that decodes for another.
struct Helper {
    jobs: Sender<Job>,
    done: Receiver<Reply>,
    /// Set if nobody waits for it any more.
    left: Arc<AtomicBool>,
    pauses: Arc<Pauses>,
    /// The process that it decodes in, if it does.
    killer: Killer,
}

/// Decodes on the thread of a helper, or in a process.
enum Worker {
    Here(Core),
    There(Remote),
}

impl Helper {
    fn start(limits: Limits, pool: &'static Pool) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (outbox, done) = mpsc::channel();
        let left = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&left);
        let pauses = Arc::new(Pauses::default());
        let paused = Arc::clone(&pauses);
        let killer = Killer::default();
        let process = killer.clone();
        let work = move || {
            let mut worker = if limits.sandbox {
                Worker::There(Remote::new(limits, paused, process))
            } else {
                Worker::Here(Core::new(limits, paused))
            };
            // Ends when the sender is dropped, which is also how a helper is abandoned.
            while let Ok(Job { source, task }) = inbox.recv() {
                let made = match &mut worker {
                    Worker::Here(core) => core.make(source.data(), task),
                    Worker::There(remote) => remote.make(source.data(), task),
                };
                // Before the reply, so that its receiver may use the memory again.
                drop(source);
                // If nobody waits, the image is dropped here.
                let _ = outbox.send(made);
            }
            if seen.load(Ordering::Acquire) {
                pool.finish();
            }
        };
        std::thread::Builder::new()
            .name("decode".to_owned())
            .spawn(work)?;
        Ok(Self {
            jobs,
            done,
            left,
            pauses,
            killer,
        })
    }

    /// Decodes a file, or returns an error if that takes longer than `limit`.
    fn make(&self, source: Source, task: Task, limit: Duration) -> Result<Reply, RecvTimeoutError> {
        let idle = {
            let pauses = Arc::clone(&self.pauses);
            let file = source.clone();
            move || pauses.total() + file.data().reading()
        };
        let before = idle();
        let started = Instant::now();
        let job = Job { source, task };
        self.jobs
            .send(job)
            .map_err(|_| RecvTimeoutError::Disconnected)?;
        let mut left = limit;
        loop {
            match self.done.recv_timeout(left) {
                Err(RecvTimeoutError::Timeout) => {
                    let decoding = started.elapsed().saturating_sub(idle() - before);
                    left = limit.saturating_sub(decoding);
                    if left.is_zero() {
                        return Err(RecvTimeoutError::Timeout);
                    }
                }
                reply => return reply,
            }
        }
    }
}

/// Decodes on its own helper.
pub(super) struct Timed {
    helper: Option<Helper>,
    pool: &'static Pool,
}

impl Timed {
    pub const fn new() -> Self {
        Self {
            helper: None,
            pool: &POOL,
        }
    }

    /// Decodes a file; returns `None` if the system has no more threads.
    ///
    /// # Errors
    ///
    /// If the image cannot be decoded, or takes longer than the limit on time.
    pub fn make(
        &mut self,
        content: Content<'_>,
        task: Task,
        limits: &Limits,
    ) -> Result<Option<Output>, DecodeError> {
        let helper = match self.helper.take() {
            // An existing helper is used, whatever happened to others, so that intact files proceed.
            Some(helper) => helper,
            None if !self.pool.has_room_within(limits.max_time) => {
                return Err(DecodeError::Busy {
                    count: MAX_ABANDONED,
                });
            }
            None => match Helper::start(*limits, self.pool) {
                Ok(helper) => helper,
                Err(error) if limits.sandbox => {
                    return Err(DecodeError::NoSandbox(error.to_string()));
                }
                Err(error) => {
                    tracing::warn!(%error, "no thread to decode in: decoding without a limit on time");
                    return Ok(None);
                }
            },
        };
        match helper.make(content.to_source(), task, limits.max_time) {
            Ok(reply) => {
                self.helper = Some(helper);
                reply.map(Some)
            }
            Err(RecvTimeoutError::Timeout) => {
                // Counted before the helper can see that it was abandoned.
                self.pool.lock().count += 1;
                helper.left.store(true, Ordering::Release);
                helper.killer.kill();
                Err(DecodeError::TooSlow {
                    limit: limits.max_time,
                })
            }
            Err(RecvTimeoutError::Disconnected) => Err(DecodeError::Panicked(
                "the thread that decoded it ended".to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, Geometry, Resize};
    use super::*;

    const GEOMETRY: Geometry = Geometry {
        width: 8,
        height: 8,
        resize: Resize::Squash,
    };

    /// Too short for any decoding; a second is long enough for any small image on any machine.
    const NO_TIME: Duration = Duration::from_millis(1);

    /// Creates a pool for one test.
    fn pool() -> &'static Pool {
        Box::leak(Box::new(Pool::new()))
    }

    fn within(max_time: Duration, pool: &'static Pool) -> Decoder {
        let mut decoder = Decoder::new(Limits {
            max_time,
            ..Limits::default()
        });
        decoder.timed.pool = pool;
        decoder
    }

    fn png(side: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let grey = image::GrayImage::from_fn(side, side, |x, y| image::Luma([(x ^ y) as u8]));
        let encoder = image::codecs::png::PngEncoder::new_with_quality(
            &mut bytes,
            image::codecs::png::CompressionType::Fast,
            image::codecs::png::FilterType::NoFilter,
        );
        grey.write_with_encoder(encoder).unwrap();
        bytes
    }

    fn jpeg(side: u32) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let image = image::RgbImage::from_pixel(side, side, image::Rgb([200, 100, 50]));
        image
            .write_to(&mut bytes, image::ImageFormat::Jpeg)
            .unwrap();
        bytes.into_inner()
    }

    #[test]
    fn an_image_that_takes_too_long_is_abandoned_and_the_next_is_decoded() {
        let pool = pool();
        let slow = png(4000);
        let small = jpeg(8);
        let mut decoder = within(NO_TIME, pool);
        let mut out = [0; 8 * 8 * 3];
        let refused = decoder.decode_into(&slow, &GEOMETRY, &mut out).unwrap_err();
        assert_eq!(refused, DecodeError::TooSlow { limit: NO_TIME });
        assert!(refused.is_over_limit());
        let message = refused.to_string();
        assert!(message.contains("0.001 seconds"), "{message}");
        assert_eq!(out, [0; 8 * 8 * 3], "the result is dropped");
        decoder.decode_into(&small, &GEOMETRY, &mut out).unwrap();
        assert!(out[0].abs_diff(200) < 4);
        // The same for whole images.
        let refused = decoder.decode_whole(&slow, 8);
        assert!(matches!(refused, Err(DecodeError::TooSlow { .. })));
        // With enough time, the image is like any other.
        let mut patient = within(Duration::from_mins(1), pool);
        for _ in 0..2 {
            let decoded = patient.decode_into(&slow, &GEOMETRY, &mut out).unwrap();
            assert_eq!((decoded.width, decoded.height), (4000, 4000));
        }
        // An abandoned helper ends and no longer counts.
        let (left, waited) = pool
            .finished
            .wait_timeout_while(pool.lock(), Duration::from_mins(1), |left| left.count > 0)
            .unwrap();
        assert!(!waited.timed_out(), "{} are still busy", left.count);
    }

    #[test]
    fn no_helper_starts_while_too_many_are_busy() {
        let pool = pool();
        let small = png(8);
        let mut out = [0; 8 * 8 * 3];
        let hour = Duration::from_hours(1);
        // An existing helper is still used.
        let mut ready = within(hour, pool);
        ready.decode_into(&small, &GEOMETRY, &mut out).unwrap();
        pool.lock().count = MAX_ABANDONED;
        ready.decode_into(&small, &GEOMETRY, &mut out).unwrap();
        let refused = within(NO_TIME, pool).decode_into(&small, &GEOMETRY, &mut out);
        assert_eq!(
            refused,
            Err(DecodeError::Busy {
                count: MAX_ABANDONED
            })
        );
        assert!(refused.unwrap_err().is_over_limit());
        // One has waited in vain, so the next does not wait. Otherwise this test would take an hour.
        let refused = within(hour, pool).decode_into(&small, &GEOMETRY, &mut out);
        assert_eq!(
            refused,
            Err(DecodeError::Busy {
                count: MAX_ABANDONED
            })
        );
        // What cannot be slow needs no helper.
        let quick = within(Duration::from_secs(1), pool).decode_into(&jpeg(8), &GEOMETRY, &mut out);
        assert!(quick.is_ok());
        // A waiting caller continues once a helper has finished.
        pool.lock().hopeless = false;
        let waiting = std::thread::spawn(move || within(hour, pool).decode_whole(&small, 8));
        pool.finish();
        assert_eq!(waiting.join().unwrap().unwrap().width, 8);
    }

    #[test]
    fn only_files_with_bounding_headers_are_quick() {
        let limits = Limits::default();
        assert!(is_quick(Data::Memory(&jpeg(500)), &limits));
        assert!(is_quick(Data::Memory(b"a text"), &limits));
        assert!(!is_quick(Data::Memory(&png(8)), &limits));
        let tight = Limits {
            max_time: NO_TIME,
            ..limits
        };
        assert!(!is_quick(Data::Memory(&jpeg(500)), &tight));
        // Each scan goes over the image, however short it is.
        let mut scans = jpeg(3000);
        assert!(is_quick(Data::Memory(&scans), &limits));
        scans.extend([0xff, 0xda].repeat(30));
        assert!(!is_quick(Data::Memory(&scans), &limits));
    }
}
