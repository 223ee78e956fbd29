//! How long operations report what they do, and how they are cancelled.
//!
//! The workers of an operation count up a [`Counter`] and look at its flag. The thread that started
//! the operation calls the caller's closure a few times a second, so the closure need not be
//! thread-safe and never slows the workers down.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::error::Result;

/// How far an operation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Images that are done.
    pub done: usize,
    /// Images that there are.
    pub of: usize,
}

/// Time between two calls of the closure while workers run.
const TICK: Duration = Duration::from_millis(100);

/// What the workers of an operation share.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    /// Units of work that are done.
    pub done: AtomicUsize,
    stopped: AtomicBool,
}

impl Counter {
    /// Returns whether the operation was cancelled.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// The connection between a [`Counter`] and the caller's closure.
pub(crate) struct Report<'a> {
    progress: &'a mut dyn FnMut(Step) -> ControlFlow<()>,
    counter: &'a Counter,
    of: usize,
    /// Units of work for each image.
    units: usize,
}

impl<'a> Report<'a> {
    /// Reports the work on `of` images, each of which is counted `units` times.
    pub fn new(
        progress: &'a mut dyn FnMut(Step) -> ControlFlow<()>,
        counter: &'a Counter,
        of: usize,
        units: usize,
    ) -> Self {
        Self {
            progress,
            counter,
            of,
            units,
        }
    }

    /// Calls the closure once. Returns whether the operation goes on.
    pub fn step(&mut self) -> bool {
        let done = self.counter.done.load(Ordering::Relaxed) / self.units;
        let step = Step {
            done: done.min(self.of),
            of: self.of,
        };
        if !self.counter.is_stopped() && (self.progress)(step).is_break() {
            self.counter.stopped.store(true, Ordering::Relaxed);
        }
        !self.counter.is_stopped()
    }

    /// Runs `work` on another thread, and calls the closure on this one until it ends.
    pub fn during<T: Send>(&mut self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            // Nothing is ever sent: the worker's end, however it comes, closes the channel.
            let (sender, receiver) = mpsc::channel::<()>();
            let worker = scope.spawn(move || {
                let _ended = sender;
                work()
            });
            while let Err(RecvTimeoutError::Timeout) = receiver.recv_timeout(TICK) {
                self.step();
            }
            let result = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            self.step();
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closure_sees_what_is_done_and_can_stop_the_workers() {
        let counter = Counter::default();
        let mut steps = Vec::new();
        let mut progress = |step: Step| {
            steps.push((step.done, step.of));
            if step.done >= 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let mut report = Report::new(&mut progress, &counter, 5, 2);
        assert!(report.step());
        let worked = report.during(|| {
            counter.done.fetch_add(6, Ordering::Relaxed);
            Ok(7)
        });
        assert_eq!(worked.unwrap(), 7);
        assert!(counter.is_stopped());
        // Once it is stopped the closure is not called again.
        assert!(!report.step());
        assert_eq!(steps, [(0, 5), (3, 5)]);
    }
}
