//! The servers that every test is run with.

use std::sync::Arc;

use imgsearch_engines::Options;

use super::milvus::{self, Milvus};
use super::server::{self, Server};

/// A server that was started for a test.
pub enum Engine {
    Postgres(Server),
    Milvus(Arc<Milvus>),
}

impl Engine {
    pub fn url(&self, collection: &str) -> String {
        match self {
            Self::Postgres(server) => server.url(collection),
            Self::Milvus(server) => server.url(collection),
        }
    }

    pub fn port(&self) -> u16 {
        match self {
            Self::Postgres(server) => server.port,
            Self::Milvus(server) => server.port,
        }
    }

    /// Returns what no message may hold. (Milvus' first password is its name.)
    pub fn secret(&self) -> String {
        match self {
            Self::Postgres(_) => server::PASSWORD.to_owned(),
            Self::Milvus(_) => format!(":{}", milvus::PASSWORD),
        }
    }

    /// Kills the server of a test that has it alone.
    pub fn kill(&mut self) {
        match self {
            Self::Postgres(server) => server.kill(),
            Self::Milvus(server) => Arc::get_mut(server).unwrap().kill(),
        }
    }

    pub fn bring_back(&mut self) {
        match self {
            Self::Postgres(server) => server.bring_back(),
            Self::Milvus(server) => Arc::get_mut(server).unwrap().bring_back(),
        }
    }

    /// Returns options that wait as long as the server takes to start on a machine that is busy.
    pub fn patient(&self) -> Options {
        let mut options = Options::default();
        options.reconnect = std::time::Duration::from_secs(180);
        options
    }
}

/// Runs a test with each server. That of Milvus is shared with other tests: collections need names of their own.
pub fn of_each_server(test: impl Fn(&Engine)) {
    if let Some(server) = Server::start() {
        test(&Engine::Postgres(server));
    }
    if let Some(server) = Milvus::shared() {
        test(&Engine::Milvus(server));
    }
}

/// Runs a test with each server, which it may kill.
pub fn of_each_alone(test: impl Fn(Engine)) {
    if let Some(server) = Server::start() {
        test(Engine::Postgres(server));
    }
    if let Some(server) = Milvus::start() {
        test(Engine::Milvus(Arc::new(server)));
    }
}
