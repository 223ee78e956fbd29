//! The connection to a server: one channel, which connects when something is asked and again after it broke.
//!
//! Owns the time limits, and when something is asked again. Everything that a collection does may be repeated, so
//! whatever fails because a connection broke is.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::uri::PathAndQuery;
use imgsearch_index::{Error, Result};
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use super::proto::{Answer, Status};
use crate::Options;
use crate::again::until_answered;
use crate::url::CollectionUrl;

/// The largest answer, in bytes: what servers send at most unless configured otherwise.
const MAX_ANSWER: usize = 512 << 20;

/// Codes of a server that cannot do it now: not ready, busy, or its collections, channels, segments and nodes come and
/// go, as they do while it restarts. Servers mark only some of them as worth trying again.
const PASSING: [i32; 20] = [
    1, 2, 4, 8, 12, 101, 103, 106, 202, 401, 500, 501, 503, 600, 601, 602, 901, 902, 903, 905,
];

/// The user is not known, or may not do this, in the codes from 2.3 on.
const DENIED: [i32; 3] = [1400, 1401, 1800];

/// What can go wrong with one attempt.
#[derive(Debug)]
pub enum Failure {
    /// The server answers that it failed.
    Server(Status),
    /// The call failed.
    Call(Box<tonic::Status>),
    TimedOut(Duration),
}

impl Failure {
    /// Returns whether the server says that there is no such collection.
    pub fn is_no_collection(&self) -> bool {
        matches!(self, Self::Server(status) if status.code == 100 || status.error_code == 4)
    }

    /// Returns whether the server says that there is no such index.
    pub fn is_no_index(&self) -> bool {
        matches!(self, Self::Server(status) if status.code == 700 || status.error_code == 25)
    }

    /// Returns whether the same may succeed soon: the connection broke, or the server restarts.
    fn passes(&self) -> bool {
        match self {
            Self::TimedOut(_) => false,
            Self::Server(status) => self.starts() || PASSING.contains(&status.code),
            Self::Call(call) => {
                call.code() == Code::Unavailable || std::error::Error::source(&**call).is_some()
            }
        }
    }

    /// Returns whether the server is there and not ready yet.
    fn starts(&self) -> bool {
        match self {
            Self::Server(status) => {
                status.retriable
                    || [1, 2].contains(&status.code)
                    || status.reason.contains("not ready")
                    || status.reason.contains("not healthy")
            }
            // The server answers, and says why not.
            Self::Call(call) => {
                call.code() == Code::Unavailable && std::error::Error::source(&**call).is_none()
            }
            Self::TimedOut(_) => false,
        }
    }
}

/// A client of one server.
pub struct Client {
    /// Drives the connection. `None` only while it is dropped.
    runtime: Option<Runtime>,
    channel: Channel,
    authorization: Option<MetadataValue<Ascii>>,
    database: Option<MetadataValue<Ascii>>,
    pub place: String,
    pub options: Options,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Waiting for it is not allowed where this client may be dropped.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Client {
    /// Prepares a client. It connects with the first question.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for an address that is none, and for certificates that cannot be read.
    pub fn new(url: &CollectionUrl, options: &Options) -> Result<Self> {
        let place = url.place.clone();
        let wrong = |why: &str| Error::InvalidInput(format!("{place} {why}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("milvus")
            .enable_all()
            .build()
            .map_err(|error| Error::Unreachable {
                place: place.clone(),
                source: Box::new(error),
            })?;
        let mut endpoint = Endpoint::from_shared(url.server.clone())
            .map_err(|_| wrong("names no host and port"))?
            .connect_timeout(options.connect)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(30)));
        if url.server.starts_with("https:") {
            let mut tls = ClientTlsConfig::new().with_native_roots();
            if let Some(file) = &url.root_certificates {
                let pem = std::fs::read(file)
                    .map_err(|error| Error::InvalidInput(format!("sslrootcert={file}: {error}")))?;
                tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            }
            endpoint = endpoint
                .tls_config(tls)
                .map_err(|error| wrong(&format!("cannot use TLS: {}", told(&error))))?;
        }
        let channel = {
            let _inside = runtime.enter();
            endpoint.connect_lazy()
        };
        let header = |text: &str| {
            let value: Result<MetadataValue<Ascii>, _> = text.parse();
            value.map_err(|_| wrong("has a user, password or database that cannot be sent"))
        };
        let authorization = url
            .credentials
            .as_ref()
            .map(|credentials| header(&STANDARD.encode(credentials)));
        let database = url.database.as_ref().map(|name| header(name));
        Ok(Self {
            runtime: Some(runtime),
            channel,
            authorization: authorization.transpose()?,
            database: database.transpose()?,
            place,
            options: options.clone(),
        })
    }

    /// Asks for something: the server must be there, but it may still be starting.
    pub fn once<M, A>(&self, method: &str, message: &M) -> Result<A>
    where
        M: prost::Message + Clone + 'static,
        A: prost::Message + Default + Answer + 'static,
    {
        self.ask(method, message, Failure::starts)
            .map_err(|failure| self.error(failure))
    }

    /// Asks for something, and again after the connection broke, until the server is back or the time is up.
    pub fn run<M, A>(&self, method: &str, message: &M) -> Result<A>
    where
        M: prost::Message + Clone + 'static,
        A: prost::Message + Default + Answer + 'static,
    {
        self.ask(method, message, Failure::passes)
            .map_err(|failure| self.error(failure))
    }

    /// Does what [`Client::once`] does, and returns what went wrong.
    pub fn attempt<M, A>(&self, method: &str, message: &M) -> Result<A, Failure>
    where
        M: prost::Message + Clone + 'static,
        A: prost::Message + Default + Answer + 'static,
    {
        self.ask(method, message, Failure::starts)
    }

    fn ask<M, A>(
        &self,
        method: &str,
        message: &M,
        passes: impl Fn(&Failure) -> bool,
    ) -> Result<A, Failure>
    where
        M: prost::Message + Clone + 'static,
        A: prost::Message + Default + Answer + 'static,
    {
        until_answered(
            self.options.reconnect,
            || self.call(method, message),
            passes,
            |failure| tracing::debug!("{}: {method}: {failure:?}; trying again", self.place),
        )
    }

    fn call<M, A>(&self, method: &str, message: &M) -> Result<A, Failure>
    where
        M: prost::Message + Clone + 'static,
        A: prost::Message + Default + Answer + 'static,
    {
        let Some(runtime) = &self.runtime else {
            let gone = tonic::Status::new(Code::Internal, "the client is closed");
            return Err(Failure::Call(Box::new(gone)));
        };
        let path = format!("/milvus.proto.milvus.MilvusService/{method}");
        let path = PathAndQuery::try_from(path).map_err(|error| {
            let status = tonic::Status::new(Code::Internal, error.to_string());
            Failure::Call(Box::new(status))
        })?;
        let mut request = Request::new(message.clone());
        for (name, value) in [
            ("authorization", &self.authorization),
            ("dbname", &self.database),
        ] {
            if let Some(value) = value {
                request.metadata_mut().insert(name, value.clone());
            }
        }
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER);
        // Whoever accepts connections and never answers is found out by the first question.
        let limit = match method {
            "GetVersion" => self.options.connect,
            _ => self.options.answer,
        };
        let asking = async {
            grpc.ready()
                .await
                .map_err(|error| tonic::Status::from_error(Box::new(error)))?;
            grpc.unary(request, path, ProstCodec::<M, A>::default())
                .await
        };
        let answered = runtime.block_on(async { tokio::time::timeout(limit, asking).await });
        let answer = match answered {
            Err(_) => return Err(Failure::TimedOut(limit)),
            Ok(Err(status)) => return Err(Failure::Call(Box::new(status))),
            Ok(Ok(response)) => response.into_inner(),
        };
        match answer.status() {
            Some(status) if status.code != 0 || status.error_code != 0 => {
                Err(Failure::Server(status.clone()))
            }
            _ => Ok(answer),
        }
    }

    /// Returns a failure as an error of the index.
    pub fn error(&self, failure: Failure) -> Error {
        let place = self.place.clone();
        match failure {
            Failure::TimedOut(limit) => Error::Unreachable {
                place,
                source: format!("no answer within {} seconds", limit.as_secs_f32()).into(),
            },
            Failure::Server(status) if DENIED.contains(&status.code) => Error::Denied {
                place,
                what: status.reason,
            },
            failure @ Failure::Server(_) if failure.starts() => Error::Unreachable {
                place,
                source: match failure {
                    Failure::Server(status) => status.reason.into(),
                    _ => "it is not ready".into(),
                },
            },
            Failure::Server(status) => Error::Engine {
                place,
                source: match status.reason.is_empty() {
                    true => format!("error {} {}", status.code, status.error_code).into(),
                    false => status.reason.into(),
                },
            },
            Failure::Call(call) => match call.code() {
                Code::Unauthenticated | Code::PermissionDenied => Error::Denied {
                    place,
                    what: call.message().to_owned(),
                },
                Code::Unimplemented => Error::Unsupported {
                    place,
                    what: format!("the server does not know this: {}", call.message()),
                },
                _ if std::error::Error::source(&*call).is_some()
                    || call.code() == Code::Unavailable =>
                {
                    Error::Unreachable {
                        place,
                        source: told(&*call).into(),
                    }
                }
                _ => Error::Engine {
                    place,
                    source: told(&*call).into(),
                },
            },
        }
    }
}

/// Returns what an error says, with its causes.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told = match error.downcast_ref::<tonic::Status>() {
        Some(status) => status.message().to_owned(),
        None => error.to_string(),
    };
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        if !told.contains(&text) {
            told += &format!(": {text}");
        }
        next = error.source();
    }
    told
}
