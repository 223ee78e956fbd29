//! `imgsearch duplicates`.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use imgsearch::duplicates::action::{Group, Member};
use imgsearch::duplicates::{
    DuplicateFile, DuplicateGroup, DuplicateOptions, Duplicates, Level, Stage, find,
};
use imgsearch::index::ImageId;
use imgsearch::{Error, Library, Progress};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::args::{DuplicatesArgs, FilesArg, Global, fills_output};
use super::decided::Decided;
use super::output::{bar, bytes, counted, moment, relative, shown, with_path};
use super::pictures::GroupPictures;
use super::signals::stop_flag;
use super::streams::{self, out, say};
use super::{Outcome, Result, duplicates_action, say_error, setup};

/// Files that were left out are named, up to this number of them.
const MOST_NAMED: usize = 5;

pub fn run(global: &Global, args: &DuplicatesArgs) -> Result {
    let mut pictures = GroupPictures::new(global, args)?;
    let mut library = setup::library(global, None, Some(&args.limits))?;
    if args.actions.undo {
        return duplicates_action::undo(global, &mut library, args.json);
    }
    let decided = args.actions.files_from.as_deref();
    let decided = decided.map(Decided::read).transpose()?;
    let options = options(global, &library, args)?;
    let stop = stop_flag("stopping")?;
    let progress = Bars::new(global, args.json, &stop);
    let found = find(&library, &options, &progress);
    progress.finish();
    let found = found?;
    if args.actions.apply.is_some() {
        say_skipped(global, &found);
        let mut groups = to_act_on(&library, &found)?;
        let mut left = found.skipped.len();
        if let Some(decided) = &decided {
            let (chosen, unfit) = decided.only(&groups);
            groups = chosen;
            left += unfit;
        }
        let wanted = duplicates_action::Wanted {
            args: &args.actions,
            under: &args.filter.chosen.under,
            json: args.json,
        };
        let outcome = duplicates_action::apply(global, &mut library, &groups, &wanted)?;
        return Ok(match outcome {
            Outcome::Done if left > 0 => Outcome::Partial,
            outcome => outcome,
        });
    }
    for group in &found.groups {
        if streams::is_lost() {
            break;
        }
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted.into());
        }
        print(args, group, &mut pictures, &library)?;
    }
    let mut outcome = pictures.finish()?;
    say_skipped(global, &found);
    if found.groups.is_empty() || !found.skipped.is_empty() {
        outcome = Outcome::Partial;
    }
    if !global.quiet && !args.json {
        say!("{}", summary(&found, options.level));
    }
    Ok(outcome)
}

/// Returns the groups with what is stored of their files, by which an action notices that one changed.
fn to_act_on(library: &Library, found: &Duplicates) -> Result<Vec<Group>> {
    let index = library.index_view()?;
    let mut groups = Vec::with_capacity(found.groups.len());
    for group in &found.groups {
        let ids: Vec<ImageId> = group.files.iter().map(|file| file.id).collect();
        let mut members = Vec::with_capacity(ids.len());
        let mut best = None;
        for (place, image) in index.images(&ids)?.into_iter().enumerate() {
            // One that another process removed meanwhile is no part of it any more.
            let Some(image) = image else { continue };
            if place == group.best {
                best = Some(members.len());
            }
            members.push(Member::from(&image));
        }
        if let Some(best) = best {
            groups.push(Group { members, best });
        }
    }
    Ok(groups)
}

/// Returns what is looked for.
fn options(global: &Global, library: &Library, args: &DuplicatesArgs) -> Result<DuplicateOptions> {
    let mut options = DuplicateOptions::default();
    options.level = match (args.identical, args.near) {
        (true, _) => Level::Identical,
        (_, true) => Level::Near,
        _ => Level::Edited,
    };
    options.keep = args.keep.into();
    options.min_similarity = args.min_similarity.map(|percent| percent / 100.0);
    options.neighbours = args.neighbours;
    options.filter = setup::filter(global, library, &args.filter.typed())?;
    Ok(options)
}

fn print(
    args: &DuplicatesArgs,
    group: &DuplicateGroup,
    pictures: &mut GroupPictures<'_>,
    library: &Library,
) -> Result<()> {
    if let Some(which) = args.paths_of {
        let end = if args.print0 { b"\0" } else { b"\n" };
        let files = group.files.iter().enumerate();
        let wanted = files.filter(|(i, _)| (*i == group.best) == (which == FilesArg::Best));
        for (_, file) in wanted {
            let path = file.path.as_os_str().as_encoded_bytes();
            streams::bytes(&[path, end].concat());
        }
    } else if args.json {
        out!("{}", to_json(group));
    } else if !fills_output(args.html.as_deref()) && !pictures.draw(library, group)? {
        out!("{}", lines(group));
    }
    pictures.add(library, group)
}

/// Returns a group as lines: the best file, and below it the others.
fn lines(group: &DuplicateGroup) -> String {
    let mut text = String::new();
    let best = &group.files[group.best];
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}  {}", shown(&relative(&best.path)), facts(best));
    for file in group.others() {
        let _ = writeln!(
            text,
            "  {}  {}: {}",
            shown(&relative(&file.path)),
            facts(file),
            relation(file)
        );
    }
    text
}

/// Returns what a file is.
pub(super) fn facts(file: &DuplicateFile) -> String {
    let (width, height) = (file.width, file.height);
    let date = match file.taken {
        Some(taken) => moment(taken),
        None => format!(
            "file of {}",
            moment(file.modified_ns.div_euclid(1_000_000_000))
        ),
    };
    let format = file.format.to_uppercase();
    format!(
        "{width} × {height}, {}, {format}, {date}",
        bytes(file.bytes)
    )
}

/// Returns how a file is related to the best one of its group.
pub(super) fn relation(file: &DuplicateFile) -> String {
    let differs = file.difference.as_ref().map(ToString::to_string);
    match (file.level, differs) {
        (Level::Identical, _) => "identical".to_owned(),
        (Level::Near, Some(differs)) if !differs.is_empty() => {
            format!("nearly the same, {differs}")
        }
        (Level::Near, _) => "nearly the same".to_owned(),
        (Level::Edited, differs) => differs.unwrap_or_default(),
    }
}

fn to_json(group: &DuplicateGroup) -> Value {
    let files = group.files.iter().map(|file| {
        let mut object = json!({
            "id": file.id,
            "content": blake3::Hash::from_bytes(file.content).to_hex().as_str(),
            "bytes": file.bytes,
            "width": file.width,
            "height": file.height,
            "format": file.format,
            "taken": file.taken,
            "modified": file.modified_ns.div_euclid(1_000_000_000),
            "level": file.level,
        });
        if let Some(difference) = &file.difference {
            object["changes"] = json!(difference.changes);
            object["agreement"] = json!(difference.agreement);
            object["within_best"] = json!(difference.within_best);
            object["differs"] = json!(difference.to_string());
        }
        with_path(object, "path", &file.path)
    });
    let files: Vec<Value> = files.collect();
    json!({"level": group.level, "best": group.best, "files": files})
}

fn summary(found: &Duplicates, level: Level) -> String {
    if found.images == 0 {
        return "no image to compare: the index is empty, or none matches the filters".to_owned();
    }
    if found.images == 1 {
        return "there is only one image to compare".to_owned();
    }
    let images = counted(found.images, "image", "images");
    if found.groups.is_empty() {
        let what = match level {
            Level::Identical => "have the same content",
            Level::Edited => "hold the same picture",
            Level::Near => "hold the same picture or nearly the same",
        };
        return format!("no two of {images} {what}");
    }
    let others = || found.groups.iter().flat_map(DuplicateGroup::others);
    let sum = others().map(|file| file.bytes).sum();
    format!(
        "{} among {images}; besides the best: {}, {}",
        counted(found.groups.len(), "group", "groups"),
        counted(others().count(), "file", "files"),
        bytes(sum)
    )
}

fn say_skipped(global: &Global, found: &Duplicates) {
    for skipped in found.skipped.iter().take(MOST_NAMED) {
        say_error(&skipped.error, global.index.as_deref());
    }
    let unnamed = found.skipped.len().saturating_sub(MOST_NAMED);
    if unnamed > 0 {
        say!("{} more were left out", counted(unnamed, "file", "files"));
    }
}

/// Shows how far the work is.
struct Bars<'a> {
    global: &'a Global,
    json: bool,
    stop: &'a AtomicBool,
    candidates: OnceLock<ProgressBar>,
    pixels: OnceLock<ProgressBar>,
}

impl<'a> Bars<'a> {
    fn new(global: &'a Global, json: bool, stop: &'a AtomicBool) -> Self {
        Self {
            global,
            json,
            stop,
            candidates: OnceLock::new(),
            pixels: OnceLock::new(),
        }
    }

    fn finish(&self) {
        for bar in [&self.candidates, &self.pixels]
            .into_iter()
            .filter_map(OnceLock::get)
        {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bars<'_> {
    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn duplicates(&self, stage: Stage, done: usize, of: usize) {
        let (own, unit) = match stage {
            Stage::Candidates => (&self.candidates, "images searched"),
            _ => {
                if let Some(before) = self.candidates.get() {
                    before.finish_and_clear();
                }
                (&self.pixels, "pairs compared")
            }
        };
        let bar = own.get_or_init(|| bar(self.global, self.json, of as u64, unit));
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    }
}
