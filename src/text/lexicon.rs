//! The lexicon: which classes a word stands for.
//!
//! One file, made by `onnx/make_words` from WordNet and sentence embeddings: English nouns and compounds, sorted,
//! each with the classes of ImageNet that it may name. It is read from front to back for each text, which takes some
//! milliseconds, and nothing stays in memory.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;

use flate2::read::ZlibDecoder;

use crate::error::{Error, Result};

/// The first bytes of the file.
const MAGIC: &[u8] = b"imgwords1\n";

/// Steps of a stored weight.
const STEPS: u16 = 63;

/// Bits of a stored weight, below those of the class.
const WEIGHT_BITS: u32 = 6;

/// Classes and their shares, which add up to one.
pub(crate) type Distribution = Vec<(u16, f32)>;

/// The lexicon, unpacked.
pub(crate) struct Lexicon {
    entries: Vec<u8>,
}

impl Lexicon {
    /// Unpacks the built-in lexicon.
    ///
    /// # Errors
    ///
    /// [`Error::Lexicon`] if this program was built with a broken one.
    pub fn built_in() -> Result<Self> {
        Self::unpack(imgsearch_onnx::words())
    }

    fn unpack(packed: &[u8]) -> Result<Self> {
        let mut bytes = Vec::new();
        ZlibDecoder::new(packed)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::Lexicon(error.to_string()))?;
        let Some(entries) = bytes.strip_prefix(MAGIC) else {
            return Err(Error::Lexicon("it starts with other bytes".to_owned()));
        };
        let entries = entries.to_vec();
        Ok(Self { entries })
    }

    /// Calls `visit` with every entry and its packed classes.
    fn each(&self, mut visit: impl FnMut(&str, &[u8])) -> Result<()> {
        let broken = || Error::Lexicon("it ends within an entry".to_owned());
        let mut rest = self.entries.as_slice();
        let mut word = Vec::new();
        while let [shared, added, tail @ ..] = rest {
            let (added, tail) = tail.split_at_checked((*added).into()).ok_or_else(broken)?;
            let (&count, tail) = tail.split_first().ok_or_else(broken)?;
            let (classes, tail) = tail
                .split_at_checked(2 * usize::from(count))
                .ok_or_else(broken)?;
            word.truncate((*shared).into());
            word.extend_from_slice(added);
            visit(std::str::from_utf8(&word).unwrap_or_default(), classes);
            rest = tail;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(broken())
        }
    }

    /// Returns the distributions of those of `words` that it knows.
    pub fn look_up(&self, words: &HashSet<String>) -> Result<HashMap<String, Distribution>> {
        let mut found = HashMap::new();
        self.each(|word, classes| {
            if words.contains(word) {
                found.insert(word.to_owned(), distribution(classes));
            }
        })?;
        Ok(found)
    }

    /// Returns the known words that are spelled most like `word`, best first, at most `count`.
    pub fn spelled_like(&self, word: &str, count: usize) -> Result<Vec<String>> {
        let mut near: Vec<(usize, String)> = Vec::new();
        let limit = (word.chars().count() / 3).max(1);
        self.each(|known, _| {
            if known.chars().count().abs_diff(word.chars().count()) <= limit {
                let edits = strsim::osa_distance(known, word);
                if edits <= limit {
                    near.push((edits, known.to_owned()));
                }
            }
        })?;
        near.sort_unstable();
        Ok(near.into_iter().take(count).map(|(_, word)| word).collect())
    }
}

fn distribution(packed: &[u8]) -> Distribution {
    let (pairs, _) = packed.as_chunks::<2>();
    let weighted: Vec<(u16, f32)> = pairs
        .iter()
        .map(|pair| {
            let value = u16::from_le_bytes(*pair);
            (value >> WEIGHT_BITS, f32::from(value & STEPS))
        })
        .collect();
    let sum: f32 = weighted.iter().map(|(_, weight)| weight).sum();
    weighted
        .into_iter()
        .map(|(class, weight)| (class, weight / sum.max(1.0)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn entries_share_beginnings_and_weights_add_up_to_one() {
        let mut bytes = MAGIC.to_vec();
        // "cat" of class 3, and "catfish" of classes 999 and 1, three to one.
        bytes.extend([0, 3]);
        bytes.extend(b"cat\x01");
        bytes.extend((3u16 << 6 | 63).to_le_bytes());
        bytes.extend([3, 4]);
        bytes.extend(b"fish\x02");
        bytes.extend((999u16 << 6 | 60).to_le_bytes());
        bytes.extend((1u16 << 6 | 20).to_le_bytes());
        let lexicon = Lexicon::unpack(&pack(&bytes)).unwrap();
        let asked = ["catfish", "cat", "dog"].map(str::to_owned).into();
        let found = lexicon.look_up(&asked).unwrap();
        assert_eq!(found["cat"], [(3, 1.0)]);
        assert_eq!(found["catfish"], [(999, 0.75), (1, 0.25)]);
        assert_eq!(found.len(), 2);
        assert_eq!(lexicon.spelled_like("cta", 5).unwrap(), ["cat"]);

        for cut in MAGIC.len() + 1..bytes.len() {
            let cut = Lexicon::unpack(&pack(&bytes[..cut])).unwrap();
            let is_whole = cut.entries.len() == 8;
            assert_eq!(
                cut.look_up(&asked).is_ok(),
                is_whole,
                "{cut:?}",
                cut = cut.entries
            );
        }
        assert!(Lexicon::unpack(&pack(b"something else")).is_err());
        assert!(Lexicon::unpack(b"not packed").is_err());
    }

    #[test]
    fn the_built_in_lexicon_knows_animals_and_things() {
        let lexicon = Lexicon::built_in().unwrap();
        let asked = ["dog", "grand piano", "gerenuk", "elephant", "xyzzy"];
        let found = lexicon.look_up(&asked.map(str::to_owned).into()).unwrap();
        assert_eq!(found.len(), 4, "{:?}", found.keys());
        for (word, classes) in &found {
            let sum: f32 = classes.iter().map(|(_, share)| share).sum();
            assert!((sum - 1.0).abs() < 1e-3, "{word} {sum}");
            assert!(classes.iter().all(|(class, _)| *class < 1000));
        }
        // ImageNet's own name for it is its likeliest class.
        assert_eq!(found["grand piano"][0].0, 579);
    }
}
