//! Greys of more than 8 bits: the range that is shown.
//!
//! Microscopes, scanners and medical devices store 10, 12 or 14 bits in 16, and heights and measurements as integers of
//! either sign or as floats. Taken as they are, most of them are black. So the range is what the file declares, or else
//! what its values show. A picture that uses its bits is left as it is.

/// What is known of values before they are seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    /// Bits of a value.
    pub bits: u32,
    pub signed: bool,
    pub float: bool,
    /// The highest value by the file's own words.
    pub declared: Option<u64>,
}

/// A picture of integers uses its bits if its highest value reaches this share of the range: a quarter, so at least 14
/// of 16 bits are used.
const USED: f32 = 0.25;

/// The value of a pixel that is missing.
const MISSING: f32 = 0.5;

/// Returns greys as RGB.
pub(super) fn greys(values: &[f32], range: Range, inverted: bool) -> Vec<u8> {
    let (low, high) = shown(values, range);
    let scale = if high > low {
        255.0 / (high - low)
    } else {
        0.0
    };
    let in_bytes = |value: &f32| {
        let value = if value.is_nan() {
            low + MISSING * (high - low)
        } else {
            *value
        };
        // The conversion saturates.
        let grey = ((value - low) * scale).round() as u8;
        [if inverted { 255 - grey } else { grey }; 3]
    };
    values.iter().flat_map(in_bytes).collect()
}

/// Returns the values that are shown as black and white.
fn shown(values: &[f32], range: Range) -> (f32, f32) {
    let mut low = f32::INFINITY;
    let mut high = f32::NEG_INFINITY;
    for value in values.iter().filter(|value| value.is_finite()) {
        low = low.min(*value);
        high = high.max(*value);
    }
    let bits = if range.signed {
        range.bits - 1
    } else {
        range.bits
    };
    let top = 2f32.powi(bits as i32) - 1.0;
    let declared = range.declared.map(|declared| declared as f32);
    if range.float {
        // Zero to one is what pictures have; measurements have anything.
        return if low >= 0.0 && high <= 1.0 {
            (0.0, 1.0)
        } else {
            (low, high)
        };
    }
    if low < 0.0 {
        return (low, high);
    }
    match declared {
        Some(declared) if declared >= high && declared < top && declared > 255.0 => (0.0, declared),
        _ if high >= top * USED || high < 1.0 => (0.0, top),
        // As many bits as are used, but no fewer than a byte.
        _ => (
            0.0,
            (1..=bits)
                .map(|bits| 2f32.powi(bits as i32) - 1.0)
                .find(|top| *top >= high.max(255.0))
                .unwrap_or(top),
        ),
    }
}

/// Returns greys of 16 bits as RGB, or `None` if they use their bits, so that they can be converted as they are.
pub(super) fn stretched(greys_of_16: &[u16]) -> Option<Vec<u8>> {
    let high = greys_of_16.iter().max().copied().unwrap_or(0);
    if f32::from(high) >= 65_535.0 * USED || high == 0 {
        return None;
    }
    let top = (8..=16u32)
        .map(|bits| (1u32 << bits) - 1)
        .find(|top| *top >= u32::from(high));
    let top = top.unwrap_or(65_535);
    let in_bytes = |value: &u16| [((u32::from(*value) * 255 + top / 2) / top) as u8; 3];
    Some(greys_of_16.iter().flat_map(in_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTEGERS: Range = Range {
        bits: 16,
        signed: false,
        float: false,
        declared: None,
    };

    fn first(values: &[f32], range: Range) -> Vec<u8> {
        greys(values, range, false).into_iter().step_by(3).collect()
    }

    #[test]
    fn what_uses_its_bits_stays_as_it_is() {
        assert_eq!(
            first(&[0.0, 257.0, 32_896.0, 65_535.0], INTEGERS),
            [0, 1, 128, 255]
        );
        assert_eq!(stretched(&[0, 20_000]), None);
        assert_eq!(
            first(
                &[0.0, 0.5, 1.0],
                Range {
                    bits: 32,
                    float: true,
                    ..INTEGERS
                }
            ),
            [0, 128, 255]
        );
    }

    #[test]
    fn fewer_bits_are_stretched() {
        assert_eq!(first(&[0.0, 2048.0, 4095.0], INTEGERS), [0, 128, 255]);
        assert_eq!(
            first(
                &[0.0, 1000.0],
                Range {
                    declared: Some(1000),
                    ..INTEGERS
                }
            ),
            [0, 255]
        );
        assert_eq!(
            stretched(&[0, 2048, 4095]).unwrap(),
            [0, 0, 0, 128, 128, 128, 255, 255, 255]
        );
        assert_eq!(stretched(&[0, 0]), None);
    }

    #[test]
    fn negative_values_and_measurements_take_their_own_range() {
        let signed = Range {
            signed: true,
            ..INTEGERS
        };
        assert_eq!(first(&[-100.0, 0.0, 100.0], signed), [0, 128, 255]);
        let floats = Range {
            bits: 32,
            float: true,
            ..INTEGERS
        };
        assert_eq!(first(&[20.0, f32::NAN, 40.0], floats), [0, 128, 255]);
        assert_eq!(first(&[7.0, f32::INFINITY], floats)[0], 0);
    }
}
