//! From a text to what it names: each noun or compound that the lexicon knows becomes a concept.

use std::collections::HashSet;

use super::lexicon::{Distribution, Lexicon};
use crate::error::{Error, Result};

/// The maximum length of a text in bytes.
const MAX_BYTES: usize = 4096;

/// The maximum number of words in a compound.
const MAX_WORDS: usize = 5;

/// Known words that are offered for an unknown one.
const OFFERED: usize = 3;

/// Words that name nothing.
const PASSED_OVER: [&str; 34] = [
    "a", "an", "the", "of", "on", "in", "at", "with", "and", "or", "some", "my", "our", "your",
    "his", "her", "to", "for", "from", "by", "near", "under", "over", "is", "are", "this", "that",
    "these", "photo", "photos", "picture", "pictures", "image", "images",
];

/// Endings of plurals, and of the words that they are made of.
const PLURALS: [(&str, &str); 10] = [
    ("ies", "y"),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("ves", "f"),
    ("ves", "fe"),
    ("men", "man"),
    ("s", ""),
];

/// What a text names.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Words {
    /// The nouns and compounds that are known, in the order of the text, each once.
    pub concepts: Vec<Concept>,
    /// The words that are not.
    pub unknown: Vec<UnknownWord>,
}

/// A noun or compound, and the classes that may show it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Concept {
    /// The word as the lexicon has it: in lower case and singular.
    pub word: String,
    /// Numbers of classes and their shares, which add up to 1.
    pub classes: Vec<(u16, f32)>,
}

/// A word that the lexicon does not know.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UnknownWord {
    /// The word.
    pub word: String,
    /// Known words that are spelled alike, the most similar first.
    pub alike: Vec<String>,
}

impl Words {
    /// Reads an English text, such as `dog on a beach`. It knows the nouns and compounds of WordNet that name what
    /// can be seen: things, animals, places, food. It does not know names of people, and most qualities and actions.
    ///
    /// # Errors
    ///
    /// [`Error::BadWords`] if the text is empty or longer than 4,096 bytes, [`Error::UnknownWords`] if nothing in it is
    /// known.
    ///
    /// # Examples
    ///
    /// ```
    /// let words = imgsearch::Words::read("A dog on the beaches")?;
    /// let concepts: Vec<&str> = words.concepts.iter().map(|concept| concept.word.as_str()).collect();
    /// assert_eq!(concepts, ["dog", "beach"]);
    /// # Ok::<(), imgsearch::Error>(())
    /// ```
    pub fn read(text: &str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(Error::BadWords(format!(
                "a text of {} bytes is too long: a few words are enough, and {MAX_BYTES} bytes the limit",
                text.len()
            )));
        }
        let words = split(text);
        if words.is_empty() {
            return Err(Error::BadWords(
                "the text has no words: name what the images should show, such as \"dog on a beach\"".to_owned(),
            ));
        }
        let lexicon = Lexicon::built_in()?;
        let forms: HashSet<String> = compounds(&words).flat_map(|(_, forms)| forms).collect();
        let known = lexicon.look_up(&forms)?;
        let read = recognise(&words, |form| known.get(form).cloned());
        let unknown = read.unknown.into_iter().map(|word| {
            let alike = lexicon.spelled_like(&word, OFFERED)?;
            Ok(UnknownWord { word, alike })
        });
        let unknown = unknown.collect::<Result<Vec<_>>>()?;
        if read.concepts.is_empty() {
            return Err(Error::UnknownWords(format!(
                "none of the words is known{}: use English nouns for what can be seen, such as animals, things and \
                 places",
                offers(&unknown)
            )));
        }
        Ok(Self {
            concepts: read.concepts,
            unknown,
        })
    }

    /// Returns the classes that may show any of the concepts, with shares that add up to 1.
    pub fn classes(&self) -> Vec<(u16, f32)> {
        let mut sums = std::collections::BTreeMap::<u16, f32>::new();
        for (class, share) in self.concepts.iter().flat_map(|concept| &concept.classes) {
            *sums.entry(*class).or_default() += share / self.concepts.len() as f32;
        }
        sums.into_iter().collect()
    }
}

/// Returns `, for "elefant": "elephant"`, or nothing if there is nothing to offer.
fn offers(unknown: &[UnknownWord]) -> String {
    let mut text = String::new();
    for word in unknown.iter().filter(|word| !word.alike.is_empty()) {
        let start = if text.is_empty() { " (known are" } else { "," };
        text += &format!("{start} for {:?}: {}", word.word, word.alike.join(", "));
    }
    if !text.is_empty() {
        text += ")";
    }
    text
}

/// Returns the words of a text in lower case.
fn split(text: &str) -> Vec<String> {
    let is_inner = |c: char| c.is_alphanumeric() || c == '-' || c == '\'';
    text.split(|c| !is_inner(c))
        .map(|word| word.trim_matches(['-', '\'']).to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Returns the places of all sequences of at most [`MAX_WORDS`] words, and the forms in which a lexicon may have them.
fn compounds(words: &[String]) -> impl Iterator<Item = (std::ops::Range<usize>, Vec<String>)> {
    (0..words.len()).flat_map(move |first| {
        let longest = MAX_WORDS.min(words.len() - first);
        (1..=longest).map(move |count| {
            let range = first..first + count;
            (range.clone(), forms(&words[range]))
        })
    })
}

/// Returns the forms of a compound: with spaces, hyphens, or as one word, and singular.
fn forms(words: &[String]) -> Vec<String> {
    let spaced = words.join(" ").replace('-', " ");
    let (hyphened, whole) = (spaced.replace(' ', "-"), spaced.replace(' ', ""));
    let mut joined = vec![words.join(" "), spaced, hyphened, whole];
    joined.dedup();
    let mut forms = joined.clone();
    for joined in &joined {
        for (plural, singular) in PLURALS {
            if let Some(stem) = joined.strip_suffix(plural)
                && stem.len() > 1
            {
                forms.push(format!("{stem}{singular}"));
            }
        }
    }
    forms
}

/// Concepts, and words that are none.
struct Recognised {
    concepts: Vec<Concept>,
    unknown: Vec<String>,
}

/// Takes the longest known compound at each place.
fn recognise(words: &[String], known: impl Fn(&str) -> Option<Distribution>) -> Recognised {
    let mut read = Recognised {
        concepts: Vec::new(),
        unknown: Vec::new(),
    };
    let mut place = 0;
    while place < words.len() {
        let longest = MAX_WORDS.min(words.len() - place);
        let found = (1..=longest).rev().find_map(|count| {
            let compound = &words[place..place + count];
            if count == 1 && PASSED_OVER.contains(&compound[0].as_str()) {
                return None;
            }
            let mut forms = forms(compound).into_iter();
            forms.find_map(|word| {
                Some((
                    count,
                    Concept {
                        classes: known(&word)?,
                        word,
                    },
                ))
            })
        });
        match found {
            Some((count, concept)) => {
                if !read.concepts.contains(&concept) {
                    read.concepts.push(concept);
                }
                place += count;
            }
            None => {
                let word = &words[place];
                let is_number = word.chars().all(|c| c.is_ascii_digit());
                if !PASSED_OVER.contains(&word.as_str())
                    && !is_number
                    && !read.unknown.contains(word)
                {
                    read.unknown.push(word.clone());
                }
                place += 1;
            }
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concepts(text: &str) -> Vec<String> {
        let words = Words::read(text).unwrap();
        words
            .concepts
            .into_iter()
            .map(|concept| concept.word)
            .collect()
    }

    fn reason(text: &str) -> String {
        Words::read(text).unwrap_err().to_string()
    }

    #[test]
    fn compounds_come_before_their_parts_and_plurals_are_understood() {
        assert_eq!(concepts("Grand pianos"), ["grand piano"]);
        assert_eq!(
            concepts("butterflies, foxes & dishes"),
            ["butterfly", "fox", "dish"]
        );
        assert!(
            concepts("mice") == ["mice"] && concepts("geese") == ["geese"],
            "irregular ones have entries"
        );
        assert_eq!(concepts("a photo of the dog, the DOG"), ["dog"]);
        assert_eq!(concepts("sea-horse"), ["sea horse"]);
    }

    #[test]
    fn unknown_words_are_named_with_those_spelled_alike() {
        let words = Words::read("elefant and giraffe").unwrap();
        assert_eq!(words.concepts.len(), 1);
        assert_eq!(words.unknown[0].word, "elefant");
        assert!(
            words.unknown[0].alike.contains(&"elephant".to_owned()),
            "{words:?}"
        );
        assert!(
            reason("elefant").contains("elephant"),
            "{}",
            reason("elefant")
        );
        assert!(reason("qqqqqqqq 12").contains("none of the words is known"));
        assert!(reason(" ,; ").contains("no words"));
        assert!(reason(&"dog ".repeat(2000)).contains("8000 bytes"));
    }

    #[test]
    fn classes_of_several_concepts_share_the_whole() {
        let words = Words::read("zebra and pizza").unwrap();
        let classes = words.classes();
        let sum: f32 = classes.iter().map(|(_, share)| share).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
        for class in [340, 963] {
            assert!(
                classes
                    .iter()
                    .any(|(number, share)| *number == class && *share > 0.05)
            );
        }
    }
}
