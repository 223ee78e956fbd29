//! Collections of images that many machines share, held by a database server.
//!
//! [`open`] and [`create`] take a URL and return a [`Collection`]. Which servers there are depends on the features:
//!
//! | URL | server | feature |
//! | --- | --- | --- |
//! | `postgres://USER@HOST:PORT/DATABASE?collection=NAME` | PostgreSQL with pgvector 0.8 or newer | `postgres` |
//! | `milvus://USER:PASSWORD@HOST:PORT/NAME` | Milvus 2.3 or newer | `milvus` |
//!
//! An image's id is made from its path and its content ([`shared_id`]), so machines that index the same files agree
//! without talking to each other.
//!
//! [`Collection`]: imgsearch_index::collection::Collection

// What a server or a user brings is an error, never a panic.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

#[cfg(any(feature = "milvus", feature = "postgres"))]
mod again;
#[cfg(any(feature = "milvus", feature = "postgres"))]
mod globs;
#[cfg(feature = "milvus")]
mod milvus;
#[cfg(feature = "postgres")]
mod postgres;
mod url;

use std::sync::Arc;
use std::time::Duration;

use imgsearch_index::collection::Collection;
use imgsearch_index::{EncoderRecord, Result};

pub use url::{is_url, redacted, shared_id};

/// How long a server may take.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// To accept a connection. Default: 10 seconds.
    pub connect: Duration,
    /// To answer a query, or to store a batch. Default: 60 seconds.
    pub answer: Duration,
    /// To come back after a connection broke. What was asked is asked again meanwhile. Default: 30 seconds.
    pub reconnect: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            reconnect: Duration::from_secs(30),
        }
    }
}

/// Opens a collection that exists.
///
/// # Errors
///
/// [`Error::IndexNotFound`] if it does not exist, [`Error::Unreachable`] and [`Error::Denied`] if the server cannot be
/// used, [`Error::InvalidInput`] for a wrong URL.
///
/// [`Error::IndexNotFound`]: imgsearch_index::Error::IndexNotFound
/// [`Error::Unreachable`]: imgsearch_index::Error::Unreachable
/// [`Error::Denied`]: imgsearch_index::Error::Denied
/// [`Error::InvalidInput`]: imgsearch_index::Error::InvalidInput
pub fn open(url: &str, options: &Options) -> Result<Arc<dyn Collection>> {
    connect(url, None, options)
}

/// Opens a collection, and makes it for an encoder if it does not exist. Two programs may do so at once.
///
/// # Errors
///
/// As [`open`]; [`Error::EncoderMismatch`] if it exists for another encoder, and [`Error::NoVectors`] if the server
/// lacks what it takes to make one.
///
/// [`Error::EncoderMismatch`]: imgsearch_index::Error::EncoderMismatch
/// [`Error::NoVectors`]: imgsearch_index::Error::NoVectors
pub fn create(
    url: &str,
    encoder: &EncoderRecord,
    options: &Options,
) -> Result<Arc<dyn Collection>> {
    connect(url, Some(encoder), options)
}

fn connect(
    url: &str,
    encoder: Option<&EncoderRecord>,
    options: &Options,
) -> Result<Arc<dyn Collection>> {
    let url = url::CollectionUrl::parse(url)?;
    match url.scheme {
        #[cfg(feature = "postgres")]
        url::Scheme::Postgres => Ok(Arc::new(postgres::Postgres::open(&url, encoder, options)?)),
        #[cfg(not(feature = "postgres"))]
        url::Scheme::Postgres => {
            let _ = (encoder, options);
            Err(imgsearch_index::Error::Unsupported {
                place: url.place,
                what: "this program was built without PostgreSQL".to_owned(),
            })
        }
        #[cfg(feature = "milvus")]
        url::Scheme::Milvus => Ok(Arc::new(milvus::Milvus::open(&url, encoder, options)?)),
        #[cfg(not(feature = "milvus"))]
        url::Scheme::Milvus => {
            let _ = (encoder, options);
            Err(imgsearch_index::Error::Unsupported {
                place: url.place,
                what: "this program was built without Milvus".to_owned(),
            })
        }
    }
}
