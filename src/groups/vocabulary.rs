//! The words that a group may be called by: ImageNet's classes, and everyday words for several of them.

use std::sync::OnceLock;

use crate::text::{class_name, classes_of};

/// Everyday words above the classes. WordNet has some thousand words there, and most of them are what no one says:
/// *perissodactyl*, *motortruck*, *instrumentality*.
const EVERYDAY: [&str; 122] = [
    "animal",
    "antelope",
    "ape",
    "appliance",
    "aircraft",
    "bag",
    "ball",
    "basket",
    "bear",
    "beetle",
    "bicycle",
    "big cat",
    "bird",
    "bird of prey",
    "boat",
    "bottle",
    "bowl",
    "box",
    "brass",
    "bread",
    "bridge",
    "building",
    "bus",
    "butterfly",
    "cabinet",
    "camera",
    "cap",
    "car",
    "cart",
    "cat",
    "chair",
    "clock",
    "clothing",
    "coat",
    "computer",
    "container",
    "crab",
    "dessert",
    "dog",
    "drink",
    "duck",
    "elephant",
    "fence",
    "fish",
    "flower",
    "food",
    "fox",
    "frog",
    "fruit",
    "fungus",
    "furniture",
    "guitar",
    "gun",
    "hat",
    "hound",
    "house",
    "insect",
    "jar",
    "kitchen appliance",
    "knife",
    "lamp",
    "lemur",
    "lizard",
    "lobster",
    "locomotive",
    "machine",
    "marsupial",
    "monkey",
    "mountain",
    "musical instrument",
    "pan",
    "parrot",
    "person",
    "piano",
    "poodle",
    "pot",
    "rabbit",
    "reptile",
    "retriever",
    "rodent",
    "roof",
    "sailboat",
    "salamander",
    "screen",
    "seabird",
    "seat",
    "shark",
    "sheepdog",
    "shellfish",
    "ship",
    "shoe",
    "shop",
    "shore",
    "skirt",
    "sled",
    "snake",
    "spaniel",
    "spider",
    "sports equipment",
    "stringed instrument",
    "swimsuit",
    "table",
    "telephone",
    "terrier",
    "timepiece",
    "tool",
    "toy",
    "truck",
    "turtle",
    "utensil",
    "van",
    "vegetable",
    "vehicle",
    "wading bird",
    "wagon",
    "warship",
    "weapon",
    "whale",
    "wind instrument",
    "wolf",
    "woodwind",
    "sea bird",
];

/// A word, and the numbers of the classes that it names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub name: &'static str,
    pub classes: Vec<u16>,
}

/// The words of one classifier.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    entries: Vec<Entry>,
    /// The places of the words that name each class.
    of_class: Vec<Vec<u32>>,
}

impl Vocabulary {
    /// Returns the words for ImageNet's classes.
    pub fn get() -> &'static Self {
        static WORDS: OnceLock<Vocabulary> = OnceLock::new();
        WORDS.get_or_init(|| {
            let classes = (0..).map_while(|class| Some((class, class_name(class)?)));
            let mut entries: Vec<Entry> = classes
                .map(|(class, name)| Entry {
                    name,
                    classes: vec![class],
                })
                .collect();
            let mut of_class: Vec<Vec<u32>> =
                (0..entries.len()).map(|place| vec![place as u32]).collect();
            for name in EVERYDAY {
                // Each is known: a test sees to it.
                let Ok(classes) = classes_of(name) else {
                    continue;
                };
                for &class in &classes {
                    of_class[usize::from(class)].push(entries.len() as u32);
                }
                entries.push(Entry { name, classes });
            }
            Self { entries, of_class }
        })
    }

    /// Returns all words.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the places of the words that name a class, none for a number that no class has.
    pub fn of_class(&self, class: u16) -> &[u32] {
        self.of_class
            .get(usize::from(class))
            .map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_names_several_classes() {
        for name in EVERYDAY {
            assert!(classes_of(name).unwrap().len() > 1, "{name}");
        }
        let words = Vocabulary::get();
        assert_eq!(words.entries().len(), 1000 + EVERYDAY.len());
        let names = |class| -> Vec<&str> {
            let of = words.of_class(class).iter();
            of.map(|&place| words.entries()[place as usize].name)
                .collect()
        };
        let beagle = classes_of("beagle").unwrap()[0];
        assert_eq!(names(beagle), ["beagle", "animal", "dog", "hound"]);
        assert!(words.of_class(1000).is_empty());
    }
}
