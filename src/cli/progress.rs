//! Shows the progress of training and evaluation, as bars, lines or JSON events.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use imgsearch::Progress;
use imgsearch::training::autoencoder::Epoch;
use imgsearch::training::head::EpochReport;
use indicatif::ProgressBar;
use serde_json::json;

use super::args::Global;
use super::output::{bar, shown, with_path};
use super::streams::{out, say};

/// What a [`CommandProgress`] shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Training of a head.
    Head,
    /// Training of an autoencoder.
    Autoencoder,
    /// Training of a decoder alone.
    Decoder,
    /// Training on documents.
    Documents,
    /// Training of a network that restores pictures.
    Restorer,
    /// Evaluation on labelled images.
    Evaluation,
    /// Evaluation on edited copies.
    Copies,
    /// Groups, outliers or a map.
    Groups,
}

impl Task {
    /// The unit of the bar of encoded images.
    fn unit(self) -> &'static str {
        match self {
            Self::Copies => "images edited",
            _ => "images",
        }
    }

    /// Whether failed images are JSON events. An evaluation prints one object, which holds no events.
    fn has_events(self) -> bool {
        !matches!(
            self,
            Self::Evaluation | Self::Copies | Self::Documents | Self::Groups
        )
    }
}

/// Shows the progress of one task.
pub struct CommandProgress<'a> {
    task: Task,
    global: &'a Global,
    json: bool,
    stop: &'a AtomicBool,
    encoding: OnceLock<ProgressBar>,
    epochs: OnceLock<ProgressBar>,
    scoring: OnceLock<ProgressBar>,
}

impl<'a> CommandProgress<'a> {
    /// Returns the progress of a task that `stop` cancels.
    pub fn new(task: Task, global: &'a Global, json: bool, stop: &'a AtomicBool) -> Self {
        Self {
            task,
            global,
            json,
            stop,
            encoding: OnceLock::new(),
            epochs: OnceLock::new(),
            scoring: OnceLock::new(),
        }
    }

    /// Removes the bars.
    pub fn finish(&self) {
        for bar in [&self.encoding, &self.epochs, &self.scoring] {
            finish(bar);
        }
    }

    /// Returns the bar of epochs at this one.
    fn epoch_bar(&self, epoch: usize, of: usize) -> &ProgressBar {
        finish(&self.encoding);
        let unit = match self.task {
            Task::Decoder => "decoder epochs",
            _ => "epochs",
        };
        let bar = self
            .epochs
            .get_or_init(|| bar(self.global, self.json, of as u64, unit));
        bar.set_position(epoch as u64);
        bar
    }

    /// Returns whether lines take the place of a bar.
    fn prints_lines(&self, bar: &ProgressBar) -> bool {
        bar.is_hidden() && !self.global.quiet
    }
}

fn finish(bar: &OnceLock<ProgressBar>) {
    if let Some(bar) = bar.get() {
        bar.finish_and_clear();
    }
}

impl Progress for CommandProgress<'_> {
    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn encoded(&self, done: usize, of: usize) {
        let bar = self
            .encoding
            .get_or_init(|| bar(self.global, self.json, of as u64, self.task.unit()));
        bar.set_position(done as u64);
        if self.json && self.task == Task::Head {
            out!("{}", json!({"event": "extracted", "done": done, "of": of}));
        }
    }

    fn unusable(&self, path: &Path, reason: &str) {
        if self.json && self.task.has_events() {
            let event = json!({"event": "failed", "reason": reason});
            out!("{}", with_path(event, "path", path));
            return;
        }
        let print = || say!("{}: {reason}", shown(path));
        match self.encoding.get() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn epoch(&self, report: &EpochReport) {
        if self.json {
            out!("{}", json!({"event": "epoch", "report": report}));
            return;
        }
        let bar = self.epoch_bar(report.epoch, report.of);
        bar.set_message(format!("loss {:.4} ", report.loss));
        if self.prints_lines(bar) {
            let terms = [
                ("neighbourhood", report.neighbourhood),
                ("contrast", report.contrast),
                ("reconstruction", report.reconstruction),
            ];
            let terms = terms.iter().filter(|(_, value)| *value != 0.0);
            let terms: Vec<String> = terms
                .map(|(name, value)| format!("{name} {value:.4}"))
                .collect();
            say!(
                "epoch {:>3} of {}: loss {:.4} ({})",
                report.epoch,
                report.of,
                report.loss,
                terms.join(", ")
            );
        }
    }

    fn autoencoder_epoch(&self, epoch: &Epoch) {
        let is_decoder = self.task == Task::Decoder;
        if self.json && self.task == Task::Documents {
            return;
        }
        if self.json {
            let event = if is_decoder { "decoder" } else { "epoch" };
            out!("{}", json!({"event": event, "report": epoch}));
            return;
        }
        let bar = self.epoch_bar(epoch.epoch, epoch.of);
        let (number, of, held_out) = (epoch.epoch, epoch.of, epoch.held_out);
        if is_decoder {
            bar.set_message(format!("squared error {held_out:.2} "));
            if self.prints_lines(bar) {
                let loss = epoch.loss;
                say!(
                    "decoder, epoch {number:>3} of {of}: squared error {loss:.3}, held out {held_out:.3}"
                );
            }
            return;
        }
        let rate = epoch.rate;
        let unit = match self.task {
            Task::Documents => "documents",
            _ => "images",
        };
        bar.set_message(format!("held out {held_out:.4}, {rate:.0} {unit}/s "));
        if self.prints_lines(bar) {
            let terms = epoch.terms.iter();
            let terms: String = terms
                .map(|(name, value)| format!(", {name} {value:.4}"))
                .collect();
            say!(
                "epoch {number:>3} of {of}: reconstruction {:.4}{terms}, held out {held_out:.4}; {rate:.0} {unit}/s",
                epoch.reconstruction,
            );
        }
    }

    fn note(&self, text: &str) {
        if self.task == Task::Groups {
            let print = || say!("{text}");
            match self.epochs.get().or(self.encoding.get()) {
                Some(bar) => bar.suspend(print),
                None => print(),
            }
        }
    }

    fn compared(&self, done: usize, of: usize) {
        let bar = self
            .encoding
            .get_or_init(|| bar(self.global, self.json, of as u64, "images"));
        bar.set_message("comparing ");
        bar.set_position(done as u64);
    }

    fn placed(&self, done: usize, of: usize) {
        finish(&self.encoding);
        let bar = self
            .epochs
            .get_or_init(|| bar(self.global, self.json, of as u64, "rounds"));
        bar.set_message("placing ");
        bar.set_position(done as u64);
    }

    fn scoring(&self, representation: &str) {
        finish(&self.encoding);
        let bar = self
            .scoring
            .get_or_init(|| bar(self.global, self.json, 0, ""));
        bar.set_message(format!("scoring {representation}"));
    }
}
