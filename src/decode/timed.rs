//! Decoding against the clock.
//!
//! A decoder cannot be interrupted. What may take long is therefore decoded on a helper thread,
//! and whoever waits for it stops waiting when the time is up: the helper is left to finish by
//! itself, what it makes is dropped, and the next picture gets a new one. So that a folder of such
//! pictures cannot fill the machine with helpers, no new one is started while
//! [`MOST_LEFT`] of them are still busy: what would need one is not tried then.
//!
//! What counts is the time of decoding: not that of waiting for memory (`budget.rs`), nor that of
//! reading the file.
//!
//! The hand-over costs about as much as two switches of threads. What cannot be slow is decoded where
//! it was asked for: a JPEG whose headers bound the work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::core::Core;
use super::error::DecodeError;
use super::format::{Format, sniff};
use super::source::{Content, Data, Source};
use super::{Limits, Made, Task, frame};

/// Helpers of this process that may be busy with pictures given up.
pub(super) const MOST_LEFT: usize = 4;

/// Samples of a JPEG, or bytes of its file, that any machine decodes in a second: a fiftieth of
/// what was measured on one core of an ordinary one.
const LEAST_A_SECOND: u64 = 10_000_000;

/// How long a decoder did nothing but wait for memory.
#[derive(Default)]
pub(super) struct Pauses(Mutex<(Duration, Option<Instant>)>);

impl Pauses {
    fn lock(&self) -> MutexGuard<'_, (Duration, Option<Instant>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how long `wait` takes.
    pub fn during<T>(&self, wait: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        self.lock().1 = Some(started);
        let result = wait();
        let mut all = self.lock();
        all.0 += started.elapsed();
        all.1 = None;
        result
    }

    /// All so far, with the one that lasts.
    fn total(&self) -> Duration {
        let (ended, lasting) = *self.lock();
        ended + lasting.map_or(Duration::ZERO, |started| started.elapsed())
    }
}

/// The helpers that are busy with pictures given up.
struct Left {
    count: usize,
    /// Whether somebody waited for one of them in vain: nobody else does until one ends.
    hopeless: bool,
}

/// Those of a process.
struct Pool {
    left: Mutex<Left>,
    /// Word of one that has finished.
    finished: Condvar,
}

static POOL: Pool = Pool::new();

impl Pool {
    const fn new() -> Self {
        Self {
            left: Mutex::new(Left {
                count: 0,
                hopeless: false,
            }),
            finished: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more has finished.
    fn finish(&self) {
        let mut left = self.lock();
        left.count -= 1;
        left.hopeless = false;
        self.finished.notify_all();
    }

    /// Waits until fewer than [`MOST_LEFT`] are busy; not longer than a picture may take, and not at
    /// all where another has done so in vain.
    fn has_room_within(&self, time: Duration) -> bool {
        let full = |left: &mut Left| left.count >= MOST_LEFT && !left.hopeless;
        let (mut left, waited) = self
            .finished
            .wait_timeout_while(self.lock(), time, full)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() && left.count >= MOST_LEFT {
            left.hopeless = true;
            self.finished.notify_all();
        }
        left.count < MOST_LEFT
    }
}

/// Whether decoding a file is certain to end within the limit on time.
pub(super) fn is_quick(data: Data<'_>, limits: &Limits) -> bool {
    let Data::Memory(bytes) = data else {
        return false;
    };
    if sniff(bytes) != Some(Format::Jpeg) {
        // Nothing is decoded of what is no image. Other formats can be small and hold much.
        return sniff(bytes).is_none_or(|format| format.decoder().is_none());
    }
    let Some(frame) = frame::read(bytes) else {
        return false;
    };
    // A decoder may stop at fewer scans, or not: `image` reads any number of a baseline picture's.
    let work = u128::from(frame.samples) * u128::from(frame::most_passes(bytes));
    let work = work + bytes.len() as u128;
    work * 1_000_000_000 / u128::from(LEAST_A_SECOND) < limits.max_time.as_nanos()
}

/// One file to decode.
struct Job {
    source: Source,
    task: Task,
}

type Reply = Result<Made, DecodeError>;

/// A thread that decodes for one other.
struct Helper {
    jobs: Sender<Job>,
    done: Receiver<Reply>,
    /// Set where nobody waits for it any more.
    left: Arc<AtomicBool>,
    pauses: Arc<Pauses>,
}

impl Helper {
    fn start(limits: Limits, pool: &'static Pool) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (outbox, done) = mpsc::channel();
        let left = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&left);
        let pauses = Arc::new(Pauses::default());
        let paused = Arc::clone(&pauses);
        let work = move || {
            let mut core = Core::new(limits, paused);
            // Ends when the other end is dropped, which is also how a helper is given up.
            while let Ok(Job { source, task }) = inbox.recv() {
                let made = core.make(source.data(), task);
                // Before the reply, so that whoever gets it may use the memory again.
                drop(source);
                // Where nobody waits for it, the picture is dropped here.
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
        })
    }

    /// Decodes a file, unless that takes longer than `limit`.
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

/// Decodes on a helper of its own.
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

    /// Decodes, or says that the time was up. `Ok(None)` where the system gives no more threads.
    pub fn make(
        &mut self,
        content: Content<'_>,
        task: Task,
        limits: &Limits,
    ) -> Result<Option<Made>, DecodeError> {
        let helper = match self.helper.take() {
            // One at hand is used whatever became of others, so that what is sound gets on.
            Some(helper) => helper,
            None if !self.pool.has_room_within(limits.max_time) => {
                return Err(DecodeError::Busy { count: MOST_LEFT });
            }
            None => match Helper::start(*limits, self.pool) {
                Ok(helper) => helper,
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
                // Counted before the helper can see that it was given up.
                self.pool.lock().count += 1;
                helper.left.store(true, Ordering::Release);
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

    /// A second is long enough for any small picture on any machine, and this for none.
    const NO_TIME: Duration = Duration::from_millis(1);

    /// A pool of a test's own.
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
    fn a_picture_that_takes_too_long_is_given_up_and_the_next_is_decoded() {
        let pool = pool();
        let slow = png(4000);
        let small = jpeg(8);
        let mut decoder = within(NO_TIME, pool);
        let mut out = [0; 8 * 8 * 3];
        let refused = decoder.decode_into(&slow, &GEOMETRY, &mut out).unwrap_err();
        assert_eq!(refused, DecodeError::TooSlow { limit: NO_TIME });
        assert!(refused.is_over_limit());
        let message = refused.to_string();
        assert!(
            message.contains("0.001 seconds") && message.contains("--max-seconds"),
            "{message}"
        );
        assert_eq!(out, [0; 8 * 8 * 3], "nothing comes of it later either");
        decoder.decode_into(&small, &GEOMETRY, &mut out).unwrap();
        assert!(out[0].abs_diff(200) < 4);
        // Whole pictures too.
        let refused = decoder.decode_whole(&slow, 8);
        assert!(matches!(refused, Err(DecodeError::TooSlow { .. })));
        // Within a time that is enough it is no worse than others.
        let mut patient = within(Duration::from_mins(1), pool);
        for _ in 0..2 {
            let decoded = patient.decode_into(&slow, &GEOMETRY, &mut out).unwrap();
            assert_eq!((decoded.width, decoded.height), (4000, 4000));
        }
        // What was given up ends and is counted no more.
        let (left, waited) = pool
            .finished
            .wait_timeout_while(pool.lock(), Duration::from_mins(1), |left| left.count > 0)
            .unwrap();
        assert!(!waited.timed_out(), "{} are still busy", left.count);
    }

    #[test]
    fn nothing_is_begun_while_too_many_are_busy() {
        let pool = pool();
        let small = png(8);
        let mut out = [0; 8 * 8 * 3];
        let hour = Duration::from_hours(1);
        // Who has a helper already uses it.
        let mut ready = within(hour, pool);
        ready.decode_into(&small, &GEOMETRY, &mut out).unwrap();
        pool.lock().count = MOST_LEFT;
        ready.decode_into(&small, &GEOMETRY, &mut out).unwrap();
        let refused = within(NO_TIME, pool).decode_into(&small, &GEOMETRY, &mut out);
        assert_eq!(refused, Err(DecodeError::Busy { count: MOST_LEFT }));
        assert!(refused.unwrap_err().is_over_limit());
        // One has waited in vain: the next does not wait, or this test would take an hour.
        let refused = within(hour, pool).decode_into(&small, &GEOMETRY, &mut out);
        assert_eq!(refused, Err(DecodeError::Busy { count: MOST_LEFT }));
        // What cannot be slow needs no helper.
        let quick = within(Duration::from_secs(1), pool).decode_into(&jpeg(8), &GEOMETRY, &mut out);
        assert!(quick.is_ok());
        // Whoever waits goes on once one has finished.
        pool.lock().hopeless = false;
        let waiting = std::thread::spawn(move || within(hour, pool).decode_whole(&small, 8));
        pool.finish();
        assert_eq!(waiting.join().unwrap().unwrap().width, 8);
    }

    #[test]
    fn only_what_its_headers_bound_is_quick() {
        let limits = Limits::default();
        assert!(is_quick(Data::Memory(&jpeg(500)), &limits));
        assert!(is_quick(Data::Memory(b"a text"), &limits));
        assert!(!is_quick(Data::Memory(&png(8)), &limits));
        let tight = Limits {
            max_time: NO_TIME,
            ..limits
        };
        assert!(!is_quick(Data::Memory(&jpeg(500)), &tight));
        // Scans are a pass each, however short.
        let mut scans = jpeg(3000);
        assert!(is_quick(Data::Memory(&scans), &limits));
        scans.extend([0xff, 0xda].repeat(30));
        assert!(!is_quick(Data::Memory(&scans), &limits));
    }
}
