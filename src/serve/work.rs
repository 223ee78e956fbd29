//! Work that takes a thread: bounded in number, bytes and seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use imgsearch::Library;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::app::App;
use super::problem::{Problem, Result};

/// How long an upload may take. A client that is slower than this costs a connection and no thread until then.
const UPLOAD_TIME: Duration = Duration::from_mins(1);

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// Does something with the library on a thread that may block.
pub async fn with_library<T: Send + 'static>(
    app: &Arc<App>,
    act: impl Fn(&App, &Library) -> Result<T> + Send + 'static,
) -> Result<T> {
    let app = Arc::clone(app);
    on_a_thread(move || app.with(|library| act(&app, library))).await
}

/// Does something on a thread that may block.
pub async fn on_a_thread<T: Send + 'static>(
    act: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done,
        Err(error) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("this request stopped unexpectedly: {error}"),
        )),
    }
}

/// Turns at something that takes long: so much of it is done at once, and so many may wait.
#[derive(Debug)]
pub struct Turns {
    working: Semaphore,
    /// Those that work and those that wait.
    present: AtomicUsize,
    max_present: usize,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    _permit: Option<SemaphorePermit<'a>>,
    present: &'a AtomicUsize,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.present.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    /// One at once for each core, and `waiting` more that wait.
    pub fn per_core(waiting: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            working: Semaphore::new(cores),
            present: AtomicUsize::new(0),
            max_present: cores + waiting,
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    ///
    /// If too many wait, or the turn does not come in time.
    pub async fn take(&self) -> Result<Turn<'_>> {
        let before = self.present.fetch_add(1, Ordering::Relaxed);
        let mut turn = Turn {
            _permit: None,
            present: &self.present,
        };
        if before < self.max_present
            && let Ok(Ok(permit)) = tokio::time::timeout(PATIENCE, self.working.acquire()).await
        {
            turn._permit = Some(permit);
            return Ok(turn);
        }
        Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is busy with other pictures; try again in a moment",
        ))
    }
}

/// Reads an upload of at most `limit` bytes.
pub async fn read_body(body: Body, limit: u64) -> Result<Bytes> {
    let limited = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
    match tokio::time::timeout(UPLOAD_TIME, limited.collect()).await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the upload is larger than {} MB, the limit of this server",
                limit / 1_000_000
            ),
        )
        .hint("Upload a smaller picture, or start the server with a larger --max-upload")),
        Ok(Err(error)) => Err(Problem::bad(format!("the upload broke off: {error}"))),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!(
                "the upload took longer than {} seconds",
                UPLOAD_TIME.as_secs()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_when_too_many_wait_is_sent_away() {
        let turns = Turns {
            working: Semaphore::new(1),
            present: AtomicUsize::new(0),
            max_present: 2,
        };
        let first = turns.take().await.unwrap();
        let second = turns.take();
        tokio::pin!(second);
        // It waits.
        assert!(futures_util::poll!(&mut second).is_pending());
        let third = turns.take().await.unwrap_err();
        assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(first);
        drop(second.await.unwrap());
        assert_eq!(turns.present.load(Ordering::Relaxed), 0);
        turns.take().await.unwrap();
    }

    #[tokio::test]
    async fn an_upload_above_the_limit_is_refused() {
        assert_eq!(read_body(Body::from("12345"), 5).await.unwrap().len(), 5);
        let problem = read_body(Body::from("123456"), 5).await.unwrap_err();
        assert_eq!(problem.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
