//! The two output streams: every line that the program writes goes through here.
//!
//! Owns stdout and stderr; a test refuses `println!` and similar macros anywhere else in `src`. Results go to
//! stdout with `out!`, everything else to stderr with `say!`. Neither panics or stops the work:
//!
//! - After the first error of stdout, nothing more is written to it. At its end the program reports the error and
//!   exits with status 2, unless the reader closed the pipe: as with `head`, the reader has seen enough, and the
//!   status is that of the work.
//! - Errors of stderr are not reported, because there is no place left to report them.
//! - A stream that was closed at the start leads to `/dev/null`. The standard library ensures this, so that none of
//!   our files gets the number of a stream.

use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write as _};
use std::sync::{Mutex, PoisonError};

use imgsearch::render::terminal::Screen;

use super::colours::{self, Paint};

/// The first error of stdout.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes a line to stdout; for results.
macro_rules! out {
    () => { $crate::cli::streams::result(format_args!("")) };
    ($($part:tt)*) => { $crate::cli::streams::result(format_args!($($part)*)) };
}

/// Writes a line to stderr; for everything that is not a result.
macro_rules! say {
    ($($part:tt)*) => { $crate::cli::streams::remark(format_args!($($part)*)) };
}

pub(crate) use {out, say};

/// Writes a line to stdout. See `out!`.
pub fn result(line: Arguments<'_>) {
    bytes(format!("{line}\n").as_bytes());
}

/// Writes bytes to stdout unchanged, such as a path that is not valid Unicode.
pub fn bytes(bytes: &[u8]) {
    let mut lost = lost();
    if lost.is_none() {
        *lost = io::stdout().write_all(bytes).err();
    }
}

/// Writes a line to stderr. See `say!`.
pub fn remark(line: Arguments<'_>) {
    // In one piece, so that lines of several processes on one terminal do not mix. The error is dropped: errors are
    // reported here.
    let _ = io::stderr().write_all(harmless(format!("{line}\n")).as_bytes());
}

/// Writes an error to stderr, after the name of the program.
pub fn complain(error: Arguments<'_>) {
    let name = colours::message(Paint::Error, "imgsearch:");
    let line = format!("{name} {}", harmless(format!("{error}\n")));
    // As in `remark`.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Writes a question to stderr, without a new line after it.
pub fn question(text: Arguments<'_>) {
    // As in `remark`. If nobody reads the question, nobody answers it.
    let mut stderr = io::stderr();
    let _ = stderr
        .write_all(harmless(text.to_string()).as_bytes())
        .and_then(|()| stderr.flush());
}

/// Escapes characters that would move a terminal's cursor or change its title, because messages contain names that
/// others have chosen.
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

/// Returns whether stdout accepts nothing more. A command that only prints may then stop.
pub fn is_lost() -> bool {
    lost().is_some()
}

/// Returns whether stderr is a terminal.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Returns whether stdout is a terminal.
pub fn is_seen() -> bool {
    io::stdout().is_terminal()
}

/// Returns the size of the terminal that stdout is, or `None` if it is none or does not say.
pub fn screen() -> Option<Screen> {
    Screen::of(io::stdout())
}

/// Flushes stdout and returns its error, which then decides the exit status.
///
/// # Errors
///
/// If stdout could not be written, except if its reader closed the pipe.
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

/// Prints help or a usage error from clap, with the colours that the terminal supports. Returns the exit status.
pub fn usage(said: &clap::Error) -> u8 {
    let printed = said.print();
    if said.use_stderr() {
        return 2;
    }
    if let Err(error) = printed {
        lost().get_or_insert(error);
    }
    match finish() {
        Ok(()) => 0,
        Err(error) => {
            complain(format_args!("{error}"));
            2
        }
    }
}

fn lost() -> std::sync::MutexGuard<'static, Option<io::Error>> {
    // A panic in another thread leaves an error or none.
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
