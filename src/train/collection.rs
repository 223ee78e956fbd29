//! An encoder for one collection: trained on features that are at hand, and judged without labels.

use std::path::PathBuf;
use std::time::Instant;

use imgsearch_index::NewCode;
use imgsearch_onnx::SimilarityMap;
use imgsearch_train::fit_similarity;
use imgsearch_train::head::{ClassifierPrior, HeadOptions, Identity, TrainingSet, train_head};
use imgsearch_train::judge::{Judge, MIN_JUDGED};

use crate::encode::engine::Engine;
use crate::error::{Error, Result};
use crate::indexing::Adaptation;
use crate::indexing::adapting::{ADAPTED, Learned, NewEncoder, Sample, StoredContent};
use crate::progress::Progress;
use crate::train::eval::default_ranking::{ByLogits, DefaultRanking};
use crate::train::extract::{ExtractOptions, extract};
use crate::train::jobs::flow;

/// The minimum number of images for which an index trains an encoder of its own.
pub const MIN_COLLECTION: usize = 300;

/// The fewest and the most images that a new index trains on, if it has more, and the share between them. On
/// photographs of 51 classes, 1,350 images give an mAP of 0.867, 2,250 give 0.868 and 4,000 give 0.871.
const SAMPLES: [usize; 2] = [2000, 10_000];
const SAMPLED_OF: usize = 10;

/// Returns the maximum number of images that a new index of `images` images trains on.
pub fn max_sample(images: usize) -> usize {
    let [min, max] = SAMPLES;
    (images / SAMPLED_OF).clamp(min, max)
}

/// Images that encoders are judged by. More take longer, by the square, and change few verdicts.
const JUDGED: usize = 1000;

/// Images whose pairs show what distances mean, and how many nearest ones of each count.
const CALIBRATED: usize = 300;
const CLOSE: usize = 30;

/// What an encoder makes of images: codes, packed hashes and logits, row by row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output<'a> {
    pub codes: &'a [f32],
    pub code_len: usize,
    pub hashes: &'a [u8],
    pub logits: &'a [f32],
    pub bits: usize,
}

impl Output<'_> {
    /// Returns every `step`-th row.
    fn thinned(&self, step: usize) -> (Vec<f32>, Vec<u8>, Vec<f32>) {
        (
            every(self.codes, self.code_len, step),
            every(self.hashes, self.bits.div_ceil(8), step),
            every(self.logits, self.bits, step),
        )
    }
}

fn every<T: Copy>(rows: &[T], length: usize, step: usize) -> Vec<T> {
    let rows = rows.chunks_exact(length).step_by(step);
    rows.flatten().copied().collect()
}

/// Judges encoders by some images of a collection.
pub(crate) struct CollectionJudge {
    judge: Judge,
    step: usize,
}

impl CollectionJudge {
    /// Returns a judge that knows the features of images, `[n, d]`, or `None` if they are too few.
    pub fn new(features: &[f32], d: usize, prior: &ClassifierPrior) -> Result<Option<Self>> {
        let n = features.len() / d;
        if n < MIN_JUDGED {
            return Ok(None);
        }
        let step = n.div_ceil(JUDGED).max(1);
        let judge = Judge::new(&every(features, d, step), d, prior)?;
        Ok(Some(Self { judge, step }))
    }

    /// Returns the score of an encoder's output for the same images, ranked as queries rank by default.
    pub fn score(&self, output: &Output<'_>, hash_weight: f32) -> f64 {
        let (codes, hashes, logits) = output.thinned(self.step);
        let mut ranking = ranking(output, &codes, &hashes, &logits);
        ranking.hash_weight = hash_weight;
        self.judge.score(|image, out| ranking.plain(image, out))
    }
}

/// Returns what the distances of a new encoder mean: for pairs of images, the similarity by the encoder before
/// as a function of the new distance. `None` if the encoder before does not say.
pub(crate) fn similarity_of(
    known: Option<&SimilarityMap>,
    old: (&Output<'_>, f32),
    new: (&Output<'_>, f32),
) -> Option<SimilarityMap> {
    let known = known?;
    let n = new.0.codes.len() / new.0.code_len;
    let step = n.div_ceil(JUDGED).max(1);
    let (old_rows, new_rows) = (old.0.thinned(step), new.0.thinned(step));
    let mut old_ranking = ranking(old.0, &old_rows.0, &old_rows.1, &old_rows.2);
    let mut new_ranking = ranking(new.0, &new_rows.0, &new_rows.1, &new_rows.2);
    (old_ranking.hash_weight, new_ranking.hash_weight) = (old.1, new.1);
    let n = new_rows.0.len() / new.0.code_len;
    let asked = n.div_ceil(CALIBRATED).max(1);
    let mut pairs = Vec::new();
    let (mut before, mut after) = (vec![0.0; n], vec![0.0; n]);
    for image in (0..n).step_by(asked) {
        old_ranking.plain(image, &mut before);
        new_ranking.plain(image, &mut after);
        let mut order: Vec<usize> = (0..n).filter(|&other| other != image).collect();
        order.sort_unstable_by(|&a, &b| after[a].total_cmp(&after[b]).then(a.cmp(&b)));
        // The nearest, and some of all others.
        let far = order.iter().skip(CLOSE).step_by((n / CLOSE).max(1));
        let pair = |&other: &usize| (after[other], known.similarity(before[other]));
        pairs.extend(order.iter().take(CLOSE).chain(far).map(pair));
    }
    fit_similarity(&pairs)
}

fn ranking<'a>(
    output: &Output<'_>,
    codes: &'a [f32],
    hashes: &'a [u8],
    logits: &'a [f32],
) -> DefaultRanking<'a> {
    DefaultRanking {
        codes,
        code_len: output.code_len,
        hashes,
        by_logits: ByLogits::new(hashes, logits, output.bits),
        hash_weight: 0.0,
    }
}

/// Trains an encoder on a sample of a new index, and judges it against the one that made the sample.
///
/// # Errors
///
/// [`Error::Interrupted`]. If nothing can be learned, that is [`Adaptation::Failed`].
pub(crate) fn train_for(
    engine: &Engine,
    sample: &Sample,
    progress: &dyn Progress,
) -> Result<Learned> {
    match learn(engine, sample, progress) {
        // Images are indexed all the same.
        Err(error @ (Error::Training(_) | Error::TooFewImages(_))) => Ok((
            Adaptation::Failed {
                reason: error.to_string(),
            },
            None,
        )),
        // The run ends as any cancelled run does.
        Err(Error::Interrupted) if progress.is_cancelled() => Ok((
            Adaptation::Failed {
                reason: Error::Interrupted.to_string(),
            },
            None,
        )),
        learned => learned,
    }
}

fn learn(engine: &Engine, sample: &Sample, progress: &dyn Progress) -> Result<Learned> {
    let started = Instant::now();
    let info = engine.info();
    let images = sample.digests.len();
    if images < MIN_COLLECTION {
        return Err(Error::TooFewImages(format!(
            "{images} of the images are different and can be used, and at least {MIN_COLLECTION} are needed"
        )));
    }
    let d = sample.features.len() / images;
    let prior = ClassifierPrior::of(engine.file())?;
    let set = TrainingSet {
        clean: &sample.features,
        views: Vec::new(),
        d,
        prior: prior.clone(),
    };
    let mut options = HeadOptions::for_collection(images);
    options.code_len = info.code_len;
    options.bits = info.bits;
    // The judge would choose a lower one, which other images pay for: the model card has the figures.
    options.hash_weight = info.hash_weight;
    let head = train_head(&set, &options, &mut |_| flow(progress))?;
    if progress.is_cancelled() {
        return Err(Error::Interrupted);
    }
    let Some(judge) = CollectionJudge::new(&sample.features, d, &prior)? else {
        return Err(Error::TooFewImages(format!("{images} images")));
    };
    let old = Output {
        codes: &sample.codes,
        code_len: info.code_len,
        hashes: &sample.hashes,
        logits: &sample.logits,
        bits: info.bits,
    };
    let before = judge.score(&old, info.hash_weight);
    let applied = head.apply(&sample.features, images);
    let hashes = applied.hashes();
    let new = Output {
        codes: &applied.codes,
        code_len: head.code_len(),
        hashes: &hashes,
        logits: &applied.logits,
        bits: head.bits(),
    };
    let after = judge.score(&new, info.hash_weight);
    let seconds = started.elapsed().as_secs_f64();
    if after <= before {
        let outcome = Adaptation::NotBetter {
            images,
            before,
            after,
            seconds,
        };
        return Ok((outcome, None));
    }
    let identity = Identity {
        name: format!("{}{ADAPTED}", info.name.trim_end_matches(ADAPTED)),
        training_data: "images of the index that it belongs to".to_owned(),
        images,
        similarity: similarity_of(
            info.similarity.as_ref(),
            (&old, info.hash_weight),
            (&new, info.hash_weight),
        ),
    };
    let file = head.encoder_file(engine.file(), &identity)?;
    let codes = codes(sample, &new);
    let outcome = Adaptation::Better {
        images,
        before,
        after,
        seconds: started.elapsed().as_secs_f64(),
    };
    Ok((outcome, Some(NewEncoder { file, codes })))
}

/// Returns the codes of a sample by another encoder.
fn codes(sample: &Sample, new: &Output<'_>) -> Vec<NewCode> {
    let rows = new
        .codes
        .chunks_exact(new.code_len)
        .zip(new.hashes.chunks_exact(new.bits.div_ceil(8)));
    sample
        .digests
        .iter()
        .zip(rows)
        .map(|(&digest, (code, hash))| NewCode {
            digest,
            code: code.to_vec(),
            hash: hash.to_vec(),
        })
        .collect()
}

/// Encodes stored images again. One that cannot be encoded any more is left out.
///
/// # Errors
///
/// The errors of the encoder.
pub(crate) fn extract_stored(
    engine: &Engine,
    stored: &[StoredContent],
    progress: &dyn Progress,
) -> Result<Sample> {
    let paths: Vec<PathBuf> = stored.iter().map(|(_, path)| path.clone()).collect();
    let extracted = match extract(engine, &paths, ExtractOptions::default(), progress) {
        Err(Error::Interrupted) => return Ok(Sample::default()),
        extracted => extracted?,
    };
    let mut digests = stored.iter();
    // The paths come back in their order.
    let digests = extracted.paths.iter().filter_map(|path| {
        digests
            .find(|(_, stored)| stored == path)
            .map(|(digest, _)| *digest)
    });
    Ok(Sample {
        digests: digests.collect(),
        features: extracted.features,
        codes: extracted.codes,
        hashes: extracted.hashes,
        logits: extracted.logits,
    })
}
