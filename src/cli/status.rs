//! `imgsearch status`.

use std::ffi::OsStr;

use imgsearch::Library;
use imgsearch::groups::Foreign;
use imgsearch::index::{EncoderRecord, FailureKind, Reader, Run, Stats};
use serde_json::{Value, json};

use super::args::{Global, StatusArgs};
use super::output::{bytes, command, count, counted, moment, shown, with_path, with_paths};
use super::setup::index_place;
use super::streams::{out, say};
use super::{Outcome, Result, foreign, hints, shared};

pub fn run(global: &Global, args: &StatusArgs) -> Result {
    let dir = index_place(global)?;
    let library = Library::open(&dir)?;
    if let Some(status) = library.shared_status()? {
        return shared::status(args, &status);
    }
    let reader = library.index_view()?.to_reader()?;
    if args.damaged {
        return list_damaged(&reader, args.json);
    }
    if args.formats {
        return list_formats(&reader, args.json);
    }
    let status = Status {
        stats: reader.stats()?,
        failures: reader.failures_by_kind()?,
        run: reader.last_run()?,
        unlabelled: reader.unlabelled()?,
        encoder: reader.encoder()?,
        reencoding: library.has_unfinished_reencoding(),
        foreign: library.foreign()?,
    };
    if args.json {
        out!("{}", with_path(status.to_json(), "dir", &dir));
    } else {
        out!("index     {}", shown(&dir));
        status.print(global);
        if let Some(how_much) = status.foreign.filter(Foreign::is_much) {
            out!("foreign   {}", foreign::text(&how_much));
            out!("          {}", foreign::cure(global, &library)?);
        }
    }
    Ok(Outcome::Done)
}

/// Prints the files that cannot be used, or only in part.
fn list_damaged(reader: &Reader, json: bool) -> Result {
    let (damaged, failures) = (reader.damaged()?, reader.failures()?);
    for image in &damaged {
        let damage = image.damage.as_deref().unwrap_or("");
        if json {
            let line = json!({"indexed": true, "reason": image.damage});
            out!("{}", with_path(line, "path", &image.path));
        } else {
            out!("{}: {damage} (indexed in part)", shown(&image.path));
        }
    }
    for failure in &failures {
        if json {
            let line = json!({
                "indexed": false, "kind": failure.kind.name(), "stage": stage(failure.kind),
                "reason": failure.reason,
            });
            out!("{}", with_path(line, "path", &failure.path));
        } else {
            out!("{}: {}", shown(&failure.path), failure.reason);
        }
    }
    if !json && failures.iter().any(|failure| failure.kind.is_over_limit()) {
        say!("{}", hints::LIMITS);
    }
    if damaged.is_empty() && failures.is_empty() && !json {
        say!("no damaged files: every image was decoded completely");
    }
    Ok(Outcome::Done)
}

/// Prints how many images there are of each format, and how many files could not be used.
fn list_formats(reader: &Reader, json: bool) -> Result {
    let (formats, failures) = (reader.format_counts()?, reader.failures_by_extension()?);
    if json {
        let failed = failures
            .iter()
            .map(|(extension, files)| json!({"extension": extension, "files": files}));
        out!(
            "{}",
            json!({"formats": formats, "failed": failed.collect::<Vec<_>>()})
        );
        return Ok(Outcome::Done);
    }
    for of in &formats {
        let damaged = match of.damaged {
            0 => String::new(),
            damaged => format!(", {} in part", count(damaged)),
        };
        out!(
            "{:<10}{}, {}{damaged}",
            of.format,
            counted(to_usize(of.images), "image", "images"),
            bytes(of.bytes)
        );
    }
    for (extension, files) in &failures {
        let name = match extension.as_str() {
            "" => "no extension".to_owned(),
            extension => format!(".{extension}"),
        };
        out!(
            "{name:<10}{} not usable",
            counted(to_usize(*files), "file", "files")
        );
    }
    if formats.is_empty() && failures.is_empty() {
        say!("no images have been indexed yet");
    }
    Ok(Outcome::Done)
}

/// Returns the numbers of files that are used in part and not at all, by what is wrong with them.
fn unusable(damaged: u64, failures: &[(FailureKind, u64)]) -> String {
    let in_part = (damaged > 0).then(|| format!("{} used in part", count(damaged)));
    let kinds = failures
        .iter()
        .map(|(kind, files)| format!("{} {}", count(*files), word(*kind)));
    let parts: Vec<String> = in_part.into_iter().chain(kinds).collect();
    let files = damaged + failures.iter().map(|(_, files)| files).sum::<u64>();
    format!(
        "{} ({})",
        counted(to_usize(files), "file", "files"),
        parts.join(", ")
    )
}

/// Says what is wrong with a file.
fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Read => "cannot be read",
        FailureKind::Unsupported => "of a kind without a decoder",
        FailureKind::Limit => "too large",
        FailureKind::TimedOut { .. } => "too slow",
        FailureKind::Deferred => "not tried yet",
        _ => "damaged",
    }
}

fn failures_json(failures: &[(FailureKind, u64)]) -> Value {
    let named = failures
        .iter()
        .map(|(kind, files)| (kind.name().to_owned(), json!(files)));
    Value::Object(named.collect())
}

/// Returns the step at which a file failed, as versions before `kind` printed it.
fn stage(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Unsupported => "decode",
        FailureKind::TimedOut { .. } => "limit",
        FailureKind::Deferred => "untried",
        kind => kind.name(),
    }
}

/// The content of `imgsearch status`.
struct Status {
    stats: Stats,
    /// Files that could not be used.
    failures: Vec<(FailureKind, u64)>,
    run: Option<Run>,
    /// Images without labels.
    unlabelled: usize,
    encoder: EncoderRecord,
    reencoding: bool,
    /// How much of it the encoder knows little of, if that was measured.
    foreign: Option<Foreign>,
}

impl Status {
    fn to_json(&self) -> Value {
        json!({
            "stats": self.stats,
            "failed": failures_json(&self.failures),
            "encoder": {
                "name": self.encoder.name, "fingerprint": self.encoder.fingerprint,
                "code_length": self.encoder.code_len, "bits": self.encoder.bits,
            },
            "without_labels": self.unlabelled,
            "reencoding_begun": self.reencoding,
            "foreign": self.foreign.as_ref().map(foreign::to_json),
            "last_run": self.run.as_ref().map(run_json),
        })
    }

    fn print(&self, global: &Global) {
        let command = |words: [&str; 2]| command(global.index.as_deref(), &words.map(OsStr::new));
        let (stats, encoder) = (&self.stats, &self.encoder);
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
        if self.unlabelled > 0 {
            out!(
                "labels    missing for {}; words find them less well. To add labels: {}",
                counted(self.unlabelled, "image", "images"),
                command(["index", "--reencode"])
            );
        }
        out!("on disk   {}", disk_use(stats));
        if stats.trash > 0 {
            out!(
                "trash     {}, kept for {} days; to list them: {}",
                counted(to_usize(stats.trash), "removed image", "removed images"),
                imgsearch::index::TRASH_DAYS,
                command(["restore", "--list"])
            );
        }
        if stats.damaged + stats.failed > 0 {
            out!(
                "unusable  {}; to list them: {}",
                unusable(stats.damaged, &self.failures),
                command(["status", "--damaged"])
            );
        }
        if self.reencoding {
            out!(
                "reencode  not finished; to resume it: {}",
                command(["index", "--reencode"])
            );
        }
        if let Some(run) = &self.run {
            let state = match (run.ended, run.completed) {
                (None, _) => "still running, or killed",
                (_, true) => "completed",
                (_, false) => "interrupted",
            };
            out!("last run  {} UTC, {state}", moment(run.started));
            for root in &run.roots {
                out!("          {}", shown(root));
            }
        }
    }
}

/// Returns the bytes that the index takes, and for what.
fn disk_use(stats: &Stats) -> String {
    // Saturating, because another process may change the index between the two counts.
    let of_encoder = stats
        .bytes
        .saturating_sub(stats.database_bytes + stats.segment_bytes);
    let in_segments = if stats.segments > 0 {
        let segments = counted(to_usize(stats.segments), "segment", "segments");
        format!(", {segments} {}", bytes(stats.segment_bytes))
    } else {
        String::new()
    };
    format!(
        "{}: images {}, encoder {}{in_segments}",
        bytes(stats.bytes),
        bytes(stats.database_bytes),
        bytes(of_encoder)
    )
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Returns a run as JSON; its roots need not be valid UTF-8.
fn run_json(run: &Run) -> Value {
    let line = json!({
        "id": run.id, "started": run.started, "ended": run.ended, "completed": run.completed,
        "counts": run.counts,
    });
    with_paths(line, "roots", &run.roots)
}
