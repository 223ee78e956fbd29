//! `imgsearch status`.

use std::io::{self, Write as _};

use imgsearch::index::Index;
use serde_json::json;

use super::args::{Global, StatusArgs};
use super::output::{bytes, count, counted, moment, shown};
use super::setup::index_dir;
use super::{Outcome, Result};

pub fn run(global: &Global, args: &StatusArgs) -> Result {
    let dir = index_dir(global)?;
    let index = Index::open(&dir)?;
    let reader = index.to_reader()?;
    let mut out = io::stdout().lock();
    if args.damaged {
        let (damaged, failures) = (reader.damaged()?, reader.failures()?);
        if args.json {
            for image in &damaged {
                let line = json!({"path": image.path.to_string_lossy(), "indexed": true, "reason": image.damage});
                writeln!(out, "{line}")?;
            }
            for failure in &failures {
                let path = failure.path.to_string_lossy();
                let line = json!({"path": path, "indexed": false, "stage": failure.stage, "reason": failure.reason});
                writeln!(out, "{line}")?;
            }
            return Ok(Outcome::Done);
        }
        for image in &damaged {
            let damage = image.damage.as_deref().unwrap_or("");
            writeln!(
                out,
                "{}: {damage} (indexed as far as it goes)",
                shown(&image.path)
            )?;
        }
        for failure in &failures {
            writeln!(out, "{}: {}", shown(&failure.path), failure.reason)?;
        }
        if damaged.is_empty() && failures.is_empty() {
            eprintln!("every file could be read and decoded whole");
        }
        return Ok(Outcome::Done);
    }

    let begun = imgsearch::Library::reencoding_begun(&dir);
    let (stats, run, encoder) = (reader.stats()?, reader.last_run()?, index.encoder());
    if args.json {
        let line = json!({
            "dir": dir.to_string_lossy(),
            "stats": stats,
            "encoder": {
                "name": encoder.name, "fingerprint": encoder.fingerprint,
                "code_length": encoder.code_len, "bits": encoder.bits,
            },
            "reencoding_begun": begun,
            "last_run": run,
        });
        writeln!(out, "{line}")?;
        return Ok(Outcome::Done);
    }
    writeln!(out, "index     {}", shown(&dir))?;
    write!(out, "images    {}", count(stats.images))?;
    if stats.contents < stats.images {
        write!(out, " ({} distinct)", count(stats.contents))?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "encoder   {} ({} numbers, {} bits, {})",
        encoder.name, encoder.code_len, encoder.bits, encoder.fingerprint
    )?;
    write!(
        out,
        "on disk   {}: {} of images, {} of encoder",
        bytes(stats.bytes),
        bytes(stats.database_bytes),
        bytes(stats.bytes - stats.database_bytes - stats.segment_bytes)
    )?;
    if stats.segments > 0 {
        write!(
            out,
            ", {} of {}",
            bytes(stats.segment_bytes),
            counted(
                usize::try_from(stats.segments).unwrap_or(usize::MAX),
                "segment",
                "segments"
            )
        )?;
    }
    writeln!(out)?;
    if stats.trash > 0 {
        writeln!(
            out,
            "trash     {}, kept for {} days; imgsearch restore --list shows what can be brought back",
            counted(
                usize::try_from(stats.trash).unwrap_or(usize::MAX),
                "removed image",
                "removed images"
            ),
            imgsearch::index::TRASH_DAYS
        )?;
    }
    let unusable = stats.damaged + stats.failed;
    if unusable > 0 {
        writeln!(
            out,
            "damaged   {}; imgsearch status --damaged lists them",
            counted(
                usize::try_from(unusable).unwrap_or(usize::MAX),
                "file",
                "files"
            )
        )?;
    }
    if begun {
        writeln!(
            out,
            "reencode  begun and not complete: imgsearch index --reencode goes on"
        )?;
    }
    if let Some(run) = run {
        let state = match (run.ended, run.completed) {
            (None, _) => "not ended: it goes on, or was killed",
            (_, true) => "completed",
            (_, false) => "interrupted",
        };
        writeln!(out, "last run  {} UTC, {state}", moment(run.started))?;
        for root in &run.roots {
            writeln!(out, "          {}", shown(root))?;
        }
    }
    Ok(Outcome::Done)
}
