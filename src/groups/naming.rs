//! What sets a group apart, in words.
//!
//! Each image has up to eight classes with probabilities. The share of a word in a group is the mean probability of its
//! classes there. A word says the more about a group, the larger its share and the rarer it is elsewhere: its part in
//! the relative entropy of the group's words to those of the collection, `p ln (p / q)`.

use imgsearch_index::Label;
use serde::Serialize;

use super::vocabulary::Vocabulary;

/// The smallest share of the best word. Groups with less are of things that the classifier has no class for.
const MIN_SHARE: f64 = 0.15;

/// What a word for several classes has to say more than the best class. On photographs of 51 classes, values from 1.4 to
/// 1.8 name the same groups rightly.
const BROADER: f64 = 1.6;

/// Added to all shares, so that a word that hardly ever occurs elsewhere is not infinitely telling.
const SMOOTH: f64 = 1e-3;

/// The most words of a group.
const MOST_WORDS: usize = 3;

/// A word that sets a group apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Word {
    /// A class of ImageNet, or an everyday word for several.
    pub name: &'static str,
    /// The share of the group that shows it, from 0 to 1.
    pub share: f64,
    /// The share of all images that show it.
    pub share_of_all: f64,
    /// Numbers of its classes.
    #[serde(skip)]
    pub classes: Vec<u16>,
}

/// The sums of probabilities of some images.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// For each word of the vocabulary.
    sums: Vec<f64>,
    images: f64,
}

impl Shown {
    /// Counts what images show.
    pub fn of<'a>(images: impl IntoIterator<Item = &'a [Label]>) -> Self {
        let words = Vocabulary::get();
        let mut shown = Self {
            sums: vec![0.0; words.entries().len()],
            images: 0.0,
        };
        for labels in images {
            shown.images += 1.0;
            for label in labels {
                for &word in words.of_class(label.class) {
                    shown.sums[word as usize] += f64::from(label.probability);
                }
            }
        }
        shown
    }

    fn share(&self, word: usize) -> f64 {
        self.sums[word] / self.images.max(1.0)
    }
}

/// Returns the words that set a group apart from all images, best first. The first is its name, if `true`: with less, no
/// word fits.
pub(crate) fn words(group: &Shown, all: &Shown) -> (Vec<Word>, bool) {
    let entries = Vocabulary::get().entries();
    let telling = |word: usize| {
        let (share, elsewhere) = (group.share(word), all.share(word));
        let telling = share * ((share + SMOOTH) / (elsewhere + SMOOTH)).ln();
        if entries[word].classes.len() > 1 {
            telling / BROADER
        } else {
            telling
        }
    };
    let mut order: Vec<(usize, f64)> = (0..entries.len())
        .map(|word| (word, telling(word)))
        .filter(|&(_, telling)| telling > 0.0)
        .collect();
    // Of words that say as much, the narrower one: all that is seen of animals here may be dogs.
    let breadth = |word: usize| entries[word].classes.len();
    order.sort_by(|a, b| {
        let most = b.1.total_cmp(&a.1);
        most.then((breadth(a.0), a.0).cmp(&(breadth(b.0), b.0)))
    });
    let mut chosen: Vec<Word> = Vec::new();
    for (place, _) in order {
        if chosen.len() == MOST_WORDS {
            break;
        }
        let entry = &entries[place];
        // A word above or below one that is there says little more.
        let is_new = |word: &Word| {
            !entry
                .classes
                .iter()
                .any(|class| word.classes.contains(class))
        };
        if chosen.iter().all(is_new) {
            chosen.push(Word {
                name: entry.name,
                share: group.share(place),
                share_of_all: all.share(place),
                classes: entry.classes.clone(),
            });
        }
    }
    let fits = chosen.first().is_some_and(|word| word.share >= MIN_SHARE);
    (chosen, fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::classes_of;

    fn showing(name: &str, probability: f32) -> Vec<Label> {
        vec![Label {
            class: classes_of(name).unwrap()[0],
            probability,
        }]
    }

    fn shown(images: &[Vec<Label>]) -> Shown {
        Shown::of(images.iter().map(Vec::as_slice))
    }

    fn name(group: &[Vec<Label>], others: &[Vec<Label>]) -> Option<&'static str> {
        let all = [group, others].concat();
        let (words, fits) = words(&shown(group), &shown(&all));
        words.first().filter(|_| fits).map(|word| word.name)
    }

    #[test]
    fn a_group_is_called_by_what_sets_it_apart() {
        let zebras = vec![showing("zebra", 0.8); 10];
        let pianos = vec![showing("grand piano", 0.8); 40];
        assert_eq!(name(&zebras, &pianos), Some("zebra"));
        assert_eq!(name(&pianos, &zebras), Some("grand piano"));
        // What everything shows sets nothing apart.
        assert_eq!(name(&zebras, &zebras), None);
        // Many kinds of one thing.
        let kinds = [
            "beagle", "pug", "chow", "boxer", "collie", "borzoi", "whippet",
        ];
        let dogs: Vec<_> = kinds.iter().map(|kind| showing(kind, 0.8)).collect();
        assert_eq!(name(&dogs, &pianos), Some("dog"));
        // Too little to be sure, and nothing.
        assert_eq!(name(&vec![showing("zebra", 0.1); 10], &pianos), None);
        assert_eq!(name(&vec![Vec::new(); 10], &pianos), None);
        assert_eq!(name(&[], &[]), None);
    }

    #[test]
    fn further_words_say_something_else() {
        let images: Vec<_> = ["beagle", "beagle", "grand piano"]
            .map(|what| showing(what, 0.9))
            .to_vec();
        let all = [images.clone(), vec![showing("zebra", 0.9); 20]].concat();
        let (words, _) = words(&shown(&images), &shown(&all));
        let names: Vec<&str> = words.iter().map(|word| word.name).collect();
        assert_eq!(names, ["beagle", "grand piano"]);
        assert!((words[0].share - 0.6).abs() < 1e-6, "{words:?}");
    }
}
