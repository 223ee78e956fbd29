//! Which images train an encoder and which validate it.

use imgsearch_train::head::MIN_IMAGES;

use crate::train::extract::Extracted;

/// One in this number of images is held out of the training and validates it.
pub(crate) const HELD_OUT: usize = 10;

/// Returns whether the image at this place is held out.
pub(crate) fn is_held_out(place: usize) -> bool {
    place % HELD_OUT == HELD_OUT - 1
}

/// Returns the minimum number of images to learn a code of `code_len` numbers from, including those
/// that are held out.
pub fn min_images(code_len: usize) -> usize {
    // n points span at most n - 1 directions.
    let trained_on = MIN_IMAGES.max(code_len.saturating_add(1));
    // The smallest number that leaves them if a tenth, rounded down, is held out.
    (trained_on + (trained_on - 1) / (HELD_OUT - 1)).max(2 * HELD_OUT)
}

/// Moves the validation images behind the others. Returns the number of the others.
pub(crate) fn validation_last(all: &mut Extracted) -> usize {
    fn reorder<T: Clone>(rows: &mut Vec<T>, n: usize) {
        let length = rows.len() / n;
        if length == 0 {
            return;
        }
        let mut held_out = Vec::with_capacity(n / HELD_OUT * length);
        let mut to = 0;
        for i in 0..n {
            if is_held_out(i) {
                held_out.extend_from_slice(&rows[i * length..(i + 1) * length]);
                continue;
            }
            if to != i {
                for j in 0..length {
                    rows.swap(to * length + j, i * length + j);
                }
            }
            to += 1;
        }
        rows.truncate(to * length);
        rows.extend(held_out);
    }
    let n = all.paths.len();
    reorder(&mut all.paths, n);
    reorder(&mut all.features, n);
    reorder(&mut all.codes, n);
    reorder(&mut all.hashes, n);
    reorder(&mut all.logits, n);
    all.views.iter_mut().for_each(|view| reorder(view, n));
    n - n / HELD_OUT
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn every_tenth_image_validates_and_no_row_is_lost() {
        for n in [1, 9, 10, 34, 100] {
            let mut all = Extracted {
                paths: (0..n).map(|i| PathBuf::from(i.to_string())).collect(),
                features: (0..2 * n).map(|i| i as f32).collect(),
                feature_len: 2,
                codes: (0..n).map(|i| i as f32).collect(),
                hashes: (0..n).map(|i| i as u8).collect(),
                logits: (0..3 * n).map(|i| i as f32).collect(),
                views: vec![(0..2 * n).map(|i| i as f32).collect()],
                ..Extracted::default()
            };
            let before = all.clone();
            let trained_on = validation_last(&mut all);
            let order: Vec<usize> = all
                .paths
                .iter()
                .map(|path| path.to_str().unwrap().parse().unwrap())
                .collect();
            let held = |&i: &usize| is_held_out(i);
            let expected: Vec<usize> = (0..n)
                .filter(|i| !held(i))
                .chain((0..n).filter(held))
                .collect();
            assert_eq!(order, expected);
            assert_eq!(trained_on, (0..n).filter(|i| !held(i)).count());
            for (place, &i) in order.iter().enumerate() {
                assert_eq!(
                    all.features[2 * place..][..2],
                    before.features[2 * i..][..2]
                );
                assert_eq!(all.views[0][2 * place], before.views[0][2 * i]);
                assert_eq!(all.codes[place], before.codes[i]);
                assert_eq!(all.hashes[place], before.hashes[i]);
                assert_eq!(all.logits[3 * place..][..3], before.logits[3 * i..][..3]);
            }
        }
    }

    #[test]
    fn the_minimum_is_the_smallest_number_that_leaves_enough() {
        let leaves = |n: usize| n - n / HELD_OUT;
        for code_len in 1..200 {
            let min = min_images(code_len);
            let needed = MIN_IMAGES.max(code_len + 1);
            assert!(leaves(min) >= needed, "{code_len}");
            assert!(
                min == 2 * HELD_OUT || leaves(min - 1) < needed,
                "{code_len}"
            );
        }
    }
}
