//! Training on documents, and storing what was learned.

use std::ops::ControlFlow;
use std::path::PathBuf;

use imgsearch_index::{Change, EncoderRecord, NewContent, Writer, pack_bits};
use imgsearch_onnx::{Encodings, Runtime, WordEncoder};
use imgsearch_train::autoencoder::{
    self, Design, Epoch, Noise, Recipe, Samples, Schedule, WordCounts,
};
use serde_json::json;

use super::about::About;
use super::gathering::{Document, Gathered};
use super::store::{Making, Stored};
use super::topics::{Coded, default_topics, directions, topics};
use super::vocabulary::Vocabulary;
use super::{BITS, CODE_LEN, Model};
use crate::EngineOptions;
use crate::error::{Error, Result};

/// The fewest documents that anything can be learned from.
pub const MIN_DOCUMENTS: usize = 20;

/// The fewest words of a vocabulary.
const MIN_WORDS: usize = 2 * CODE_LEN;

/// The fewest words of the vocabulary in a document that counts.
const MIN_KNOWN: usize = 2;

/// One of this many documents is held out, to see when to end.
const HELD_OUT: usize = 20;

/// If fewer than one of this many documents are new since the encoder was trained, it is kept.
const NEW_SHARE: usize = 5;

/// The fewest steps of training.
const STEPS: usize = 1500;

/// Documents in a batch, if there are enough.
const BATCH: usize = 128;

/// How documents are trained on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TopicOptions {
    /// Maximum number of words in the vocabulary. Default: 2,000.
    pub words: usize,
    /// Number of topics. Default: a quarter of the root of the number of documents.
    pub topics: Option<usize>,
    /// Train even if nothing, or little, changed. Default: no.
    pub retrain: bool,
    /// Number of epochs. Default: 40, and more for few documents.
    pub epochs: Option<usize>,
    /// Seed of all random numbers. Default: 0.
    pub seed: u64,
}

impl Default for TopicOptions {
    fn default() -> Self {
        Self {
            words: 2000,
            topics: None,
            retrain: false,
            epochs: None,
            seed: 0,
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// An encoder was trained.
    Trained,
    /// Documents changed, and were encoded by the stored encoder.
    Encoded,
    /// Nothing changed.
    Unchanged,
}

/// Learns the topics of documents and stores them in the index in `dir`, in place of the documents that were stored
/// there. `progress` gets the report of every epoch and can end the run. Whatever ends it early, what was stored before
/// stays.
///
/// # Errors
///
/// [`Error::BadDocuments`] if there is too little to learn from or another process does the same,
/// [`Error::Interrupted`], and the errors of training and storing.
pub fn learn(
    dir: &std::path::Path,
    gathered: &Gathered,
    options: &TopicOptions,
    engine: &EngineOptions,
    progress: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<(About, Learned)> {
    let documents = &gathered.documents;
    let content = content(gathered, options);
    let stored = Stored::open(dir)?;
    if let Some(stored) = &stored
        && stored.about.content == content
        && !options.retrain
    {
        return Ok((stored.about.clone(), Learned::Unchanged));
    }
    if documents.len() < MIN_DOCUMENTS {
        return Err(too_few(documents.len(), gathered));
    }
    let making = Making::begin(dir)?;
    let runtime = Runtime::load(&engine.runtime())?;
    let kept = match stored {
        Some(stored) if !options.retrain && may_keep(&stored, documents, options)? => Some(stored),
        _ => None,
    };
    let (learned, trained_on) = match &kept {
        Some(stored) => (Learned::Encoded, stored.about.trained_on),
        None => (Learned::Trained, documents.len()),
    };
    let (bytes, hash_weight) = match &kept {
        Some(stored) => (stored.model_bytes()?, stored.about.hash_weight),
        None => train(documents, options, progress)?,
    };
    let mut encoder = WordEncoder::new(&bytes, "the encoder of documents", runtime)?;
    let vocabulary = Model::of(&encoder)?.vocabulary;
    let (known, counts) = known(documents, &vocabulary);
    let encodings = encode(&mut encoder, &counts)?;
    let paths: Vec<PathBuf> = known.iter().map(|one| one.path.clone()).collect();
    let coded = Coded {
        paths: &paths,
        counts: &counts,
        codes: &encodings.codes,
        code_len: CODE_LEN,
    };
    let k = options.topics.unwrap_or(default_topics(known.len()));
    let about = About {
        roots: gathered.roots.clone(),
        most_words: options.words,
        words: vocabulary.len(),
        documents: known.len(),
        of_pictures: known.iter().filter(|one| one.is_picture).count(),
        too_short: documents.len() - known.len(),
        topics: topics(&coded, &vocabulary, k.min(known.len())),
        directions: directions(&coded, &vocabulary)?,
        content,
        encoder: blake3::hash(&bytes).to_hex()[..32].to_owned(),
        hash_weight,
        trained_on,
    };
    store(&making, &about, &known, &encodings)?;
    making.finish(&bytes, &about)?;
    Ok((about, learned))
}

fn too_few(found: usize, gathered: &Gathered) -> Error {
    let roots: Vec<String> = gathered
        .roots
        .iter()
        .map(|root| root.display().to_string())
        .collect();
    Error::BadDocuments(format!(
        "{found} documents with text in {}: at least {MIN_DOCUMENTS} are needed. Documents are captions beside pictures \
         (.txt, .json, .xmp), keywords and descriptions inside pictures, and text files",
        roots.join(", ")
    ))
}

/// Returns what identifies documents and how they are trained on.
fn content(gathered: &Gathered, options: &TopicOptions) -> String {
    let mut hasher = blake3::Hasher::new();
    let TopicOptions {
        words,
        topics,
        epochs,
        seed,
        ..
    } = options;
    hasher.update(
        format!(
            "1 {words} {topics:?} {epochs:?} {seed} {:?}",
            gathered.roots
        )
        .as_bytes(),
    );
    for document in &gathered.documents {
        hasher.update(&digest(document));
    }
    hasher.finalize().to_hex().to_string()
}

/// Returns what identifies a document. The same text may belong to two pictures, which are two documents.
fn digest(document: &Document) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(document.path.as_os_str().as_encoded_bytes());
    hasher.update(&[0, u8::from(document.is_picture)]);
    hasher.update(document.text.as_bytes());
    *hasher.finalize().as_bytes()
}

/// Returns whether the stored encoder knows most of the documents.
fn may_keep(stored: &Stored, documents: &[Document], options: &TopicOptions) -> Result<bool> {
    if stored.about.most_words != options.words {
        return Ok(false);
    }
    let reader = stored.reader()?;
    let mut new = 0;
    for document in documents {
        new += usize::from(!reader.has_content(&digest(document))?);
    }
    let grown = documents.len().abs_diff(stored.about.trained_on);
    Ok(new.max(grown) * NEW_SHARE < documents.len())
}

/// Returns the documents with enough words, and their counts.
fn known<'a>(
    documents: &'a [Document],
    vocabulary: &Vocabulary,
) -> (Vec<&'a Document>, WordCounts) {
    let texts: Vec<&str> = documents.iter().map(|one| &*one.text).collect();
    let all = vocabulary.counts_of(&texts);
    let mut counts = WordCounts::new(vocabulary.len());
    let mut known = Vec::new();
    for (place, document) in documents.iter().enumerate() {
        if all.row(place).len() >= MIN_KNOWN {
            counts.push(all.row(place));
            known.push(document);
        }
    }
    (known, counts)
}

/// Trains an encoder, and returns its file and the weight of its hash.
fn train(
    documents: &[Document],
    options: &TopicOptions,
    progress: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<(Vec<u8>, f32)> {
    let texts: Vec<&str> = documents.iter().map(|one| &*one.text).collect();
    let vocabulary = Vocabulary::of(&texts, options.words);
    let (known, counts) = known(documents, &vocabulary);
    if vocabulary.len() < MIN_WORDS || known.len() < MIN_DOCUMENTS {
        return Err(Error::BadDocuments(format!(
            "{} documents with at least {MIN_KNOWN} of {} words that count: at least {MIN_DOCUMENTS} and {MIN_WORDS} are \
             needed. A word counts if it is in at least two documents and at most half of them",
            known.len(),
            vocabulary.len()
        )));
    }
    let (held_out, rest): (Vec<usize>, Vec<usize>) =
        (0..counts.len()).partition(|place| place % HELD_OUT == 0);
    let batch = (rest.len() / 8).clamp(8, BATCH);
    let epochs = options
        .epochs
        .unwrap_or_else(|| STEPS.div_ceil(rest.len() / batch).max(EPOCHS));
    let recipe = recipe(vocabulary.len(), batch, epochs, options.seed);
    let samples = Samples::words(&counts);
    let mut interrupted = false;
    let trained = autoencoder::train(
        &samples.only(&rest),
        &samples.only(&held_out),
        &recipe,
        &mut |epoch| {
            let flow = progress(epoch);
            interrupted |= flow.is_break();
            flow
        },
    )?;
    if interrupted {
        return Err(Error::Interrupted);
    }
    let metadata = json!({ "vocabulary": vocabulary, "training": trained.record().design });
    let file = trained.words_file(&samples, (BITS, options.seed), &metadata.to_string())?;
    Ok((file.bytes, file.hash_weight))
}

/// Passes over the documents at least.
const EPOCHS: usize = 40;

/// The share of a document's words that are hidden from the encoder while it learns: with half, questions of two words find
/// their topic more often than with a quarter.
const HIDDEN: f64 = 0.5;

/// The maximum learning rate.
const LEARNING_RATE: f64 = 1e-3;

/// Training ends after this number of epochs without progress on the documents held out.
const PATIENCE: usize = 10;

/// Returns what is trained. Some of the words of a document are hidden from the encoder, so that its code stands for the
/// topic and not for single words.
fn recipe(words: usize, batch: usize, epochs: usize, seed: u64) -> Recipe {
    let mut design = Design::words(words);
    design.noise = Some(Noise::Masking(HIDDEN));
    Recipe {
        design,
        schedule: Schedule {
            epochs,
            batch,
            learning_rate: LEARNING_RATE,
            patience: PATIENCE,
            seed,
        },
        bits: BITS,
    }
}

/// Encodes documents.
fn encode(encoder: &mut WordEncoder, counts: &WordCounts) -> Result<Encodings> {
    const AT_ONCE: usize = 256;
    let words = counts.words();
    let mut all = Encodings::of_codes(0, Vec::new());
    for first in (0..counts.len()).step_by(AT_ONCE) {
        let last = counts.len().min(first + AT_ONCE);
        let mut rows = vec![0.0; (last - first) * words];
        for (row, document) in rows.chunks_exact_mut(words).zip(first..last) {
            for &(word, count) in counts.row(document) {
                row[word as usize] = count;
            }
        }
        let made = encoder.encode(&rows, words)?;
        all.codes.extend(made.codes);
        all.logits.extend(made.logits);
        all.n += made.n;
    }
    Ok(all)
}

/// Writes the codes of documents.
fn store(
    making: &Making,
    about: &About,
    documents: &[&Document],
    encodings: &Encodings,
) -> Result<()> {
    let record = EncoderRecord {
        fingerprint: about.encoder.clone(),
        name: "documents".to_owned(),
        code_len: CODE_LEN,
        bits: BITS,
        hash_weight: about.hash_weight,
        metadata: json!({ "kind": "documents" }).to_string(),
    };
    let mut writer = Writer::open(making.dir(), &record)?;
    let rows = encodings.codes.chunks_exact(CODE_LEN);
    let rows = rows.zip(encodings.logits.chunks_exact(BITS));
    let changes: Vec<Change> = documents
        .iter()
        .zip(rows)
        .map(|(document, (code, logits))| Change::Insert {
            path: document.path.clone(),
            stat: document.stat,
            content: NewContent {
                digest: digest(document),
                width: 1,
                height: 1,
                format: super::format_of(document.is_picture).to_owned(),
                taken: None,
                damage: None,
                code: code.into(),
                hash: pack_bits(logits),
                labels: Vec::new(),
            },
        })
        .collect();
    for changes in changes.chunks(1000) {
        writer.apply(changes)?;
    }
    Ok(())
}
