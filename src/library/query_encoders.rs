//! The encoders of queries: one for each query that runs at the moment, up to one per core.
//!
//! Owns the decoders and sessions that answer queries. They are kept for the next query, since starting
//! a session takes some 50 ms.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::decode::{Decoder, Limits};
use crate::encode::engine::{EngineOptions, Worker};

/// A pool of [`QueryEncoder`]s.
#[derive(Debug)]
pub(super) struct QueryEncoders {
    limits: Limits,
    max: usize,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<QueryEncoder>,
    /// Those that exist, idle or in use.
    count: usize,
}

/// What encodes one query at a time. The decoder is ready at once; the worker is made by the first
/// query, while its image is decoded.
#[derive(Debug)]
pub(super) struct QueryEncoder {
    pub decoder: Decoder,
    pub worker: Option<Worker>,
}

/// A [`QueryEncoder`] in use, which returns to its pool when it is dropped.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    pool: &'a QueryEncoders,
    encoder: Option<QueryEncoder>,
}

impl QueryEncoders {
    pub fn new(options: &EngineOptions) -> Self {
        Self {
            limits: options.limits,
            max: options.worker_threads(),
            state: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Returns an idle encoder, or a new one; waits if there are as many as cores, and all are in use.
    pub fn take(&self) -> Lease<'_> {
        let mut state = self.lock();
        loop {
            if let Some(encoder) = state.idle.pop() {
                return self.lease(encoder);
            }
            if state.count < self.max {
                state.count += 1;
                return self.lease(QueryEncoder {
                    decoder: Decoder::new(self.limits),
                    worker: None,
                });
            }
            state = self
                .returned
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops the workers, which belong to an encoder that is not the library's any more.
    pub fn clear(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        *state = State::default();
    }

    fn lease(&self, encoder: QueryEncoder) -> Lease<'_> {
        Lease {
            pool: self,
            encoder: Some(encoder),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        // What a panic interrupted may be in any state, so the next query gets a new one.
        match self.encoder.take().filter(|_| !std::thread::panicking()) {
            Some(encoder) => state.idle.push(encoder),
            None => state.count -= 1,
        }
        drop(state);
        self.pool.returned.notify_one();
    }
}

/// The encoder of a lease, which is there until the lease is dropped.
impl Deref for Lease<'_> {
    type Target = QueryEncoder;

    fn deref(&self) -> &QueryEncoder {
        match &self.encoder {
            Some(encoder) => encoder,
            None => unreachable!("only dropping takes it"),
        }
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut QueryEncoder {
        match &mut self.encoder {
            Some(encoder) => encoder,
            None => unreachable!("only dropping takes it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn pool(threads: usize) -> QueryEncoders {
        QueryEncoders::new(&EngineOptions {
            threads,
            ..EngineOptions::default()
        })
    }

    #[test]
    fn an_encoder_is_used_again_and_no_more_are_in_use_than_threads() {
        let pool = pool(2);
        drop(pool.take());
        drop(pool.take());
        assert_eq!(pool.lock().count, 1, "the first is used again");

        let (in_use, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let lease = pool.take();
                        let now = in_use.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_micros(200));
                        in_use.fetch_sub(1, Ordering::SeqCst);
                        drop(lease);
                    }
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 2);
        let state = pool.lock();
        assert_eq!((state.count, state.idle.len()), (2, 2));
    }

    #[test]
    fn a_panic_costs_its_encoder_and_no_place() {
        let pool = pool(1);
        let panicked = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _lease = pool.take();
                    panic!("in a query");
                })
                .join()
        });
        assert!(panicked.is_err());
        assert_eq!(pool.lock().count, 0);
        drop(pool.take());
        assert_eq!(pool.lock().count, 1);
    }
}
