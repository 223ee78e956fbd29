//! `imgsearch status`.

use imgsearch::Library;
use imgsearch::index::Run;
use serde_json::{Value, json};

use super::args::{Global, StatusArgs};
use super::output::{bytes, count, counted, moment, shown, with_path, with_paths};
use super::setup::index_dir;
use super::streams::{out, say};
use super::{Outcome, Result};

pub fn run(global: &Global, args: &StatusArgs) -> Result {
    let dir = index_dir(global)?;
    let library = Library::open(&dir)?;
    let index = library.index_view()?;
    let reader = index.to_reader()?;
    if args.damaged {
        let (damaged, failures) = (reader.damaged()?, reader.failures()?);
        if args.json {
            for image in &damaged {
                let line = json!({"indexed": true, "reason": image.damage});
                out!("{}", with_path(line, "path", &image.path));
            }
            for failure in &failures {
                let line =
                    json!({"indexed": false, "stage": failure.stage, "reason": failure.reason});
                out!("{}", with_path(line, "path", &failure.path));
            }
            return Ok(Outcome::Done);
        }
        for image in &damaged {
            let damage = image.damage.as_deref().unwrap_or("");
            out!(
                "{}: {damage} (indexed as far as it goes)",
                shown(&image.path)
            );
        }
        for failure in &failures {
            out!("{}: {}", shown(&failure.path), failure.reason);
        }
        if damaged.is_empty() && failures.is_empty() {
            say!("every file could be read and decoded whole");
        }
        return Ok(Outcome::Done);
    }

    let begun = library.has_unfinished_reencoding();
    let (stats, run, encoder) = (reader.stats()?, reader.last_run()?, index.encoder());
    if args.json {
        let line = json!({
            "stats": stats,
            "encoder": {
                "name": encoder.name, "fingerprint": encoder.fingerprint,
                "code_length": encoder.code_len, "bits": encoder.bits,
            },
            "reencoding_begun": begun,
            "last_run": run.as_ref().map(run_json),
        });
        out!("{}", with_path(line, "dir", &dir));
        return Ok(Outcome::Done);
    }
    out!("index     {}", shown(&dir));
    let distinct = if stats.contents < stats.images {
        format!(" ({} distinct)", count(stats.contents))
    } else {
        String::new()
    };
    out!("images    {}{distinct}", count(stats.images));
    out!(
        "encoder   {} ({} numbers, {} bits, {})",
        encoder.name,
        encoder.code_len,
        encoder.bits,
        encoder.fingerprint
    );
    // A run beside this one may have changed one of the numbers.
    let of_encoder = stats
        .bytes
        .saturating_sub(stats.database_bytes + stats.segment_bytes);
    let in_segments = if stats.segments > 0 {
        format!(
            ", {} of {}",
            bytes(stats.segment_bytes),
            counted(
                usize::try_from(stats.segments).unwrap_or(usize::MAX),
                "segment",
                "segments"
            )
        )
    } else {
        String::new()
    };
    out!(
        "on disk   {}: {} of images, {} of encoder{in_segments}",
        bytes(stats.bytes),
        bytes(stats.database_bytes),
        bytes(of_encoder)
    );
    if stats.trash > 0 {
        out!(
            "trash     {}, kept for {} days; imgsearch restore --list shows what can be brought back",
            counted(
                usize::try_from(stats.trash).unwrap_or(usize::MAX),
                "removed image",
                "removed images"
            ),
            imgsearch::index::TRASH_DAYS
        );
    }
    let unusable = stats.damaged + stats.failed;
    if unusable > 0 {
        out!(
            "damaged   {}; imgsearch status --damaged lists them",
            counted(
                usize::try_from(unusable).unwrap_or(usize::MAX),
                "file",
                "files"
            )
        );
    }
    if begun {
        out!("reencode  begun and not complete: imgsearch index --reencode goes on");
    }
    if let Some(run) = run {
        let state = match (run.ended, run.completed) {
            (None, _) => "not ended: it goes on, or was killed",
            (_, true) => "completed",
            (_, false) => "interrupted",
        };
        out!("last run  {} UTC, {state}", moment(run.started));
        for root in &run.roots {
            out!("          {}", shown(root));
        }
    }
    Ok(Outcome::Done)
}

/// A run as JSON; its roots need not be text.
fn run_json(run: &Run) -> Value {
    let told = json!({
        "id": run.id, "started": run.started, "ended": run.ended, "completed": run.completed,
        "counts": run.counts,
    });
    with_paths(told, "roots", &run.roots)
}
