//! Training data, and its checks.

use super::feature_transform::ClassifierPrior;
use super::options::HeadOptions;
use crate::baseline::Pca;
use crate::error::{Error, Result};

/// The minimum number of images to train on.
pub const MIN_IMAGES: usize = 16;

/// The maximum number of principal components to learn from.
pub(super) const MAX_DIRECTIONS: usize = 512;

/// Directions of features with a smaller spread differ by rounding only. Their length is one.
const MIN_SPREAD: f32 = 1e-5;

/// Training data of a head.
#[derive(Debug, Clone)]
pub struct TrainingSet<'a> {
    /// Features of the images: `[n, d]`, row-major.
    pub clean: &'a [f32],
    /// Features of altered copies, each `[n, d]`. They teach the code what does not matter.
    pub views: Vec<&'a [f32]>,
    /// Numbers in a row.
    pub d: usize,
    /// What the trunk knows about its features.
    pub prior: ClassifierPrior,
}

/// Checks the data and the options. Returns the number of images.
pub(crate) fn check(set: &TrainingSet<'_>, options: &HeadOptions) -> Result<usize> {
    let bad = |text: String| Err(Error::InvalidInput(text));
    if set.d == 0 || !set.clean.len().is_multiple_of(set.d) {
        return bad(format!(
            "{} features are no rows of {}",
            set.clean.len(),
            set.d
        ));
    }
    let n = set.clean.len() / set.d;
    if n < MIN_IMAGES {
        return bad(format!(
            "{n} images are too few to train on: at least {MIN_IMAGES} are needed, and hundreds are better"
        ));
    }
    if set.views.iter().any(|view| view.len() != set.clean.len()) {
        return bad("the altered copies are not as many as the images".to_owned());
    }
    if !set.prior.takes(set.d) {
        return bad("the metric or the classifier does not fit the features".to_owned());
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
        return bad("all images have the same features: there is nothing to learn".to_owned());
    }
    if options.code_len == 0 || options.bits == 0 || options.batch < 2 {
        return bad(
            "the code, the hash and the batch need at least one number, one bit and two images"
                .to_owned(),
        );
    }
    if !(options.learning_rate.is_finite() && options.learning_rate > 0.0) {
        return bad(format!(
            "a learning rate of {}: it must be above 0",
            options.learning_rate
        ));
    }
    if !(options.hash_weight.is_finite() && options.hash_weight >= 0.0) {
        return bad(format!(
            "a hash weight of {}: it must be 0 or more",
            options.hash_weight
        ));
    }
    Ok(n)
}

/// Returns the spread of rows about their mean, along all principal components together.
pub(super) fn spread(pca: &Pca) -> Result<f32> {
    let spread = pca.variances.iter().sum::<f32>().sqrt();
    if spread.is_finite() && spread > MIN_SPREAD {
        return Ok(spread);
    }
    Err(Error::InvalidInput(
        "the images' features do not differ in any way that could be learned".to_owned(),
    ))
}
