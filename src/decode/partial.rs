//! Pictures of which only a part is there: one rule for all formats.

use super::error::DecodeError;

/// A file shows next to nothing if a smaller share of its pixels is there.
pub(super) const MIN_SHARE: f64 = 0.25;

/// The grey of pixels that are missing.
pub(super) const MISSING: u8 = 128;

/// Judges a picture by the number of pixels that could be decoded: returns what is wrong with it, if anything.
///
/// # Errors
///
/// The first error that was met, or else that it is truncated, if too little is there.
pub(super) fn judge(
    there: u64,
    of: u64,
    trouble: Option<DecodeError>,
) -> Result<Option<String>, DecodeError> {
    if there >= of {
        return Ok(None);
    }
    let share = there as f64 / of.max(1) as f64;
    if share < MIN_SHARE {
        return Err(trouble.unwrap_or(DecodeError::Truncated));
    }
    Ok(Some(format!(
        "truncated or damaged: {} % of it could be decoded",
        (share * 100.0) as u32
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_enough_and_is_said() {
        assert_eq!(judge(100, 100, None), Ok(None));
        let said = judge(99, 100, None).unwrap().unwrap();
        assert!(said.contains("99 %"), "{said}");
        assert!(judge(25, 100, None).unwrap().is_some());
        assert_eq!(judge(24, 100, None), Err(DecodeError::Truncated));
        assert_eq!(
            judge(1, 100, Some(DecodeError::Empty)),
            Err(DecodeError::Empty)
        );
    }
}
