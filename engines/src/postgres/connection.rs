//! Connections: one for each thread that asks, made when needed, and made again after they broke.
//!
//! Owns the time limits, and when something is asked again. Everything that a collection does may be repeated, so
//! whatever fails because a connection broke is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use imgsearch_index::{Error, Result};
use tokio::runtime::Runtime;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Options;
use crate::again::until_answered;

/// Prepared statements that a connection keeps. Filters make more.
const MAX_STATEMENTS: usize = 64;

/// Idle connections that are kept.
const MAX_IDLE: usize = 16;

/// What can go wrong with one attempt.
pub enum Failure {
    Server(tokio_postgres::Error),
    TimedOut(Duration),
    Io(std::io::Error),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

/// A session at the server.
pub struct Session {
    pub client: Client,
    statements: HashMap<String, Statement>,
    /// What `hnsw.ef_search` was set to.
    ef: Option<usize>,
}

impl Session {
    /// Returns a prepared statement.
    pub async fn prepared(&mut self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        if self.statements.len() >= MAX_STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Sets the candidates of searches along graphs.
    pub async fn set_ef(&mut self, ef: usize) -> Result<(), tokio_postgres::Error> {
        if self.ef != Some(ef) {
            let set = format!("SET hnsw.ef_search = {ef}");
            self.client.batch_execute(&set).await?;
            self.ef = Some(ef);
        }
        Ok(())
    }
}

/// A session, and what drives it: whenever a thread waits for an answer, it moves the bytes itself.
struct Connection {
    runtime: Runtime,
    session: Session,
}

/// The connections to one server.
pub struct Pool {
    config: Config,
    tls: MakeRustlsConnect,
    place: String,
    options: Options,
    /// What each session begins with.
    setup: String,
    idle: Mutex<Vec<Connection>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Pool {
    pub fn new(config: Config, tls: MakeRustlsConnect, place: &str, options: &Options) -> Self {
        Self {
            config,
            tls,
            place: place.to_owned(),
            options: options.clone(),
            setup: String::new(),
            idle: Mutex::default(),
        }
    }

    /// Sets what each session begins with from now on.
    pub fn begin_with(&mut self, sql: &str) {
        self.setup = sql.to_owned();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Runs something: the server must be there, but it may still be starting.
    pub fn once<T>(
        &self,
        work: impl AsyncFn(&mut Session) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T> {
        self.repeat(Some(self.options.answer), starts, &work)
    }

    /// Runs something, and again after the connection broke, until the server is back or the time is up.
    pub fn run<T>(
        &self,
        work: impl AsyncFn(&mut Session) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T> {
        self.repeat(Some(self.options.answer), passes, &work)
    }

    /// Does what [`Pool::run`] does, however long an answer takes.
    pub fn run_long<T>(
        &self,
        work: impl AsyncFn(&mut Session) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T> {
        self.repeat(None, passes, &work)
    }

    fn repeat<T>(
        &self,
        limit: Option<Duration>,
        passes: impl Fn(&Failure) -> bool,
        work: &impl AsyncFn(&mut Session) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T> {
        until_answered(
            self.options.reconnect,
            || self.attempt(limit, work),
            passes,
            |_| tracing::debug!("{}: the connection broke; trying again", self.place),
        )
        .map_err(|failure| self.error(failure))
    }

    /// Runs something on an idle connection, or on a new one.
    fn attempt<T>(
        &self,
        limit: Option<Duration>,
        work: &impl AsyncFn(&mut Session) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failure> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let mut connection = match taken {
            Some(connection) if !connection.session.client.is_closed() => connection,
            _ => self.connect()?,
        };
        let Connection { runtime, session } = &mut connection;
        let done = runtime.block_on(async {
            match limit {
                Some(limit) => match tokio::time::timeout(limit, work(session)).await {
                    Ok(done) => done.map_err(Failure::from),
                    Err(_) => Err(Failure::TimedOut(limit)),
                },
                None => work(session).await.map_err(Failure::from),
            }
        });
        // A session that timed out may be in the middle of something.
        let is_usable = !matches!(done, Err(Failure::TimedOut(_) | Failure::Io(_)))
            && !connection.session.client.is_closed();
        let mut idle = idle();
        if is_usable && idle.len() < MAX_IDLE {
            idle.push(connection);
        } else if done.as_ref().is_err_and(passes) {
            // The server went, and the others are as broken.
            idle.clear();
        }
        done
    }

    fn connect(&self) -> Result<Connection, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::Io)?;
        let limit = self.options.connect;
        let connecting = async {
            let client = if self.config.get_ssl_mode() == SslMode::Disable {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(connection);
                client
            } else {
                let (client, connection) = self.config.connect(self.tls.clone()).await?;
                tokio::spawn(connection);
                client
            };
            if !self.setup.is_empty() {
                client.batch_execute(&self.setup).await?;
            }
            Ok::<Client, tokio_postgres::Error>(client)
        };
        let client = runtime.block_on(async {
            match tokio::time::timeout(limit, connecting).await {
                Ok(client) => client.map_err(Failure::from),
                Err(_) => Err(Failure::TimedOut(limit)),
            }
        })?;
        let session = Session {
            client,
            statements: HashMap::new(),
            ef: None,
        };
        Ok(Connection { runtime, session })
    }

    /// Returns a failure as an error of the index.
    fn error(&self, failure: Failure) -> Error {
        let place = self.place.clone();
        let error = match failure {
            Failure::TimedOut(limit) => {
                let source = format!("no answer within {} seconds", limit.as_secs_f32()).into();
                return Error::Unreachable { place, source };
            }
            Failure::Io(error) => {
                let source = Box::new(error);
                return Error::Unreachable { place, source };
            }
            Failure::Server(error) => error,
        };
        let what = told(&error);
        let denied = [
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::INVALID_CATALOG_NAME,
        ];
        match error.as_db_error().map(|error| error.code()) {
            Some(code) if denied.contains(code) => Error::Denied { place, what },
            Some(_) if !is_of_connection(&error) => Error::Engine {
                place,
                source: what.into(),
            },
            // Without a password, the client itself ends the dialogue.
            None if what.contains("password") => Error::Denied { place, what },
            _ => Error::Unreachable {
                place,
                source: what.into(),
            },
        }
    }
}

/// Returns what an error says, with its causes: the client's own text is only `db error`.
fn told(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        let mut told = error.message().to_owned();
        if let Some(detail) = error.detail() {
            told += &format!(" ({detail})");
        }
        return told;
    }
    let mut told = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !told.contains(&text) {
            told += &format!(": {text}");
        }
        next = error.source();
    }
    told
}

/// Returns whether the connection is the reason, or a server that starts or stops.
fn is_of_connection(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        Some(error) => {
            let code = error.code();
            code.code().starts_with("08")
                || *code == SqlState::ADMIN_SHUTDOWN
                || *code == SqlState::CRASH_SHUTDOWN
                || *code == SqlState::CANNOT_CONNECT_NOW
        }
        None => true,
    }
}

/// Returns whether the server is there and not ready yet.
fn starts(failure: &Failure) -> bool {
    match failure {
        Failure::Server(error) => error.code() == Some(&SqlState::CANNOT_CONNECT_NOW),
        _ => false,
    }
}

/// Returns whether the same may succeed soon: the server restarts, or two programs stood in each other's way.
fn passes(failure: &Failure) -> bool {
    match failure {
        Failure::TimedOut(_) => false,
        Failure::Io(_) => true,
        Failure::Server(error) => {
            let code = error.as_db_error().map(|error| error.code());
            match code {
                Some(code) => {
                    is_of_connection(error)
                        || *code == SqlState::T_R_DEADLOCK_DETECTED
                        || *code == SqlState::T_R_SERIALIZATION_FAILURE
                        || *code == SqlState::TOO_MANY_CONNECTIONS
                        // Another program stores the same new row: the next attempt finds it.
                        || *code == SqlState::UNIQUE_VIOLATION
                }
                // What the client refuses to send, it refuses again.
                None => error.is_closed() || has_io(error),
            }
        }
    }
}

/// Returns whether the system's network is among the causes.
fn has_io(error: &tokio_postgres::Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        if error.is::<std::io::Error>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Returns what verifies the server's certificate: those of the system, or of a file of certificates.
///
/// # Errors
///
/// [`Error::InvalidInput`] if the file cannot be read or holds none.
pub fn tls(root_certificates: Option<&str>) -> Result<MakeRustlsConnect> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    let mut roots = rustls::RootCertStore::empty();
    match root_certificates {
        Some(file) => {
            let wrong = |why: String| Error::InvalidInput(format!("sslrootcert={file}: {why}"));
            let found = CertificateDer::pem_file_iter(file).map_err(|e| wrong(e.to_string()))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|error| wrong(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(wrong("it holds no certificate".to_owned()));
            }
        }
        None => {
            // Those that cannot be read verify nothing, and the server's is refused then.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::InvalidInput(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
