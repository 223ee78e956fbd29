//! `imgsearch query`.

use std::ffi::OsStr;
use std::time::Instant;

use imgsearch::documents::Documents;
use imgsearch::index::{Label, RankBy, SearchParams, SearchStats, SearchStrategy};
use imgsearch::{Answer, Library, Match, Timings, class_name};
use serde_json::{Value, json};

use super::args::{ByArg, Global, QueryArgs, fills_output};
use super::colours::{self, Paint};
use super::output::{command, count, counted, relative, shown, with_path};
use super::pictures::Pictures;
use super::question::{self, Asked, Plan};
use super::setup::{index_place, open_options, say_provider};
use super::streams::{self, out, say};
use super::{Outcome, Result, hints, say_error, setup};

/// Runs the command; `started` is when the program started.
pub fn run(global: &Global, args: &QueryArgs, started: Instant) -> Result {
    if args.k == 0 {
        return Err("-k 0 returns nothing: choose at least 1".into());
    }
    let plans = question::plans(args)?;
    let mut pictures = Pictures::new(global, args)?;
    let decodes = plans.iter().any(Plan::needs_encoder);
    let open = open_options(global, args.encoder.as_deref(), Some(&args.limits))?;
    // In parallel, the index is opened and its encoder is read.
    let loading = decodes.then(|| open.engine.preload());
    let library = Library::open_with(index_place(global)?, open)?;
    if decodes {
        // A missing encoder concerns every query image, so it is not reported with the first.
        library.encoder_file()?;
    }
    let params = params(global, &library, args, &plans)?;
    let documents = documents(&library, args, &plans, &params)?;
    let mut noted = false;
    let mut outcome = Outcome::Done;
    let several = plans.len() > 1;
    for plan in &plans {
        if streams::is_lost() {
            break;
        }
        let (asked, mut answer) = match answer(global, &library, plan, &params, &documents) {
            Ok(answered) => answered,
            // One bad image does not prevent the answers for the others.
            Err(error) if several || is_nothing(&*error) => {
                say_error(&*error, global.index.as_deref());
                outcome = Outcome::Partial;
                continue;
            }
            Err(error) => return Err(error),
        };
        if asked.outcome != Outcome::Done {
            outcome = asked.outcome;
        }
        if plan.is_words() {
            answer.forget_similarity();
        }
        if !noted {
            say_notes(global, &library, decodes)?;
            noted = true;
        }
        if answer.matches.is_empty() {
            outcome = Outcome::Partial;
        }
        let answered = Answered {
            plan,
            asked: &asked,
            answer: &answer,
            timings: library.timings(),
            total_ms: started.elapsed().as_secs_f64() * 1000.0,
        };
        print(global, args, &answered, several, |found, by_words| {
            pictures.draw(&library, found, by_words)
        })?;
        pictures.add(&library, plan, &asked, &answer)?;
    }
    drop(loading);
    if pictures.finish()? == Outcome::Partial {
        outcome = Outcome::Partial;
    }
    // The process ends here and frees its memory: dropping the encoder first would take time.
    std::mem::forget(library);
    Ok(outcome)
}

/// Opens the texts that belong to pictures, if words are asked and they may answer.
fn documents(
    library: &Library,
    args: &QueryArgs,
    plans: &[Plan],
    params: &SearchParams,
) -> Result<Option<Documents>> {
    let may_answer = !args.no_documents && params.filter.is_empty() && params.radius.is_none();
    if !may_answer || !plans.iter().any(Plan::is_words) {
        return Ok(None);
    }
    Ok(library.documents()?)
}

/// Encodes a question and returns its answer: by what pictures show and, for words, by what was written about them.
fn answer(
    global: &Global,
    library: &Library,
    plan: &Plan,
    params: &SearchParams,
    documents: &Option<Documents>,
) -> Result<(Asked, Answer)> {
    let shown = plan.ask(global, library).and_then(|asked| {
        let answer = library.ask(&asked.question, params)?;
        Ok((asked, answer))
    });
    let (Some(documents), Some(text)) = (documents, plan.words()) else {
        return shown;
    };
    let merge = |answer| library.merge_documents(documents, text, answer, params.k);
    match shown {
        Ok((asked, answer)) => match merge(Some(answer))? {
            Some(answer) => Ok((asked, answer)),
            None => Err(imgsearch::Error::NothingShown.into()),
        },
        // Texts answer where no image has labels, too.
        Err(error) if is_nothing(&*error) || has_no_labels(&*error) => match merge(None)? {
            Some(answer) => Ok((Asked::of_texts(), answer)),
            None => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Prints what is worth knowing about the index and the device. Not before the first search: opening a view starts the
/// check of large segments, which would delay the start of the encoder.
fn say_notes(global: &Global, library: &Library, decodes: bool) -> Result<()> {
    if library.collection().is_none() {
        for note in library.index_view()?.searcher()?.notes() {
            say!("{}", hints::note(note));
        }
    }
    if decodes {
        say_provider(global, library.engine()?);
    }
    Ok(())
}

/// Returns whether an error says that nothing is found.
fn is_nothing(error: &(dyn std::error::Error + 'static)) -> bool {
    use imgsearch::Error;
    let error = error.downcast_ref();
    matches!(error, Some(Error::UnknownWords(_) | Error::NothingShown))
}

fn has_no_labels(error: &(dyn std::error::Error + 'static)) -> bool {
    use imgsearch::Error;
    matches!(error.downcast_ref(), Some(Error::NoLabels { .. }))
}

/// Returns how the search is done.
fn params(
    global: &Global,
    library: &Library,
    args: &QueryArgs,
    plans: &[Plan],
) -> Result<SearchParams> {
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
    params.filter = setup::filter(global, library, &args.filter.typed())?;
    params.radius = radius(library, args, plans)?;
    params.expand = if args.no_expand { 0 } else { args.expand };
    Ok(params)
}

/// Returns the maximum distance: the smaller one, if both a radius and a similarity limit it.
fn radius(library: &Library, args: &QueryArgs, plans: &[Plan]) -> Result<Option<f32>> {
    let Some(percent) = args.min_similarity else {
        return Ok(args.radius);
    };
    if args.by != ByArg::Both {
        return Err(
            "--min-similarity needs the ranking by both: similarities were measured for that one only".into(),
        );
    }
    if plans.iter().any(Plan::has_no_similarity) {
        return Err(
            "--min-similarity does not go with words, --less or --focus: distances then have no similarity; use --radius".into(),
        );
    }
    let info = library.encoder_file()?.info();
    let Some(map) = &info.similarity else {
        return Err(format!(
            "--min-similarity needs an encoder for which similarities were measured, and {:?} is none: measure them on \
             labelled folders with imgsearch eval FOLDER --calibrate FILE, or use --radius",
            info.name
        )
        .into());
    };
    let Some(furthest) = map.distance(percent / 100.0) else {
        return Err(format!(
            "the encoder {:?} calls no two images {percent} % similar: choose a smaller --min-similarity",
            info.name
        )
        .into());
    };
    Ok(Some(
        args.radius.map_or(furthest, |radius| radius.min(furthest)),
    ))
}

/// What one question led to.
struct Answered<'a> {
    plan: &'a Plan,
    asked: &'a Asked,
    answer: &'a Answer,
    timings: Timings,
    total_ms: f64,
}

/// Prints an answer. `draw` draws the images in place of lines, and returns whether it did.
fn print(
    global: &Global,
    args: &QueryArgs,
    answered: &Answered<'_>,
    several: bool,
    draw: impl FnOnce(&[Match], bool) -> Result<bool>,
) -> Result<()> {
    let found = &answered.answer.matches;
    if args.json {
        print_json(args, answered);
    } else if args.print0 || args.paths {
        let end = if args.print0 { b"\0" } else { b"\n" };
        for found in found {
            let path = found.path.as_os_str().as_encoded_bytes();
            streams::bytes(&[path, end].concat());
        }
    } else {
        let by_words = answered.plan.is_words();
        let fills_output = fills_output(args.html.as_deref());
        if several && !fills_output {
            out!("{}", answered.plan.heading());
        }
        say_why_nothing(global, args, answered.answer);
        if !fills_output && !draw(found, by_words)? {
            print_matches(found, by_words);
        }
        if answered.answer.resembles == Some(false) && !global.quiet {
            say_unlike(found);
        }
        if several && !fills_output {
            out!();
        }
    }
    if args.explain && !args.json {
        explain(&answered.answer.stats);
        explain_times(&answered.timings, answered.total_ms);
    }
    Ok(())
}

fn print_json(args: &QueryArgs, answered: &Answered<'_>) {
    let Answer {
        matches,
        resembles,
        stats,
        ..
    } = answered.answer;
    let results: Vec<_> = matches
        .iter()
        .enumerate()
        .map(|(i, found)| {
            let mut result = json!({
                "rank": i + 1,
                "id": found.id,
                "distance": found.distance,
                "hamming": found.hamming,
            });
            if let Some(similarity) = found.similarity {
                result["similarity"] = json!(similarity);
            }
            if found.by_text {
                result["by_text"] = json!(true);
            }
            if !found.labels.is_empty() {
                result["labels"] = found.labels.iter().map(label).collect();
            }
            with_path(result, "path", &found.path)
        })
        .collect();
    let results = json!({ "results": results });
    let mut line = answered.plan.describe(answered.asked, results);
    if let Some(resembles) = resembles {
        line["resembles"] = json!(resembles);
    }
    if args.explain {
        line["explained"] = json!(stats);
        line["timings"] = json!(answered.timings);
        line["timings"]["rest_ms"] = json!(answered.total_ms - answered.timings.waited_ms());
        line["timings"]["total_ms"] = json!(answered.total_ms);
    }
    out!("{line}");
}

/// Returns a label as JSON.
fn label(label: &Label) -> Value {
    json!({"name": class_name(label.class), "class": label.class, "probability": label.probability})
}

/// Says why there are no results, if there are none.
fn say_why_nothing(global: &Global, args: &QueryArgs, answer: &Answer) {
    let stats = &answer.stats;
    if stats.images == 0 {
        let index = command(
            global.index.as_deref(),
            &["index", "FOLDER"].map(OsStr::new),
        );
        say!("the index is empty; add images with: {index}");
    } else if stats.allowed == 0 {
        say!(
            "none of the {} matches the filters",
            counted(stats.images, "image", "images")
        );
    } else if answer.matches.is_empty() {
        match (args.min_similarity, args.radius) {
            (Some(_), Some(_)) => say!(
                "no image is so similar and within the radius; choose a smaller --min-similarity or a larger --radius"
            ),
            (Some(_), None) => {
                say!("no image is so similar; choose a smaller --min-similarity");
            }
            _ => say!("no image is within the radius; choose a larger --radius"),
        }
    }
}

/// Returns how near an image is, or for words, what it most likely shows.
pub(super) fn nearness(found: &Match, by_words: bool) -> String {
    if found.by_text {
        return "from its text".to_owned();
    }
    match (found.similarity, found.labels.first()) {
        (Some(similarity), _) => percents(similarity),
        (None, Some(label)) if by_words => {
            let name = class_name(label.class).unwrap_or_default();
            format!("{name} {}", percents(label.probability))
        }
        _ => format!("{:.4}", found.distance),
    }
}

/// Prints what was found.
fn print_matches(found: &[Match], by_words: bool) {
    let rank_width = found.len().to_string().len();
    let width = found.iter().map(|found| nearness(found, by_words).len());
    let width = width.max().unwrap_or(0);
    for (i, found) in found.iter().enumerate() {
        let nearness = format!("{:>width$}", nearness(found, by_words));
        out!(
            "{:>rank_width$}  {}  {}",
            i + 1,
            colours::result(Paint::Nearness, &nearness),
            colours::result(Paint::Path, &shown(&relative(&found.path)))
        );
    }
}

/// Says that the collection has nothing like the query.
fn say_unlike(found: &[Match]) {
    let similarity = found.first().and_then(|found| found.similarity);
    let nearest = similarity.map_or_else(String::new, |similarity| {
        format!("; the nearest is {} alike", percents(similarity))
    });
    say!(
        "nothing here looks like it{nearest} (1 of 20 images of this collection would be judged so by mistake)"
    );
}

/// Returns a similarity as a person reads it, such as `97 %`. 100 % is for the image itself and its exact copies.
pub(super) fn percents(similarity: f32) -> String {
    let most = if similarity < 1.0 { 99.0 } else { 100.0 };
    format!("{:.0} %", (similarity * 100.0).min(most))
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
