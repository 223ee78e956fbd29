//! `imgsearch serve`: a page to look at a collection, and an interface for programs.
//!
//! Knows nothing of the library but what every program sees. The page is in `page/`, as files that are embedded.
//! Requests are answered from the index as it is; what takes long is bounded in number.

mod access;
mod app;
mod browse;
mod describe;
mod duplicates;
mod images;
mod live;
mod making;
mod map;
mod page;
mod params;
mod problem;
mod query;
mod search;
mod snapshots;
mod thumbnails;
mod token;
mod transport;
mod work;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::{Json, Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::watch;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use access::{Access, Password, Secret, hash_password};
pub use app::{Hint, Opening};

use app::App;
use problem::Problem;
use thumbnails::Thumbnails;

/// How the server is started.
pub struct Config {
    /// The folder of the index, which need not exist yet.
    pub dir: PathBuf,
    /// How the library is opened.
    pub opening: Box<Opening>,
    /// What to do about an error.
    pub hint: Box<Hint>,
    pub access: Access,
    pub address: SocketAddr,
    /// Whether another port may be taken if the one asked for is in use.
    pub may_move: bool,
    /// The maximum bytes of all thumbnails on disk.
    pub max_thumbnails: u64,
    /// The maximum bytes of an upload.
    pub max_upload: u64,
    /// Whether the file manager of this machine can be started.
    pub local: bool,
}

/// The interface for programs.
#[derive(OpenApi)]
#[openapi(info(
    title = "imgsearch",
    description = "Search and browse a collection of images. Errors are problem documents (RFC 9457). Requests other \
                   than GET need the header `X-Imgsearch: 1`.",
    license(name = "MIT OR Apache-2.0"),
))]
struct Interface;

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    router: Router,
    stop: watch::Sender<bool>,
}

impl Server {
    /// Opens the port. The index is opened by the first request.
    ///
    /// # Errors
    ///
    /// If the port cannot be opened.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = transport::listen(config.address, config.may_move).await?;
        let (stop, stopping) = watch::channel(false);
        let thumbnails = Thumbnails::new(&config.dir, config.max_thumbnails);
        let (sender, receiver) = watch::channel(None);
        let app = Arc::new(App::new(
            config.dir,
            config.opening,
            config.hint,
            thumbnails,
            receiver,
            (config.max_upload, config.local),
        ));
        tokio::spawn(live::watch_index(Arc::clone(&app), sender, stopping));
        Ok(Self {
            listener,
            router: router(app, Arc::new(config.access)),
            stop,
        })
    }

    /// Returns the address that it listens to.
    ///
    /// # Errors
    ///
    /// If the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Returns what ends the server when `true` is sent.
    pub fn stopper(&self) -> watch::Sender<bool> {
        self.stop.clone()
    }

    /// Answers until it is stopped.
    pub async fn run(self) {
        transport::serve(self.listener, self.router, self.stop.subscribe()).await;
    }
}

fn router(app: Arc<App>, access: Arc<Access>) -> Router {
    let (interface, description) = OpenApiRouter::with_openapi(Interface::openapi())
        .nest(
            "/api/v1",
            OpenApiRouter::new()
                .routes(routes!(search::search, search::search_upload))
                .routes(routes!(search::encode_upload))
                .routes(routes!(browse::images))
                .routes(routes!(browse::folders))
                .routes(routes!(browse::facets))
                .routes(routes!(duplicates::duplicates))
                .routes(routes!(map::map))
                .routes(routes!(images::image))
                .routes(routes!(images::thumbnail))
                .routes(routes!(images::original))
                .routes(routes!(images::reveal))
                .routes(routes!(live::status))
                .routes(routes!(live::events)),
        )
        .split_for_parts();
    let description = Arc::new(description);
    interface
        .route(
            "/api/v1/openapi.json",
            axum::routing::get(move || async move { Json((*description).clone()) }),
        )
        .route("/", axum::routing::get(page::index))
        .route("/assets/{name}", axum::routing::get(page::asset))
        .fallback(|State(_): State<Arc<App>>| async {
            Problem::not_found("there is nothing at this address").into_response()
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this address takes another method",
            )
            .into_response()
        })
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(app)
        .layer(middleware::from_fn_with_state(access, access::guard))
}
