//! What the interface returns: stored images, answers, the state of the index.

use std::path::Path;

use imgsearch::index::{Image, Label, Run};
use imgsearch::{Encoded, class_name};
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

/// A server-sent event. It describes the stream, whose events axum writes.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct StatusEvent {
    /// `status`.
    event: String,
    /// The state of the index, as `GET /status` returns it: JSON.
    data: String,
}

/// A class that an image shows.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LabelInfo {
    /// Its name.
    pub name: &'static str,
    /// From 0 to 1.
    pub probability: f32,
}

/// A stored image.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ImageInfo {
    /// Its number, which belongs to this content forever.
    pub id: i64,
    /// Where its file was when it was indexed.
    pub path: String,
    /// The name of the file.
    pub name: String,
    /// The folder of the file.
    pub folder: String,
    /// Width in pixels, as it is looked at.
    pub width: u32,
    /// Height in pixels, as it is looked at.
    pub height: u32,
    /// The format of the file.
    pub format: String,
    /// The size of the file.
    pub bytes: u64,
    /// When it was taken, by the camera's clock.
    pub taken: Option<String>,
    /// The date of the file, in UTC.
    pub modified: Option<String>,
    /// The beginning of the BLAKE3 digest of the file: 16 hex digits.
    pub digest: String,
    /// The classes that it most likely shows, best first.
    pub labels: Vec<LabelInfo>,
    /// What is wrong with the file, if only a part of it could be used.
    pub damage: Option<String>,
    /// Whether the file is missing together with the disk or folder that it was on.
    pub away: bool,
}

impl ImageInfo {
    pub fn new(image: &Image, labels: &[Label]) -> Self {
        let text = |path: Option<&Path>| {
            path.map_or_else(String::new, |path| path.to_string_lossy().into_owned())
        };
        Self {
            id: image.id.0,
            path: text(Some(&image.path)),
            name: text(image.path.file_name().map(Path::new)),
            folder: text(image.path.parent()),
            width: image.width,
            height: image.height,
            format: image.format.clone(),
            bytes: image.stat.size,
            taken: image.taken.and_then(on_the_wall),
            modified: in_utc(image.stat.mtime_ns.div_euclid(1_000_000_000)),
            digest: digest(image),
            labels: described(labels),
            damage: image.damage.clone(),
            away: image.away_since.is_some(),
        }
    }
}

/// Returns the beginning of the digest of an image's content.
pub fn digest(image: &Image) -> String {
    image.digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Returns labels with their names.
pub fn described(labels: &[Label]) -> Vec<LabelInfo> {
    let labels = labels.iter().filter_map(|label| {
        Some(LabelInfo {
            name: class_name(label.class)?,
            probability: label.probability,
        })
    });
    labels.collect()
}

/// Returns what a camera's clock showed, from seconds since 1970.
fn on_the_wall(seconds: i64) -> Option<String> {
    let shown = jiff::Timestamp::from_second(seconds).ok()?;
    Some(TimeZone::UTC.to_datetime(shown).to_string())
}

fn in_utc(seconds: i64) -> Option<String> {
    Some(jiff::Timestamp::from_second(seconds).ok()?.to_string())
}

/// Returns the day of a date in seconds since 1970.
pub fn day(seconds: i64) -> Option<String> {
    Some(on_the_wall(seconds)?.chars().take(10).collect())
}

/// One image that was found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Found {
    #[serde(flatten)]
    pub image: ImageInfo,
    /// Its place, from 1 up.
    pub rank: usize,
    /// The distance that ranks it.
    pub distance: f32,
    /// How alike it is, from 0 to 1: the share of pairs at this distance that show the same kind of thing.
    pub similarity: Option<f32>,
}

/// A word that is not known.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Unknown {
    pub word: String,
    /// Known words that are spelled alike.
    pub alike: Vec<String>,
}

/// What was understood of words.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WordsInfo {
    pub text: String,
    pub understood: Vec<String>,
    pub unknown: Vec<Unknown>,
}

/// An uploaded picture.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Upload {
    /// The token that stands for the picture in questions.
    pub code: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The classes that it most likely shows.
    pub labels: Vec<LabelInfo>,
    /// What is wrong with the file, if only a part of it could be used.
    pub damage: Option<String>,
}

impl Upload {
    pub fn new(encoded: &Encoded, code: String) -> Self {
        Self {
            code,
            width: encoded.width,
            height: encoded.height,
            labels: described(&encoded.labels),
            damage: encoded.damage.clone(),
        }
    }
}

/// The answer to a question.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AnswerInfo {
    /// Images, best first.
    pub results: Vec<Found>,
    /// What to send as `cursor` for the next ones; none if there are no more.
    pub next: Option<String>,
    /// Whether the question looks like anything here; none if that is unknown.
    pub resembles: Option<bool>,
    /// The similarity of the nearest image.
    pub nearest: Option<f32>,
    /// What else there is to say, as a sentence.
    pub note: Option<String>,
    /// What was understood of the words that were asked.
    pub words: Vec<WordsInfo>,
    /// Milliseconds that it took.
    pub took_ms: f64,
    /// The uploaded picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
}

/// Images without a question.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page {
    /// Images, the newest first.
    pub images: Vec<ImageInfo>,
    /// The number of images that meet the filters.
    pub total: usize,
    /// What to send as `cursor` for the next ones; none if there are no more.
    pub next: Option<String>,
}

/// A folder with images.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FolderInfo {
    pub path: String,
    pub name: String,
    /// Images below it.
    pub images: usize,
    /// Whether some of them are in folders of it.
    pub has_folders: bool,
}

/// The folders in a folder.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Folders {
    pub path: String,
    pub folders: Vec<FolderInfo>,
}

/// Something to filter by, and how many images have it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Facet {
    pub name: String,
    pub images: usize,
}

/// What there is to filter by.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Facets {
    pub formats: Vec<Facet>,
    /// The 200 most frequent labels.
    pub labels: Vec<Facet>,
    /// The day of the oldest image.
    pub oldest: Option<String>,
    /// The day of the newest image.
    pub newest: Option<String>,
}

/// The encoder of the index.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EncoderSummary {
    pub name: String,
    pub fingerprint: String,
    /// Numbers in a code.
    pub code_len: usize,
    /// Bits in a hash.
    pub bits: usize,
}

/// Who is indexing.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Indexing {
    pub pid: u32,
    /// The command, as it was typed.
    pub command: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

/// A run of the indexer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RunInfo {
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// When it ended; none for a run that was killed or goes on.
    pub ended: Option<i64>,
    /// Whether it was through.
    pub completed: bool,
    /// The paths that were indexed.
    pub roots: Vec<String>,
    /// What it did.
    pub counts: serde_json::Value,
}

impl From<Run> for RunInfo {
    fn from(run: Run) -> Self {
        let roots = run
            .roots
            .iter()
            .map(|root| root.to_string_lossy().into_owned());
        Self {
            started: run.started,
            ended: run.ended,
            completed: run.completed,
            roots: roots.collect(),
            counts: run.counts,
        }
    }
}

/// The state of the index.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Status {
    /// The version of this program.
    pub version: &'static str,
    /// The folder of the index.
    pub index: String,
    /// Stored images.
    pub images: usize,
    /// How often the index was changed.
    pub generation: i64,
    /// Whether there is no image, or no index yet.
    pub empty: bool,
    /// The encoder of the index, if there is one.
    pub encoder: Option<EncoderSummary>,
    /// Whether images have labels.
    pub has_labels: bool,
    /// How words are understood: by the `labels` of images, by the text `tower` of the encoder, or by the
    /// `directions` of its classes.
    pub words: Option<&'static str>,
    /// Whether the file manager of the machine can show images.
    pub local: bool,
    /// Who is indexing now.
    pub indexing: Option<Indexing>,
    /// The newest run.
    pub last_run: Option<RunInfo>,
    /// Files that could not be read or decoded.
    pub failed: usize,
}
