//! The crew: worker threads that share a numbered list of jobs, results in the jobs' order.
//!
//! Owns the threads and the order. Jobs are handed out in consecutive chunks, and a chunk that
//! was begun is finished, so an interrupted run leaves no gap between what was delivered.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::Sender;

use crate::error::{Error, Result};

/// How many finished chunks a worker may be ahead of a slow receiver.
const AHEAD: usize = 4;

/// Does `jobs` jobs in chunks of at most `chunk` on `threads` threads.
///
/// Each thread makes its own state with `setup` and turns chunks into results with `work`;
/// `receive` gets them on the calling thread, in the order of the jobs. Once `stop` is set no
/// new chunk is begun.
///
/// # Errors
///
/// The first error of any of the three; [`Error::Worker`] where a worker panicked.
pub(crate) fn run<S, T: Send>(
    threads: usize,
    jobs: usize,
    chunk: usize,
    stop: &AtomicBool,
    setup: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, Range<usize>) -> Result<T> + Sync,
    mut receive: impl FnMut(Range<usize>, T) -> Result<()>,
) -> Result<()> {
    let threads = threads.min(jobs.div_ceil(chunk)).max(1);
    let next = AtomicUsize::new(0);
    // Set when a part failed, so that the others do not go on for nothing.
    let abandon = AtomicBool::new(false);
    // A slow receiver holds the workers up instead of filling the memory.
    let (sender, receiver) = crossbeam_channel::bounded(AHEAD * threads);
    let toil = |sender: Sender<(Range<usize>, T)>| -> Result<()> {
        let mut state = setup()?;
        while !stop.load(Ordering::Relaxed) && !abandon.load(Ordering::Relaxed) {
            let Some(range) = take(&next, jobs, chunk, threads) else {
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
        let mut due = 0;
        for (range, made) in receiver {
            early.insert(range.start, (range, made));
            while let Some((range, made)) = early.remove(&due) {
                due = range.end;
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

/// The next jobs. Towards the end they are fewer, down to one, so that no thread still has a whole
/// chunk to do when there is nothing left for the others.
fn take(next: &AtomicUsize, jobs: usize, chunk: usize, threads: usize) -> Option<Range<usize>> {
    let end = |start: usize| {
        let left = jobs.saturating_sub(start);
        start + left.div_ceil(2 * threads).min(chunk)
    };
    let start = next
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |start| {
            (start < jobs).then(|| end(start))
        })
        .ok()?;
    Some(start..end(start))
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squares(threads: usize, stop_at: usize) -> Vec<usize> {
        let stop = AtomicBool::new(false);
        let mut got = Vec::new();
        run(
            threads,
            1000,
            7,
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
                3,
                100,
                1,
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
            2,
            1000,
            1,
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
