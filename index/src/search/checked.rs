//! The parts of a query, checked against the encoder of the index.

use crate::error::{Error, Result};
use crate::kernels::distance::{LANES, finite, pack_bits, words};
use crate::kernels::weighted::BitWeights;
use crate::store::types::EncoderRecord;

/// Returns a code, padded to whole lanes.
pub(super) fn padded(encoder: &EncoderRecord, code: &[f32]) -> Result<Vec<f32>> {
    if code.len() != encoder.code_len {
        return Err(Error::InvalidInput(format!(
            "a code of {} numbers was given, and the index holds codes of {}",
            code.len(),
            encoder.code_len
        )));
    }
    if !finite(code) {
        return Err(Error::InvalidInput(
            "the code holds a number that is not finite".to_owned(),
        ));
    }
    let mut padded = code.to_vec();
    padded.resize(code.len().next_multiple_of(LANES), 0.0);
    Ok(padded)
}

/// Returns a hash in words.
pub(crate) fn checked_hash(encoder: &EncoderRecord, hash: &[u8]) -> Result<Vec<u64>> {
    if hash.len() != encoder.hash_bytes() {
        return Err(Error::InvalidInput(format!(
            "a hash of {} bytes was given, and the index holds hashes of {}",
            hash.len(),
            encoder.hash_bytes()
        )));
    }
    Ok(words(hash).collect())
}

/// Returns what each differing bit adds for a query with these logits.
pub(crate) fn bit_weights(
    encoder: &EncoderRecord,
    logits: &[f32],
    hash: Option<&[u8]>,
) -> Result<BitWeights> {
    if logits.len() != encoder.bits {
        return Err(Error::InvalidInput(format!(
            "{} logits were given, and the index holds hashes of {} bits",
            logits.len(),
            encoder.bits
        )));
    }
    if !finite(logits) {
        return Err(Error::InvalidInput(
            "the logits hold a number that is not finite".to_owned(),
        ));
    }
    if hash.is_some_and(|hash| hash != pack_bits(logits)) {
        return Err(Error::InvalidInput(
            "the logits are not those of the hash: bit i is set if logit i is above zero"
                .to_owned(),
        ));
    }
    Ok(BitWeights::new(logits, encoder.hash_weight))
}
