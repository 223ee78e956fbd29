//! The worker pool: threads that share a numbered list of jobs, with results in the order of the jobs.
//!
//! Owns the threads and the order. Jobs are handed out in consecutive chunks, and a started chunk is
//! always finished, so a cancelled run delivers results without gaps. If one chunk takes very long, the chunks
//! after it need not wait.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::decode::panic_text;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Number of finished chunks per worker that may wait for a slow receiver.
const QUEUE_PER_WORKER: usize = 4;

/// How the jobs are divided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jobs<'a> {
    pub threads: usize,
    pub count: usize,
    /// The weight of each job, so that heavy jobs are not handed out together. If empty, all weigh the same.
    pub weights: &'a [u64],
    /// Maximum number of jobs that are handed out together.
    pub chunk: usize,
    /// How long chunks wait for an earlier one. After that they are delivered out of order.
    pub patience: Duration,
}

impl Jobs<'_> {
    /// Returns jobs whose results always come in order.
    pub fn in_order(threads: usize, count: usize, chunk: usize) -> Self {
        Self {
            threads,
            count,
            weights: &[],
            chunk,
            patience: Duration::MAX,
        }
    }
}

/// Processes numbered jobs on several threads.
///
/// Each thread creates its own state with `setup` and turns chunks into results with `work`. `receive` gets the
/// results on the calling thread, in the order of the jobs unless [`Jobs::patience`] runs out. Once `progress` is
/// cancelled, no new chunk starts.
///
/// # Errors
///
/// If any of the three functions fails: the first error. If a worker panics: [`Error::Worker`].
pub(crate) fn run<S, T: Send>(
    jobs: Jobs<'_>,
    progress: &dyn Progress,
    setup: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, Range<usize>) -> Result<T> + Sync,
    mut receive: impl FnMut(Range<usize>, T) -> Result<()>,
) -> Result<()> {
    let Jobs { count, chunk, .. } = jobs;
    let threads = jobs.threads.min(count.div_ceil(chunk)).max(1);
    let sums = sums(jobs.weights);
    let next = AtomicUsize::new(0);
    // Set if one part fails, so that the others stop, too.
    let abandon = AtomicBool::new(false);
    // Bounded, so that a slow receiver holds up the workers instead of filling the memory.
    let (sender, receiver) = crossbeam_channel::bounded(QUEUE_PER_WORKER * threads);
    let run_worker = |sender: Sender<(Range<usize>, T)>| -> Result<()> {
        let mut state = setup()?;
        while !progress.is_cancelled() && !abandon.load(Ordering::Relaxed) {
            let Some(range) = take(&next, (count, &sums), chunk, threads) else {
                break;
            };
            let made = work(&mut state, range.clone())?;
            if sender.send((range, made)).is_err() {
                break;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|_| {
                let abandon = &abandon;
                let run_worker = &run_worker;
                let sender = sender.clone();
                scope.spawn(move || {
                    run_worker(sender).inspect_err(|_| abandon.store(true, Ordering::Relaxed))
                })
            })
            .collect();
        // The channel ends when the last worker drops its sender.
        drop(sender);
        let mut result = Ok(());
        let mut early = BTreeMap::new();
        // The ranges that were delivered out of order: start and end.
        let mut ahead = BTreeMap::new();
        // The first job of the next chunk in order, and since when it is awaited.
        let (mut due, mut since) = (0, Instant::now());
        for (range, made) in receiver {
            early.insert(range.start, (range, made));
            while let Some(first) = early.first_entry()
                && (*first.key() == due || since.elapsed() >= jobs.patience)
                && let Some((_, (range, made))) = early.pop_first()
            {
                if range.start == due {
                    (due, since) = (range.end, Instant::now());
                    while let Some(end) = ahead.remove(&due) {
                        due = end;
                    }
                } else {
                    ahead.insert(range.start, range.end);
                }
                if result.is_ok() {
                    result = receive(range, made);
                    if result.is_err() {
                        abandon.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
        for handle in handles {
            let worked = handle
                .join()
                .unwrap_or_else(|panic| Err(Error::Worker(panic_text(&*panic))));
            result = result.and(worked);
        }
        result
    })
}

/// Returns the total weight before each job, and of all jobs at the end; empty if there are no weights.
fn sums(weights: &[u64]) -> Vec<u64> {
    if weights.is_empty() {
        return Vec::new();
    }
    let mut sum = 0u64;
    std::iter::once(0)
        .chain(weights.iter().map(|weight| {
            sum = sum.saturating_add(*weight);
            sum
        }))
        .collect()
}

/// Takes the next jobs. Towards the end a chunk has fewer, down to one, so that no thread still has a whole chunk
/// when nothing is left for the others. For the same reason, several jobs of a chunk weigh at most half of one
/// thread's share of the rest.
fn take(
    next: &AtomicUsize,
    (jobs, sums): (usize, &[u64]),
    chunk: usize,
    threads: usize,
) -> Option<Range<usize>> {
    let end = |start: usize| {
        let left = jobs.saturating_sub(start);
        let most = left.div_ceil(2 * threads).min(chunk);
        let (Some(all), Some(ends)) = (sums.last(), sums.get(start + 1..=start + most)) else {
            return start + most;
        };
        let share = (all - sums[start]) / (2 * threads as u64);
        start
            + ends
                .partition_point(|end| end - sums[start] <= share)
                .max(1)
    };
    let start = next
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |start| {
            (start < jobs).then(|| end(start))
        })
        .ok()?;
    Some(start..end(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heavy_jobs_are_not_handed_out_together() {
        let chunks = |weights: &[u64], chunk, threads| {
            let (next, sums) = (AtomicUsize::new(0), sums(weights));
            let count = weights.len();
            let mut chunks = Vec::new();
            while let Some(range) = take(&next, (count, &sums), chunk, threads) {
                assert!(!range.is_empty() && range.len() <= chunk);
                chunks.push(range);
            }
            let covered: Vec<usize> = chunks.iter().cloned().flatten().collect();
            assert_eq!(covered, (0..count).collect::<Vec<_>>());
            chunks
        };
        let heavy = [vec![10; 4], vec![1; 12]].concat();
        assert_eq!(chunks(&heavy, 8, 2)[..4], [0..1, 1..2, 2..3, 3..4]);
        // If all weigh the same, or nothing, a chunk is full.
        for weight in [0, 7] {
            assert_eq!(chunks(&[weight; 100], 8, 2)[0], 0..8);
        }
        assert_eq!(chunks(&[1 << 40, 0, 0], 8, 1)[0], 0..1);
    }

    #[test]
    fn a_slow_chunk_does_not_hold_up_the_others_forever() {
        let stop = AtomicBool::new(false);
        let (sender, receiver) = crossbeam_channel::unbounded();
        let jobs = Jobs {
            threads: 3,
            count: 300,
            weights: &[],
            chunk: 2,
            patience: Duration::ZERO,
        };
        let mut got = Vec::new();
        run(
            jobs,
            &stop,
            || Ok(()),
            |(), range| {
                if range.start == 100 {
                    // Returns when most of the later jobs were delivered, so it would block if they waited for this
                    // one.
                    receiver.recv().unwrap();
                }
                Ok(range.collect::<Vec<usize>>())
            },
            |_, chunk| {
                got.extend(chunk);
                if got.len() == 250 {
                    sender.send(()).unwrap();
                }
                Ok(())
            },
        )
        .unwrap();
        assert!(got.iter().position(|&job| job == 100) >= Some(250));
        got.sort_unstable();
        assert_eq!(got, (0..300).collect::<Vec<_>>(), "each once");
    }

    fn squares(threads: usize, stop_at: usize) -> Vec<usize> {
        let stop = AtomicBool::new(false);
        let mut got = Vec::new();
        run(
            Jobs::in_order(threads, 1000, 7),
            &stop,
            || Ok(()),
            |(), range| {
                if range.contains(&stop_at) {
                    stop.store(true, Ordering::Relaxed);
                }
                // Uneven work, so that chunks finish out of order.
                std::thread::sleep(std::time::Duration::from_micros(
                    (range.start % 5) as u64 * 50,
                ));
                Ok(range.map(|i| i * i).collect::<Vec<_>>())
            },
            |_, chunk| {
                got.extend(chunk);
                Ok(())
            },
        )
        .unwrap();
        got
    }

    #[test]
    fn results_come_in_order_with_any_number_of_threads() {
        let expected: Vec<_> = (0..1000).map(|i| i * i).collect();
        for threads in [1, 2, 5, 300] {
            assert_eq!(squares(threads, usize::MAX), expected);
        }
    }

    #[test]
    fn an_interrupted_run_leaves_no_gap() {
        let got = squares(4, 500);
        assert!(got.len() >= 501 && got.len() < 1000, "{}", got.len());
        assert!(got.iter().enumerate().all(|(i, &square)| square == i * i));
    }

    #[test]
    fn an_error_or_a_panic_in_a_worker_ends_the_run_with_it() {
        let stop = AtomicBool::new(false);
        let failing = |panics: bool| {
            run(
                Jobs::in_order(3, 100, 1),
                &stop,
                || Ok(()),
                |(), range| {
                    if range.start == 50 {
                        assert!(!panics, "job fifty");
                        return Err(Error::Interrupted);
                    }
                    Ok(())
                },
                |_, ()| Ok(()),
            )
        };
        assert!(matches!(failing(false), Err(Error::Interrupted)));
        assert!(matches!(failing(true), Err(Error::Worker(text)) if text.contains("job fifty")));
    }

    #[test]
    fn an_error_of_the_receiver_ends_the_run_with_it() {
        let stop = AtomicBool::new(false);
        let result = run(
            Jobs::in_order(2, 1000, 1),
            &stop,
            || Ok(()),
            |(), range| Ok(range.start),
            |_, start| {
                if start == 10 {
                    Err(Error::Interrupted)
                } else {
                    Ok(())
                }
            },
        );
        assert!(matches!(result, Err(Error::Interrupted)));
    }
}
