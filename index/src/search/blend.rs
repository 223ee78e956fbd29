//! Blends: a query that is more like some images and less like others.

use super::mixture::{Mixture, in_means, length};
use super::params::Query;
use crate::error::{Error, Result};
use crate::kernels::distance::pack_bits;

/// A mixture that is shorter than this share of its parts has no direction left.
const MIN_LENGTH: f32 = 1e-3;

/// What a query is less of. It is subtracted from whatever is mixed into the query, too.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Away {
    pub code: Vec<f32>,
    /// Empty if the query has no hash.
    pub logits: Vec<f32>,
    /// The same as a query of its own: a code as long as the query's, and a packed hash.
    direction: Vec<f32>,
    hash: Vec<u8>,
}

impl Away {
    /// Returns the query for what is to be kept away.
    pub fn query(&self) -> Query<'_> {
        let query = Query::new(&self.direction);
        if self.logits.is_empty() {
            query
        } else {
            query.hash(&self.hash).logits(&self.logits)
        }
    }
}

impl Mixture {
    /// Mixes queries into one (Rocchio 1971): the weighted mean of those with weights above 0, less the others times
    /// their weights. A weight below 0 is therefore relative to the whole question: at -0.2, a fifth of its length is
    /// subtracted. Queries of weight 0 do not count. Hashes of `bits` bits are mixed if each query has one.
    ///
    /// With `focus`, numbers and bits on which the queries with weights above 0 agree count more: each is
    /// multiplied by `1 / (variance + mean variance)`. This changes the query only, so that graphs and scans answer
    /// it like any other. It changes nothing if fewer than two of them differ.
    ///
    /// The mixture is [finished](Mixture::finish). Its query can be [expanded](crate::SearchParams::expand): what
    /// was subtracted from the query is subtracted from the images that are mixed in, too, and images that are nearer
    /// to it than to the query are not mixed in.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if no weight is above 0, if a weight is not finite, if codes or hashes differ in
    /// length, and if the queries cancel each other.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgsearch_index::{Mixture, Query};
    ///
    /// let parts = [
    ///     (1.0, Query::new(&[1.0, 0.0, 0.0])),
    ///     (1.0, Query::new(&[0.0, 1.0, 0.0])),
    ///     (-0.5, Query::new(&[0.0, 1.0, 0.0])),
    /// ];
    /// let mixture = Mixture::blend(&parts, 8, false)?;
    /// let code = mixture.query().code;
    /// // Of the length of the codes, and less of the second than of the first.
    /// assert!((code.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    /// assert!(code[0] > 2.0 * code[1]);
    /// # Ok::<(), imgsearch_index::Error>(())
    /// ```
    pub fn blend(parts: &[(f32, Query<'_>)], bits: usize, focus: bool) -> Result<Self> {
        check(parts, bits)?;
        let with_hash = parts
            .iter()
            .all(|(_, query)| query.hash.is_some() || query.logits.is_some());
        let logits_of = |query: &Query<'_>| {
            if with_hash {
                in_means(query, bits)
            } else {
                Vec::new()
            }
        };
        let wanted: Vec<(f32, &[f32], Vec<f32>)> = parts
            .iter()
            .filter(|(weight, _)| *weight > 0.0)
            .map(|(weight, query)| (*weight, query.code, logits_of(query)))
            .collect();
        let codes: Vec<(f32, &[f32])> = wanted.iter().map(|&(w, code, _)| (w, code)).collect();
        let logits: Vec<(f32, &[f32])> = wanted.iter().map(|(w, _, l)| (*w, &l[..])).collect();
        let weight: f32 = codes.iter().map(|(weight, _)| weight).sum();
        let lengths: f32 = codes.iter().map(|(w, code)| w * length(code)).sum();
        let (mut code, mut logits) = (mean(&codes, focus), mean(&logits, focus));
        let full = lengths / weight;
        scale_to(&mut code, full);

        let unwanted = parts.iter().filter(|(weight, _)| *weight < 0.0);
        let mut away = Away {
            code: vec![0.0; code.len()],
            logits: vec![0.0; logits.len()],
            direction: Vec::new(),
            hash: Vec::new(),
        };
        let mut any = false;
        for (weight, query) in unwanted {
            any = true;
            add(&mut away.code, -weight, query.code);
            add(&mut away.logits, -weight, &logits_of(query));
        }
        if any {
            add(&mut code, -1.0, &away.code);
            add(&mut logits, -1.0, &away.logits);
            away.direction.clone_from(&away.code);
            scale_to(&mut away.direction, full);
            away.hash = pack_bits(&away.logits);
        }
        if full > 0.0 && length(&code) < MIN_LENGTH * full {
            return Err(Error::InvalidInput(
                "the parts of the question cancel each other: lower the weights of what it is less of"
                    .to_owned(),
            ));
        }
        let mixture = Self {
            code,
            length: full,
            weight: 1.0,
            logits,
            hash: Vec::new(),
            away: any.then_some(away),
        };
        Ok(mixture.finish())
    }
}

/// Refuses what cannot be mixed.
fn check(parts: &[(f32, Query<'_>)], bits: usize) -> Result<()> {
    let refuse = |why: &str| Err(Error::InvalidInput(why.to_owned()));
    if let Some((weight, _)) = parts.iter().find(|(weight, _)| !weight.is_finite()) {
        return refuse(&format!("the weight {weight} is not a finite number"));
    }
    let Some((_, first)) = parts.iter().find(|(weight, _)| *weight > 0.0) else {
        return refuse("no part of the question has a weight above 0");
    };
    for (_, query) in parts {
        if query.code.len() != first.code.len()
            || query
                .hash
                .is_some_and(|hash| hash.len() != bits.div_ceil(8))
            || query.logits.is_some_and(|logits| logits.len() != bits)
        {
            return refuse("the parts of the question are of different encoders");
        }
    }
    Ok(())
}

/// Returns the weighted mean of rows. With `focus`, what they agree on counts more.
fn mean(rows: &[(f32, &[f32])], focus: bool) -> Vec<f32> {
    let total: f32 = rows.iter().map(|(weight, _)| weight).sum();
    let mut mean = vec![0.0; rows.first().map_or(0, |(_, row)| row.len())];
    for (weight, row) in rows {
        add(&mut mean, weight / total, row);
    }
    if !focus {
        return mean;
    }
    let mut variances = vec![0.0f32; mean.len()];
    for (weight, row) in rows {
        for ((variance, mean), number) in variances.iter_mut().zip(&mean).zip(*row) {
            *variance += weight / total * (number - mean) * (number - mean);
        }
    }
    let mean_variance = variances.iter().sum::<f32>() / variances.len().max(1) as f32;
    if mean_variance > 0.0 {
        for (mean, variance) in mean.iter_mut().zip(variances) {
            *mean *= mean_variance / (variance + mean_variance);
        }
    }
    mean
}

fn add(sums: &mut [f32], weight: f32, row: &[f32]) {
    for (sum, number) in sums.iter_mut().zip(row) {
        *sum += weight * number;
    }
}

/// Gives a code another length, unless it has none.
fn scale_to(code: &mut [f32], wanted: f32) {
    let now = length(code);
    if now > 0.0 {
        code.iter_mut().for_each(|number| *number *= wanted / now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blend(parts: &[(f32, &[f32], &[f32])], focus: bool) -> Result<Mixture> {
        let bits = parts[0].2.len();
        let queries = parts.iter().map(|(weight, code, logits)| {
            let query = Query::new(code);
            if logits.is_empty() {
                (*weight, query)
            } else {
                (*weight, query.logits(logits))
            }
        });
        Mixture::blend(&queries.collect::<Vec<_>>(), bits, focus)
    }

    fn code_of(parts: &[(f32, &[f32], &[f32])], focus: bool) -> Vec<f32> {
        blend(parts, focus).unwrap().query().code.to_vec()
    }

    #[test]
    fn weights_above_zero_make_a_mean_of_full_length() {
        let code = code_of(&[(3.0, &[1.0, 0.0], &[]), (1.0, &[0.0, 1.0], &[])], false);
        assert!((length(&code) - 1.0).abs() < 1e-6);
        assert!((code[0] / code[1] - 3.0).abs() < 1e-5, "{code:?}");
        // Only the proportion counts.
        let same = code_of(&[(0.3, &[1.0, 0.0], &[]), (0.1, &[0.0, 1.0], &[])], false);
        assert!((code[0] - same[0]).abs() < 1e-6);
    }

    #[test]
    fn a_weight_below_zero_turns_the_query_away_and_keeps_its_length() {
        let (a, b) = ([2.0f32, 0.0], [0.0f32, 2.0]);
        let mixture = blend(&[(4.0, &a, &[1.0, -1.0]), (-0.5, &b, &[-1.0, 1.0])], false).unwrap();
        let query = mixture.query();
        assert!((length(query.code) - 2.0).abs() < 1e-6);
        // A half, whatever the weight of what it is taken from.
        assert!((query.code[1] / query.code[0] + 0.5).abs() < 1e-6);
        assert_eq!(query.logits, Some(&[1.5f32, -1.5][..]));
        assert_eq!(query.hash, Some(&[0b01][..]));
        let away = query.away.unwrap().query();
        assert_eq!(away.code, [0.0, 2.0]);
        assert_eq!(away.hash, Some(&[0b10][..]));
    }

    #[test]
    fn what_is_subtracted_keeps_its_share_when_images_are_mixed_in() {
        let parts: [(f32, &[f32], &[f32]); 2] =
            [(1.0, &[1.0, 0.0], &[1.0]), (-0.5, &[0.0, 1.0], &[1.0])];
        let blended = blend(&parts, false).unwrap();
        let mut mixture = Mixture::new(&blended.query(), 1);
        for _ in 0..50 {
            mixture.add(1.0, &[1.0, 0.0], &[1]);
        }
        let mixture = mixture.finish();
        let code = mixture.query().code;
        assert!((code[1] / code[0] + 0.5).abs() < 0.01, "{code:?}");
        assert!(mixture.query().away.is_some());
    }

    #[test]
    fn focus_favours_what_the_parts_agree_on() {
        let parts: [(f32, &[f32], &[f32]); 3] = [
            (1.0, &[0.7, 0.9], &[1.0, 1.0]),
            (1.0, &[0.7, 0.2], &[1.0, -1.0]),
            (1.0, &[0.7, 1.0], &[1.0, 1.0]),
        ];
        let (plain, focused) = (blend(&parts, false).unwrap(), blend(&parts, true).unwrap());
        let share = |mixture: &Mixture| mixture.query().code[0] / mixture.query().code[1];
        assert!((share(&plain) - 1.0).abs() < 1e-5);
        // One variance is 0 and the other twice the mean.
        assert!((share(&focused) - 3.0).abs() < 1e-4, "{focused:?}");
        let bits = |mixture: &Mixture| mixture.logits[0] / mixture.logits[1];
        assert!((bits(&focused) - 3.0 * bits(&plain)).abs() < 1e-4);
        // A part alone, or equal parts, agree on everything.
        assert_eq!(code_of(&parts[..1], true), code_of(&parts[..1], false));
        let same = [parts[1], parts[1]];
        assert_eq!(code_of(&same, true), code_of(&same, false));
    }

    #[test]
    fn a_part_without_a_hash_leaves_the_mixture_without_one() {
        let mixture = blend(&[(1.0, &[1.0], &[0.5]), (1.0, &[1.0], &[])], true).unwrap();
        assert!(mixture.query().hash.is_none());
    }

    #[test]
    fn what_cannot_be_mixed_is_refused() {
        let refused =
            |parts: &[(f32, &[f32], &[f32])]| blend(parts, false).unwrap_err().to_string();
        let a: &[f32] = &[1.0, 0.0];
        assert!(refused(&[(0.0, a, &[]), (0.0, a, &[])]).contains("above 0"));
        assert!(refused(&[(-1.0, a, &[])]).contains("above 0"));
        assert!(refused(&[(f32::NAN, a, &[])]).contains("not a finite"));
        assert!(refused(&[(1.0, a, &[]), (1.0, &[1.0], &[])]).contains("different encoders"));
        assert!(refused(&[(1.0, a, &[]), (-1.0, a, &[])]).contains("cancel"));
        assert!(Mixture::blend(&[], 8, false).is_err());
    }
}
