//! The names of ImageNet's classes, and which classes a name stands for in WordNet's hierarchy.

use std::sync::OnceLock;

use crate::error::{Error, Result};

/// The names of all classes, by their numbers.
fn names() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let lines = imgsearch_onnx::class_names().lines();
        lines.take_while(|line| !line.is_empty()).collect()
    })
}

/// Returns the name of a class, such as `beagle`, or `None` for a number that no class has.
pub fn class_name(class: u16) -> Option<&'static str> {
    names().get(usize::from(class)).copied()
}

/// Returns the numbers of the classes that a name stands for: its own, and those of everything below it in WordNet.
/// `dog` stands for 118 breeds.
///
/// # Errors
///
/// [`Error::BadWords`] if no class has the name and none lies below it.
///
/// # Examples
///
/// ```
/// assert_eq!(imgsearch::classes_of("Zebra")?, [340]);
/// assert_eq!(imgsearch::classes_of("dog")?.len(), 118);
/// # Ok::<(), imgsearch::Error>(())
/// ```
pub fn classes_of(name: &str) -> Result<Vec<u16>> {
    let name = name.trim().to_lowercase().replace('_', " ");
    let hierarchy = imgsearch_onnx::class_names().lines();
    let mut named = hierarchy
        .skip(names().len() + 1)
        .filter_map(|line| line.split_once('\t'));
    let classes = named
        .find(|(known, _)| *known == name)
        .map(|(_, classes)| classes);
    let Some(classes) = classes else {
        return Err(Error::BadWords(format!(
            "no label is called {name:?}; labels are ImageNet's 1,000 classes and the words above them, such as dog, \
             bird, vehicle or food"
        )));
    };
    Ok(classes
        .split(' ')
        .filter_map(|class| class.parse().ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_belong_together() {
        assert_eq!(names().len(), 1000);
        let mut distinct = names().to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() >= 998, "{}", distinct.len());
        for (class, name) in [
            (0, "tench"),
            (340, "zebra"),
            (579, "grand piano"),
            (999, "toilet tissue"),
        ] {
            assert_eq!(class_name(class), Some(name));
            assert!(classes_of(name).unwrap().contains(&class));
        }
        assert_eq!(class_name(1000), None);
        let animals = classes_of("animal").unwrap();
        assert!(
            animals.len() > 390
                && classes_of("dog")
                    .unwrap()
                    .iter()
                    .all(|dog| animals.contains(dog))
        );
        assert!(
            classes_of("xyzzy")
                .unwrap_err()
                .to_string()
                .contains("xyzzy")
        );
    }
}
