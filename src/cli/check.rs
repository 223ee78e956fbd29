//! `imgsearch check`.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::Path;

use imgsearch::Library;
use imgsearch::index::{Checked, FoldOptions, Index, RECALL_FLOOR, RankBy};
use serde_json::json;

use super::args::{CheckArgs, Global};
use super::optimize;
use super::output::{bar, command, count, counted};
use super::setup::index_place;
use super::streams::out;
use super::{Outcome, Result, shared};

pub fn run(global: &Global, args: &CheckArgs) -> Result {
    let mut library = Library::open(index_place(global)?)?;
    if let Some(collection) = library.collection() {
        return shared::check(args, collection);
    }
    let checked = check(global, library.index_view()?, args.json)?;
    let encoder = library.check_encoder_copy()?;
    let sound = checked.is_sound() && encoder.is_none();
    let mut repaired = None;
    // Nothing is rebuilt from a damaged database.
    if !sound && args.repair && checked.database.is_empty() {
        let mended = library.repair_codes()?;
        let mut options = FoldOptions::default();
        options.all = true;
        // A checksum shows which segments to rebuild; a lost image or a wrong row does not.
        options.rebuild = !checked.segments_are_sound();
        let folded = optimize::fold(global, &mut library, &options, args.json)?;
        library.repair_encoder_copy()?;
        let again = check(global, library.index_view()?, args.json)?;
        repaired = Some((mended, folded, again, library.check_encoder_copy()?));
    }
    if args.json {
        out!(
            "{}",
            json!({
                "checked": checked,
                "encoder": encoder,
                "mended": repaired.as_ref().map(|(mended, ..)| mended),
                "repaired": repaired.as_ref().map(|(_, folded, ..)| folded),
                "checked_again": repaired.as_ref().map(|(_, _, again, _)| again),
                "encoder_again": repaired.as_ref().map(|(.., encoder)| encoder),
            })
        );
    } else {
        let index = global.index.as_deref();
        print(&checked, encoder.as_deref(), index);
        if let Some((mended, folded, again, encoder)) = &repaired {
            if mended.restored > 0 {
                out!(
                    "repaired: {} restored from a segment",
                    counted(mended.restored, "stored code was", "stored codes were")
                );
            }
            if folded.made > 0 {
                out!("repaired: {}", optimize::summary_line(folded));
            }
            print(again, encoder.as_deref(), index);
        } else if !checked.database.is_empty() {
            out!(
                "the database is damaged, so nothing can be repaired from it: move the index folder away, then restore it \
                 from a copy or index the images again"
            );
        } else if !sound {
            out!(
                "no image is lost, because the database holds all of them; searches do not use damaged segments any more, \
                 but earlier answers may be wrong.\nTo repair the index: {}",
                command(index, &["check", "--repair"].map(OsStr::new))
            );
        }
    }
    let sound = repaired.map_or(sound, |(_, _, again, encoder)| {
        again.is_sound() && encoder.is_none()
    });
    Ok(if sound {
        Outcome::Done
    } else {
        Outcome::Partial
    })
}

fn check(global: &Global, index: &Index, json: bool) -> Result<Checked> {
    let of = index.to_reader()?.stats()?.images;
    let bar = bar(global, json, of, "images");
    bar.set_message("searching for each ");
    let checked = index.check(&mut |step| {
        bar.set_position(step.done as u64);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    Ok(checked?)
}

fn print(checked: &Checked, encoder: Option<&str>, index: Option<&Path>) {
    out!(
        "{}: {} in {}, {} newer, {} removed and not yet folded",
        counted(checked.images, "image", "images"),
        count(checked.in_segments as u64),
        counted(checked.segments, "segment", "segments"),
        count(checked.newer as u64),
        count(checked.removed as u64)
    );
    for line in &checked.database {
        out!("the database: {line}");
    }
    if checked.rotten > 0 {
        let some: Vec<String> = checked
            .rotten_images
            .iter()
            .map(ToString::to_string)
            .collect();
        out!(
            "{}; images: {}",
            counted(
                checked.rotten,
                "stored code does not match its checksum",
                "stored codes do not match their checksums"
            ),
            some.join(", ")
        );
    }
    if checked.waiting > 0 {
        out!(
            "{} to be read again, because their stored codes are lost; run: {}",
            counted(checked.waiting, "image has", "images have"),
            command(index, &[OsStr::new("index")])
        );
    }
    for damaged in &checked.damaged {
        out!("{damaged}");
    }
    if let Some(encoder) = encoder {
        out!(
            "{encoder}; to restore it: {}",
            command(index, &["index", "--encoder", "FILE"].map(OsStr::new))
        );
    }
    if checked.lost > 0 {
        let some: Vec<String> = checked
            .lost_images
            .iter()
            .map(ToString::to_string)
            .collect();
        out!(
            "a graph search for its own code does not find {}: {}{}",
            counted(checked.lost, "image", "images"),
            some.join(", "),
            if checked.lost > some.len() {
                ", …"
            } else {
                ""
            }
        );
    }
    print_rankings(checked);
    if checked.is_sound() && encoder.is_none() {
        out!("no problem found");
    }
}

/// Prints how much of the right answers graph searches find.
fn print_rankings(checked: &Checked) {
    for ranking in &checked.rankings {
        out!(
            "ranked by {}: a graph search finds {:.2} % of the 10 nearest of {}, and {:.2} % with a filter that leaves out \
             what is near{}",
            name(ranking.by),
            ranking.recall * 100.0,
            counted(checked.sampled, "image", "images"),
            ranking.recall_other_side * 100.0,
            if ranking.is_sound() {
                String::new()
            } else {
                format!(
                    ": too low, at least {:.0} % are expected",
                    RECALL_FLOOR * 100.0
                )
            }
        );
    }
}

/// Returns the name of a ranking as in the options of `query`.
fn name(by: RankBy) -> &'static str {
    match by {
        RankBy::Code => "code",
        RankBy::Hash => "hash",
        _ => "code and hash (the default)",
    }
}
