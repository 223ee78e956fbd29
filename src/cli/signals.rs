//! Being told to stop: Ctrl-C, a terminal that hangs up, `kill`.
//!
//! The first such signal sets a flag that the work looks at, and what is done by then is kept. A
//! further Ctrl-C ends the program at once; a further hang-up does not, for a terminal that goes
//! often sends two.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Result;
use super::streams::say;

/// A flag that is set when the program is told to stop, after saying `message`.
pub fn stop_flag(message: &'static str) -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    on_signal(move |is_ctrl_c| {
        let told_before = flag.swap(true, Ordering::Relaxed);
        if !told_before {
            say!("\n{message}");
        } else if is_ctrl_c {
            std::process::exit(130);
        }
    })?;
    Ok(stop)
}

#[cfg(not(unix))]
fn on_signal(mut told: impl FnMut(bool) + Send + 'static) -> Result<()> {
    Ok(ctrlc::set_handler(move || told(true))?)
}

#[cfg(unix)]
fn on_signal(mut told: impl FnMut(bool) + Send + 'static) -> Result<()> {
    use signal_hook::consts::SIGINT;

    let taken = taken();
    if taken.is_empty() {
        return Ok(());
    }
    let mut signals = signal_hook::iterator::Signals::new(taken)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                told(signal == SIGINT);
            }
        })?;
    Ok(())
}

/// The signals to take: those that were not ignored when the program began. `nohup` has a hang-up
/// ignored, and a shell has Ctrl-C ignored by what it starts in the background of a script; taking
/// them would end what was meant to go on.
#[cfg(unix)]
fn taken() -> Vec<i32> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    match std::fs::read_to_string("/proc/self/status").map(|status| ignored(&status)) {
        Ok(Some(ignored)) => [SIGINT, SIGTERM, SIGHUP]
            .into_iter()
            .filter(|signal| ignored & (1 << (signal - 1)) == 0)
            .collect(),
        // Where the system does not say, a hang-up is left as it is. Without `nohup` it ends the
        // program, which costs what was not committed yet: about a second of work.
        _ => vec![SIGINT, SIGTERM],
    }
}

/// The ignored signals of a process as Linux tells them in `/proc/PID/status`; signal `n` is bit
/// `n - 1`.
#[cfg(unix)]
fn ignored(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    u64::from_str_radix(line?.trim(), 16).ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_as_linux_tells_it() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert_eq!(ignored(status), Some(0x1001));
        assert_eq!(ignored("Name:\tx\n"), None);
        assert_eq!(ignored("SigIgn:\tnone\n"), None);
    }
}
