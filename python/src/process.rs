//! Which process uses the library.
//!
//! A fork copies memory, but no thread other than the one that forks. Locks that another thread held stay locked in
//! the copy, and the threads that answer queries are missing, so a call would wait for ever. Therefore a process that
//! was forked after the first use is refused everything.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::PyResult;

use crate::errors::{Kind, error};

/// The process that used the library first; 0 before that.
static FIRST: AtomicU32 = AtomicU32::new(0);

/// Refuses a process that was forked from one that had used the library.
///
/// # Errors
///
/// `imgsearch.ForkedProcess`.
pub fn check() -> PyResult<()> {
    let own = std::process::id();
    match FIRST.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed) {
        Err(first) if first != own => Err(error(
            Kind::ForkedProcess,
            format!(
                "imgsearch was used in process {first} before process {own} was forked from it, and threads do not \
                 survive a fork. Use imgsearch first in the new process, or start processes with the method \"spawn\" \
                 (multiprocessing.get_context(\"spawn\"))"
            ),
        )),
        _ => Ok(()),
    }
}

/// Returns whether this process was forked from one that had used the library.
fn is_forked() -> bool {
    let first = FIRST.load(Ordering::Relaxed);
    first != 0 && first != std::process::id()
}

/// A value that belongs to the process that made it. In a forked one it is never dropped, because dropping may wait for
/// threads that do not exist there.
pub struct Own<T>(Option<T>);

impl<T> Own<T> {
    pub fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T> Deref for Own<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => unreachable!("only dropping takes it"),
        }
    }
}

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        if is_forked() {
            std::mem::forget(self.0.take());
        }
    }
}
