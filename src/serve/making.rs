//! Work that takes seconds or minutes: done once for each state of the index, one of each kind at a time, while other
//! requests are answered.
//!
//! Whoever asks waits a moment. If the work is not done by then, the answer says how far it is and by which cursor to
//! ask again. Work that nobody asks for any more is given up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use imgsearch::duplicates::Stage;
use imgsearch::{Error, Library, Progress};
use serde::Serialize;
use tokio::sync::{Semaphore, watch};
use utoipa::ToSchema;

use super::app::App;
use super::problem::{Problem, Result};
use super::snapshots::Place;
use super::work;

/// Results that are kept.
const KEPT: usize = 4;

/// How long a request waits before it is told how far the work is.
const WAIT: Duration = Duration::from_millis(800);

/// How long work goes on that nobody asks for: longer than a page that nobody sees sleeps.
const FORSAKEN: Duration = Duration::from_mins(2);

/// How long it goes on if other work waits for it.
const IN_THE_WAY: Duration = Duration::from_secs(5);

/// How far work is that is not done yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Underway {
    /// What is being done: `waiting` for work of the same kind, `searching` images near each other, `comparing` pairs by their
    /// pixels, or `placing` images on a map.
    pub stage: &'static str,
    /// Images, pairs or rounds that are done.
    pub done: usize,
    /// Of this number; 0 if it is not known yet.
    pub of: usize,
    /// What to send as `cursor` when asking again, within a few seconds.
    pub next: String,
}

impl Underway {
    /// Returns the answer that says so.
    pub fn into_response(self) -> Response {
        let mut response = (StatusCode::ACCEPTED, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// What came of asking.
#[derive(Debug)]
pub enum Made<T> {
    /// The result, and its number.
    Ready(u64, Arc<T>),
    Underway(Underway),
}

/// Results of one kind of work, and work that goes on. `K` says what was asked for.
#[derive(Debug)]
pub struct Makings<K, T> {
    kept: Mutex<Kept<K, T>>,
    turn: Arc<Turn>,
}

/// Whose turn it is.
#[derive(Debug)]
struct Turn {
    one: Semaphore,
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Kept<K, T> {
    next: u64,
    makings: VecDeque<Making<K, T>>,
}

#[derive(Debug)]
struct Making<K, T> {
    number: u64,
    /// The state of the index.
    generation: i64,
    key: K,
    outcome: watch::Receiver<Option<Result<Arc<T>>>>,
    reported: Arc<Reported>,
}

impl<K, T> Making<K, T> {
    /// Returns whether it is done or will be.
    fn is_alive(&self) -> bool {
        self.outcome.borrow().is_some() || !self.reported.is_cancelled()
    }
}

impl<K, T> Drop for Making<K, T> {
    fn drop(&mut self) {
        self.reported.stopped.store(true, Ordering::Relaxed);
    }
}

impl<K, T> Default for Makings<K, T> {
    fn default() -> Self {
        Self {
            kept: Mutex::new(Kept {
                next: 1,
                makings: VecDeque::new(),
            }),
            turn: Arc::new(Turn {
                one: Semaphore::new(1),
                waiting: AtomicUsize::new(0),
            }),
        }
    }
}

impl<K: PartialEq, T: Send + Sync + 'static> Makings<K, T> {
    /// Drops everything, because the index is another one.
    pub fn forget(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.makings.clear();
    }

    /// Returns the newest result.
    pub fn newest(&self) -> Option<Arc<T>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newest_first = kept.makings.iter().rev();
        newest_first.find_map(|making| match &*making.outcome.borrow() {
            Some(Ok(result)) => Some(Arc::clone(result)),
            _ => None,
        })
    }

    /// Returns what was asked for: the result of this number, of another state of the index maybe; or that of the
    /// present state, which is made if it is not there.
    pub async fn get(
        &self,
        app: &Arc<App>,
        key: K,
        number: Option<u64>,
        make: impl Fn(&App, &Library, &dyn Progress) -> Result<T> + Send + Sync + 'static,
    ) -> Result<Made<T>> {
        let generation = work::with_library(app, |app, library| {
            generation(library).map_err(|error| app.problem(&error))
        });
        let generation = generation.await?;
        let (number, mut outcome, reported) = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let at = kept.find(&key, number, generation);
            let at = at.unwrap_or_else(|| {
                let (sender, outcome) = watch::channel(None);
                let reported = Arc::new(Reported::new(Arc::clone(&self.turn)));
                let doing = do_it(Arc::clone(app), Arc::clone(&reported), make, sender);
                tokio::spawn(doing);
                kept.add(generation, key, outcome, reported)
            });
            let making = &kept.makings[at];
            let reported = Arc::clone(&making.reported);
            (making.number, making.outcome.clone(), reported)
        };
        reported.asked();
        let waited = tokio::time::timeout(WAIT, outcome.wait_for(Option::is_some)).await;
        let done = match waited {
            Err(_) => None,
            Ok(Ok(done)) => (*done).clone(),
            // It panicked, which was logged.
            Ok(Err(_)) => Some(Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the work stopped unexpectedly",
            ))),
        };
        match done {
            None => Ok(Made::Underway(reported.look(number))),
            Some(Ok(result)) => Ok(Made::Ready(number, result)),
            // The next one who asks may be luckier.
            Some(Err(problem)) => {
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.makings.retain(|making| making.number != number);
                Err(problem)
            }
        }
    }
}

impl<K: PartialEq, T> Kept<K, T> {
    fn find(&self, key: &K, number: Option<u64>, generation: i64) -> Option<usize> {
        let find = |is_it: &dyn Fn(&Making<K, T>) -> bool| {
            self.makings
                .iter()
                .position(|one| one.key == *key && is_it(one) && one.is_alive())
        };
        find(&|one| Some(one.number) == number)
            .or_else(|| find(&|one| one.generation == generation))
    }

    /// Adds work that has begun, and drops the oldest. Returns its place.
    fn add(
        &mut self,
        generation: i64,
        key: K,
        outcome: watch::Receiver<Option<Result<Arc<T>>>>,
        reported: Arc<Reported>,
    ) -> usize {
        while self.makings.len() >= KEPT {
            self.makings.pop_front();
        }
        let number = self.next;
        self.next += 1;
        self.makings.push_back(Making {
            number,
            generation,
            key,
            outcome,
            reported,
        });
        self.makings.len() - 1
    }
}

/// Returns the state of the index.
fn generation(library: &Library) -> Result<i64, Error> {
    Ok(library.index_view()?.to_reader()?.generation()?)
}

/// Does the work when its turn comes.
async fn do_it<T: Send + Sync + 'static>(
    app: Arc<App>,
    reported: Arc<Reported>,
    make: impl Fn(&App, &Library, &dyn Progress) -> Result<T> + Send + Sync + 'static,
    sender: watch::Sender<Option<Result<Arc<T>>>>,
) {
    let turn = Arc::clone(&reported.turn);
    turn.waiting.fetch_add(1, Ordering::Relaxed);
    let permit = turn.one.acquire().await;
    turn.waiting.fetch_sub(1, Ordering::Relaxed);
    // The semaphore is never closed.
    let Ok(_permit) = permit else {
        return;
    };
    if reported.is_cancelled() {
        return;
    }
    let made = work::on_a_thread(move || {
        // Threads of its own: searches share theirs, and would wait behind it.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(cores.div_ceil(2))
            .build()
            .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        app.with(|library| pool.install(|| make(&app, library, &*reported)))
    });
    let made = made.await.map(Arc::new);
    // If nobody waits any more, nobody need know.
    let _ = sender.send(Some(made));
}

/// What work reports, and when it was asked for.
#[derive(Debug)]
struct Reported {
    state: Mutex<(&'static str, usize, usize)>,
    last_asked: Mutex<Instant>,
    stopped: AtomicBool,
    turn: Arc<Turn>,
}

impl Reported {
    fn new(turn: Arc<Turn>) -> Self {
        Self {
            state: Mutex::new(("waiting", 0, 0)),
            last_asked: Mutex::new(Instant::now()),
            stopped: AtomicBool::new(false),
            turn,
        }
    }

    fn asked(&self) {
        *self
            .last_asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn set(&self, stage: &'static str, done: usize, of: usize) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (stage, done, of);
    }

    fn look(&self, number: u64) -> Underway {
        let (stage, done, of) = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Underway {
            stage,
            done,
            of,
            next: Place::text(number, 0),
        }
    }
}

impl Progress for Reported {
    fn is_cancelled(&self) -> bool {
        if self.stopped.load(Ordering::Relaxed) {
            return true;
        }
        let last_asked = self
            .last_asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let patience = match self.turn.waiting.load(Ordering::Relaxed) {
            0 => FORSAKEN,
            _ => IN_THE_WAY,
        };
        let is_forsaken = last_asked.elapsed() > patience;
        if is_forsaken {
            self.stopped.store(true, Ordering::Relaxed);
        }
        is_forsaken
    }

    fn duplicates(&self, stage: Stage, done: usize, of: usize) {
        let name = match stage {
            Stage::Candidates => "searching",
            _ => "comparing",
        };
        self.set(name, done, of);
    }

    fn compared(&self, done: usize, of: usize) {
        self.set("searching", done, of);
    }

    fn placed(&self, done: usize, of: usize) {
        self.set("placing", done, of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Sender = watch::Sender<Option<Result<Arc<()>>>>;

    fn empty() -> Kept<&'static str, ()> {
        Kept {
            next: 1,
            makings: VecDeque::new(),
        }
    }

    fn add(
        kept: &mut Kept<&'static str, ()>,
        generation: i64,
        key: &'static str,
    ) -> (Sender, Arc<Reported>) {
        let (sender, outcome) = watch::channel(None);
        let turn = Turn {
            one: Semaphore::new(1),
            waiting: AtomicUsize::new(0),
        };
        let reported = Arc::new(Reported::new(Arc::new(turn)));
        kept.add(generation, key, outcome, Arc::clone(&reported));
        (sender, reported)
    }

    #[test]
    fn a_cursor_leads_to_an_older_state_and_nothing_else_does() {
        let mut kept = empty();
        let _first = add(&mut kept, 7, "all");
        let _second = add(&mut kept, 8, "all");
        let _third = add(&mut kept, 8, "near");
        assert_eq!(kept.find(&"all", None, 8), Some(1));
        assert_eq!(kept.find(&"all", Some(1), 8), Some(0));
        assert_eq!(
            kept.find(&"near", Some(1), 8),
            Some(2),
            "of another question"
        );
        assert_eq!(kept.find(&"all", Some(9), 9), None);
    }

    #[test]
    fn what_is_given_up_is_begun_anew_and_what_is_done_stays() {
        let mut kept = empty();
        let (sender, reported) = add(&mut kept, 7, "all");
        assert_eq!(kept.find(&"all", None, 7), Some(0));
        let ago = |passed| Instant::now().checked_sub(passed);
        let Some(before) = ago(IN_THE_WAY + Duration::from_secs(1)) else {
            // The machine has just started.
            return;
        };
        *reported.last_asked.lock().unwrap() = before;
        assert!(!reported.is_cancelled(), "nobody waits");
        reported.turn.waiting.store(1, Ordering::Relaxed);
        assert!(reported.is_cancelled());
        assert_eq!(kept.find(&"all", None, 7), None);
        sender.send(Some(Ok(Arc::new(())))).unwrap();
        assert_eq!(kept.find(&"all", None, 7), Some(0));
    }

    #[test]
    fn the_oldest_makes_room_and_stops() {
        let mut kept = empty();
        let (_sender, oldest) = add(&mut kept, 1, "all");
        let others: Vec<_> = (0..KEPT).map(|_| add(&mut kept, 2, "all")).collect();
        assert!(oldest.is_cancelled());
        assert!(others.iter().all(|(_, reported)| !reported.is_cancelled()));
        assert_eq!(kept.makings.len(), KEPT);
    }
}
