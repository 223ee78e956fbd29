//! What the two processes say to each other: a length, and a message in JSON. The bytes of files and pixels follow as they
//! are.

use std::io::{Error, ErrorKind, Read, Result, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::error::DecodeError;
use super::super::{Decoded, Task};

/// Maximum bytes of a message.
const MAX_MESSAGE: u32 = 1 << 20;

/// An image to decode. Its file follows.
#[derive(Serialize, Deserialize)]
pub struct Request {
    pub task: Task,
    /// Bytes of the file.
    pub length: u64,
}

/// What the process that decodes says.
#[derive(Serialize, Deserialize)]
pub enum Answer {
    /// It is there, and confined.
    Ready,
    /// It asks for memory, in all. The answer is one byte: 1 if it may take it.
    Memory {
        bytes: u64,
        /// Whether it waits for it and holds nothing meanwhile.
        waits: bool,
    },
    /// The image is decoded. Its pixels follow.
    Made {
        decoded: Decoded,
        width: u32,
        height: u32,
    },
    Failed(DecodeError),
}

/// Writes a message.
pub fn write(to: &mut impl Write, message: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&text)
}

/// Reads a message.
pub fn read<T: DeserializeOwned>(from: &mut impl Read) -> Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_MESSAGE {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
