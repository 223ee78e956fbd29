//! The transform from a trunk's features to the input of a head.
//!
//! A trunk can carry parts of the classifier that it was trained with ([`ClassifierPrior`]): a metric
//! that weights the directions of its features, and the classes themselves. With classes, an image is
//! described by the square roots of their probabilities and by the directions of its features. The
//! inner product of such roots is the Bhattacharyya coefficient of two images' probabilities. Without
//! classes, the directions alone describe it.

use rayon::prelude::*;

use super::options::HeadOptions;
use crate::error::{Error, Result};
use crate::linear::{centre, mean, normalise, product, transposed};
use imgsearch_onnx::EncoderFile;
use imgsearch_onnx::authoring::FEATURES;
use imgsearch_onnx::authoring::{AttributeProto, ModelProto};
use imgsearch_onnx::authoring::{CLASSES, CLASSES_BIAS, Grafter, METRIC, constant};

/// What a trunk knows about its features from the classifier that it was trained with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClassifierPrior {
    metric: Option<Matrix>,
    classes: Option<Classes>,
}

/// A matrix from `d` features to `width` numbers.
#[derive(Debug, Clone, PartialEq)]
struct Matrix {
    /// `[d, width]`, row-major.
    values: Vec<f32>,
    width: usize,
}

/// The last layer of a classifier.
#[derive(Debug, Clone, PartialEq)]
struct Classes {
    weight: Matrix,
    bias: Vec<f32>,
}

impl Matrix {
    fn new(values: Vec<f32>, d: usize, width: usize, what: &str) -> Result<Self> {
        if width == 0 || d == 0 || values.len() != d * width {
            return Err(Error::InvalidInput(format!(
                "{} numbers are no {what} from {d} features to {width}",
                values.len()
            )));
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Error::InvalidInput(format!(
                "the {what} holds a number that is not finite"
            )));
        }
        Ok(Self { values, width })
    }

    fn takes(&self, d: usize) -> bool {
        self.values.len() == d * self.width
    }
}

impl ClassifierPrior {
    /// Adds a metric: a matrix of `[d, width]` numbers, row-major, that the directions of the features
    /// are multiplied by.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if there are not as many numbers as that, or they are not finite.
    pub fn with_metric(mut self, matrix: Vec<f32>, d: usize, width: usize) -> Result<Self> {
        self.metric = Some(Matrix::new(matrix, d, width, "metric")?);
        Ok(self)
    }

    /// Adds classes: a classifier's `weight` of `[d, classes]` numbers, row-major, and its `bias`, one
    /// number per class.
    ///
    /// # Errors
    ///
    /// As [`ClassifierPrior::with_metric`].
    pub fn with_classes(mut self, weight: Vec<f32>, bias: Vec<f32>, d: usize) -> Result<Self> {
        let weight = Matrix::new(weight, d, bias.len(), "classifier")?;
        if bias.iter().any(|value| !value.is_finite()) {
            return Err(Error::InvalidInput(
                "the classifier's bias holds a number that is not finite".to_owned(),
            ));
        }
        self.classes = Some(Classes { weight, bias });
        Ok(self)
    }

    /// Reads what the trunk of a file carries.
    ///
    /// # Errors
    ///
    /// [`Error::Encoder`] if something has the wrong shape, and as [`ClassifierPrior::with_metric`].
    pub fn of(file: &EncoderFile) -> Result<Self> {
        Self::carried(&file.model()?, file.info().feature_len, &file.info().name)
    }

    fn carried(model: &ModelProto, feature_len: Option<usize>, name: &str) -> Result<Self> {
        let wrong = |constant: &str, shape: &[usize]| {
            Error::Encoder(imgsearch_onnx::Error::Contract {
                name: name.to_owned(),
                reason: format!("its constant `{constant}` has the shape {shape:?}"),
            })
        };
        let mut prior = Self::default();
        if let Some((shape, matrix)) = constant(model, METRIC) {
            let (&[d, width], true) = (shape.as_slice(), shape.first() == feature_len.as_ref())
            else {
                return Err(wrong(METRIC, &shape));
            };
            prior = prior.with_metric(matrix, d, width)?;
        }
        if let Some((shape, weight)) = constant(model, CLASSES) {
            let (&[d, classes], true) = (shape.as_slice(), shape.first() == feature_len.as_ref())
            else {
                return Err(wrong(CLASSES, &shape));
            };
            let (_, bias) = constant(model, CLASSES_BIAS)
                .filter(|(shape, _)| *shape == [classes])
                .ok_or_else(|| wrong(CLASSES_BIAS, &[]))?;
            prior = prior.with_classes(weight, bias, d)?;
        }
        Ok(prior)
    }

    /// Returns whether all parts take features of `d` numbers.
    pub(crate) fn takes(&self, d: usize) -> bool {
        self.metric.as_ref().is_none_or(|metric| metric.takes(d))
            && self
                .classes
                .as_ref()
                .is_none_or(|classes| classes.weight.takes(d))
    }

    /// Changes the numbers a little.
    #[cfg(test)]
    pub(crate) fn disturbed(mut self) -> Self {
        let matrices = self.metric.iter_mut();
        let all = matrices.chain(self.classes.iter_mut().map(|classes| &mut classes.weight));
        all.for_each(|matrix| matrix.values[3] += 0.01);
        self
    }

    /// Rejects a trunk that carries something else.
    pub(crate) fn check_against(&self, model: &ModelProto, d: usize, name: &str) -> Result<()> {
        let theirs = Self::carried(model, Some(d), name)?;
        let other = |what: &str| {
            Err(Error::InvalidInput(format!(
                "the head was trained with another {what} than the one in {name:?}; train with that"
            )))
        };
        match (&theirs.metric, &self.metric) {
            (Some(theirs), Some(own)) if theirs != own => return other("metric"),
            _ => {}
        }
        match (&theirs.classes, &self.classes) {
            (Some(theirs), Some(own)) if theirs != own => other("classifier"),
            _ => Ok(()),
        }
    }

    /// Makes synthetic features, as images of other classes might have them: `count` rows of `d`
    /// numbers, or none if the trunk carries no classes.
    ///
    /// Each is a random row of `features` (`[n, d]`). Its part along its most likely class is moved to
    /// a random other class. The direction of a class is estimated from the classifier alone: the
    /// features' covariance times the class's weights. This is exact if all classes have the same normal
    /// distribution about their means (Fisher 1936).
    pub(crate) fn synthetic(
        &self,
        features: &[f32],
        d: usize,
        count: usize,
        random: &mut crate::linear::Normal,
    ) -> Vec<f32> {
        let Some(classes) = self.classes.as_ref().filter(|_| count > 0) else {
            return Vec::new();
        };
        let (n, width) = (features.len() / d, classes.weight.width);
        let mean = mean(features, d);
        let mut centred = features.to_vec();
        centre(&mut centred, &mean);
        let mut covariance = product(&transposed(&centred, n, d), &centred, d, n, d);
        covariance.iter_mut().for_each(|value| *value /= n as f32);
        // A tenth of the mean variance in every direction, as few features span few.
        let trace: f32 = (0..d).map(|i| covariance[i * d + i]).sum();
        (0..d).for_each(|i| covariance[i * d + i] += 0.1 * trace / d as f32);
        let mut weights = transposed(&classes.weight.values, d, width);
        let middle = crate::linear::mean(&weights, d);
        centre(&mut weights, &middle);
        let mut towards = product(&weights, &covariance, width, d, d);
        normalise(&mut towards, d);

        let picked: Vec<usize> = (0..count).map(|_| random.below(n)).collect();
        let targets: Vec<usize> = (0..count).map(|_| random.below(width)).collect();
        let rows: Vec<f32> = picked
            .iter()
            .flat_map(|&i| &features[i * d..][..d])
            .copied()
            .collect();
        let guesses: Vec<usize> = classes
            .logits(&rows, count, d)
            .chunks_exact(width)
            .map(|row| {
                let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
                best.map_or(0, |(class, _)| class)
            })
            .collect();
        let mut rows = rows;
        rows.par_chunks_exact_mut(d)
            .enumerate()
            .for_each(|(i, row)| {
                let from = &towards[guesses[i] * d..][..d];
                let to = &towards[targets[i] * d..][..d];
                let centred = row.iter().zip(&mean).map(|(value, mean)| value - mean);
                let along: f32 = centred.zip(from).map(|(value, from)| value * from).sum();
                for ((value, from), to) in row.iter_mut().zip(from).zip(to) {
                    *value += along.abs() * to - along * from;
                }
            });
        rows
    }
}

impl Classes {
    fn logits(&self, features: &[f32], n: usize, d: usize) -> Vec<f32> {
        let mut logits = product(features, &self.weight.values, n, d, self.weight.width);
        logits
            .par_chunks_exact_mut(self.weight.width)
            .for_each(|row| {
                row.iter_mut()
                    .zip(&self.bias)
                    .for_each(|(x, bias)| *x += bias)
            });
        logits
    }

    /// Returns the square roots of the classes' probabilities: `[n, classes]`, rows of length one.
    fn class_probabilities(
        &self,
        features: &[f32],
        n: usize,
        d: usize,
        temperature: f32,
    ) -> Vec<f32> {
        let mut rows = self.logits(features, n, d);
        rows.par_chunks_exact_mut(self.weight.width)
            .for_each(|row| {
                let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                row.iter_mut()
                    .for_each(|x| *x = ((*x - most) / temperature).exp());
                let sum: f32 = row.iter().sum();
                row.iter_mut().for_each(|x| *x = (*x / sum).sqrt());
            });
        rows
    }
}

/// A [`ClassifierPrior`], and the mean of the training features.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FeatureTransform {
    /// The mean of the training features: `[d]`.
    pub mean: Vec<f32>,
    pub prior: ClassifierPrior,
    /// Temperature of the classes' softmax.
    pub temperature: f32,
    /// Weight of the directions, relative to the classes.
    pub direction_weight: f32,
}

impl FeatureTransform {
    pub fn new(mean: Vec<f32>, prior: ClassifierPrior, options: &HeadOptions) -> Self {
        Self {
            mean,
            prior,
            temperature: options.class_temperature,
            direction_weight: options.direction_weight,
        }
    }

    /// Returns the numbers in a transformed row.
    pub fn width(&self) -> usize {
        let directions = self
            .prior
            .metric
            .as_ref()
            .map_or(self.mean.len(), |metric| metric.width);
        match &self.prior.classes {
            Some(classes) if self.direction_weight == 0.0 => classes.weight.width,
            Some(classes) => classes.weight.width + directions,
            None => directions,
        }
    }

    /// Transforms `n` rows of features: `[n, width]`.
    pub fn apply(&self, features: &[f32], n: usize) -> Vec<f32> {
        let d = self.mean.len();
        let Some(classes) = &self.prior.classes else {
            return self.directions(features, n);
        };
        let class_probabilities = classes.class_probabilities(features, n, d, self.temperature);
        if self.direction_weight == 0.0 {
            return class_probabilities;
        }
        let directions = self.directions(features, n);
        let (left, width) = (classes.weight.width, self.width());
        let mut rows = vec![0.0; n * width];
        rows.par_chunks_exact_mut(width)
            .enumerate()
            .for_each(|(i, row)| {
                row[..left].copy_from_slice(&class_probabilities[i * left..][..left]);
                let directions = &directions[i * (width - left)..][..width - left];
                for (value, direction) in row[left..].iter_mut().zip(directions) {
                    *value = direction * self.direction_weight;
                }
            });
        rows
    }

    /// Returns centred features of length one, times the metric.
    fn directions(&self, features: &[f32], n: usize) -> Vec<f32> {
        let rows = directions(features, &self.mean);
        match &self.prior.metric {
            Some(metric) => product(&rows, &metric.values, n, self.mean.len(), metric.width),
            None => rows,
        }
    }

    /// Adds the transform to a graph. Returns the name of its output.
    pub fn graft(&self, graft: &mut Grafter<'_>) -> String {
        let d = self.mean.len();
        let Some(classes) = &self.prior.classes else {
            return self.graft_directions(graft);
        };
        let width = classes.weight.width;
        let weight = graft.shared_constant(CLASSES, &[d, width], &classes.weight.values);
        let bias = graft.shared_constant(CLASSES_BIAS, &[width], &classes.bias);
        let temperature = graft.constant("temperature", &[], &[self.temperature]);
        let x = graft.node("Gemm", &[FEATURES, &weight, &bias], "classes.logits");
        let x = graft.node("Div", &[&x, &temperature], "classes.cooled");
        let x = graft.node_with(
            "Softmax",
            &[&x],
            "classes.probable",
            &[AttributeProto::int("axis", 1)],
        );
        let class_probabilities = graft.node("Sqrt", &[&x], "classes.likeness");
        if self.direction_weight == 0.0 {
            return class_probabilities;
        }
        let weight = graft.constant("direction.weight", &[], &[self.direction_weight]);
        let directions = self.graft_directions(graft);
        let directions = graft.node("Mul", &[&directions, &weight], "directions");
        graft.node_with(
            "Concat",
            &[&class_probabilities, &directions],
            "seen",
            &[AttributeProto::int("axis", 1)],
        )
    }

    fn graft_directions(&self, graft: &mut Grafter<'_>) -> String {
        let d = self.mean.len();
        let mean = graft.constant("mean", &[d], &self.mean);
        let x = graft.node("Sub", &[FEATURES, &mean], "centred");
        let x = graft.unit(&x, d, "direction");
        match &self.prior.metric {
            Some(metric) => {
                let metric = graft.shared_constant(METRIC, &[d, metric.width], &metric.values);
                graft.node("MatMul", &[&x, &metric], "hidden")
            }
            None => x,
        }
    }
}

/// Returns centred features of length one: `[n, d]`.
pub(crate) fn directions(features: &[f32], mean: &[f32]) -> Vec<f32> {
    let mut rows = features.to_vec();
    centre(&mut rows, mean);
    normalise(&mut rows, mean.len());
    rows
}
