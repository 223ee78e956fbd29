//! Autoencoders of documents, as files that encode them.

use super::design::Loss;
use super::export;
use super::hash;
use super::samples::Samples;
use super::trained::Autoencoder;
use crate::error::{Error, Result};
use crate::linear::{centre, mean, normalise};

/// The maximum number of codes that the hash is made from. More change nothing.
const MAX_FOR_HASH: usize = 50_000;

/// The encoder half of an autoencoder of documents.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WordsFile {
    /// The ONNX file. [`WordEncoder`](imgsearch_onnx::WordEncoder) runs it.
    pub bytes: Vec<u8>,
    /// How much the hash counts in addition to the code if both rank.
    pub hash_weight: f32,
}

impl Autoencoder {
    /// Returns the encoder half of an autoencoder of documents. Its codes are those of the network less the mean code
    /// of `samples`, and have length one, so that their distance is that of directions, as the cosine is. Its hash is
    /// made of them: principal components, rotated by iterative quantisation and split at their medians.
    /// `metadata` is stored in the file.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if it was not trained on documents, if there are no `samples` to make the hash from or
    /// `bits` is 0; [`Error::Training`] if the numbers cannot be computed.
    pub fn words_file(
        &self,
        samples: &Samples<'_>,
        (bits, seed): (usize, u64),
        metadata: &str,
    ) -> Result<WordsFile> {
        if self.design().loss != Loss::Softmax || !samples.are_words() || bits == 0 {
            return Err(Error::InvalidInput(format!(
                "a hash of {bits} bits of documents needs at least one bit, and an autoencoder of documents"
            )));
        }
        let code_len = self.design().code_len;
        let n = samples.len().min(MAX_FOR_HASH);
        let evenly: Vec<usize> = (0..n).map(|i| i * samples.len() / n).collect();
        let mut codes = self.codes(&samples.only(&evenly))?;
        let middle = mean(&codes, code_len);
        centre(&mut codes, &middle);
        normalise(&mut codes, code_len);
        let layer = hash::layer(&codes, code_len, (bits, seed))?;
        Ok(WordsFile {
            bytes: export::words_model(&self.network, &middle, &layer, metadata)?,
            hash_weight: hash::weight(&codes, code_len, seed),
        })
    }
}
