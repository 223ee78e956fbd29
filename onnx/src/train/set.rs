//! What is trained on, and whether it can be.

use super::TrainOptions;
use crate::contract::EncoderFile;
use crate::error::{Error, Result};
use crate::surgery::{METRIC, constant};

/// The fewest photographs that can be trained on.
pub const LEAST_PHOTOGRAPHS: usize = 16;

/// What is trained on.
#[derive(Debug, Clone)]
pub struct TrainingSet<'a> {
    /// Features of the photographs: `[n, d]`, row-major.
    pub clean: &'a [f32],
    /// Features of altered copies, each `[n, d]`. They teach the code what does not matter.
    pub views: Vec<&'a [f32]>,
    /// Numbers in a row.
    pub d: usize,
    /// What the trunk says of how much each direction matters.
    pub metric: Option<Metric>,
}

/// How much each direction of a trunk's features matters: a matrix `[d, width]` that they are
/// taken through before anything is learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub(super) matrix: Vec<f32>,
    pub(super) width: usize,
}

impl Metric {
    /// A metric of `[d, width]` numbers, row-major.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] where there are not as many numbers as that, or they are not finite.
    pub fn new(matrix: Vec<f32>, d: usize, width: usize) -> Result<Self> {
        if width == 0 || d == 0 || matrix.len() != d * width {
            return Err(Error::BadInput(format!(
                "{} numbers are no metric from {d} features to {width}",
                matrix.len()
            )));
        }
        if matrix.iter().any(|value| !value.is_finite()) {
            return Err(Error::BadInput(
                "the metric holds a number that is not finite".to_owned(),
            ));
        }
        Ok(Self { matrix, width })
    }

    /// The metric that a file's trunk carries.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] where it has the wrong shape, and as [`Metric::new`].
    pub fn of(file: &EncoderFile) -> Result<Option<Self>> {
        let Some((shape, matrix)) = constant(&file.model()?, METRIC) else {
            return Ok(None);
        };
        match (shape.as_slice(), file.info().feature_len) {
            (&[d, width], Some(length)) if d == length => Self::new(matrix, d, width).map(Some),
            _ => Err(Error::Contract {
                name: file.info().name.clone(),
                reason: format!("its constant `{METRIC}` has the shape {shape:?}"),
            }),
        }
    }
}

/// Refuses what cannot be trained on; the number of photographs.
pub(super) fn check(set: &TrainingSet<'_>, options: &TrainOptions) -> Result<usize> {
    let bad = |text: String| Err(Error::BadInput(text));
    if set.d == 0 || !set.clean.len().is_multiple_of(set.d) {
        return bad(format!(
            "{} features are no rows of {}",
            set.clean.len(),
            set.d
        ));
    }
    let n = set.clean.len() / set.d;
    if n < LEAST_PHOTOGRAPHS {
        return bad(format!(
            "{n} photographs are too few to train on: at least {LEAST_PHOTOGRAPHS} are needed, and hundreds are better"
        ));
    }
    if set.views.iter().any(|view| view.len() != set.clean.len()) {
        return bad("the altered copies are not as many as the photographs".to_owned());
    }
    if set
        .metric
        .as_ref()
        .is_some_and(|metric| metric.matrix.len() != set.d * metric.width)
    {
        return bad("the metric does not fit the features".to_owned());
    }
    let all = std::iter::once(&set.clean).chain(&set.views);
    if all
        .flat_map(|rows| rows.iter())
        .any(|value| !value.is_finite())
    {
        return bad("a feature is not finite".to_owned());
    }
    if set
        .clean
        .chunks_exact(set.d)
        .all(|row| row == &set.clean[..set.d])
    {
        return bad("all photographs have the same features: there is nothing to learn".to_owned());
    }
    if options.code_len == 0 || options.bits == 0 || options.batch < 2 {
        return bad("the code, the hash and the batch need at least one number, one bit and two photographs".to_owned());
    }
    Ok(n)
}
