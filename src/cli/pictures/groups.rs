//! Pictures of groups of duplicates: in the terminal and in a contact sheet.

use imgsearch::Library;
use imgsearch::duplicates::{DuplicateFile, DuplicateGroup};
use imgsearch::render::sheet::{Group, Overlay};
use imgsearch::render::terminal::Grid;

use super::items::of_path;
use super::load::Loader;
use super::page::Page;
use super::{MOST_DRAWN, draw_cells, drawn_by};
use crate::cli::args::{DuplicatesArgs, Global};
use crate::cli::duplicates::{facts, relation};
use crate::cli::output::counted;
use crate::cli::{Outcome, Result};

/// What happens to the pictures of groups.
pub struct GroupPictures<'a> {
    loader: Loader<'a>,
    grid: Option<Grid>,
    page: Option<Page<'a>>,
    groups: usize,
}

impl<'a> GroupPictures<'a> {
    /// Decides what to do, and checks that it can be done.
    ///
    /// # Errors
    ///
    /// If the file of the sheet cannot be written, or something else goes to the same place.
    pub fn new(global: &'a Global, args: &DuplicatesArgs) -> Result<Self> {
        let grid = drawn_by(global, args.show, args.show_as);
        let lines = args.json || args.paths_of.is_some() || grid.is_some();
        Ok(Self {
            loader: Loader::new(global),
            page: Page::of_options(global, args.html.as_deref(), false, lines)?,
            grid,
            groups: 0,
        })
    }

    /// Draws a group in the terminal. Returns whether it did, and if not, lines have to be printed.
    pub fn draw(&mut self, library: &Library, group: &DuplicateGroup) -> Result<bool> {
        let Some(grid) = &self.grid else {
            return Ok(false);
        };
        let drawn = group.files.iter().take(MOST_DRAWN).enumerate();
        let titles = drawn.map(|(i, file)| (file.path.as_path(), title(group, i, file)));
        draw_cells(grid, &mut self.loader, library.limits(), titles)?;
        Ok(true)
    }

    /// Adds a group to the sheet, if there is one.
    pub fn add(&mut self, library: &Library, group: &DuplicateGroup) -> Result<()> {
        let Some(page) = &mut self.page else {
            return Ok(());
        };
        let items = group.files.iter().enumerate().map(|(i, file)| {
            let mut item = of_path(&file.path);
            item.nearness = title(group, i, file);
            item.facts.push(facts(file));
            item.overlay = (i != group.best)
                .then(|| overlay(&group.files[group.best], file))
                .flatten();
            item
        });
        self.groups += 1;
        let section = Group {
            heading: group.files[group.best].path.display().to_string(),
            note: counted(group.files.len(), "file", "files"),
            items: items.collect(),
            under: Some(group.best),
            ..Group::default()
        };
        page.add(library, section)
    }

    /// Writes the sheet. Returns whether every picture could be shown.
    ///
    /// # Errors
    ///
    /// If the sheet cannot be written.
    pub fn finish(self) -> Result {
        let drawn = match self.loader.finish() {
            0 => Outcome::Done,
            _ => Outcome::Partial,
        };
        let title = match self.groups {
            0 => "No duplicates".to_owned(),
            groups => counted(groups, "group of duplicates", "groups of duplicates"),
        };
        match self.page.map(|page| page.finish(&title)).transpose()? {
            Some(Outcome::Partial) => Ok(Outcome::Partial),
            _ => Ok(drawn),
        }
    }
}

fn title(group: &DuplicateGroup, i: usize, file: &DuplicateFile) -> String {
    if i == group.best {
        "best".to_owned()
    } else {
        relation(file)
    }
}

/// Returns how a file lies on the best one of its group, if that is known.
fn overlay(best: &DuplicateFile, file: &DuplicateFile) -> Option<Overlay> {
    let place = match &file.difference {
        // The same content.
        None => [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        Some(difference) => difference.within_best?,
    };
    let shape = best.width as f32 / best.height.max(1) as f32;
    Some(Overlay { shape, place })
}
