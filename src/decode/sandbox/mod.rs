//! Decoding in a process of its own, so that a decoder that crashes costs one image, and one that a hostile file has taken
//! over reaches nothing.
//!
//! The process is this program again, started with one argument ([`run_if_asked`]). It gets the bytes of files through a
//! pipe and returns pixels. It opens no file, starts no program and talks to nobody: on Linux the kernel refuses those
//! calls (`confine.rs`). When its time is up, it is ended. Its memory counts in the budget of this process, which it asks
//! for more, and the system refuses what is beyond twice the limit.

mod child;
mod confine;
mod protocol;

use std::ffi::OsString;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::budget::{BUDGET, Reserved, patience};
use super::error::DecodeError;
use super::source::Data;
use super::timed::Pauses;
use super::{Limits, Output, Rgb, Task};
pub(super) use child::ask;
pub use child::run_if_asked;
use protocol::{Answer, Request};

/// How this program is started again, if not by its own file alone.
static COMMAND: OnceLock<Vec<OsString>> = OnceLock::new();

/// Says how this program is started again to decode: by a file and arguments, to which two are added. Only what is said
/// first counts. Without it, the file of this process is started. For a program that runs inside another one, such as an
/// interpreter.
pub fn set_sandbox_command(command: Vec<OsString>) {
    // The first one counts.
    let _ = COMMAND.set(command);
}

/// Bytes of a file that are copied at once.
const BLOCK: usize = 256 << 10;

/// Ends the process that decodes, from any thread.
#[derive(Clone, Default)]
pub(super) struct Killer(Arc<Mutex<Option<Child>>>);

impl Killer {
    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the process, if there is one.
    pub fn kill(&self) {
        if let Some(child) = self.lock().as_mut() {
            // It fails only if the process has ended.
            let _ = child.kill();
        }
    }

    /// Waits for the end of the process, which is near. Returns how it ended.
    fn end(&self) -> Option<ExitStatus> {
        let mut child = self.lock().take()?;
        let _ = child.kill();
        child.wait().ok()
    }
}

/// Decodes in another process.
pub(super) struct Remote {
    limits: Limits,
    pauses: Arc<Pauses>,
    killer: Killer,
    pipes: Option<(BufWriter<ChildStdin>, BufReader<ChildStdout>)>,
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.pipes = None;
        self.killer.end();
    }
}

/// Why the other process did not answer.
enum Lost {
    /// It has ended, or its pipe is broken.
    Ended(std::io::Error),
    /// It answered something else than was asked.
    Nonsense,
    /// The file could not be read.
    File(std::io::Error),
}

impl From<std::io::Error> for Lost {
    fn from(error: std::io::Error) -> Self {
        Self::Ended(error)
    }
}

impl Remote {
    pub fn new(limits: Limits, pauses: Arc<Pauses>, killer: Killer) -> Self {
        Self {
            limits,
            pauses,
            killer,
            pipes: None,
        }
    }

    /// Decodes a file.
    ///
    /// # Errors
    ///
    /// If the image cannot be decoded or read, or costs more than the limits allow, or the process ended.
    pub fn make(&mut self, data: Data<'_>, task: Task) -> Result<Output, DecodeError> {
        if self.pipes.is_none() {
            self.start()
                .map_err(|error| DecodeError::NoSandbox(error.to_string()))?;
        }
        let made = self.exchange(data, task);
        made.unwrap_or_else(|lost| {
            self.pipes = None;
            let status = self.killer.end();
            Err(match lost {
                Lost::File(error) => DecodeError::Unreadable(error.to_string()),
                Lost::Ended(_) if status.is_some_and(is_from_outside) => DecodeError::NoSandbox(
                    "another program ended the one that decoded it".to_owned(),
                ),
                Lost::Ended(error) => DecodeError::Crashed(match status {
                    Some(status) => how(status),
                    None => error.to_string(),
                }),
                Lost::Nonsense => DecodeError::Crashed("it answered nonsense".to_owned()),
            })
        })
    }

    fn start(&mut self) -> std::io::Result<()> {
        let mut command = match COMMAND.get().map(Vec::as_slice) {
            Some([program, arguments @ ..]) => {
                let mut command = Command::new(program);
                command.args(arguments);
                command
            }
            _ => {
                let mut command = Command::new(std::env::current_exe()?);
                // It needs nothing of it.
                command.env_clear();
                command
            }
        };
        command
            .arg(child::ARGUMENT)
            .arg(serde_json::to_string(&self.limits)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What a decoder prints is no message for people.
            .stderr(Stdio::null());
        if let Some(bytes) = std::env::var_os(confine::BYTES) {
            command.env(confine::BYTES, bytes);
        }
        // Ctrl-C at a terminal reaches the whole group, and is for this process to decide about.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take());
        *self.killer.lock() = Some(child);
        let (Some(to), Some(from)) = pipes else {
            return Err(std::io::Error::other("it has no pipes"));
        };
        let mut from = BufReader::with_capacity(BLOCK, from);
        match protocol::read(&mut from) {
            Ok(Answer::Ready) => {
                self.pipes = Some((BufWriter::new(to), from));
                Ok(())
            }
            Ok(_) => Err(std::io::Error::other("it says something else")),
            Err(error) => Err(match self.killer.end() {
                Some(status) => std::io::Error::other(format!("it ended: {}", how(status))),
                None => error,
            }),
        }
    }

    fn exchange(
        &mut self,
        data: Data<'_>,
        task: Task,
    ) -> Result<Result<Output, DecodeError>, Lost> {
        let Some((to, from)) = &mut self.pipes else {
            return Err(Lost::Nonsense);
        };
        let length = data.length();
        protocol::write(to, &Request { task, length })?;
        send(data, to)?;
        to.flush()?;
        let mut held = BUDGET.nothing();
        loop {
            match protocol::read(from)? {
                Answer::Memory { bytes, waits } => {
                    let granted = self.limits.max_memory >= bytes
                        && grant(&mut held, bytes, waits, &self.limits, &self.pauses);
                    to.write_all(&[u8::from(granted)])?;
                    to.flush()?;
                }
                Answer::Ready => return Err(Lost::Nonsense),
                Answer::Failed(error) => return Ok(Err(error)),
                Answer::Made {
                    decoded,
                    width,
                    height,
                } => {
                    let bytes = u64::from(width) * u64::from(height) * 3;
                    let is_wanted = match task {
                        Task::Resized(geometry) => {
                            (width, height) == (geometry.width, geometry.height)
                        }
                        Task::Whole(_) => bytes <= self.limits.max_memory,
                    };
                    if !is_wanted {
                        return Err(Lost::Nonsense);
                    }
                    // The process has returned its memory, except for these pixels, which are here now.
                    held.shrink(bytes);
                    let mut pixels = vec![0; bytes as usize];
                    from.read_exact(&mut pixels)?;
                    let rgb = Rgb {
                        width,
                        height,
                        pixels,
                    };
                    return Ok(Ok(Output { rgb, decoded, held }));
                }
            }
        }
    }
}

/// Reserves memory for the process, which already has what is in `held`. Returns whether it may take it.
fn grant(held: &mut Reserved, bytes: u64, waits: bool, limits: &Limits, pauses: &Pauses) -> bool {
    if !waits {
        return held.has(bytes, limits);
    }
    // No decoder waits while it holds memory.
    held.shrink(0);
    match pauses.during(|| BUDGET.reserve(bytes, limits, patience(limits))) {
        Ok(reserved) => {
            *held = reserved;
            true
        }
        Err(_) => false,
    }
}

/// Sends the bytes of a file, of which only a piece at a time is in memory.
fn send(data: Data<'_>, to: &mut BufWriter<ChildStdin>) -> Result<(), Lost> {
    let disk = match data {
        Data::Memory(bytes) => return Ok(to.write_all(bytes)?),
        Data::Disk(disk) => disk,
    };
    let mut block = vec![0; BLOCK];
    let mut place = 0;
    while place < data.length() {
        let part = BLOCK.min(usize::try_from(data.length() - place).unwrap_or(BLOCK));
        let read = disk
            .read_at(&mut block[..part], place)
            .map_err(Lost::File)?;
        if read == 0 {
            return Err(Lost::File(std::io::ErrorKind::UnexpectedEof.into()));
        }
        to.write_all(&block[..read])?;
        place += read as u64;
    }
    Ok(())
}

/// Returns whether a process was ended by a signal that no decoder raises: hang-up, interrupt, kill, alarm or termination.
/// That says nothing of the image.
fn is_from_outside(status: ExitStatus) -> bool {
    #[cfg(unix)]
    return matches!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(1 | 2 | 9 | 14 | 15)
    );
    #[cfg(not(unix))]
    {
        let _ = status;
        false
    }
}

/// Says how a process ended.
fn how(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = match signal {
            4 => ", an illegal instruction",
            6 => ", an abort, for example because it wanted more memory than it may have",
            7 => ", a bus error",
            8 => ", an arithmetic error",
            11 => ", a wrong address",
            _ => "",
        };
        return format!("signal {signal}{name}");
    }
    status.to_string()
}
