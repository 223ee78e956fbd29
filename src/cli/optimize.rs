//! `imgsearch optimize`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use imgsearch::index::{BuilderKind, FoldOptions, Folded};
use imgsearch::{Library, Progress};
use indicatif::ProgressBar;
use serde_json::json;

use super::args::{BuilderArg, Global, OptimizeArgs};
use super::output::{bar, count, counted, duration};
use super::setup::index_place;
use super::signals::stop_flag;
use super::streams::{out, say};
use super::{Outcome, Result};

pub fn run(global: &Global, args: &OptimizeArgs) -> Result {
    let mut options = FoldOptions::default();
    options.all = true;
    options.rebuild = args.rebuild;
    options.graph.builder = builder(args.builder);
    let dir = index_place(global)?;
    if dir.to_str().is_some_and(imgsearch::engines::is_url) {
        return Err(
            "a server keeps its collections fast to search by itself: there is nothing to optimize"
                .into(),
        );
    }
    let folded = fold(global, &mut Library::open(dir)?, &options, args.json)?;
    if args.json {
        out!("{}", json!({"optimized": folded}));
    } else if !global.quiet {
        if folded.made == 0 {
            say!("nothing to do: every image is in a segment already");
        } else {
            say!("{}", summary_line(&folded));
        }
    }
    Ok(if folded.interrupted {
        Outcome::Interrupted
    } else {
        Outcome::Done
    })
}

fn builder(given: BuilderArg) -> BuilderKind {
    match given {
        BuilderArg::Flat => BuilderKind::Flat,
        #[cfg(feature = "hnsw-rs")]
        BuilderArg::HnswRs => BuilderKind::HnswRs,
    }
}

/// Returns what folding did, in one line.
pub fn summary_line(folded: &Folded) -> String {
    let mut line = format!(
        "{} in {}; {}",
        counted(folded.images, "image", "images"),
        counted(folded.made, "new segment", "new segments"),
        duration(folded.seconds)
    );
    if folded.linked_in > 0 {
        line += &format!(
            " ({} that the graph did not reach were linked)",
            count(folded.linked_in)
        );
    }
    line
}

/// Folds with a progress bar.
pub fn fold(
    global: &Global,
    library: &mut Library,
    options: &FoldOptions,
    json: bool,
) -> Result<Folded> {
    let stop = stop_flag("stopping after this segment; press Ctrl-C again to stop at once")?;
    let progress = OptimizeProgress {
        json,
        stop,
        bar: bar(global, json, 0, "images"),
    };
    progress.bar.set_message("linking ");
    let folded = library.optimize(options, &progress);
    progress.bar.finish_and_clear();
    Ok(folded?)
}

/// Shows the progress of folding.
struct OptimizeProgress {
    json: bool,
    stop: Arc<AtomicBool>,
    bar: ProgressBar,
}

impl Progress for OptimizeProgress {
    fn is_cancelled(&self) -> bool {
        self.stop.is_cancelled()
    }

    fn folding(&self, done: usize, of: usize) {
        self.bar.set_length(of as u64);
        self.bar.set_position(done as u64);
    }

    fn note(&self, text: &str) {
        if self.json {
            out!("{}", json!({"event": "note", "text": text}));
        } else {
            self.bar.suspend(|| say!("{text}"));
        }
    }
}
