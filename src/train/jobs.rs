//! Jobs of training and evaluation on the worker pool.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::indexing::worker_pool::{self, Jobs};
use crate::progress::Progress;

/// Does numbered jobs on several threads and receives their results in order.
///
/// # Errors
///
/// The errors of `setup`, `work` and `receive`, and [`Error::Interrupted`] after a cancellation.
pub(crate) fn run<S, T: Send>(
    jobs: Jobs<'_>,
    progress: &dyn Progress,
    setup: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, Range<usize>) -> Result<T> + Sync,
    receive: impl FnMut(Range<usize>, T) -> Result<()>,
) -> Result<()> {
    // The pool takes a flag. A worker sets it as soon as its chunk is done.
    let stop = AtomicBool::new(progress.is_cancelled());
    worker_pool::run(
        jobs,
        &stop,
        setup,
        |state, range| {
            let done = work(state, range)?;
            if progress.is_cancelled() {
                stop.store(true, Ordering::Relaxed);
            }
            Ok(done)
        },
        receive,
    )?;
    check_cancelled(progress)
}

/// Returns [`Error::Interrupted`] if `progress` cancelled the operation.
pub(crate) fn check_cancelled(progress: &dyn Progress) -> Result<()> {
    if progress.is_cancelled() {
        return Err(Error::Interrupted);
    }
    Ok(())
}

/// Returns `Break` if `progress` cancelled the operation.
pub(crate) fn flow(progress: &dyn Progress) -> std::ops::ControlFlow<()> {
    if progress.is_cancelled() {
        std::ops::ControlFlow::Break(())
    } else {
        std::ops::ControlFlow::Continue(())
    }
}

/// A progress that can cancel and reports nothing.
pub(crate) struct Silent<'a>(pub &'a dyn Progress);

impl Progress for Silent<'_> {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Reports the images that cannot be used.
pub(crate) fn report_unusable<'a, P: AsRef<Path> + 'a>(
    failed: impl IntoIterator<Item = &'a (P, String)>,
    progress: &dyn Progress,
) {
    for (path, reason) in failed {
        progress.unusable(path.as_ref(), reason);
    }
}
