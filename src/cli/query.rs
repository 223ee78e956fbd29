//! `imgsearch query`.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::Instant;

use imgsearch::decode::Source;
use imgsearch::index::{RankBy, SearchParams, SearchStats, SearchStrategy};
use imgsearch::{Answer, Encoded, Library, Timings};
use serde_json::json;

use super::args::{ByArg, Global, QueryArgs};
use super::filter::filter;
use super::output::{command, count, counted, relative, shown, with_path};
use super::setup::{index_dir, open_options, say_provider};
use super::streams::{self, out, say};
use super::{Outcome, Result, hints, say_error};

/// Runs the command; `started` is when the program started.
pub fn run(global: &Global, args: &QueryArgs, started: Instant) -> Result {
    if args.k == 0 {
        return Err("-k 0 returns nothing: choose at least 1".into());
    }
    let open = open_options(global, args.encoder.as_deref(), Some(&args.limits))?;
    // In parallel, the index is opened and its encoder is read.
    let loading = open.engine.preload();
    let library = Library::open_with(index_dir(global)?, open)?;
    // A missing encoder concerns every query image, so it is not reported with the first.
    library.encoder_file()?;
    let by = match args.by {
        ByArg::Code => RankBy::Code,
        ByArg::Hash => RankBy::Hash,
        ByArg::Both => RankBy::Both,
    };
    let mut params = SearchParams::new(args.k).by(by);
    params.ef = args.ef;
    if args.exact {
        params = params.strategy(SearchStrategy::Exact);
    }
    params.filter = filter(global, &library, &args.filter)?;
    params.radius = args.radius;
    params.expand = if args.no_expand { 0 } else { args.expand };
    let mut noted = false;
    let mut outcome = Outcome::Done;
    let several = args.images.len() > 1;
    for image in &args.images {
        if streams::is_lost() {
            break;
        }
        let encoded = match encode(&library, image) {
            Ok(encoded) => encoded,
            // One bad image does not prevent the answers for the others.
            Err(error) if several => {
                say_error(&error, global.index.as_deref());
                outcome = Outcome::Partial;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(damage) = &encoded.damage {
            say!("{}: {damage}; searching with what is there", shown(image));
        }
        let answer = library.search(&encoded, &params)?;
        if !noted {
            // Not before the first search: opening a view starts the check of large segments, which would delay the
            // start of the encoder.
            for note in library.index_view()?.searcher()?.notes() {
                say!("{}", hints::note(note));
            }
            say_provider(global, library.engine()?);
            noted = true;
        }
        if answer.matches.is_empty() {
            outcome = Outcome::Partial;
        }
        let times = (library.timings(), started);
        print(global, args, image, &answer, times, several);
    }
    drop(loading);
    // The process ends here and frees its memory: dropping the encoder first would take time.
    std::mem::forget(library);
    Ok(outcome)
}

fn encode(library: &Library, image: &Path) -> imgsearch::Result<Encoded> {
    if image == Path::new("-") {
        let name = Path::new("standard input");
        let source = Source::read(io::stdin().lock(), library.limits())
            .map_err(|unread| imgsearch::Error::unread(unread, name))?;
        library.encode_bytes(&source, name)
    } else {
        library.encode_file(image)
    }
}

fn print(
    global: &Global,
    args: &QueryArgs,
    image: &Path,
    Answer {
        matches: found,
        stats: explained,
        ..
    }: &Answer,
    (timings, started): (Timings, Instant),
    several: bool,
) {
    let total_ms = started.elapsed().as_secs_f64() * 1000.0;
    if args.json {
        let results: Vec<_> = found
            .iter()
            .enumerate()
            .map(|(i, found)| {
                let result = json!({
                    "rank": i + 1,
                    "id": found.id,
                    "distance": found.distance,
                    "hamming": found.hamming,
                });
                with_path(result, "path", &found.path)
            })
            .collect();
        let mut line = with_path(json!({"results": results}), "query", image);
        if args.explain {
            line["explained"] = json!(explained);
            line["timings"] = json!(timings);
            line["timings"]["rest_ms"] = json!(total_ms - timings.waited_ms());
            line["timings"]["total_ms"] = json!(total_ms);
        }
        out!("{line}");
    } else if args.print0 || args.paths {
        let end = if args.print0 { b"\0" } else { b"\n" };
        for found in found {
            let path = found.path.as_os_str().as_encoded_bytes();
            streams::bytes(&[path, end].concat());
        }
    } else {
        if several {
            out!("{}", shown(image));
        }
        if explained.images == 0 {
            let index = command(
                global.index.as_deref(),
                &["index", "FOLDER"].map(OsStr::new),
            );
            say!("the index is empty; add images with: {index}");
        } else if explained.allowed == 0 {
            say!(
                "none of the {} matches the filters",
                counted(explained.images, "image", "images")
            );
        } else if found.is_empty() {
            say!("no image is within the radius; choose a larger --radius");
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
    if args.explain && !args.json {
        explain(explained);
        explain_times(&timings, total_ms);
    }
}

/// Prints where the time went.
fn explain_times(timings: &Timings, total_ms: f64) {
    say!("{total_ms:.1} ms since the program started, in milliseconds:");
    let steps = [
        ("opening the index", timings.index_ms),
        ("reading the encoder's file", timings.encoder_ms),
        (
            "loading ONNX Runtime, in parallel with the two steps above",
            timings.runtime_ms,
        ),
        ("waiting for it", timings.runtime_waited_ms),
        ("starting the session", timings.session_ms),
        ("reading the image", timings.read_ms),
        (
            "decoding it, for the first image while the session starts",
            timings.decode_ms,
        ),
        ("encoding it", timings.encode_ms),
        ("opening the view of the index", timings.view_ms),
        ("searching", timings.search_ms),
        ("looking up the paths", timings.paths_ms),
        ("the rest", total_ms - timings.waited_ms()),
    ];
    for (step, ms) in steps {
        say!("  {ms:7.1}  {step}");
    }
}

/// Prints how a search was answered.
fn explain(explained: &SearchStats) {
    say!(
        "{} of {} match the filters; filtering took {:.0} µs, searching {:.0} µs",
        count(explained.allowed as u64),
        counted(explained.images, "image", "images"),
        explained.filter_us,
        explained.search_us
    );
    if explained.fell_back {
        say!("  the graph found too few, so every row was scanned");
    }
    for part in &explained.parts {
        let place = part.segment.as_deref().unwrap_or("newer images");
        let way = match part.ef {
            Some(ef) => format!("graph search with {} candidates", count(ef as u64)),
            None => "exhaustive scan".to_owned(),
        };
        say!(
            "  {place}: {way}, {} of {}",
            counted(part.distances, "distance", "distances"),
            counted(part.rows, "row", "rows")
        );
    }
}
