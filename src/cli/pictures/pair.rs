//! The two pictures of `compare`, side by side in the terminal.

use std::path::Path;

use imgsearch::decode::Limits;
use imgsearch::render::terminal::Grid;

use super::load::Loader;
use super::{draw_cells, drawn_by};
use crate::cli::Result;
use crate::cli::args::{CompareArgs, Global};

/// Draws two pictures.
pub struct PairPictures<'a> {
    loader: Loader<'a>,
    grid: Option<Grid>,
}

impl<'a> PairPictures<'a> {
    /// Decides whether and how to draw.
    pub fn new(global: &'a Global, args: &CompareArgs) -> Self {
        Self {
            loader: Loader::new(global),
            grid: drawn_by(global, args.show, args.show_as),
        }
    }

    /// Draws the pictures, each below its title, if they are to be drawn. One that cannot be is named.
    ///
    /// # Errors
    ///
    /// If no threads can be started.
    pub fn draw(mut self, limits: &Limits, titles: [(&Path, String); 2]) -> Result<()> {
        match &self.grid {
            Some(grid) => draw_cells(grid, &mut self.loader, limits, titles.into_iter()),
            None => Ok(()),
        }
    }
}
