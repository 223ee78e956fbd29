//! `imgsearch check`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use imgsearch::Library;
use imgsearch::index::{Checked, FoldOptions, Index, RECALL_FLOOR, RankBy};
use serde_json::json;

use super::args::{CheckArgs, Global};
use super::optimize;
use super::output::{bar, count, counted};
use super::setup::index_dir;
use super::streams::out;
use super::{Outcome, Result};

pub fn run(global: &Global, args: &CheckArgs) -> Result {
    let library = Library::open(index_dir(global)?)?;
    let index = library.index_view()?;
    let checked = look(global, index, args.json)?;
    let encoder = library.check_encoder_copy()?;
    let sound = checked.is_sound() && encoder.is_none();
    let mut repaired = None;
    // Nothing is made from a database whose file is damaged.
    if !sound && args.repair && checked.database.is_empty() {
        let mended = library.repair_codes()?;
        let mut options = FoldOptions::default();
        options.all = true;
        // A checksum tells which segments to make anew; a lost image or a wrong row does not.
        options.rebuild = !checked.segments_are_sound();
        let folded = optimize::fold(global, &library, &options, args.json)?;
        library.repair_encoder_copy()?;
        let again = look(global, index, args.json)?;
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
        print(&checked, encoder.as_deref());
        if let Some((mended, folded, again, encoder)) = &repaired {
            if mended.restored > 0 {
                out!(
                    "repaired: {} came back from a segment",
                    counted(mended.restored, "stored code", "stored codes")
                );
            }
            if folded.made > 0 {
                out!("repaired: {}", optimize::told(folded));
            }
            print(again, encoder.as_deref());
        } else if !checked.database.is_empty() {
            out!(
                "the database's file is damaged, so nothing is repaired from it: move the index folder away, restore it \
                 from a copy or index the images again"
            );
        } else if !sound {
            out!(
                "the database holds every image, and a segment is not used once it is known to be damaged; only answers \
                 given before that may be wrong.\nRepair it with: imgsearch check --repair"
            );
        }
    }
    let sound = repaired.map_or(sound, |(_, _, again, encoder)| {
        again.is_sound() && encoder.is_none()
    });
    Ok(if sound {
        Outcome::Done
    } else {
        Outcome::Lacking
    })
}

fn look(global: &Global, index: &Index, json: bool) -> Result<Checked> {
    let of = index.to_reader()?.stats()?.images;
    let bar = bar(global, json, of, "images");
    bar.set_message("looking for each ");
    let done = AtomicUsize::new(0);
    let checked = std::thread::scope(|scope| {
        let checking = scope.spawn(|| index.check(&done));
        while !checking.is_finished() {
            bar.set_position(done.load(Ordering::Relaxed) as u64);
            std::thread::sleep(Duration::from_millis(20));
        }
        checking
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    bar.finish_and_clear();
    Ok(checked?)
}

fn print(checked: &Checked, encoder: Option<&str>) {
    out!(
        "{}: {} in {}, {} newer, {} removed and not folded away yet",
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
            "{} not as stored, by their checksums; images: {}",
            counted(checked.rotten, "stored code is", "stored codes are"),
            some.join(", ")
        );
    }
    if checked.waiting > 0 {
        out!(
            "{} wait to be read again, for their stored codes are lost: run imgsearch index",
            counted(checked.waiting, "image", "images")
        );
    }
    for damaged in &checked.damaged {
        out!("{damaged}");
    }
    if let Some(encoder) = encoder {
        out!("{encoder}; put it back with: imgsearch index --encoder FILE");
    }
    if checked.lost > 0 {
        let some: Vec<String> = checked
            .lost_images
            .iter()
            .map(ToString::to_string)
            .collect();
        out!(
            "{} not found along the graph by their own codes: {}{}",
            counted(checked.lost, "image is", "images are"),
            some.join(", "),
            if checked.lost > some.len() {
                ", …"
            } else {
                ""
            }
        );
    }
    for ranking in &checked.rankings {
        out!(
            "ranked by {}: of the 10 nearest of {} a search along the graph finds {:.2} %, and with a filter that leaves out \
             what is near {:.2} %{}",
            name(ranking.by),
            counted(checked.sampled, "image", "images"),
            ranking.recall * 100.0,
            ranking.recall_other_side * 100.0,
            if ranking.is_sound() {
                String::new()
            } else {
                format!(
                    ": too few, at least {:.0} % are expected",
                    RECALL_FLOOR * 100.0
                )
            }
        );
    }
    if checked.is_sound() && encoder.is_none() {
        out!("all is well");
    }
}

/// A ranking as the options of `query` name it.
fn name(by: RankBy) -> &'static str {
    match by {
        RankBy::Code => "code",
        RankBy::Hash => "hash",
        _ => "code and hash (the default)",
    }
}
