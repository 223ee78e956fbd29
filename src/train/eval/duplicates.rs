//! Duplicates: how many edited copies [`find`] groups with their pictures, and how much else.
//!
//! Some pictures of a folder are edited in every way and written as files. The rest of the folder are strangers, of
//! which some are partly alike: of the same kind of thing, or shots of one scene. All are indexed and grouped as a user
//! would. A copy is found if it is in the group of its picture. Every pair of files in one group is right if both come
//! from one picture, and wrong otherwise. Pictures of the folder that are in one group before anything was edited are
//! counted apart: whether they are the same picture, only a person can say, so they are listed.
//!
//! dHash and pHash of the same files are compared at the threshold that finds most at the same precision.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use imgsearch_index::hamming;
use imgsearch_onnx::EncoderFile;
use rayon::prelude::*;
use serde::Serialize;

use super::copies::{EDITS, Edit, PRECISION};
use crate::decode::{Decoder, Rgb, Source};
use crate::duplicates::{DuplicateOptions, Duplicates, find};
use crate::encode::engine::EngineOptions;
use crate::error::{Error, Result};
use crate::library::{Library, OpenOptions};
use crate::progress::Progress;
use crate::random::SplitMix;
use crate::render::thumbnail::jpeg;
use crate::train::perceptual::{self, Perceptual};

/// The quality of the JPEG files that edited pictures are written as.
const QUALITY: u8 = 90;

/// Distances of two hashes of 64 bits.
const DISTANCES: usize = 65;

/// What is measured.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DuplicatesEval {
    /// How many pictures are edited.
    pub edited: usize,
    /// How many others there are.
    pub strangers: usize,
    /// The seed of the random draw.
    pub seed: u64,
    /// How the encoder runs.
    pub engine: EngineOptions,
}

impl Default for DuplicatesEval {
    fn default() -> Self {
        Self {
            edited: 100,
            strangers: 3000,
            seed: 0,
            engine: EngineOptions::default(),
        }
    }
}

/// A way of editing, and what was found of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DuplicatesRow {
    /// The edit.
    pub edit: Edit,
    /// The share of copies that are in the group of their picture.
    pub recall: f64,
    /// The share of right pairs among those with such a copy.
    pub precision: f64,
    /// The recall of dHash.
    pub dhash: f64,
    /// The recall of pHash.
    pub phash: f64,
}

/// The result of [`duplicates`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DuplicatesReport {
    /// The encoder's name.
    pub encoder: String,
    /// Pictures that were edited.
    pub edited: usize,
    /// Other pictures.
    pub strangers: usize,
    /// A row for each edit.
    pub rows: Vec<DuplicatesRow>,
    /// The recall over all edits.
    pub recall: f64,
    /// The share of right pairs among all, without those of [`DuplicatesReport::alike`].
    pub precision: f64,
    /// Pairs that are right.
    pub right: usize,
    /// Pairs that are wrong, by the paths of the files.
    pub wrong: Vec<(PathBuf, PathBuf)>,
    /// Groups of pictures that the folder held before anything was edited: to be looked at.
    pub alike: Vec<Vec<PathBuf>>,
    /// All files.
    #[serde(skip)]
    pub files: Vec<EvaluatedFile>,
    /// Pairs of candidates, and pairs that were compared by their pixels.
    pub pairs: (usize, usize),
    /// Seconds that the search took.
    pub seconds: f64,
    /// The thresholds of dHash and pHash in bits; `None` if they find nothing at that precision.
    pub thresholds: (Option<usize>, Option<usize>),
}

/// A file of the evaluation.
struct File {
    path: PathBuf,
    /// The picture that it was made from.
    family: usize,
    /// How; `None` for the picture itself.
    edit: Option<usize>,
}

/// A file of the evaluation, for other programs that look for the same copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EvaluatedFile {
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
    /// Number of the picture that it is or was made from.
    pub picture: usize,
    /// How it was made; `None` for the picture itself.
    pub edit: Option<Edit>,
    /// Number of the group of [`DuplicatesReport::alike`] that the picture is in. Pairs within one are not counted.
    pub alike: Option<usize>,
}

/// Edits pictures of `paths` and finds them again. `work` is an empty folder for the edited files and the index.
///
/// # Errors
///
/// [`Error::BadEvaluation`] if there are fewer than two pictures, if a file cannot be written or indexed, and
/// [`Error::Interrupted`].
pub fn duplicates(
    encoder: &EncoderFile,
    paths: &[PathBuf],
    options: &DuplicatesEval,
    work: &Path,
    progress: &dyn Progress,
) -> Result<DuplicatesReport> {
    let edits: Vec<Edit> = EDITS.into_iter().chain([Edit::QuarterTurn]).collect();
    let drawn = draw(paths, options);
    let edited = options.edited.min(drawn.len());
    let open = OpenOptions {
        encoder: Some(encoder.clone()),
        engine: options.engine.clone(),
    };
    let mut library = Library::open_or_create_with(work.join("index"), open)?;
    let run = |library: &mut Library, paths: Vec<PathBuf>| -> Result<Duplicates> {
        library.indexer().progress(progress).run(paths)?;
        find(library, &DuplicateOptions::default(), progress)
    };
    // The index stores files under their real paths.
    let untouched: Vec<PathBuf> = drawn
        .iter()
        .map(|path| fs::canonicalize(path).map_err(|error| Error::io("read", path, error)))
        .collect::<Result<_>>()?;
    let before = run(&mut library, untouched.clone())?;
    let folder = work.join("edited");
    fs::create_dir(&folder).map_err(|error| Error::io("create", &folder, error))?;
    let folder = fs::canonicalize(&folder).map_err(|error| Error::io("read", &folder, error))?;
    let mut files: Vec<File> = untouched
        .iter()
        .enumerate()
        .map(|(family, path)| File {
            path: path.clone(),
            family,
            edit: None,
        })
        .collect();
    let written = write_edits(&library, &untouched[..edited], &edits, &folder, progress)?;
    if written.is_empty() {
        return Err(Error::BadEvaluation(
            "none of the pictures could be edited".to_owned(),
        ));
    }
    files.extend(written);
    let started = std::time::Instant::now();
    let found = run(&mut library, vec![folder])?;
    let seconds = started.elapsed().as_secs_f64();
    let alike = Alike::of(&before, &files);
    let mut report = judge(&files, &edits, &found, &alike);
    report.encoder.clone_from(&encoder.info().name);
    report.edited = edited;
    report.strangers = drawn.len() - edited;
    report.seconds = seconds;
    let evaluated = files.iter().map(|file| EvaluatedFile {
        path: file.path.clone(),
        picture: file.family,
        edit: file.edit.map(|edit| edits[edit]),
        alike: alike.group_of.get(&file.family).copied(),
    });
    report.files = evaluated.collect();
    baselines(&mut report, &files, &alike, &library, progress)?;
    Ok(report)
}

/// Draws the pictures to edit, first, and the strangers.
fn draw(paths: &[PathBuf], options: &DuplicatesEval) -> Vec<PathBuf> {
    let mut drawn = paths.to_vec();
    drawn.sort();
    let mut bits = SplitMix::new(options.seed);
    for i in (1..drawn.len()).rev() {
        drawn.swap(i, bits.below(i + 1));
    }
    drawn.truncate(options.edited + options.strangers);
    drawn
}

/// Writes the edits of pictures, each named by its number and its edit. Pictures that cannot be decoded have none.
fn write_edits(
    library: &Library,
    paths: &[PathBuf],
    edits: &[Edit],
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Vec<File>> {
    let written: Vec<Vec<File>> = paths
        .par_iter()
        .enumerate()
        .map(|(family, path)| {
            if progress.is_cancelled() {
                return Err(Error::Interrupted);
            }
            let mut decoder = Decoder::new(*library.limits());
            let whole = Source::open(path, library.limits())
                .map_err(|unread| Error::unread(unread, path))
                .and_then(|source| {
                    let decoded = decoder.decode_whole(&source, u32::MAX);
                    decoded.map_err(|source| Error::Image {
                        path: path.clone(),
                        source,
                    })
                });
            let whole = match whole {
                Ok(whole) => whole.into_rgb(),
                Err(error) => {
                    progress.unusable(path, &error.to_string());
                    return Ok(Vec::new());
                }
            };
            let made = edits.iter().enumerate().map(|(i, edit)| {
                let file = folder.join(format!("{family:04}-{i:02}.jpg"));
                write_edit(&whole, *edit, &file)?;
                Ok(File {
                    path: file,
                    family,
                    edit: Some(i),
                })
            });
            made.collect()
        })
        .collect::<Result<_>>()?;
    Ok(written.into_iter().flatten().collect())
}

fn write_edit(whole: &Rgb, edit: Edit, file: &Path) -> Result<()> {
    let bad = |reason: String| Error::BadEvaluation(format!("{}: {reason}", file.display()));
    let image = RgbImage::from_raw(whole.width, whole.height, whole.pixels.clone())
        .ok_or_else(|| bad("it lacks pixels".to_owned()))?;
    let edited = edit.apply(&image).map_err(bad)?;
    let rgb = Rgb {
        width: edited.width(),
        height: edited.height(),
        pixels: edited.into_raw(),
    };
    let bytes = jpeg(&rgb, QUALITY).map_err(|error| bad(error.to_string()))?;
    fs::write(file, bytes).map_err(|error| Error::io("write", file, error))
}

/// Pictures that were in one group before anything was edited.
struct Alike {
    /// The group of each family that is in one.
    group_of: HashMap<usize, usize>,
    groups: Vec<Vec<PathBuf>>,
}

impl Alike {
    fn of(before: &Duplicates, files: &[File]) -> Self {
        let family_of: HashMap<&Path, usize> = files
            .iter()
            .map(|file| (file.path.as_path(), file.family))
            .collect();
        let mut alike = Self {
            group_of: HashMap::new(),
            groups: Vec::new(),
        };
        for group in &before.groups {
            for file in &group.files {
                if let Some(&family) = family_of.get(file.path.as_path()) {
                    alike.group_of.insert(family, alike.groups.len());
                }
            }
            let paths = group.files.iter().map(|file| file.path.clone());
            alike.groups.push(paths.collect());
        }
        alike
    }

    /// Returns whether two families were in one group.
    fn are(&self, one: usize, other: usize) -> bool {
        let (one, other) = (self.group_of.get(&one), self.group_of.get(&other));
        one.is_some() && one == other
    }
}

/// Judges every pair of every group.
fn judge(files: &[File], edits: &[Edit], found: &Duplicates, alike: &Alike) -> DuplicatesReport {
    let by_path: HashMap<&Path, &File> = files
        .iter()
        .map(|file| (file.path.as_path(), file))
        .collect();
    let mut recalled = vec![0usize; edits.len()];
    // Right and wrong pairs of each edit.
    let mut pairs = vec![(0usize, 0usize); edits.len()];
    let mut right = 0;
    let mut wrong = BTreeSet::new();
    for group in &found.groups {
        let members: Vec<&File> = group
            .files
            .iter()
            .filter_map(|file| by_path.get(file.path.as_path()).copied())
            .collect();
        let originals: BTreeSet<usize> = members
            .iter()
            .filter(|file| file.edit.is_none())
            .map(|file| file.family)
            .collect();
        for (i, one) in members.iter().enumerate() {
            if let Some(edit) = one.edit {
                recalled[edit] += usize::from(originals.contains(&one.family));
            }
            for other in &members[..i] {
                let same = one.family == other.family;
                if !same && alike.are(one.family, other.family) {
                    continue;
                }
                right += usize::from(same);
                if !same {
                    wrong.insert((one.path.clone(), other.path.clone()));
                }
                for edit in BTreeSet::from([one.edit, other.edit]).into_iter().flatten() {
                    let (rights, wrongs) = &mut pairs[edit];
                    *(if same { rights } else { wrongs }) += 1;
                }
            }
        }
    }
    let of = |i: usize| files.iter().filter(|file| file.edit == Some(i)).count();
    let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
    let rows = edits.iter().enumerate().map(|(i, edit)| DuplicatesRow {
        edit: *edit,
        recall: share(recalled[i], of(i)),
        precision: share(pairs[i].0, pairs[i].0 + pairs[i].1),
        dhash: 0.0,
        phash: 0.0,
    });
    let copies = files.iter().filter(|file| file.edit.is_some()).count();
    DuplicatesReport {
        encoder: String::new(),
        edited: 0,
        strangers: 0,
        rows: rows.collect(),
        recall: share(recalled.iter().sum(), copies),
        precision: share(right, right + wrong.len()),
        right,
        wrong: wrong.into_iter().collect(),
        alike: alike.groups.clone(),
        files: Vec::new(),
        pairs: (found.candidates, found.compared),
        seconds: 0.0,
        thresholds: (None, None),
    }
}

/// Measures dHash and pHash on the same files.
fn baselines(
    report: &mut DuplicatesReport,
    files: &[File],
    alike: &Alike,
    library: &Library,
    progress: &dyn Progress,
) -> Result<()> {
    let paths: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    let threads = rayon::current_num_threads();
    let hashes = perceptual::of_files(&paths, library.limits(), threads, progress)?;
    let usable: Vec<(&File, Perceptual)> = files
        .iter()
        .zip(hashes)
        .filter_map(|(file, hashes)| Some((file, hashes.ok()?)))
        .collect();
    let edits = report.rows.len();
    let (dhash, threshold) = recall_of(&usable, alike, edits, |hashes| hashes.dhash);
    report.thresholds.0 = threshold;
    let (phash, threshold) = recall_of(&usable, alike, edits, |hashes| hashes.phash);
    report.thresholds.1 = threshold;
    for (row, (dhash, phash)) in report.rows.iter_mut().zip(dhash.into_iter().zip(phash)) {
        (row.dhash, row.phash) = (dhash, phash);
    }
    Ok(())
}

/// Returns the recall of a hash for each edit at the threshold that finds most with the wanted precision, and the
/// threshold.
fn recall_of(
    files: &[(&File, Perceptual)],
    alike: &Alike,
    edits: usize,
    hash: impl Fn(&Perceptual) -> [u8; perceptual::BYTES] + Sync,
) -> (Vec<f64>, Option<usize>) {
    let none = || [0usize; DISTANCES];
    // Pairs at each distance, of one family and of two.
    let (own, strange) = files
        .par_iter()
        .enumerate()
        .map(|(i, (one, hashes))| {
            let (mut own, mut strange) = (none(), none());
            for (other, others) in &files[..i] {
                let apart = hamming(&hash(hashes), &hash(others)) as usize;
                if one.family == other.family {
                    own[apart] += 1;
                } else if !alike.are(one.family, other.family) {
                    strange[apart] += 1;
                }
            }
            (own, strange)
        })
        .reduce(
            || (none(), none()),
            |mut sums, more| {
                for i in 0..DISTANCES {
                    sums.0[i] += more.0[i];
                    sums.1[i] += more.1[i];
                }
                sums
            },
        );
    let (mut right, mut wrong, mut threshold) = (0, 0, None);
    for distance in 0..DISTANCES {
        right += own[distance];
        wrong += strange[distance];
        if right > 0 && right as f64 >= PRECISION * (right + wrong) as f64 {
            threshold = Some(distance);
        }
    }
    let originals: HashMap<usize, [u8; perceptual::BYTES]> = files
        .iter()
        .filter(|(file, _)| file.edit.is_none())
        .map(|(file, hashes)| (file.family, hash(hashes)))
        .collect();
    let (mut found, mut all) = (vec![0usize; edits], vec![0usize; edits]);
    for (file, hashes) in files {
        if let (Some(edit), Some(original)) = (file.edit, originals.get(&file.family)) {
            let apart = hamming(&hash(hashes), original) as usize;
            all[edit] += 1;
            found[edit] += usize::from(threshold.is_some_and(|threshold| apart <= threshold));
        }
    }
    let shares = found.iter().zip(&all);
    let shares = shares.map(|(found, all)| *found as f64 / (*all).max(1) as f64);
    (shares.collect(), threshold)
}
