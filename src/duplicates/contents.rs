//! Which images share their content.

use std::collections::{HashMap, HashSet};

use imgsearch_index::{Filter, ImageId};

use crate::error::Result;
use crate::library::Library;

/// The images to compare, one of each content, and the files of each content.
pub(super) struct Contents {
    /// The first image of each content, ascending.
    firsts: Vec<ImageId>,
    /// All images of a content that has several, by its first one.
    copies: HashMap<ImageId, Vec<ImageId>>,
    images: usize,
}

impl Contents {
    /// Reads which of the images that meet a filter share their content.
    pub fn read(library: &Library, filter: &Filter) -> Result<Self> {
        let reader = library.index_view()?.to_reader()?;
        let mut all = reader.contents()?;
        if *filter != Filter::default() {
            let chosen: HashSet<ImageId> = reader.ids(filter)?.into_iter().collect();
            all.retain(|(id, _)| chosen.contains(id));
        }
        Ok(Self::of(&all))
    }

    fn of(all: &[(ImageId, i64)]) -> Self {
        let mut first_of: HashMap<i64, ImageId> = HashMap::with_capacity(all.len());
        let mut copies: HashMap<ImageId, Vec<ImageId>> = HashMap::new();
        let mut firsts = Vec::new();
        for &(id, content) in all {
            match first_of.get(&content) {
                Some(&first) => copies.entry(first).or_insert_with(|| vec![first]).push(id),
                None => {
                    first_of.insert(content, id);
                    firsts.push(id);
                }
            }
        }
        Self {
            firsts,
            copies,
            images: all.len(),
        }
    }

    /// Returns the number of images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Returns the first image of each content, ascending.
    pub fn firsts(&self) -> &[ImageId] {
        &self.firsts
    }

    /// Returns the first images of the contents that several files have.
    pub fn repeated(&self) -> impl Iterator<Item = ImageId> + '_ {
        self.copies.keys().copied()
    }

    /// Returns all images of the content that `first` is the first image of.
    pub fn files(&self, first: ImageId) -> &[ImageId] {
        match self.copies.get(&first) {
            Some(copies) => copies,
            None => self
                .firsts
                .binary_search(&first)
                .map_or(&[], |place| &self.firsts[place..=place]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_content_belong_to_its_first_image() {
        let all = [(1, 7), (2, 8), (5, 7), (6, 9), (9, 7)].map(|(id, of)| (ImageId(id), of));
        let contents = Contents::of(&all);
        assert_eq!(contents.firsts(), [1, 2, 6].map(ImageId));
        assert_eq!(contents.files(ImageId(1)), [1, 5, 9].map(ImageId));
        assert_eq!(contents.files(ImageId(2)), [ImageId(2)]);
        assert_eq!(contents.files(ImageId(5)), []);
        assert_eq!(contents.repeated().collect::<Vec<_>>(), [ImageId(1)]);
        assert_eq!(contents.images(), 5);
    }
}
