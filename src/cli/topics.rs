//! `imgsearch topics`.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use imgsearch::Progress as _;
use imgsearch::documents::{
    About, Documents, FoundDocument, Gathered, Learned, TopicOptions, gather, learn, read_text,
};
use imgsearch::index::{RankBy, SearchParams};
use serde_json::{Value, json};

use super::args::{ByArg, Global, TopicsArgs};
use super::output::{command, counted, relative, shown, with_path};
use super::progress::{CommandProgress, Task};
use super::setup::{engine_options, index_dir, walk_options};
use super::signals::stop_flag;
use super::streams::{out, say};
use super::{Outcome, Result, say_error};

/// Files that cannot be read and are named; the others are counted.
const NAMED: usize = 10;

pub fn run(global: &Global, args: &TopicsArgs) -> Result {
    let dir = index_dir(global)?;
    if args.query.is_empty() {
        topics(global, args, &dir)
    } else {
        query(global, args, &dir)
    }
}

/// Reads documents, learns from them if need be, and prints their topics.
fn topics(global: &Global, args: &TopicsArgs, dir: &Path) -> Result {
    let stored = Documents::about_those_in(dir)?;
    let folders = match (&args.folders[..], stored) {
        ([], None) => return Err(nothing_stored(global)),
        ([], Some(about)) => about.roots,
        (folders, _) => folders.to_vec(),
    };
    let gathered = gather(&folders, &walk_options(&args.walk))?;
    say_unread(&gathered);
    let mut options = TopicOptions::default();
    options.words = args.words as usize;
    options.topics = args.topics;
    options.retrain = args.retrain;
    options.epochs = args.epochs;
    options.seed = args.seed;
    let stop = stop_flag("Stopping. What was stored before stays")?;
    let progress = CommandProgress::new(Task::Documents, global, args.json, &stop);
    let engine = engine_options(global, None);
    let (about, learned) = learn(dir, &gathered, &options, &engine, &mut |epoch| {
        progress.autoencoder_epoch(epoch);
        if stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    progress.finish();
    if args.json {
        print_json(&about, learned, &gathered);
    } else {
        if !global.quiet {
            say_done(&about, learned);
        }
        print(args, &about);
    }
    Ok(if gathered.errors.is_empty() {
        Outcome::Done
    } else {
        Outcome::Partial
    })
}

fn nothing_stored(global: &Global) -> Box<dyn std::error::Error> {
    let read = command(
        global.index.as_deref(),
        &["topics", "FOLDER"].map(OsStr::new),
    );
    format!("no documents are stored yet; to read them from a folder: {read}").into()
}

/// Names what could not be read.
fn say_unread(gathered: &Gathered) {
    for (path, reason) in gathered.errors.iter().take(NAMED) {
        say!("imgsearch: {}: {reason}", shown(path));
    }
    if gathered.errors.len() > NAMED {
        say!(
            "imgsearch: and {} could not be read",
            counted(gathered.errors.len() - NAMED, "more file", "more files")
        );
    }
}

fn say_done(about: &About, learned: Learned) {
    let of = counted(about.documents, "document", "documents");
    let of = match about.of_pictures {
        0 => of,
        n if n == about.documents => format!("{of} of pictures"),
        n => format!("{of}, {n} of them of pictures"),
    };
    match learned {
        Learned::Trained => say!("learned from {of}, with {} words", about.words),
        Learned::Encoded => {
            say!("stored {of}; most are known, so the encoder is kept (--retrain trains it again)");
        }
        Learned::Unchanged => say!("nothing changed: {of}"),
    }
    if about.too_short > 0 {
        say!(
            "{} with fewer than two words that count left out",
            counted(about.too_short, "document", "documents")
        );
    }
}

fn print(args: &TopicsArgs, about: &About) {
    let width = about.topics.iter().map(|topic| topic.documents).max();
    let width = width.unwrap_or(0).to_string().len();
    let rank_width = about.topics.len().to_string().len();
    for (i, topic) in about.topics.iter().enumerate() {
        out!(
            "{:>rank_width$}  {:>width$}  {}  ({})",
            i + 1,
            topic.documents,
            topic.words.join(", "),
            shown(&relative(&topic.typical))
        );
    }
    if args.directions {
        out!();
        for (i, direction) in about.directions.iter().enumerate() {
            out!(
                "direction {} ({:.0} %): {}  <->  {}",
                i + 1,
                direction.share * 100.0,
                direction.away.join(", "),
                direction.toward.join(", ")
            );
        }
    }
}

fn print_json(about: &About, learned: Learned, gathered: &Gathered) {
    let topics = about.topics.iter().map(|topic| {
        let object = json!({ "documents": topic.documents, "words": topic.words });
        with_path(object, "typical", &topic.typical)
    });
    let unread = gathered.errors.iter().map(|(path, reason)| {
        let object = json!({ "reason": reason });
        with_path(object, "path", path)
    });
    let learned = match learned {
        Learned::Trained => "trained",
        Learned::Encoded => "encoded",
        Learned::Unchanged => "unchanged",
    };
    out!(
        "{}",
        json!({
            "learned": learned,
            "documents": about.documents,
            "of_pictures": about.of_pictures,
            "too_short": about.too_short,
            "words": about.words,
            "topics": topics.collect::<Vec<Value>>(),
            "directions": about.directions,
            "unread": unread.collect::<Vec<Value>>(),
        })
    );
}

/// Finds the documents nearest to each question.
fn query(global: &Global, args: &TopicsArgs, dir: &Path) -> Result {
    let Some(documents) = Documents::open(dir, &engine_options(global, None))? else {
        return Err(nothing_stored(global));
    };
    let by = match args.by {
        ByArg::Code => RankBy::Code,
        ByArg::Hash => RankBy::Hash,
        ByArg::Both => RankBy::Both,
    };
    let mut outcome = Outcome::Done;
    let several = args.query.len() > 1;
    for asked in &args.query {
        let found = ask(&documents, asked, args.k, by);
        let found = match found {
            Ok(found) => found,
            Err(error @ imgsearch::Error::UnknownWords(_)) => {
                say_error(&error, global.index.as_deref());
                outcome = Outcome::Partial;
                continue;
            }
            Err(error) if several => {
                say_error(&error, global.index.as_deref());
                outcome = Outcome::Partial;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if args.json {
            let results: Vec<Value> = found.iter().enumerate().map(result).collect();
            let asked = asked.to_string_lossy();
            out!("{}", json!({ "query": asked, "results": results }));
            continue;
        }
        if several {
            out!("{}", asked.to_string_lossy());
        }
        let rank_width = found.len().to_string().len();
        for (i, found) in found.iter().enumerate() {
            out!(
                "{:>rank_width$}  {:.4}  {}",
                i + 1,
                found.distance,
                shown(&relative(&found.path))
            );
        }
        if several {
            out!();
        }
    }
    Ok(outcome)
}

fn ask(
    documents: &Documents,
    asked: &OsStr,
    k: usize,
    by: RankBy,
) -> imgsearch::Result<Vec<FoundDocument>> {
    let path = PathBuf::from(asked);
    let text = if path.is_file() {
        read_text(&path)?
    } else {
        asked.to_string_lossy().into_owned()
    };
    documents.nearest(&text, &SearchParams::new(k).by(by))
}

fn result((i, found): (usize, &FoundDocument)) -> Value {
    let object = json!({
        "rank": i + 1,
        "distance": found.distance,
        "hamming": found.hamming,
        "picture": found.is_picture,
    });
    with_path(object, "path", &found.path)
}
