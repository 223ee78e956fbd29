//! The process that decodes.

use std::io::{BufReader, Read, Stdin, Stdout, Write as _, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::core::Core;
use super::super::source::Data;
use super::super::{Limits, Output};
use super::protocol::{Answer, Request, read, write};
use super::{BLOCK, confine};

/// The argument that the program starts itself with.
pub const ARGUMENT: &str = "decode-in-sandbox";

/// Whether this is the process that decodes.
static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// Decodes for another process until that ends, if the arguments of this one say so. A program that sets
/// [`Limits::sandbox`] calls this first in its `main`, because it is started again for decoding, and returns what this
/// returns.
///
/// # Examples
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     if let Some(status) = imgsearch::decode::run_if_asked() {
///         return ExitCode::from(status);
///     }
///     // ...
///     ExitCode::SUCCESS
/// }
/// ```
pub fn run_if_asked() -> Option<u8> {
    // The last two: a module of Python has others before them.
    let arguments: Vec<_> = std::env::args_os().collect();
    let [.., argument, limits] = arguments.as_slice() else {
        return None;
    };
    if argument != ARGUMENT {
        return None;
    }
    let limits = serde_json::from_str(limits.to_str()?).ok()?;
    Some(u8::from(serve(limits).is_err()))
}

/// Decodes what comes, until nothing comes any more.
fn serve(limits: Limits) -> std::io::Result<()> {
    IS_CHILD.store(true, Ordering::Relaxed);
    // Decoders start threads, which could not be confined later.
    confine::confine(&limits)?;
    let mut to = stdout();
    write(&mut to, &Answer::Ready)?;
    to.flush()?;
    let mut from = BufReader::with_capacity(BLOCK, stdin());
    let mut core = Core::new(limits, Arc::default());
    loop {
        let request: Request = match read(&mut from) {
            Ok(request) => request,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let file = receive(&mut from, request.length)?;
        // The answers to what it asks meanwhile come through the same pipe, unbuffered: nothing else is sent until it is
        // done.
        let made = core.make(Data::Memory(&file), request.task);
        answer(made)?;
    }
}

fn receive(from: &mut BufReader<Stdin>, length: u64) -> std::io::Result<Vec<u8>> {
    let mut file = Vec::new();
    file.try_reserve_exact(usize::try_from(length).map_err(std::io::Error::other)?)
        .map_err(std::io::Error::other)?;
    if from.take(length).read_to_end(&mut file)? as u64 != length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(file)
}

fn answer(made: Result<Output, super::DecodeError>) -> std::io::Result<()> {
    let mut to: Stdout = stdout();
    match made {
        Ok(Output { rgb, decoded, held }) => {
            drop(held);
            let (width, height) = (rgb.width, rgb.height);
            write(
                &mut to,
                &Answer::Made {
                    decoded,
                    width,
                    height,
                },
            )?;
            to.write_all(&rgb.pixels)?;
        }
        Err(error) => write(&mut to, &Answer::Failed(error))?,
    }
    to.flush()
}

/// Asks the other process whether this one may have `bytes` in all. Always, if this is no process that decodes.
pub fn ask(bytes: u64, waits: bool) -> bool {
    if !IS_CHILD.load(Ordering::Relaxed) {
        return true;
    }
    let asked = || -> std::io::Result<bool> {
        let mut to = stdout();
        write(&mut to, &Answer::Memory { bytes, waits })?;
        to.flush()?;
        let mut granted = [0];
        stdin().read_exact(&mut granted)?;
        Ok(granted == [1])
    };
    // Without an answer the other process is gone, and this one ends soon.
    asked().unwrap_or(false)
}
