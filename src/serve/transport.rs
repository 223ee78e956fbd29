//! Connections: how many there are, how slow a client may be, and how the server ends.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Connections at once. More wait until one ends.
const MAX_CONNECTIONS: usize = 1024;

/// How long a client may take to send the head of a request, and how long a connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(20);

/// How long requests may go on after the server was told to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The maximum size of the head of a request.
const MAX_HEAD: usize = 64 << 10;

/// Ports that are tried, from the one that was asked for.
const PORTS: u16 = 20;

/// Opens a port of an address: the one that was asked for, or the next that is free.
///
/// # Errors
///
/// If none can be opened.
pub async fn listen(address: SocketAddr, may_move: bool) -> io::Result<TcpListener> {
    let mut tried = address;
    let mut result = TcpListener::bind(tried).await;
    for _ in 1..PORTS {
        match &result {
            Err(error) if may_move && error.kind() == io::ErrorKind::AddrInUse => {
                let Some(next) = tried.port().checked_add(1) else {
                    break;
                };
                tried.set_port(next);
                result = TcpListener::bind(tried).await;
            }
            _ => break,
        }
    }
    result
}

/// Answers until `stop` says so. Requests that are being answered then have a few seconds to end.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let turns = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD);
    loop {
        let turn = tokio::select! {
            turn = Arc::clone(&turns).acquire_owned() => turn,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok(turn) = turn else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, most likely: some will be closed.
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
            drop(turn);
            Ok::<(), Infallible>(())
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(LAST_WORDS, graceful.shutdown()).await;
}
