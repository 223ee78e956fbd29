//! Pictures of what was found: in the terminal (`--show`) and in a contact sheet (`--html`, `--open`).

mod groups;
mod items;
mod load;
mod page;
mod pair;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use imgsearch::decode::Limits;
use imgsearch::render::sheet::{LONGER_SIDE, Sheet};
use imgsearch::render::terminal::{Cell, Colours, Grid, Screen, Way};
use imgsearch::{Answer, Library, Match};

use super::args::{Global, QueryArgs, WayArg, fills_output};
use super::colours;
use super::destination::check_output;
use super::output::{count, relative, shown};
use super::query::nearness;
use super::question::{Asked, Plan};
use super::streams::{self, say};
use super::{Outcome, Result};
pub use groups::GroupPictures;
pub use items::{date, named_labels, of_path};
pub use load::{Loader, Wanted};
pub use page::Page;
pub use pair::PairPictures;

/// Maximum number of images that are drawn for one question. More would scroll away.
const MOST_DRAWN: usize = 60;

/// The time in which a program that should open a file can fail.
const OPENING: Duration = Duration::from_secs(1);

/// What happens to the pictures of a query.
pub struct Pictures<'a> {
    global: &'a Global,
    loader: Loader<'a>,
    /// Draws in the terminal.
    grid: Option<Grid>,
    sheet: Option<Sheet>,
    /// Where the sheet goes; nowhere in particular if it is only opened.
    file: Option<PathBuf>,
    open: bool,
}

impl<'a> Pictures<'a> {
    /// Decides what to do, and checks that it can be done, before anything is searched.
    ///
    /// # Errors
    ///
    /// If the options do not go together, or the file cannot be written.
    pub fn new(global: &'a Global, args: &QueryArgs) -> Result<Self> {
        let lines = args.json || args.paths || args.print0;
        if fills_output(args.html.as_deref()) {
            if lines || args.show || args.show_as.is_some() || args.open {
                return Err(
                    "--html - fills standard output, so it does not go with --show, --json, --paths, -0 or --open: name \
                     a file instead of -"
                        .into(),
                );
            }
        } else if let Some(file) = &args.html {
            check_output(file)?;
        }
        Ok(Self {
            global,
            loader: Loader::new(global),
            grid: drawn_by(global, args.show, args.show_as),
            sheet: (args.html.is_some() || args.open).then(Sheet::default),
            file: args.html.clone(),
            open: args.open,
        })
    }

    /// Draws what was found in the terminal. Returns whether it did, and if not, lines have to be printed.
    pub fn draw(&mut self, library: &Library, found: &[Match], by_words: bool) -> Result<bool> {
        let Some(grid) = &self.grid else {
            return Ok(false);
        };
        let drawn = &found[..found.len().min(MOST_DRAWN)];
        let titles = drawn.iter().enumerate().map(|(i, found)| {
            let title = format!("{}  {}", i + 1, nearness(found, by_words));
            (found.path.as_path(), title)
        });
        draw_cells(grid, &mut self.loader, library.limits(), titles)?;
        if drawn.len() < found.len() && !self.global.quiet {
            say!(
                "{} of {} images are drawn; --html FILE shows all of them",
                drawn.len(),
                count(found.len() as u64)
            );
        }
        Ok(true)
    }

    /// Adds the answer of a question to the sheet, if there is one.
    pub fn add(
        &mut self,
        library: &Library,
        plan: &Plan,
        asked: &Asked,
        answer: &Answer,
    ) -> Result<()> {
        if let Some(sheet) = &mut self.sheet {
            let mut made = items::group(library, plan, asked, answer)?;
            self.loader.fill(&mut made, library.limits(), LONGER_SIDE)?;
            sheet.groups.push(made.group);
        }
        Ok(())
    }

    /// Writes the sheet and opens it. Returns whether every picture could be shown.
    ///
    /// # Errors
    ///
    /// If the sheet cannot be written or opened.
    pub fn finish(mut self) -> Result {
        let outcome = match self.loader.finish() {
            0 => Outcome::Done,
            _ => Outcome::Partial,
        };
        let Some(mut sheet) = self.sheet.take() else {
            return Ok(outcome);
        };
        match &mut sheet.groups[..] {
            [] => {
                if let Some(file) = self.file {
                    say!(
                        "{} is not written, because there is no answer",
                        shown(&file)
                    );
                }
                return Ok(outcome);
            }
            // The heading of the only group is that of the page.
            [one] => sheet.title = std::mem::take(&mut one.heading),
            groups => sheet.title = format!("{} questions", groups.len()),
        }
        deliver(
            self.global,
            &sheet.to_html(),
            self.file.as_deref(),
            self.open,
        )?;
        Ok(outcome)
    }
}

/// Draws pictures, each with its title, in the terminal.
fn draw_cells<'a>(
    grid: &Grid,
    loader: &mut Loader<'_>,
    limits: &Limits,
    titles: impl Iterator<Item = (&'a Path, String)>,
) -> Result<()> {
    let titles: Vec<(&Path, String)> = titles.collect();
    let wanted: Vec<Wanted> = titles
        .iter()
        .map(|(path, _)| Wanted::at(path.to_path_buf()))
        .collect();
    let pictures = loader.load(&wanted, limits, grid.longer_side(), Ok)?;
    let cells: Vec<Cell> = titles
        .into_iter()
        .zip(pictures)
        .map(|((path, title), picture)| Cell {
            picture: picture.ok(),
            title,
            name: relative(path).to_string_lossy().into_owned(),
        })
        .collect();
    streams::bytes(grid.draw(&cells)?.as_bytes());
    Ok(())
}

/// Writes a page to its file, to standard output or to a temporary file, and opens it.
///
/// # Errors
///
/// If it cannot be written or opened.
pub fn deliver(global: &Global, page: &str, file: Option<&Path>, open: bool) -> Result<()> {
    let path = match file {
        Some(file) if file == Path::new("-") => {
            streams::bytes(page.as_bytes());
            return Ok(());
        }
        Some(file) => {
            imgsearch::save(file, page.as_bytes())?;
            file.to_owned()
        }
        None => temporary(page)?,
    };
    if !global.quiet {
        say!("wrote {}", shown(&path));
    }
    if open {
        // A browser may run in another folder.
        let whole = std::path::absolute(&path)?;
        open::that_detached_with_timeout(&whole, OPENING).map_err(|error| {
            format!(
                "no program opens {}: {error}\nOpen this file in a browser yourself",
                shown(&whole)
            )
        })?;
    }
    Ok(())
}

/// Writes a page to a new file that only this user can read. It stays, because a browser reads it later.
fn temporary(page: &str) -> Result<PathBuf> {
    let mut builder = tempfile::Builder::new();
    let mut file = builder.prefix("imgsearch-").suffix(".html").tempfile()?;
    file.write_all(page.as_bytes())?;
    let (_, path) = file.keep()?;
    Ok(path)
}

/// Returns what draws in the terminal, or `None` if nothing should, and says why.
fn drawn_by(global: &Global, show: bool, show_as: Option<WayArg>) -> Option<Grid> {
    let variable = colours::variable;
    let way = match show_as {
        Some(WayArg::Kitty) => Ok(Way::Kitty),
        Some(WayArg::Iterm2) => Ok(Way::Iterm2),
        Some(WayArg::Sixel) => Ok(Way::Sixel),
        Some(WayArg::Blocks) => Ok(Way::Blocks(Colours::of_environment(variable))),
        None if !show => return None,
        None if !streams::is_seen() => {
            if !global.quiet {
                say!(
                    "--show draws in a terminal only, so these are lines; --show-as draws into a pipe, --html FILE writes a \
                     page"
                );
            }
            return None;
        }
        None => Way::of_environment(variable),
    };
    let screen = streams::screen().unwrap_or_else(|| {
        let mut screen = Screen::default();
        let columns = variable("COLUMNS").and_then(|text| text.parse().ok());
        screen.columns = columns.unwrap_or(screen.columns);
        screen
    });
    match way.and_then(|way| Grid::new(way, screen)) {
        Ok(grid) => Some(grid),
        Err(why) => {
            say!("no pictures are drawn: {why}; --html FILE writes a page with them");
            None
        }
    }
}
