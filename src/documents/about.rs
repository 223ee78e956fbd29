//! What is stored of documents besides their codes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is known of stored documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct About {
    /// The folders that they are from.
    pub roots: Vec<PathBuf>,
    /// Maximum number of words that the vocabulary was asked to have.
    pub most_words: usize,
    /// Number of words in the vocabulary.
    pub words: usize,
    /// Number of stored documents.
    pub documents: usize,
    /// How many of them belong to pictures.
    pub of_pictures: usize,
    /// Documents that were left out because they have fewer than two words of the vocabulary.
    pub too_short: usize,
    /// The topics, the largest first.
    pub topics: Vec<Topic>,
    /// The strongest directions of the code, the strongest first.
    pub directions: Vec<Direction>,
    /// BLAKE3, in hexadecimal, of the documents and of how they were trained on.
    pub(super) content: String,
    /// The fingerprint of their encoder.
    pub(super) encoder: String,
    /// How much the hash counts in addition to the code.
    pub(super) hash_weight: f32,
    /// Documents that the encoder was trained on.
    pub(super) trained_on: usize,
}

/// A topic: documents with similar codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Topic {
    /// The words that tell it from the others, the most telling first.
    pub words: Vec<String>,
    /// Number of documents.
    pub documents: usize,
    /// The document that is nearest to the middle of the topic.
    pub typical: PathBuf,
}

/// A direction of the code: what its ends stand for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Direction {
    /// The share of the variance of the codes that lies along it.
    pub share: f32,
    /// The words of documents at its positive end.
    pub toward: Vec<String>,
    /// The words of documents at its negative end.
    pub away: Vec<String>,
}
