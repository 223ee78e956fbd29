//! Selections: which images of a view meet a filter.

use std::sync::PoisonError;
use std::time::Instant;

use super::Searcher;
use crate::error::Result;
use crate::filter::Filter;
use crate::kernels::bits::Bits;

/// Which images of a view may be found, to be used for several searches of that view.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The view.
    pub(super) view: u64,
    generation: i64,
    pub(super) parts: Vec<Bits>,
    pub(super) seconds: f64,
}

impl Selection {
    /// Returns which instant of the index the filter was looked up in: that of the view if this is
    /// [`Searcher::generation`], else a later one. See [`Searcher::select`].
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bits::count).sum()
    }

    /// Returns whether no image may be found.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Searcher {
    /// Returns the images that meet a filter, for several searches.
    ///
    /// A view holds fast which images there are, and their codes. Paths, sizes and dates are those
    /// that the index holds when this is called, like those that [`Index::image`] returns: if
    /// the index was changed since, an image that was moved is selected by its new path, and one
    /// that was removed is not selected. A view that held them fast, too, would keep the database's
    /// log from ending for as long as it is held. [`Selection::generation`] says which it was.
    ///
    /// [`Index::image`]: crate::Index::image
    ///
    /// # Errors
    ///
    /// If the filter cannot be understood, and if the database fails.
    pub fn select(&self, filter: &Filter) -> Result<Selection> {
        let started = Instant::now();
        let (ids, generation) = {
            let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.renew()?;
            reader.at_one_instant(|| Ok((reader.matching(filter)?, reader.generation()?)))?
        };
        let parts = self
            .parts
            .iter()
            .map(|part| {
                let rows = part.rows().ids;
                let mut chosen = Bits::none(rows.len());
                // Both ascend, so one walk along each finds what they share.
                let first = rows.first().copied().unwrap_or(i64::MAX);
                let mut row = 0;
                for &id in &ids[ids.partition_point(|&id| id < first)..] {
                    row += rows[row..].iter().take_while(|&&there| there < id).count();
                    match rows.get(row) {
                        Some(&there) if there == id => chosen.insert(row),
                        Some(_) => {}
                        None => break,
                    }
                }
                chosen.intersect(&part.live);
                chosen
            })
            .collect();
        Ok(Selection {
            view: self.view,
            generation,
            parts,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Returns the images whose codes meet a condition.
    pub(crate) fn select_codes(&self, chosen: impl Fn(&[f32]) -> bool) -> Selection {
        let started = Instant::now();
        let parts = self.parts.iter().map(|part| {
            let rows = part.rows();
            let mut bits = Bits::none(rows.len());
            part.live.for_each(0..rows.len(), |row| {
                if chosen(rows.code(row)) {
                    bits.insert(row);
                }
            });
            bits
        });
        Selection {
            view: self.view,
            generation: self.generation,
            parts: parts.collect(),
            seconds: started.elapsed().as_secs_f64(),
        }
    }
}
