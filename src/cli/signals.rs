//! Signals to stop: Ctrl-C, a terminal that hangs up, `kill`.
//!
//! The first signal sets a flag that the work checks, and what is done by then is kept. A second Ctrl-C ends the
//! program at once. A second hang-up does not, because a closing terminal often sends two.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Result;
use super::streams::say;

/// Returns a flag that is set by the first signal to stop, which also prints `message`.
///
/// # Errors
///
/// If the signals cannot be handled.
pub fn stop_flag(message: &'static str) -> Result<Arc<AtomicBool>> {
    stop_with(message, || {})
}

/// As [`stop_flag`]; the first signal also calls `act`, on another thread.
///
/// # Errors
///
/// If the signals cannot be handled.
pub fn stop_with(
    message: &'static str,
    act: impl Fn() + Send + 'static,
) -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    on_signal(move |is_ctrl_c| {
        let is_repeated = flag.swap(true, Ordering::Relaxed);
        if !is_repeated {
            say!("\n{message}");
            act();
        } else if is_ctrl_c {
            std::process::exit(130);
        }
    })?;
    Ok(stop)
}

#[cfg(not(unix))]
fn on_signal(mut handle: impl FnMut(bool) + Send + 'static) -> Result<()> {
    Ok(ctrlc::set_handler(move || handle(true))?)
}

#[cfg(unix)]
fn on_signal(mut handle: impl FnMut(bool) + Send + 'static) -> Result<()> {
    use signal_hook::consts::SIGINT;

    let handled = handled();
    if handled.is_empty() {
        return Ok(());
    }
    let mut signals = signal_hook::iterator::Signals::new(handled)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                handle(signal == SIGINT);
            }
        })?;
    Ok(())
}

/// Returns the signals to handle: those that were not ignored when the program started. `nohup` makes a program
/// ignore hang-ups, and a shell makes its background jobs ignore Ctrl-C; handling these signals would stop what
/// should continue.
#[cfg(unix)]
fn handled() -> Vec<i32> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    match std::fs::read_to_string("/proc/self/status").map(|status| ignored(&status)) {
        Ok(Some(ignored)) => [SIGINT, SIGTERM, SIGHUP]
            .into_iter()
            .filter(|signal| ignored & (1 << (signal - 1)) == 0)
            .collect(),
        // If the system does not say, hang-ups are not handled. Without `nohup` a hang-up then ends the program,
        // which loses what was not committed yet: about a second of work.
        _ => vec![SIGINT, SIGTERM],
    }
}

/// Returns the ignored signals of a process from Linux's `/proc/PID/status`; signal `n` is bit `n - 1`.
#[cfg(unix)]
fn ignored(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    u64::from_str_radix(line?.trim(), 16).ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status_of_the_process() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert_eq!(ignored(status), Some(0x1001));
        assert_eq!(ignored("Name:\tx\n"), None);
        assert_eq!(ignored("SigIgn:\tnone\n"), None);
    }
}
