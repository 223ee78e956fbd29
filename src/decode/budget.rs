//! One budget of memory for all decoders of a process.
//!
//! A decoder reserves memory before it takes it. Up to [`SMALL`] bytes are free for each decoder at any time, so
//! ordinary images take no lock and never wait.
//!
//! Two rules keep decoders from waiting for each other in a circle: no decoder waits while it holds memory, and a
//! decoder that is alone gets as much as the limit allows. So a decoder that needs more in the middle of its work
//! asks without waiting. If it gets nothing, it drops everything, waits for the whole amount, and starts again.
//! Waiting decoders are served in order, so small images do not overtake a large one forever.
//!
//! An abandoned decoder (see `timed.rs`) keeps its reservation until it ends. So that no decoder waits for it
//! forever, a wait ends in an error if no memory is returned for a long time.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::DecodeError;
use super::{Limits, SMALL, sandbox};

/// Maximum time to wait while no memory is returned, whatever the limit on time is.
const MAX_WAIT: Duration = Duration::from_hours(24);

/// Minimum of that time: short limits are about decoding, not about waiting.
const MIN_WAIT: Duration = Duration::from_secs(10);

/// Returns how long a decoder waits while no memory is returned: longer than others may decode.
pub(super) fn patience(limits: &Limits) -> Duration {
    let twice = limits.max_time.saturating_mul(2);
    twice.clamp(MIN_WAIT, MAX_WAIT)
}

struct State {
    /// Bytes that are reserved.
    held: u64,
    /// Tickets of the waiting decoders, the first in front.
    queue: VecDeque<u64>,
    next: u64,
    /// Number of times that memory was returned.
    returns: u64,
    /// Whether a decoder waited in vain since then. No other waits until memory is returned.
    hopeless: bool,
}

/// A number of bytes that decoders share.
pub(super) struct Budget {
    state: Mutex<State>,
    changed: Condvar,
}

/// The budget of this process.
pub(super) static BUDGET: Budget = Budget::new();

impl Budget {
    pub const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                held: 0,
                queue: VecDeque::new(),
                next: 0,
                returns: 0,
                hopeless: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an empty reservation, which can grow.
    pub const fn nothing(&'static self) -> Reserved {
        Reserved {
            budget: self,
            bytes: 0,
        }
    }

    /// Waits until `bytes` are free, and reserves them. The caller must hold nothing, and ask for no more than the
    /// limit.
    ///
    /// # Errors
    ///
    /// [`DecodeError::MemoryBusy`] if no memory is returned for `patience`.
    pub fn reserve(
        &'static self,
        bytes: u64,
        limits: &Limits,
        patience: Duration,
    ) -> Result<Reserved, DecodeError> {
        if bytes <= SMALL {
            return Ok(self.nothing());
        }
        let busy = DecodeError::MemoryBusy {
            needed: bytes,
            limit: limits.max_memory,
        };
        let mut state = self.lock();
        let ticket = state.next;
        state.next += 1;
        state.queue.push_back(ticket);
        let (mut returns, mut since) = (state.returns, Instant::now());
        while state.queue.front() != Some(&ticket) || !state.fits(bytes, limits) {
            if state.returns != returns {
                (returns, since) = (state.returns, Instant::now());
            }
            let left = patience.saturating_sub(since.elapsed());
            if left.is_zero() || state.hopeless {
                state.hopeless = true;
                state.queue.retain(|waiting| *waiting != ticket);
                self.changed.notify_all();
                return Err(busy);
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.queue.pop_front();
        state.held += bytes;
        // The next in the queue may fit, too.
        self.changed.notify_all();
        drop(state);
        let reserved = Reserved {
            budget: self,
            bytes,
        };
        if sandbox::ask(bytes, true) {
            Ok(reserved)
        } else {
            Err(busy)
        }
    }
}

impl State {
    fn fits(&self, more: u64, limits: &Limits) -> bool {
        // If decoders have different limits, each compares with its own.
        self.held == 0 || self.held.saturating_add(more) <= limits.max_memory
    }
}

/// Bytes that the owner may take until this is dropped.
pub(super) struct Reserved {
    budget: &'static Budget,
    /// The bytes that count: 0 up to the free amount.
    bytes: u64,
}

impl Reserved {
    /// Returns the bytes that are reserved.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Raises the reservation to a total of `bytes` if that is possible without waiting. Returns whether it was.
    #[must_use]
    pub fn has(&mut self, bytes: u64, limits: &Limits) -> bool {
        if bytes <= SMALL || bytes <= self.bytes {
            return true;
        }
        let more = bytes - self.bytes;
        let mut state = self.budget.lock();
        // Those that wait come first.
        let granted =
            state.queue.is_empty() && state.fits(more, limits) && sandbox::ask(bytes, false);
        if granted {
            state.held += more;
            self.bytes = bytes;
        }
        granted
    }

    /// Returns to the budget what is more than `bytes`.
    pub fn shrink(&mut self, bytes: u64) {
        let kept = if bytes <= SMALL { 0 } else { bytes };
        let Some(back) = self.bytes.checked_sub(kept).filter(|back| *back > 0) else {
            return;
        };
        self.bytes = kept;
        let mut state = self.budget.lock();
        state.held -= back;
        state.returns += 1;
        state.hopeless = false;
        drop(state);
        self.budget.changed.notify_all();
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// The tests use amounts above the free one.
    const MIB: u64 = 1 << 20;
    const HOUR: Duration = Duration::from_hours(1);

    fn budget() -> &'static Budget {
        Box::leak(Box::new(Budget::new()))
    }

    fn within(mib: u64) -> Limits {
        Limits {
            max_memory: mib * MIB,
            ..Limits::default()
        }
    }

    #[test]
    fn decoders_reserve_at_most_the_limit_and_all_are_served() {
        let budget = budget();
        let limits = within(100);
        let (now, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (now, peak) = (&now, &peak);
                scope.spawn(move || {
                    for turn in 0..200u64 {
                        // Some need nearly everything, one in ten needs everything, and some need more than they
                        // first asked for.
                        let mib = match (thread + turn) % 10 {
                            0 => 100,
                            n => n * 11,
                        };
                        let first = mib.min(60) * MIB;
                        let mut held = budget.reserve(first, &limits, HOUR).unwrap();
                        if !held.has(mib * MIB, &limits) {
                            drop(held);
                            held = budget.reserve(mib * MIB, &limits, HOUR).unwrap();
                        }
                        let sum = now.fetch_add(mib, Ordering::SeqCst) + mib;
                        peak.fetch_max(sum, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(mib, Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
        assert!(peak.load(Ordering::SeqCst) <= 100);
        assert_eq!(budget.lock().held, 0);
    }

    #[test]
    fn a_large_reservation_is_not_overtaken_by_later_ones() {
        let budget = budget();
        let limits = within(100);
        let first = budget.reserve(60 * MIB, &limits, HOUR).unwrap();
        let large = std::thread::spawn(move || budget.reserve(90 * MIB, &limits, HOUR).unwrap());
        while budget.lock().queue.is_empty() {
            std::thread::yield_now();
        }
        // There is room, but another decoder is waiting.
        assert!(!budget.nothing().has(10 * MIB, &limits));
        // A small amount needs no room.
        assert!(budget.nothing().has(SMALL, &limits));
        assert!(budget.reserve(SMALL, &limits, Duration::ZERO).is_ok());
        drop(first);
        let large = large.join().unwrap();
        assert!(budget.nothing().has(10 * MIB, &limits));
        drop(large);
        assert_eq!(budget.lock().held, 0);
    }

    #[test]
    fn memory_that_is_returned_early_serves_waiting_decoders() {
        let budget = budget();
        let limits = within(100);
        let mut first = budget.reserve(90 * MIB, &limits, HOUR).unwrap();
        let next = std::thread::spawn(move || budget.reserve(60 * MIB, &limits, HOUR).is_ok());
        first.shrink(40 * MIB);
        assert!(next.join().unwrap());
        assert_eq!((first.bytes(), budget.lock().held), (40 * MIB, 40 * MIB));
        first.shrink(MIB);
        assert_eq!(budget.lock().held, 0);
    }

    #[test]
    fn decoders_do_not_wait_forever_for_memory_that_is_not_returned() {
        let budget = budget();
        let limits = within(100);
        let kept = budget.reserve(60 * MIB, &limits, HOUR);
        let refused = budget.reserve(50 * MIB, &limits, Duration::from_millis(1));
        let refused = refused.err().unwrap();
        assert!(refused.is_untried(), "{refused:?}");
        assert!(refused.to_string().contains("100 MiB"), "{refused}");
        // One has waited in vain, so the next does not wait. Otherwise this test would take an hour.
        assert!(budget.reserve(50 * MIB, &limits, HOUR).is_err());
        // An amount that still fits is granted.
        assert!(budget.reserve(40 * MIB, &limits, HOUR).is_ok());
        drop(kept);
        assert!(budget.reserve(100 * MIB, &limits, HOUR).is_ok());
    }
}
