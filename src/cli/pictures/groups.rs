//! Pictures of groups of duplicates: in the terminal and in a contact sheet.

use std::path::PathBuf;

use imgsearch::Library;
use imgsearch::duplicates::{DuplicateFile, DuplicateGroup};
use imgsearch::render::sheet::{Group, LONGER_SIDE, Sheet};
use imgsearch::render::terminal::{Cell, Grid};

use super::items::{Made, of_path};
use super::load::{Loader, Wanted};
use super::{MOST_DRAWN, drawn_by};
use crate::cli::args::{DuplicatesArgs, Global};
use crate::cli::destination::check_output;
use crate::cli::duplicates::{facts, relation};
use crate::cli::output::{counted, relative, shown};
use crate::cli::streams::{self, say};
use crate::cli::{Outcome, Result};

/// What happens to the pictures of groups.
pub struct GroupPictures<'a> {
    global: &'a Global,
    loader: Loader<'a>,
    grid: Option<Grid>,
    sheet: Option<(Sheet, PathBuf)>,
}

impl<'a> GroupPictures<'a> {
    /// Decides what to do, and checks that it can be done.
    ///
    /// # Errors
    ///
    /// If the file of the sheet cannot be written.
    pub fn new(global: &'a Global, args: &DuplicatesArgs) -> Result<Self> {
        if let Some(file) = &args.html {
            check_output(file)?;
        }
        Ok(Self {
            global,
            loader: Loader::new(global),
            grid: drawn_by(global, args.show, args.show_as),
            sheet: args.html.clone().map(|file| (Sheet::default(), file)),
        })
    }

    /// Draws a group in the terminal. Returns whether it did, and if not, lines have to be printed.
    pub fn draw(&mut self, library: &Library, group: &DuplicateGroup) -> Result<bool> {
        let Some(grid) = &self.grid else {
            return Ok(false);
        };
        let drawn = &group.files[..group.files.len().min(MOST_DRAWN)];
        let wanted: Vec<Wanted> = drawn
            .iter()
            .map(|file| Wanted::at(file.path.clone()))
            .collect();
        let pictures = self
            .loader
            .load(&wanted, library.limits(), grid.longer_side(), Ok)?;
        let cells: Vec<Cell> = drawn
            .iter()
            .zip(pictures)
            .enumerate()
            .map(|(i, (file, picture))| Cell {
                picture: picture.ok(),
                title: title(group, i, file),
                name: relative(&file.path).to_string_lossy().into_owned(),
            })
            .collect();
        streams::bytes(grid.draw(&cells)?.as_bytes());
        Ok(true)
    }

    /// Adds a group to the sheet, if there is one.
    pub fn add(&mut self, library: &Library, group: &DuplicateGroup) -> Result<()> {
        let Some((sheet, _)) = &mut self.sheet else {
            return Ok(());
        };
        let items = group.files.iter().enumerate().map(|(i, file)| {
            let mut item = of_path(&file.path);
            item.nearness = title(group, i, file);
            item.facts.push(facts(file));
            item
        });
        let mut made = Made {
            group: Group {
                heading: group.files[group.best].path.display().to_string(),
                note: counted(group.files.len(), "file", "files"),
                items: items.collect(),
                ..Group::default()
            },
            wanted: group
                .files
                .iter()
                .map(|file| Wanted::at(file.path.clone()))
                .collect(),
        };
        self.loader.fill(&mut made, library.limits(), LONGER_SIDE)?;
        sheet.groups.push(made.group);
        Ok(())
    }

    /// Writes the sheet. Returns whether every picture could be shown.
    ///
    /// # Errors
    ///
    /// If the sheet cannot be written.
    pub fn finish(mut self) -> Result {
        let outcome = match self.loader.finish() {
            0 => Outcome::Done,
            _ => Outcome::Partial,
        };
        if let Some((mut sheet, file)) = self.sheet.take() {
            sheet.title = match sheet.groups.len() {
                0 => "No duplicates".to_owned(),
                groups => counted(groups, "group of duplicates", "groups of duplicates"),
            };
            imgsearch::save(&file, sheet.to_html().as_bytes())?;
            if !self.global.quiet {
                say!("wrote {}", shown(&file));
            }
        }
        Ok(outcome)
    }
}

fn title(group: &DuplicateGroup, i: usize, file: &DuplicateFile) -> String {
    if i == group.best {
        "best".to_owned()
    } else {
        relation(file)
    }
}
