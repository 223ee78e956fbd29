//! A contact sheet of images of the index (`groups --html`, `outliers --html`).

use std::path::{Path, PathBuf};

use imgsearch::Library;
use imgsearch::render::sheet::{Group, LONGER_SIDE, Sheet};

use super::items::Made;
use super::load::{Loader, Wanted};
use super::{check_output, deliver};
use crate::cli::args::{Global, fills_output};
use crate::cli::{Outcome, Result};

/// A sheet that is being filled.
pub struct Page<'a> {
    global: &'a Global,
    loader: Loader<'a>,
    sheet: Sheet,
    file: Option<PathBuf>,
    open: bool,
}

impl<'a> Page<'a> {
    /// Returns the page that options ask for, if they do, and checks that it can be written. `lines` says whether
    /// something else goes to standard output.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, or something else goes to the same place.
    pub fn of_options(
        global: &'a Global,
        html: Option<&Path>,
        open: bool,
        lines: bool,
    ) -> Result<Option<Self>> {
        if fills_output(html) {
            if lines || open {
                return Err(
                    "--html - fills standard output, so nothing else can be printed or opened: name a file instead of -"
                        .into(),
                );
            }
        } else if let Some(file) = html {
            check_output(file)?;
        }
        Ok((html.is_some() || open).then(|| Self {
            global,
            loader: Loader::new(global),
            sheet: Sheet::default(),
            file: html.map(Path::to_owned),
            open,
        }))
    }

    /// Adds a section. Its items have files and no pictures yet.
    ///
    /// # Errors
    ///
    /// If no threads can be started.
    pub fn add(&mut self, library: &Library, group: Group) -> Result<()> {
        let files = group.items.iter().filter_map(|item| item.file.clone());
        let wanted = files.map(Wanted::at).collect();
        let mut made = Made { group, wanted };
        self.loader.fill(&mut made, library.limits(), LONGER_SIDE)?;
        self.sheet.groups.push(made.group);
        Ok(())
    }

    /// Writes the page. Returns whether every picture could be shown.
    ///
    /// # Errors
    ///
    /// If it cannot be written or opened.
    pub fn finish(mut self, title: &str) -> Result {
        title.clone_into(&mut self.sheet.title);
        let outcome = match self.loader.finish() {
            0 => Outcome::Done,
            _ => Outcome::Partial,
        };
        deliver(
            self.global,
            &self.sheet.to_html(),
            self.file.as_deref(),
            self.open,
        )?;
        Ok(outcome)
    }
}
