//! Samples out of the bytes of a row: any number of bits, integers and floats.

use super::layout::{Layout, Numbers};

/// Adds `count` samples of up to 8 bits.
pub fn small(row: &[u8], bits: u32, count: usize, out: &mut Vec<u8>) {
    if bits == 8 {
        out.extend_from_slice(&row[..count.min(row.len())]);
        return;
    }
    let mut stream = Stream { row, place: 0 };
    out.extend((0..count).map(|_| stream.next(bits) as u8));
}

/// Adds `count` samples of any number of bits as their values.
pub fn values(row: &[u8], layout: &Layout, count: usize, out: &mut Vec<f32>) {
    let (bits, little) = (layout.bits, layout.little);
    if bits % 8 != 0 {
        let mut stream = Stream { row, place: 0 };
        let sign = 32 - bits;
        out.extend((0..count).map(|_| {
            let value = stream.next(bits);
            match layout.numbers {
                Numbers::Signed => ((value << sign) as i32 >> sign) as f32,
                _ => value as f32,
            }
        }));
        return;
    }
    let numbers = row.chunks_exact(bits as usize / 8).take(count);
    let number = |bytes: &[u8]| {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if little {
            bytes.iter().rev().fold(0, add)
        } else {
            bytes.iter().fold(0, add)
        }
    };
    let sign = 64 - bits;
    out.extend(numbers.map(|bytes| {
        let value = number(bytes);
        match (layout.numbers, bits) {
            (Numbers::Unsigned, _) => value as f32,
            (Numbers::Signed, _) => ((value << sign) as i64 >> sign) as f32,
            (Numbers::Float, 16) => float(value as u32, 5, 10),
            (Numbers::Float, 24) => float(value as u32, 7, 16),
            (Numbers::Float, 32) => f32::from_bits(value as u32),
            (Numbers::Float, _) => f64::from_bits(value) as f32,
        }
    }));
}

/// Returns the value of a float with these numbers of bits of its exponent and its fraction.
fn float(bits: u32, exponent_bits: u32, fraction_bits: u32) -> f32 {
    let exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
    let fraction = bits & ((1 << fraction_bits) - 1);
    let bias = (1i32 << (exponent_bits - 1)) - 1;
    let part = fraction as f32 / (1u32 << fraction_bits) as f32;
    let size = match exponent {
        0 => part * 2f32.powi(1 - bias),
        all if all == (1 << exponent_bits) - 1 => {
            if fraction == 0 {
                f32::INFINITY
            } else {
                f32::NAN
            }
        }
        exponent => (1.0 + part) * 2f32.powi(exponent as i32 - bias),
    };
    if bits >> (exponent_bits + fraction_bits) & 1 == 1 {
        -size
    } else {
        size
    }
}

/// Bits of a row, from the highest of each byte. After the end come zeros.
struct Stream<'a> {
    row: &'a [u8],
    place: usize,
}

impl Stream<'_> {
    fn next(&mut self, bits: u32) -> u32 {
        let first = self.place / 8;
        let byte = |i| u32::from(self.row.get(first + i).copied().unwrap_or(0));
        let window = byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
        let value = window << (self.place % 8) >> (32 - bits);
        self.place += bits as usize;
        value
    }
}

/// Undoes differences between neighbours (predictor 2), or those of the bytes of floats (3), in a row of pixels.
///
/// Returns whether the bytes of each number are now from the highest on.
pub fn undo_differences(row: &mut [u8], layout: &Layout) -> bool {
    let samples = layout.together();
    match (layout.predictor, layout.bits) {
        (2, 8) => {
            for i in samples..row.len() {
                row[i] = row[i].wrapping_add(row[i - samples]);
            }
        }
        (2, 16 | 32 | 64) => {
            let size = layout.bits as usize / 8;
            let step = samples * size;
            for i in (step..row.len() - row.len() % size).step_by(size) {
                add(row, i, i - step, size, layout.little);
            }
        }
        (3, 16 | 24 | 32 | 64) => {
            for i in samples..row.len() {
                row[i] = row[i].wrapping_add(row[i - samples]);
            }
            // All highest bytes come first, then all second ones.
            let size = layout.bits as usize / 8;
            let count = row.len() / size;
            let planes = row.to_vec();
            for (i, number) in row.chunks_exact_mut(size).enumerate() {
                for (part, byte) in number.iter_mut().enumerate() {
                    *byte = planes[part * count + i];
                }
            }
            return true;
        }
        _ => {}
    }
    false
}

/// Adds the number of `size` bytes at `from` to that at `to`.
fn add(row: &mut [u8], to: usize, from: usize, size: usize, little: bool) {
    let mut carry = 0;
    for i in 0..size {
        let i = if little { i } else { size - 1 - i };
        let sum = u16::from(row[to + i]) + u16::from(row[from + i]) + carry;
        row[to + i] = sum as u8;
        carry = sum >> 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_any_number_of_bits() {
        let mut out = Vec::new();
        small(&[0b1011_0010], 2, 4, &mut out);
        assert_eq!(out, [2, 3, 0, 2]);
        let mut stream = Stream {
            row: &[0xab, 0xcd, 0xef],
            place: 0,
        };
        assert_eq!([12; 3].map(|bits| stream.next(bits)), [0xabc, 0xdef, 0]);
    }

    #[test]
    fn floats_of_16_and_24_bits() {
        assert_eq!(float(0x3c00, 5, 10), 1.0);
        assert_eq!(float(0xc000, 5, 10), -2.0);
        assert_eq!(float(0x3555, 5, 10), 0.333_251_95);
        assert_eq!(float(1, 5, 10), 2f32.powi(-24));
        assert_eq!(float(0x3f_8000, 7, 16), 1.5);
        assert!(float(0x7c00, 5, 10).is_infinite() && float(0x7c01, 5, 10).is_nan());
    }

    #[test]
    fn numbers_are_added_in_either_order_of_bytes() {
        let mut row = [0xff, 0x01, 0x02, 0x01];
        add(&mut row, 2, 0, 2, true);
        assert_eq!(row[2..], [0x01, 0x03]);
        let mut row = [0x01, 0xff, 0x01, 0x02];
        add(&mut row, 2, 0, 2, false);
        assert_eq!(row[2..], [0x03, 0x01]);
    }
}
