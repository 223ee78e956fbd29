//! Asks a server again whose connection broke, until it has had the time to come back.

use std::time::{Duration, Instant};

/// The first and the longest pause between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Repeats an attempt while it fails in a way that passes, for `time` at most. `noted` sees each failure that is followed
/// by another attempt.
pub(crate) fn until_answered<T, F>(
    time: Duration,
    mut attempt: impl FnMut() -> Result<T, F>,
    passes: impl Fn(&F) -> bool,
    noted: impl Fn(&F),
) -> Result<T, F> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let failure = match attempt() {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        if !passes(&failure) || started.elapsed() + pause >= time {
            return Err(failure);
        }
        noted(&failure);
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
