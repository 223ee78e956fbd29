//! Words: how a text is split, which words count, and how much.

use std::collections::HashMap;

use imgsearch_train::autoencoder::WordCounts;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation as _;

use super::stop_words::is_stop_word;

/// Characters of the longest word that counts. Longer ones are codes and addresses.
const MAX_CHARS: usize = 30;

/// A word in more than this share of the documents tells none from another.
const MAX_SHARE: f64 = 0.5;

/// Documents that a word must occur in.
const MIN_DOCUMENTS: usize = 2;

/// Returns the words of a text as Unicode divides it (UAX #29), in lower case, without numbers and stop words.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    // An underscore joins words for Unicode, and tags separate them with it.
    text.split('_')
        .flat_map(|part| part.unicode_words())
        .flat_map(|word| word.split(['\'', '\u{2019}', '.', ':']))
        .filter(|word| word.chars().any(char::is_alphabetic))
        .map(str::to_lowercase)
        .filter(|word| {
            let chars = word.chars().count();
            (2..=MAX_CHARS).contains(&chars) && !is_stop_word(word)
        })
}

/// The words that count, and their weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Listed", into = "Listed")]
pub(super) struct Vocabulary {
    words: Vec<String>,
    /// The inverse document frequency of each: the logarithm of the number of documents divided by that of the
    /// documents with the word.
    weights: Vec<f32>,
    numbers: HashMap<String, u32>,
}

/// A vocabulary as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listed {
    words: Vec<String>,
    weights: Vec<f32>,
}

impl From<Listed> for Vocabulary {
    fn from(Listed { words, weights }: Listed) -> Self {
        let numbers = words.iter().cloned().zip(0..).collect();
        Self {
            words,
            weights,
            numbers,
        }
    }
}

impl From<Vocabulary> for Listed {
    fn from(Vocabulary { words, weights, .. }: Vocabulary) -> Self {
        Self { words, weights }
    }
}

impl Vocabulary {
    /// Chooses at most `most` words: those in the most documents.
    pub fn of(texts: &[&str], most: usize) -> Self {
        let mut documents: HashMap<String, usize> = HashMap::new();
        let each: Vec<Vec<String>> = texts
            .par_iter()
            .map(|text| {
                let mut own: Vec<String> = words(text).collect();
                own.sort_unstable();
                own.dedup();
                own
            })
            .collect();
        for word in each.into_iter().flatten() {
            *documents.entry(word).or_default() += 1;
        }
        let n = texts.len() as f64;
        let mut counted: Vec<(String, usize)> = documents
            .into_iter()
            .filter(|(_, count)| *count >= MIN_DOCUMENTS && *count as f64 <= MAX_SHARE * n)
            .collect();
        counted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counted.truncate(most);
        let weights = counted
            .iter()
            .map(|(_, count)| (n / *count as f64).ln() as f32)
            .collect();
        let words = counted.into_iter().map(|(word, _)| word).collect();
        Listed { words, weights }.into()
    }

    /// Returns the number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Returns a word.
    pub fn word(&self, number: usize) -> &str {
        &self.words[number]
    }

    /// Returns whether words and weights fit together, as in a file that nobody changed.
    pub fn is_sound(&self) -> bool {
        self.words.len() == self.weights.len() && self.numbers.len() == self.words.len()
    }

    /// Returns the numbers of a text's words, each with its count: 1 plus the logarithm of how often it occurs, times
    /// its weight, as a share of the largest in the text. So counts are from 0 to 1, and long texts do not weigh more.
    pub fn counts(&self, text: &str) -> Vec<(u32, f32)> {
        let mut often: HashMap<u32, f32> = HashMap::new();
        for word in words(text) {
            if let Some(&number) = self.numbers.get(&word) {
                *often.entry(number).or_default() += 1.0;
            }
        }
        let mut row: Vec<(u32, f32)> = often
            .into_iter()
            .map(|(number, count)| (number, (1.0 + count.ln()) * self.weights[number as usize]))
            .collect();
        row.sort_unstable_by_key(|(number, _)| *number);
        let most = row.iter().map(|(_, count)| *count).fold(0.0, f32::max);
        if most > 0.0 {
            row.iter_mut().for_each(|(_, count)| *count /= most);
        }
        row
    }

    /// Returns the counts of texts.
    pub fn counts_of(&self, texts: &[&str]) -> WordCounts {
        let rows: Vec<Vec<(u32, f32)>> = texts.par_iter().map(|text| self.counts(text)).collect();
        let mut counts = WordCounts::new(self.len());
        rows.iter().for_each(|row| counts.push(row));
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_and_without_numbers_and_stop_words() {
        let found: Vec<String> =
            words("The Steam-Train doesn't stop: 1923, in Zürich's old_town x").collect();
        assert_eq!(found, ["steam", "train", "stop", "zürich", "old", "town"]);
    }

    #[test]
    fn the_words_of_most_documents_count_and_those_of_all_do_not() {
        let texts = [
            "train steam all",
            "train steam all",
            "train cat all",
            "dog all",
            "bird all",
            "fox all",
        ];
        let vocabulary = Vocabulary::of(&texts, 10);
        assert_eq!(vocabulary.words, ["train", "steam"]);
        assert_eq!(Vocabulary::of(&texts, 1).words, ["train"]);
        let counts = vocabulary.counts("Steam and steam and a train");
        assert_eq!(
            counts.iter().map(|count| count.0).collect::<Vec<_>>(),
            [0, 1]
        );
        assert_eq!(counts[1].1, 1.0);
        assert!(counts[0].1 > 0.0 && counts[0].1 < 1.0);
        assert_eq!(vocabulary.counts("nothing known"), []);
        let stored = serde_json::to_string(&vocabulary).unwrap();
        assert_eq!(
            serde_json::from_str::<Vocabulary>(&stored).unwrap(),
            vocabulary
        );
    }
}
