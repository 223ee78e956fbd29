//! The two streams: every line that the program writes goes through here.
//!
//! Owns stdout and stderr; a test refuses `println!` and its like anywhere else in `src`. Results go to
//! stdout by `out!`, everything else to stderr by `say!`, and neither ever panics or stops the work:
//!
//! - The first error of stdout is remembered, and what would follow on stdout is dropped. The end
//!   of the program tells the error and makes the status 2, but for a reader that left: as with
//!   `head`, whoever reads has seen enough, and the status is that of the work.
//! - Errors of stderr are not told, for there is no place left to tell them.
//! - A stream that was closed at the start stands open on `/dev/null`: the standard library sees to
//!   that, so that no file of ours ever gets the number of a stream.

use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// The first error of stdout.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes a line to stdout; for results.
macro_rules! out {
    () => { $crate::cli::streams::result(format_args!("")) };
    ($($part:tt)*) => { $crate::cli::streams::result(format_args!($($part)*)) };
}

/// Writes a line to stderr; for all that is no result.
macro_rules! say {
    ($($part:tt)*) => { $crate::cli::streams::remark(format_args!($($part)*)) };
}

pub(crate) use {out, say};

/// See `out!`.
pub fn result(line: Arguments<'_>) {
    bytes(format!("{line}\n").as_bytes());
}

/// Writes bytes to stdout as they are, such as a path whose name is no text.
pub fn bytes(bytes: &[u8]) {
    let mut lost = lost();
    if lost.is_none() {
        *lost = io::stdout().write_all(bytes).err();
    }
}

/// See `say!`.
pub fn remark(line: Arguments<'_>) {
    // In one piece, so that lines of several processes on one terminal do not mix. The error has
    // nowhere to go: this is where errors are told.
    let _ = io::stderr().write_all(harmless(format!("{line}\n")).as_bytes());
}

/// Writes a question to stderr, without a new line behind it.
pub fn question(text: Arguments<'_>) {
    // As in `remark`; nobody answers what nobody reads.
    let mut stderr = io::stderr();
    let _ = stderr
        .write_all(harmless(text.to_string()).as_bytes())
        .and_then(|()| stderr.flush());
}

/// A message without characters that would move a terminal's cursor or change its title: names in
/// it are other people's.
fn harmless(text: String) -> String {
    let harms = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(harms) {
        return text;
    }
    let mut harmless = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if harms(c) {
            harmless.extend(c.escape_default());
        } else {
            harmless.push(c);
        }
    }
    harmless
}

/// Whether nothing more gets through to stdout: what does nothing but print may end.
pub fn is_lost() -> bool {
    lost().is_some()
}

/// Whether somebody watches stderr.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// The error of stdout that the program has to end with.
pub fn finish() -> Result<(), String> {
    let flushed = io::stdout().flush();
    let lost = lost().take();
    match lost.map_or(flushed, Err) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Prints what clap has to say, help or a mistake, with the colours that the terminal takes.
pub fn usage(said: &clap::Error) -> ExitCode {
    let printed = said.print();
    if said.use_stderr() {
        return ExitCode::from(2);
    }
    if let Err(error) = printed {
        lost().get_or_insert(error);
    }
    match finish() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("imgsearch: {error}");
            ExitCode::from(2)
        }
    }
}

fn lost() -> std::sync::MutexGuard<'static, Option<io::Error>> {
    // A panic between leaves an error or none.
    LOST.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_cannot_move_the_cursor() {
        let same = "a line, 5 µs\n\tand another\n";
        assert_eq!(harmless(same.to_owned()), same);
        assert_eq!(
            harmless("a\x1b[2J\u{9b}b\r".to_owned()),
            "a\\u{1b}[2J\\u{9b}b\\r"
        );
    }
}
