//! The crew: worker threads that share a numbered list of jobs, results in the jobs' order.
//!
//! Owns the threads and the order. Jobs are handed out in consecutive chunks, and a chunk that
//! was begun is finished, so an interrupted run leaves no gap between what was delivered.
//! Where one takes very long, those behind it need not wait.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::decode::panic_text;
use crate::error::{Error, Result};

/// How many finished chunks a worker may be ahead of a slow receiver.
const AHEAD: usize = 4;

/// How the jobs are divided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jobs<'a> {
    pub threads: usize,
    pub count: usize,
    /// What each job weighs, so that heavy ones are not handed out together; all the same where there
    /// are none.
    pub weights: &'a [u64],
    /// Jobs that are handed out together, at most.
    pub chunk: usize,
    /// How long chunks wait for one before them. Then they are delivered as they are, out of order.
    pub patience: Duration,
}

impl Jobs<'_> {
    /// Results come in the jobs' order, whatever waits for it.
    #[cfg(feature = "train")]
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

/// Does numbered jobs on several threads.
///
/// Each thread makes its own state with `setup` and turns chunks into results with `work`;
/// `receive` gets them on the calling thread, in the order of the jobs as far as
/// [`Jobs::patience`] goes. Once `stop` is set no new chunk is begun.
///
/// # Errors
///
/// The first error of any of the three; [`Error::Worker`] where a worker panicked.
pub(crate) fn run<S, T: Send>(
    jobs: Jobs<'_>,
    stop: &AtomicBool,
    setup: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, Range<usize>) -> Result<T> + Sync,
    mut receive: impl FnMut(Range<usize>, T) -> Result<()>,
) -> Result<()> {
    let Jobs { count, chunk, .. } = jobs;
    let threads = jobs.threads.min(count.div_ceil(chunk)).max(1);
    let sums = sums(jobs.weights);
    let next = AtomicUsize::new(0);
    // Set when a part failed, so that the others do not go on for nothing.
    let abandon = AtomicBool::new(false);
    // A slow receiver holds the workers up instead of filling the memory.
    let (sender, receiver) = crossbeam_channel::bounded(AHEAD * threads);
    let toil = |sender: Sender<(Range<usize>, T)>| -> Result<()> {
        let mut state = setup()?;
        while !stop.load(Ordering::Relaxed) && !abandon.load(Ordering::Relaxed) {
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
                let toil = &toil;
                let sender = sender.clone();
                scope.spawn(move || {
                    toil(sender).inspect_err(|_| abandon.store(true, Ordering::Relaxed))
                })
            })
            .collect();
        // The receiver hears the end when the last worker drops its sender.
        drop(sender);
        let mut result = Ok(());
        let mut early = BTreeMap::new();
        // Delivered out of order: where such ranges begin and end.
        let mut ahead = BTreeMap::new();
        // The job that the next chunk in order begins with, and since when it is waited for.
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

/// What all jobs before each weigh together, and in the end all; nothing where weights are not known.
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

/// The next jobs. Towards the end they are fewer, down to one, so that no thread still has a whole
/// chunk to do when there is nothing left for the others; nor do those of a chunk weigh more than half
/// of a thread's part of what is left, if they are more than one.
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
        // Of the same weight, or of none, as many as a chunk holds.
        for weight in [0, 7] {
            assert_eq!(chunks(&[weight; 100], 8, 2)[0], 0..8);
        }
        assert_eq!(chunks(&[1 << 40, 0, 0], 8, 1)[0], 0..1);
    }

    #[test]
    fn what_takes_long_does_not_hold_up_the_others_for_ever() {
        let stop = AtomicBool::new(false);
        let (told, heard) = crossbeam_channel::unbounded();
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
                    // Until most of what follows was delivered: for ever, if it waited for this.
                    heard.recv().unwrap();
                }
                Ok(range.collect::<Vec<usize>>())
            },
            |_, chunk| {
                got.extend(chunk);
                if got.len() == 250 {
                    told.send(()).unwrap();
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
    fn results_come_in_order_whatever_the_number_of_threads() {
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
