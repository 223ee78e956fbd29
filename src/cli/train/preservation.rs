//! Prints how good a head is, for people.

use imgsearch::train::Trained;

use crate::cli::output::count;
use crate::cli::streams::out;

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Prints how many copies are recognised.
pub fn print_recognised(trained: &Trained) {
    out!(
        "altered copies of {} held-out images whose nearest image is their original:\n  by code {}, by hash {}, by both \
         {}",
        count(trained.held_out as u64),
        percent(trained.after.code),
        percent(trained.after.hash),
        percent(trained.after.both)
    );
}

/// Prints how many neighbours are kept, before and after.
pub fn print_preservation(trained: &Trained) {
    out!(
        "neighbours kept, of the {} nearest by features to each of {} held-out images:",
        trained.neighbours,
        count(trained.held_out as u64)
    );
    out!("            code      hash      both");
    let rows = [("before", trained.before), ("after", Some(trained.after))];
    for (name, kept) in rows {
        if let Some(kept) = kept {
            out!(
                "  {name:<6}  {:>6}    {:>6}    {:>6}",
                percent(kept.code),
                percent(kept.hash),
                percent(kept.both)
            );
        }
    }
}
