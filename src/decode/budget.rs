//! One budget of memory for all decoders of a process.
//!
//! Whoever decodes a picture reserves what that takes before it takes it. Up to [`SMALL`] bytes are
//! free: each decoder may have them at any time, so ordinary photographs take no lock and never wait.
//!
//! Two rules keep decoders from waiting for each other in a circle: nobody waits while it holds
//! anything, and whoever is alone gets as much as the limit allows. A decoder that finds out in the
//! middle of its work that it needs more therefore asks without waiting. If that fails it drops all
//! that it has, waits for the whole of it at once, and begins again. Those that wait are served in
//! their order, so small pictures do not overtake a large one for ever.
//!
//! A decoder that was given up (see `timed.rs`) keeps its reservation until it ends. So that nobody
//! waits for such a one without end, a wait in which nothing at all is given back ends in an error.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::DecodeError;
use super::{Limits, SMALL};

/// Nobody waits longer than this without anything being given back, whatever the limit on time is.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// And this long at least: short limits on time are about decoding, not about waiting.
const SHORTEST_WAIT: Duration = Duration::from_secs(10);

/// How long a decoder waits without anything being given back: longer than those that hold something
/// may decode.
pub(super) fn patience(limits: &Limits) -> Duration {
    let twice = limits.max_time.saturating_mul(2);
    twice.clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

struct State {
    /// Bytes that are reserved.
    held: u64,
    /// Those that wait, by number, the first in front.
    queue: VecDeque<u64>,
    next: u64,
    /// How often something was given back.
    returns: u64,
    /// Whether somebody waited in vain since then: nobody else does until something comes back.
    hopeless: bool,
}

/// Bytes that may be taken, counted.
pub(super) struct Budget {
    state: Mutex<State>,
    changed: Condvar,
}

/// That of this process.
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

    /// A reservation of nothing, to grow.
    pub const fn nothing(&'static self) -> Reserved {
        Reserved {
            budget: self,
            bytes: 0,
        }
    }

    /// Waits until so many bytes are free, and reserves them. The caller holds nothing, and asks for no
    /// more than the limit.
    ///
    /// # Errors
    ///
    /// [`DecodeError::MemoryBusy`] where nothing was given back for so long.
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
        // The next in the queue may fit as well.
        self.changed.notify_all();
        Ok(Reserved {
            budget: self,
            bytes,
        })
    }
}

impl State {
    fn fits(&self, more: u64, limits: &Limits) -> bool {
        // Where decoders of different limits work side by side, each counts by its own.
        self.held == 0 || self.held.saturating_add(more) <= limits.max_memory
    }
}

/// Bytes that somebody may take, until this is dropped.
pub(super) struct Reserved {
    budget: &'static Budget,
    /// What is counted: nothing where no more is taken than is free.
    bytes: u64,
}

impl Reserved {
    /// What was reserved.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Raises the reservation to `bytes` in all if that needs no waiting; returns whether it holds now.
    #[must_use]
    pub fn has(&mut self, bytes: u64, limits: &Limits) -> bool {
        if bytes <= SMALL || bytes <= self.bytes {
            return true;
        }
        let more = bytes - self.bytes;
        let mut state = self.budget.lock();
        // Not past those that wait.
        let granted = state.queue.is_empty() && state.fits(more, limits);
        if granted {
            state.held += more;
            self.bytes = bytes;
        }
        granted
    }

    /// Gives back what is more than `bytes`.
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

    /// What is tested is above what is free.
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
    fn no_more_is_reserved_than_the_limit_and_everybody_is_served() {
        let budget = budget();
        let limits = within(100);
        let (now, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (now, peak) = (&now, &peak);
                scope.spawn(move || {
                    for turn in 0..200u64 {
                        // Some need nearly all, one in ten all of it, and some more than they asked for.
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
    fn a_large_one_is_not_overtaken_by_those_that_come_later() {
        let budget = budget();
        let limits = within(100);
        let first = budget.reserve(60 * MIB, &limits, HOUR).unwrap();
        let large = std::thread::spawn(move || budget.reserve(90 * MIB, &limits, HOUR).unwrap());
        while budget.lock().queue.is_empty() {
            std::thread::yield_now();
        }
        // There would be room for it, but not without passing the one that waits.
        assert!(!budget.nothing().has(10 * MIB, &limits));
        // What is small needs no room.
        assert!(budget.nothing().has(SMALL, &limits));
        assert!(budget.reserve(SMALL, &limits, Duration::ZERO).is_ok());
        drop(first);
        let large = large.join().unwrap();
        assert!(budget.nothing().has(10 * MIB, &limits));
        drop(large);
        assert_eq!(budget.lock().held, 0);
    }

    #[test]
    fn what_is_given_back_early_serves_those_that_wait() {
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
    fn nobody_waits_without_end_for_what_is_not_given_back() {
        let budget = budget();
        let limits = within(100);
        let kept = budget.reserve(60 * MIB, &limits, HOUR);
        let refused = budget.reserve(50 * MIB, &limits, Duration::from_millis(1));
        let refused = refused.err().unwrap();
        assert!(refused.is_untried(), "{refused:?}");
        assert!(refused.to_string().contains("--max-memory"), "{refused}");
        // One has waited in vain: the next does not, or this test would take an hour.
        assert!(budget.reserve(50 * MIB, &limits, HOUR).is_err());
        // What still fits is served.
        assert!(budget.reserve(40 * MIB, &limits, HOUR).is_ok());
        drop(kept);
        assert!(budget.reserve(100 * MIB, &limits, HOUR).is_ok());
    }
}
