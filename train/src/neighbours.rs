//! Mutual nearest neighbours.

use rayon::prelude::*;

use crate::linear::{product, transposed};

/// Rows whose similarities are in memory at once.
const BLOCK: usize = 256;

/// Returns the mutual neighbours of each of `n` rows of `d` numbers of length one: the others that are
/// among its `k` nearest and have it among theirs, the nearest first. Every pair of rows is compared.
pub(crate) fn mutual(rows: &[f32], n: usize, d: usize, k: usize) -> Vec<Vec<u32>> {
    let k = k.min(n.saturating_sub(1));
    if k == 0 {
        return vec![Vec::new(); n];
    }
    let nearest = nearest(rows, n, d, k);
    (0..n)
        .into_par_iter()
        .map(|i| {
            let own = nearest[i * k..(i + 1) * k].iter().copied();
            own.filter(|&other| {
                let theirs = &nearest[other as usize * k..(other as usize + 1) * k];
                theirs.contains(&(i as u32))
            })
            .collect()
        })
        .collect()
}

/// Returns the `k` nearest of each row, the nearest first, ties by number: `[n, k]`.
fn nearest(rows: &[f32], n: usize, d: usize, k: usize) -> Vec<u32> {
    let columns = transposed(rows, n, d);
    let mut all = Vec::with_capacity(n * k);
    for (block, some) in rows.chunks(BLOCK * d).enumerate() {
        let similarity = product(some, &columns, some.len() / d, d, n);
        let nearest =
            similarity
                .par_chunks_exact(n)
                .enumerate()
                .flat_map_iter(|(i, similarity)| {
                    let own = block * BLOCK + i;
                    let by_similarity = |a: &u32, b: &u32| {
                        let of = |row: &u32| similarity[*row as usize];
                        of(b).total_cmp(&of(a)).then(a.cmp(b))
                    };
                    let mut others: Vec<u32> =
                        (0..n as u32).filter(|&j| j as usize != own).collect();
                    others.select_nth_unstable_by(k - 1, by_similarity);
                    others.truncate(k);
                    others.sort_unstable_by(by_similarity);
                    others
                });
        all.par_extend(nearest);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{Normal, normalise};

    #[test]
    fn neighbours_are_those_of_a_plain_search_both_ways() {
        // More rows than a block.
        let (n, d, k) = (BLOCK + 77, 5, 6);
        let mut random = Normal::new(2);
        let mut rows: Vec<f32> = (0..n * d).map(|_| random.draw()).collect();
        normalise(&mut rows, d);
        let row = |i: usize| &rows[i * d..(i + 1) * d];
        let similarity =
            |i: usize, j: usize| -> f32 { row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum() };
        let plain: Vec<Vec<u32>> = (0..n)
            .map(|i| {
                let mut others: Vec<u32> = (0..n as u32).filter(|&j| j as usize != i).collect();
                others.sort_by(|&a, &b| {
                    similarity(i, b as usize).total_cmp(&similarity(i, a as usize))
                });
                others.truncate(k);
                others
            })
            .collect();
        let found = mutual(&rows, n, d, k);
        let mut one_way = 0;
        for i in 0..n {
            let (both, only): (Vec<u32>, Vec<u32>) = plain[i]
                .iter()
                .partition(|&&j| plain[j as usize].contains(&(i as u32)));
            assert_eq!(found[i], both, "{i}");
            one_way += only.len();
        }
        assert!(one_way > 0);
    }

    #[test]
    fn few_rows_have_few_neighbours() {
        assert_eq!(mutual(&[1.0, 0.0], 1, 2, 5), vec![Vec::<u32>::new()]);
        let all = mutual(&[1.0, 0.0, 0.6, 0.8], 2, 2, 5);
        assert_eq!(all, vec![vec![1], vec![0]]);
        assert_eq!(
            mutual(&[1.0, 0.0, 0.6, 0.8], 2, 2, 0),
            vec![Vec::<u32>::new(); 2]
        );
    }
}
