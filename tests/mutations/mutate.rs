//! Mutants: random changes of intact files, the same for the same seed and number.

/// Random numbers (SplitMix64, Steele, Lea and Flood 2014).
pub struct Random(u64);

impl Random {
    /// Returns the random numbers for one mutant of a run.
    pub fn of(seed: u64, number: u64) -> Self {
        let mut random = Self(seed);
        random.0 = random.bits() ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d);
        random
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `0..n`, or 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Returns true once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Bytes at which programs often fail.
const BYTES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, 0xd8, 0xd9];

/// Numbers at which programs often fail, cut to the width of a field.
const NUMBERS: [u64; 14] = [
    0,
    1,
    2,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    u64::MAX / 2,
    u64::MAX,
];

/// Returns the checksum that PNG and others use.
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    })
}

/// Changes the bytes of a file in one to four places; `other` provides parts to insert. Half of the mutants keep
/// their length, on which most formats depend.
pub fn mutant(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let kinds = if random.once_in(2) { IN_PLACE } else { KINDS };
    let changes = 1 + random.below(4);
    for _ in 0..changes {
        change(&mut bytes, other, kinds, random);
    }
    bytes
}

/// Number of kinds of changes; the first ones keep the length.
const KINDS: usize = 9;
const IN_PLACE: usize = 4;

/// Returns a place in a file, half of the time among the first bytes, which matter most.
fn place(length: usize, random: &mut Random) -> usize {
    if random.once_in(2) {
        random.below(length.min(128))
    } else {
        random.below(length)
    }
}

fn change(bytes: &mut Vec<u8>, other: &[u8], kinds: usize, random: &mut Random) {
    if bytes.is_empty() {
        bytes.extend(other);
        return;
    }
    let at = place(bytes.len(), random);
    let rest = bytes.len() - at;
    match random.below(kinds) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = BYTES[random.below(BYTES.len())],
        2 => {
            // A number of two, four or eight bytes, in either byte order, is replaced …
            let number = NUMBERS[random.below(NUMBERS.len())];
            put(&mut bytes[at..], number, random);
        }
        3 => {
            // … or changed slightly.
            let width = (2usize << random.below(2)).min(rest);
            let step = random.below(35) as u64;
            let little = random.once_in(2);
            let field = &mut bytes[at..at + width];
            if little {
                field.reverse();
            }
            let old = field.iter().fold(0, |n, &byte| n << 8 | u64::from(byte));
            let new = old.wrapping_add(step).wrapping_sub(17).to_be_bytes();
            field.copy_from_slice(&new[8 - width..]);
            if little {
                field.reverse();
            }
        }
        4 => bytes.truncate(at),
        5 => {
            let length = 1 + random.below(rest.min(64));
            bytes.drain(at..at + length);
        }
        6 => {
            // Bytes of the file itself, over or between others.
            let length = 1 + random.below(rest.min(64));
            let copy = bytes[at..at + length].to_vec();
            let to = place(bytes.len(), random);
            let end = if random.once_in(2) {
                to
            } else {
                (to + length).min(bytes.len())
            };
            bytes.splice(to..end, copy);
        }
        7 => {
            let length = 1 + random.below(16);
            let noise: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
            bytes.splice(at..at, noise);
        }
        _ => {
            // The beginning of one file and the end of the other.
            bytes.truncate(at);
            bytes.extend(&other[random.below(other.len())..]);
        }
    }
}

fn put(place: &mut [u8], number: u64, random: &mut Random) {
    let width = (2usize << random.below(3)).min(place.len());
    let number = if random.once_in(2) {
        number.to_le_bytes()[..width].to_vec()
    } else {
        number.to_be_bytes()[8 - width..].to_vec()
    };
    place[..width].copy_from_slice(&number);
}
