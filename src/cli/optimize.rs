//! `imgsearch optimize`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use imgsearch::index::{FoldOptions, Folded};
use imgsearch::{Library, Progress};
use indicatif::ProgressBar;
use serde_json::json;

use super::args::{Global, OptimizeArgs};
use super::output::{bar, count, counted, duration};
use super::setup::index_dir;
use super::signals::stop_flag;
use super::streams::{out, say};
use super::{Outcome, Result};

pub fn run(global: &Global, args: &OptimizeArgs) -> Result {
    let mut options = FoldOptions::default();
    options.all = true;
    options.rebuild = args.rebuild;
    let folded = fold(
        global,
        &Library::open(index_dir(global)?)?,
        &options,
        args.json,
    )?;
    if args.json {
        out!("{}", json!({"optimized": folded}));
    } else if !global.quiet {
        if folded.made == 0 {
            say!("nothing to do: every image is in a segment");
        } else {
            say!("{}", told(&folded));
        }
    }
    Ok(if folded.interrupted {
        Outcome::Interrupted
    } else {
        Outcome::Done
    })
}

/// What folding did, in a line.
pub fn told(folded: &Folded) -> String {
    let mut line = format!(
        "{} in {}; {}",
        counted(folded.images, "image", "images"),
        counted(folded.made, "new segment", "new segments"),
        duration(folded.seconds)
    );
    if folded.linked_in > 0 {
        line += &format!(
            " ({} that the graph had cut off were linked in)",
            count(folded.linked_in)
        );
    }
    line
}

/// Folds with a progress bar.
pub fn fold(
    global: &Global,
    library: &Library,
    options: &FoldOptions,
    json: bool,
) -> Result<Folded> {
    let stop = stop_flag("stopping after the segment under way; Ctrl-C again ends at once")?;
    let view = View {
        json,
        stop,
        bar: bar(global, json, 0, "images"),
    };
    view.bar.set_message("linking ");
    let folded = library.optimize(options, &view);
    view.bar.finish_and_clear();
    Ok(folded?)
}

struct View {
    json: bool,
    stop: Arc<AtomicBool>,
    bar: ProgressBar,
}

impl Progress for View {
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
