//! Tokens: an encoded picture as a text that fits into an address.
//!
//! The server keeps nothing of an upload. Whoever asks keeps the token, so that a link to a question stays valid after
//! a restart.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use imgsearch::Encoded;

/// The first byte of a token.
const VERSION: u8 = 1;

/// Bytes of the fingerprint of the encoder that tell it from others.
const MARK: usize = 8;

/// The largest stored logit.
const STEPS: f32 = 32767.0;

/// Why a token is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// It is none.
    NotAToken,
    /// Another encoder made it than the one that the index has now.
    OtherEncoder,
}

/// Returns the token of a picture. Logits are rounded to 16 bits.
pub fn write(encoded: &Encoded, fingerprint: &str) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&mark(fingerprint));
    bytes.extend(encoded.code.iter().flat_map(|value| value.to_le_bytes()));
    let largest = encoded
        .logits
        .iter()
        .fold(0f32, |max, logit| max.max(logit.abs()));
    let step = (largest / STEPS).max(f32::MIN_POSITIVE);
    bytes.extend(step.to_le_bytes());
    for logit in &encoded.logits {
        let rounded = (logit / step).round() as i16;
        // A bit is set if its logit is above zero, so the sign must last.
        let kept = if *logit > 0.0 {
            rounded.max(1)
        } else {
            rounded
        };
        bytes.extend(kept.to_le_bytes());
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a token for an encoder with codes of `code_len` numbers and hashes of `bits` bits.
pub fn read(
    token: &str,
    fingerprint: &str,
    code_len: usize,
    bits: usize,
) -> Result<Encoded, BadToken> {
    let bytes = URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| BadToken::NotAToken)?;
    let Some((&VERSION, rest)) = bytes.split_first() else {
        return Err(BadToken::NotAToken);
    };
    let (made_by, rest) = rest.split_at_checked(MARK).ok_or(BadToken::NotAToken)?;
    if made_by != mark(fingerprint) {
        return Err(BadToken::OtherEncoder);
    }
    if rest.len() != code_len * 4 + 4 + bits * 2 {
        return Err(BadToken::NotAToken);
    }
    let (code, rest) = rest.split_at(code_len * 4);
    let (step, logits) = rest.split_at(4);
    let float = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
    let code: Vec<f32> = code.as_chunks::<4>().0.iter().map(float).collect();
    let step = step.first_chunk::<4>().map_or(0.0, float);
    let logits: Vec<f32> = logits
        .as_chunks::<2>()
        .0
        .iter()
        .map(|bytes| f32::from(i16::from_le_bytes(*bytes)) * step)
        .collect();
    if code.iter().chain(&logits).any(|value| !value.is_finite()) {
        return Err(BadToken::NotAToken);
    }
    Ok(Encoded::of_code(code, logits))
}

/// Returns what tells an encoder from others.
fn mark(fingerprint: &str) -> [u8; MARK] {
    let mut mark = [0; MARK];
    mark.copy_from_slice(&blake3::hash(fingerprint.as_bytes()).as_bytes()[..MARK]);
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded() -> Encoded {
        let code = (0..30).map(|i| i as f32 * 0.1 - 1.5).collect();
        let logits = (0..256).map(|i| (i as f32 - 127.5) * 0.05).collect();
        Encoded::of_code(code, logits)
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let mut before = encoded();
        // So small that it is rounded to nothing, and set all the same.
        before.logits[3] = 1e-9;
        let before = Encoded::of_code(before.code, before.logits);
        let token = write(&before, "abc");
        assert!(token.len() < 900 && token.is_ascii());
        let after = read(&token, "abc", 30, 256).unwrap();
        assert_eq!((&after.code, &after.hash), (&before.code, &before.hash));
        for (a, b) in after.logits.iter().zip(&before.logits) {
            assert!((a - b).abs() < 3e-4, "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let token = write(&encoded(), "abc");
        assert_eq!(read(&token, "abd", 30, 256), Err(BadToken::OtherEncoder));
        assert_eq!(read(&token, "abc", 30, 128), Err(BadToken::NotAToken));
        let mut other = token.clone();
        other.pop();
        for bad in ["", "A", "!", "AQ", &token[4..], &other] {
            assert!(read(bad, "abc", 30, 256).is_err(), "{bad}");
        }
        // Not finite.
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        bytes[1 + MARK..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
        let token = URL_SAFE_NO_PAD.encode(bytes);
        assert_eq!(read(&token, "abc", 30, 256), Err(BadToken::NotAToken));
    }
}
