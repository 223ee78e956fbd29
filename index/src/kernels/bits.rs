//! A set of rows.

/// One bit a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    rows: usize,
    count: usize,
}

impl Bits {
    pub fn none(rows: usize) -> Self {
        Self {
            words: vec![0; rows.div_ceil(64)],
            rows,
            count: 0,
        }
    }

    pub fn all(rows: usize) -> Self {
        let mut words = vec![u64::MAX; rows.div_ceil(64)];
        if let (Some(last), rest @ 1..) = (words.last_mut(), rows % 64) {
            *last = (1 << rest) - 1;
        }
        Self {
            words,
            rows,
            count: rows,
        }
    }

    pub fn insert(&mut self, row: usize) {
        let bit = 1 << (row % 64);
        self.count += usize::from(self.words[row / 64] & bit == 0);
        self.words[row / 64] |= bit;
    }

    pub fn remove(&mut self, row: usize) {
        let bit = 1 << (row % 64);
        self.count -= usize::from(self.words[row / 64] & bit != 0);
        self.words[row / 64] &= !bit;
    }

    #[inline(always)]
    pub fn contains(&self, row: usize) -> bool {
        self.words[row / 64] & (1 << (row % 64)) != 0
    }

    /// Returns the number of rows in the set.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns whether every row is in the set.
    pub fn is_all(&self) -> bool {
        self.count == self.rows
    }

    /// Leaves only what is in the other set, too.
    pub fn intersect(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
        self.count = self.words.iter().map(|w| w.count_ones() as usize).sum();
    }

    /// Calls `visit` with each row of the set in a range that begins at a multiple of 64.
    #[inline(always)]
    pub fn for_each(&self, range: std::ops::Range<usize>, mut visit: impl FnMut(usize)) {
        debug_assert!(range.start.is_multiple_of(64));
        let words = range.start / 64..range.end.div_ceil(64);
        for (word, start) in self.words[words].iter().zip((range.start..).step_by(64)) {
            let mut rest = *word;
            while rest != 0 {
                let row = start + rest.trailing_zeros() as usize;
                if row >= range.end {
                    return;
                }
                visit(row);
                rest &= rest - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(
            rows in 1usize..300,
            steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..100),
            full: bool,
        ) {
            let (mut bits, mut set) = if full {
                (Bits::all(rows), (0..rows).collect())
            } else {
                (Bits::none(rows), BTreeSet::new())
            };
            for (insert, row) in steps {
                let row = row.index(rows);
                if insert {
                    bits.insert(row);
                    set.insert(row);
                } else {
                    bits.remove(row);
                    set.remove(&row);
                }
            }
            prop_assert_eq!(bits.count(), set.len());
            prop_assert_eq!(bits.is_all(), set.len() == rows);
            let mut seen = Vec::new();
            bits.for_each(0..rows, |row| seen.push(row));
            prop_assert_eq!(seen, set.iter().copied().collect::<Vec<_>>());
            let mut part = Vec::new();
            bits.for_each(64.min(rows / 64 * 64)..rows * 2 / 3, |row| part.push(row));
            prop_assert!(part.iter().all(|row| set.contains(row) && *row < rows));
            for row in 0..rows {
                prop_assert_eq!(bits.contains(row), set.contains(&row));
            }
            let odd: BTreeSet<usize> = (0..rows).filter(|row| row % 2 == 1).collect();
            let mut others = Bits::none(rows);
            odd.iter().for_each(|&row| others.insert(row));
            bits.intersect(&others);
            prop_assert_eq!(bits.count(), set.intersection(&odd).count());
        }
    }
}
