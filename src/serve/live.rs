//! The state of the index, and how it changes: `GET /status` and `GET /events`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use imgsearch::{Error, Library};
use tokio::sync::watch;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::WatchStream;

use super::app::App;
use super::describe::{EncoderSummary, Indexing, Status, StatusEvent};
use super::problem::{Problem, Result};
use super::work;

/// How often the index is looked at while somebody listens.
const EVERY: Duration = Duration::from_secs(1);

/// The state of the index.
#[utoipa::path(get, path = "/status", responses(
    (status = 200, body = Status),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn status(State(app): State<Arc<App>>) -> Result<Json<Status>> {
    current(&app).await.map(Json)
}

/// Returns the state of the index. That there is none yet is a state, too.
pub async fn current(app: &Arc<App>) -> Result<Status> {
    let looked = work::with_library(app, |app, library| {
        look(app, library).map_err(|error| app.problem(&error))
    })
    .await;
    match looked {
        Err(problem) if problem.status() == axum::http::StatusCode::SERVICE_UNAVAILABLE => {
            Ok(nothing(app))
        }
        looked => looked,
    }
}

fn look(app: &App, library: &Library) -> Result<Status, Error> {
    let reader = library.index_view()?.to_reader()?;
    let images = reader.count()?;
    let record = reader.encoder()?;
    let has_labels = reader.holds_labels()?;
    let info = library.encoder_file().ok().map(|file| file.info());
    let words = match info {
        Some(info) if info.text_tower.is_some() => Some("tower"),
        _ if has_labels => Some("labels"),
        Some(info) if info.classes.is_some() => Some("directions"),
        _ => None,
    };
    Ok(Status {
        images,
        generation: reader.generation()?,
        empty: images == 0,
        encoder: Some(EncoderSummary {
            name: record.name,
            fingerprint: record.fingerprint,
            code_len: record.code_len,
            bits: record.bits,
        }),
        has_labels,
        words,
        indexing: reader.running()?.map(|holder| Indexing {
            pid: holder.pid,
            command: holder.command,
            since: holder.since,
        }),
        last_run: reader.last_run()?.map(Into::into),
        failed: reader.failures()?.len(),
        ..nothing(app)
    })
}

/// Returns the state of an index that does not exist yet.
fn nothing(app: &App) -> Status {
    Status {
        version: env!("CARGO_PKG_VERSION"),
        index: app.dir.to_string_lossy().into_owned(),
        images: 0,
        generation: 0,
        empty: true,
        encoder: None,
        has_labels: false,
        words: None,
        local: app.local,
        indexing: None,
        last_run: None,
        failed: 0,
    }
}

/// The state of the index as server-sent events, whenever it changes.
#[utoipa::path(get, path = "/events", responses(
    (status = 200, content_type = "text/event-stream", body = StatusEvent),
))]
pub async fn events(
    State(app): State<Arc<App>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = WatchStream::new(app.watched()).filter_map(|status| {
        let event = Event::default().event("status").json_data(status?).ok()?;
        Some(Ok(event))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

/// Looks at the index while somebody listens, and tells all of them what changed. When the server stops, the streams of
/// those who listen end, or it would wait for them.
pub async fn watch_index(
    app: Arc<App>,
    sender: watch::Sender<Option<Status>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        // Nobody listens, so nobody need look.
        if sender.receiver_count() <= 1 {
            continue;
        }
        let change = work::with_library(&app, |app, library| {
            pulse(library).map_err(|error| app.problem(&error))
        });
        let change = change.await.ok();
        if change.is_some() && change == seen {
            continue;
        }
        seen = change;
        let status = current(&app).await.ok();
        sender.send_if_modified(|last| {
            let is_new = *last != status;
            if is_new {
                *last = status;
            }
            is_new
        });
    }
}

/// Returns what changes with each commit and with each run, and is cheap to read.
fn pulse(library: &Library) -> Result<(i64, bool), Error> {
    let reader = library.index_view()?.to_reader()?;
    Ok((reader.generation()?, reader.running()?.is_some()))
}
