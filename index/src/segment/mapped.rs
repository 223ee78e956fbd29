//! Files mapped into memory, and memory that is laid out as they are.
//!
//! Owns the crate's use of `mmap`.

use std::fs::File;
use std::io;

use memmap2::{Advice, Mmap};

/// The bytes of a file, aligned to at least 64.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// A file, read by the system as it is touched.
    Mapped(Mmap),
    /// In memory, in blocks that are aligned.
    Owned(Vec<Block>, usize),
}

/// A piece of memory of the alignment that sections have.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Block([u8; 64]);

impl Bytes {
    /// Maps a file.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::zeroed(0));
        }
        // SAFETY: the mapping is undefined behaviour if the file changes beneath it. Segments are
        // written under a temporary name, synced and renamed, and never changed once they have their
        // name; a segment that is folded is unlinked, which leaves the mapping whole. A program that
        // truncates files in the index folder ends this process (SIGBUS) and reads no wrong memory.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(file)? };
        Ok(Self::Mapped(map))
    }

    /// Returns `length` bytes in memory, all zero.
    pub fn zeroed(length: usize) -> Self {
        Self::Owned(vec![Block([0; 64]); length.div_ceil(64)], length)
    }

    /// Returns a copy of bytes, in memory.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn copied(bytes: &[u8]) -> Self {
        let mut copy = Self::zeroed(bytes.len());
        copy.as_mut_slice().copy_from_slice(bytes);
        copy
    }

    /// Says that a range will be read from its beginning to its end, so that the system may read
    /// ahead. Only a hint: if the system refuses it, reading is slower and no less right.
    pub fn will_scan(&self, range: std::ops::Range<usize>) {
        #[cfg(unix)]
        if let Self::Mapped(map) = self
            && let Err(error) = map.advise_range(Advice::WillNeed, range.start, range.len())
        {
            tracing::debug!(%error, "the system takes no advice about a mapped file");
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Returns the bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(blocks, length) => &bytemuck::cast_slice(blocks)[..*length],
        }
    }

    /// Returns the bytes, to be filled in; none of a mapped file.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match self {
            Self::Mapped(_) => &mut [],
            Self::Owned(blocks, length) => &mut bytemuck::cast_slice_mut(blocks)[..*length],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_as_long_as_asked() {
        for length in [0, 1, 63, 64, 65, 200] {
            let content: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let mut owned = Bytes::copied(&content);
            assert_eq!(owned.as_slice(), content);
            assert_eq!(owned.as_slice().as_ptr() as usize % 64, 0);
            owned.as_mut_slice().fill(7);
            assert!(owned.as_slice().iter().all(|&byte| byte == 7));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn a_mapped_file_and_memory_hold_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let content: Vec<u8> = (0..200).collect();
        std::fs::write(&path, &content).unwrap();
        let map = || Bytes::map(&File::open(&path).unwrap()).unwrap();
        let mapped = map();
        mapped.will_scan(0..200);
        assert_eq!(mapped.as_slice(), content);
        let owned = Bytes::copied(&content);
        assert_eq!(owned.as_slice(), content);
        for bytes in [&mapped, &owned] {
            assert_eq!(bytes.as_slice().as_ptr() as usize % 64, 0);
        }
        // What is mapped stays when the file is unlinked.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(mapped.as_slice(), content);
        std::fs::write(&path, "").unwrap();
        assert!(map().as_slice().is_empty());
    }
}
