//! The encoder of a new index: trained on a random sample of its first images.
//!
//! An autoencoder compresses well only what resembles its training data. So the first run of an index encodes
//! a sample first and keeps the trunk's features of it in memory. An encoder is trained on them. If it is
//! better, it takes over: the sample gets its codes from the features, and the other images are encoded with
//! it. The sample is drawn by the paths, so an interrupted run goes on with the same one.

use std::path::{Path, PathBuf};

use imgsearch_index::{NewCode, Reader, Writer};
use imgsearch_onnx::EncoderFile;

use super::plan::Plan;
use super::report::Adaptation;
use super::work::Digest;
use crate::encode::engine::Engine;
use crate::error::Result;
use crate::indexing::walk::Walked;
use crate::progress::Progress;

/// The end of the name of an encoder that was trained for a collection.
pub(crate) const ADAPTED: &str = ", adapted";

/// The name of the fact that says what came of it.
const FACT: &str = "adaptation";

/// What the encoder made of a sample of images, row by row.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub digests: Vec<Digest>,
    /// `[images, feature_len]`.
    pub features: Vec<f32>,
    /// `[images, code_len]`.
    pub codes: Vec<f32>,
    /// Packed.
    pub hashes: Vec<u8>,
    /// `[images, bits]`.
    pub logits: Vec<f32>,
}

/// An encoder for the collection, and its codes of the sample.
pub(crate) struct NewEncoder {
    pub file: EncoderFile,
    pub codes: Vec<NewCode>,
}

/// What came of training, and the encoder if it is better.
pub(crate) type Learned = (Adaptation, Option<NewEncoder>);

/// A stored content, and one of its paths.
pub(crate) type StoredContent = (Digest, PathBuf);

/// What trains the encoder.
pub(crate) struct Adapting {
    /// Fewer images than this number keep the encoder that they have.
    pub min_images: usize,
    /// Returns the maximum number of images in the sample of a collection.
    pub max_sample: fn(usize) -> usize,
    /// Trains on the sample.
    pub train: fn(&Engine, &Sample, &dyn Progress) -> Result<Learned>,
    /// Encodes stored images again, which an interrupted run left without features.
    pub extract: fn(&Engine, &[StoredContent], &dyn Progress) -> Result<Sample>,
}

/// What an index is told about its encoder.
pub(crate) enum Due {
    /// Train one now, on the sampled images.
    Train,
    /// Say something.
    Say(Adaptation),
    Nothing,
}

impl Adapting {
    /// Returns what is due in a run that walked `images` images, of which `new` are not stored yet.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn due(&self, writer: &mut Writer, images: usize, new: usize) -> Result<Due> {
        let reader = writer.reader()?;
        let is_built_in = EncoderFile::is_default(&writer.encoder().fingerprint);
        let Some(known) = Known::read(&reader)? else {
            if !is_built_in {
                // A person chose the encoder.
                return Ok(Due::Nothing);
            }
            let (stored, min_images) = (reader.count()?, self.min_images);
            if stored + new < min_images {
                return Ok(match stored {
                    0 => Due::Say(Adaptation::TooFew { min_images }),
                    _ => Due::Nothing,
                });
            }
            // The first run that has enough, or the run that goes on with it.
            if stored < min_images || !reader.has_completed_run()? {
                return Ok(Due::Train);
            }
            Known::declined(writer, images)?;
            return Ok(Due::Say(Adaptation::Offered));
        };
        if known.images == 0 || images < 2 * known.told.max(known.images) {
            return Ok(Due::Nothing);
        }
        let from = known.images;
        Known {
            told: images,
            ..known
        }
        .write(writer)?;
        Ok(Due::Say(Adaptation::Grown { from, to: images }))
    }
}

/// What the index knows of its encoder's training.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) struct Known {
    /// Number of images when an encoder was trained; 0 if none was.
    images: usize,
    /// Number of images when a person was told something last.
    told: usize,
}

impl Known {
    fn read(reader: &Reader) -> Result<Option<Self>> {
        let fact = reader.fact(FACT)?;
        // One that a later version wrote says nothing.
        Ok(fact.and_then(|fact| serde_json::from_str(&fact).ok()))
    }

    /// Records that the encoder was trained for a collection of this number of images.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn trained(writer: &mut Writer, images: usize) -> Result<()> {
        Self {
            images,
            told: images,
        }
        .write(writer)
    }

    /// Records that the index keeps its encoder, unless another run has decided already.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn declined(writer: &mut Writer, images: usize) -> Result<()> {
        if Self::read(&writer.reader()?)?.is_some() {
            return Ok(());
        }
        Self {
            images: 0,
            told: images,
        }
        .write(writer)
    }

    fn write(self, writer: &mut Writer) -> Result<()> {
        let text = serde_json::to_string(&self).unwrap_or_default();
        Ok(writer.set_fact(FACT, &text)?)
    }
}

/// Puts the jobs of the sample first, each part in the order in which it was. Returns their number.
pub(super) fn sample_first(plan: &mut Plan, walked: &Walked, max_sample: usize) -> usize {
    if walked.candidates.len() <= max_sample {
        return plan.jobs.len();
    }
    let mut keys: Vec<u64> = walked
        .candidates
        .iter()
        .map(|candidate| key(&candidate.path))
        .collect();
    let (_, &mut last, _) = keys.select_nth_unstable(max_sample - 1);
    let is_in = |job: &super::plan::Job| key(&job.candidate.path) <= last;
    plan.jobs.sort_by_key(|job| !is_in(job));
    plan.jobs.partition_point(is_in)
}

/// Returns a number that is drawn for a path, always the same.
fn key(path: &Path) -> u64 {
    let hash = blake3::hash(path.as_os_str().as_encoded_bytes());
    let (words, _) = hash.as_bytes().as_chunks::<8>();
    u64::from_le_bytes(words[0])
}

/// Adds the features of images that are stored and not in the sample: an earlier run was interrupted. Returns the
/// number of those whose files cannot be encoded again.
///
/// # Errors
///
/// If the database or the encoder fails.
pub(super) fn add_stored(
    sample: &mut Sample,
    reader: &Reader,
    engine: &Engine,
    adapting: &Adapting,
    progress: &dyn Progress,
) -> Result<usize> {
    let mut known: std::collections::HashSet<Digest> = sample.digests.iter().copied().collect();
    let missing: Vec<StoredContent> = reader
        .all()?
        .into_iter()
        .filter(|image| known.insert(image.digest))
        .map(|image| (image.digest, image.path))
        .collect();
    if missing.is_empty() {
        return Ok(0);
    }
    let stored = (adapting.extract)(engine, &missing, progress)?;
    let lacking = missing.len() - stored.digests.len();
    sample.digests.extend(stored.digests);
    sample.features.extend(stored.features);
    sample.codes.extend(stored.codes);
    sample.hashes.extend(stored.hashes);
    sample.logits.extend(stored.logits);
    Ok(lacking)
}

#[cfg(test)]
mod tests {
    use super::super::plan::Job;
    use super::*;
    use crate::indexing::walk::Candidate;

    fn planned(n: usize) -> (Plan, Walked) {
        let candidates: Vec<Candidate> = (0..n)
            .map(|i| Candidate {
                path: format!("/p/{i:05}.jpg").into(),
                stat: imgsearch_index::FileStat::default(),
            })
            .collect();
        let jobs = candidates.iter().map(|candidate| Job {
            candidate: candidate.clone(),
            before: None,
            failed_before: None,
        });
        let plan = Plan {
            jobs: jobs.collect(),
            unchanged: 0,
            failed_before: 0,
            touched: Vec::new(),
        };
        (plan, Walked::listed(candidates, Vec::new()))
    }

    fn paths(jobs: &[Job]) -> Vec<&Path> {
        jobs.iter()
            .map(|job| job.candidate.path.as_path())
            .collect()
    }

    #[test]
    fn the_sample_is_drawn_by_the_paths_and_keeps_its_order() {
        let (mut plan, walked) = planned(1000);
        assert_eq!(sample_first(&mut plan, &walked, 100), 100);
        assert!(paths(&plan.jobs[..100]).is_sorted());
        assert!(paths(&plan.jobs[100..]).is_sorted());
        // Spread over the whole collection.
        let half = Path::new("/p/00500.jpg");
        let early = paths(&plan.jobs[..100])
            .iter()
            .filter(|path| **path < half)
            .count();
        assert!((35..=65).contains(&early), "{early}");
        // A run that goes on has the same sample, without what is stored.
        let (mut rest, _) = planned(1000);
        rest.jobs
            .retain(|job| !paths(&plan.jobs[..60]).contains(&job.candidate.path.as_path()));
        assert_eq!(sample_first(&mut rest, &walked, 100), 40);
        assert_eq!(paths(&rest.jobs[..40]), paths(&plan.jobs[60..100]));
    }

    #[test]
    fn a_small_collection_is_its_own_sample() {
        let (mut plan, walked) = planned(50);
        assert_eq!(sample_first(&mut plan, &walked, 100), 50);
        assert!(paths(&plan.jobs).is_sorted());
    }
}
