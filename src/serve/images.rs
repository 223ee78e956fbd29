//! Stored images: `GET /images/ID`, its thumbnail and its file.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use imgsearch::decode::{Format, sniff};
use imgsearch::index::{Image, ImageId};
use imgsearch::{Error, Library};
use serde::Deserialize;
use tokio_util::io::ReaderStream;
use utoipa::IntoParams;

use super::app::App;
use super::describe::{ImageInfo, digest};
use super::problem::{Problem, Result};
use super::thumbnails::Side;
use super::work;

/// Kept by the browser for a year: the address names the content.
const FOREVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// Asked for again each time.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Bytes at the beginning of a file that tell its format.
const HEAD: u64 = 4096;

/// Returns a stored image.
pub fn stored(app: &App, library: &Library, id: ImageId) -> Result<Image> {
    let read = || -> Result<Option<Image>, Error> { Ok(library.index_view()?.image(id)?) };
    read()
        .map_err(|error| app.problem(&error))?
        .ok_or_else(|| app.problem(&Error::NoSuchImage { id }))
}

/// What is stored of an image.
#[utoipa::path(get, path = "/images/{id}", params(("id" = i64, Path, description = "Its number")), responses(
    (status = 200, body = ImageInfo),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn image(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<ImageInfo>> {
    let id = id_of(&id)?;
    work::with_library(&app, move |app, library| {
        let image = stored(app, library, id)?;
        let labels = library
            .index_view()
            .and_then(|index| Ok(index.labels(&[id])?));
        let labels = labels.map_err(|error| app.problem(&error))?;
        Ok(ImageInfo::new(
            &image,
            labels.first().map_or(&[], |labels| labels),
        ))
    })
    .await
    .map(Json)
}

fn id_of(text: &str) -> Result<ImageId> {
    let id = text.parse().ok().filter(|id| *id > 0);
    id.map(ImageId).ok_or_else(|| {
        Problem::bad(format!(
            "{text:?} is not an id: it must be a whole number from 1 up"
        ))
    })
}

/// The parameters of a thumbnail and of a file.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Version {
    /// Pixels of the longer side: 256 or 512.
    pub size: Option<String>,
    /// The digest of the image. With it, the answer may be kept forever.
    pub v: Option<String>,
}

/// A small version of an image as JPEG. It is never larger than the image.
#[utoipa::path(get, path = "/images/{id}/thumbnail",
    params(("id" = i64, Path, description = "Its number"), Version), responses(
    (status = 200, content_type = "image/jpeg", body = Vec<u8>),
    (status = 304, description = "It has not changed"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn thumbnail(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    axum::extract::Query(version): axum::extract::Query<Version>,
    headers: HeaderMap,
) -> Result<Response> {
    let id = id_of(&id)?;
    let side = match version.size.as_deref() {
        None | Some("256") => Side::Small,
        Some("512") => Side::Large,
        Some(other) => {
            return Err(Problem::bad(format!(
                "size is {other:?}; it must be 256 or 512"
            )));
        }
    };
    let image = work::with_library(&app, move |app, library| stored(app, library, id)).await?;
    let mut head = kept(&image, side.name(), version.v.as_deref());
    if is_known(&headers, &head) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    let cached = {
        let (app, image) = (Arc::clone(&app), image.clone());
        work::on_a_thread(move || Ok(app.thumbnails.cached(&image, side))).await?
    };
    let bytes = if let Some(bytes) = cached {
        bytes
    } else {
        let _permit = app.painters.take().await?;
        work::with_library(&app, move |app, library| {
            let made = app.thumbnails.make(library, &image, side);
            made.map_err(|error| app.problem(&error))
        })
        .await?
    };
    Ok((head, bytes).into_response())
}

/// Returns the headers by which a browser keeps something of an image.
fn kept(image: &Image, what: &str, version: Option<&str>) -> HeaderMap {
    let digest = digest(image);
    let mut headers = HeaderMap::new();
    let cache = if version == Some(&digest) {
        FOREVER
    } else {
        ASK_AGAIN
    };
    headers.insert(header::CACHE_CONTROL, cache);
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{digest}-{what}\"")) {
        headers.insert(header::ETAG, tag);
    }
    headers
}

/// Returns whether the browser has it.
fn is_known(asked: &HeaderMap, head: &HeaderMap) -> bool {
    let known = asked
        .get(header::IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok());
    let tag = head.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    match (known, tag) {
        (Some(known), Some(tag)) => known
            .split(',')
            .any(|one| one.trim().trim_start_matches("W/") == tag),
        _ => false,
    }
}

/// The file of an image. Formats that browsers show are shown, others are downloaded.
#[utoipa::path(get, path = "/images/{id}/original",
    params(("id" = i64, Path, description = "Its number"), Version), responses(
    (status = 200, description = "Formats that browsers do not show are application/octet-stream", content(
        (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/gif"), (Vec<u8> = "image/webp"),
        (Vec<u8> = "image/bmp"), (Vec<u8> = "application/octet-stream"),
    )),
    (status = 304, description = "It has not changed"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn original(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    axum::extract::Query(version): axum::extract::Query<Version>,
    headers: HeaderMap,
) -> Result<Response> {
    let id = id_of(&id)?;
    let (image, file, shown) = work::with_library(&app, move |app, library| {
        let image = stored(app, library, id)?;
        let failed = |error: Error| app.problem(&error);
        let mut file = library.open_image(&image).map_err(failed)?;
        let shown = media_type(&mut file);
        Ok((image, file, shown))
    })
    .await?;
    let mut head = kept(&image, "original", version.v.as_deref());
    if is_known(&headers, &head) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    let (kind, disposition) = match shown {
        Some(kind) => (kind, "inline"),
        None => ("application/octet-stream", "attachment"),
    };
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    head.insert(header::CONTENT_LENGTH, HeaderValue::from(image.stat.size));
    let name = image.path.file_name().unwrap_or_default().to_string_lossy();
    let name: String =
        percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC).collect();
    if let Ok(value) = HeaderValue::from_str(&format!("{disposition}; filename*=UTF-8''{name}")) {
        head.insert(header::CONTENT_DISPOSITION, value);
    }
    // It has this length whatever happens to the file meanwhile.
    let file = tokio::io::AsyncReadExt::take(tokio::fs::File::from_std(file), image.stat.size);
    Ok((
        head,
        Body::from_stream(ReaderStream::with_capacity(file, 1 << 16)),
    )
        .into_response())
}

/// Returns the media type of a file that browsers show as an image and as nothing else, by its content.
fn media_type(file: &mut File) -> Option<&'static str> {
    let mut head = Vec::new();
    let read = file.by_ref().take(HEAD).read_to_end(&mut head);
    if read.is_err() || file.rewind().is_err() {
        return None;
    }
    match sniff(&head)? {
        Format::Jpeg => Some("image/jpeg"),
        Format::Png => Some("image/png"),
        Format::Gif => Some("image/gif"),
        Format::WebP => Some("image/webp"),
        Format::Bmp => Some("image/bmp"),
        Format::Avif => Some("image/avif"),
        _ => None,
    }
}

/// Show the file in the file manager of the server's machine.
#[utoipa::path(post, path = "/images/{id}/reveal", params(("id" = i64, Path, description = "Its number")), responses(
    (status = 204, description = "The file manager was started"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn reveal(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<StatusCode> {
    let id = id_of(&id)?;
    if !app.local {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "files are shown only to a browser on the machine of the server",
        ));
    }
    work::with_library(&app, move |app, library| {
        let image = stored(app, library, id)?;
        // It has to be there, and the one that is meant.
        library
            .open_image(&image)
            .map_err(|error| app.problem(&error))?;
        let folder = image.path.parent().unwrap_or(&image.path);
        open::that_detached(folder).map_err(|error| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!(
                    "no file manager could be started for {}: {error}",
                    folder.display()
                ),
            )
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
