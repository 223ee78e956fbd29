//! Questions: `GET /search` and, with a picture, `POST /search` and `POST /encode`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use imgsearch::decode::{Crop, Source};
use imgsearch::index::{Image, ImageId, Label};
use imgsearch::{Answer, Encoded, Error, Library, Match, Part};

use super::app::App;
use super::describe::{AnswerInfo, Found, ImageInfo, Upload};
use super::map;
use super::params::{Asked, Params, parse_crop};
use super::problem::{Problem, Result};
use super::query::Query;
use super::snapshots::{MAX_IMAGES, Place, Ranked, Snapshot};
use super::token;
use super::work;

/// Ask for images with a stored image, words, or several of them.
#[utoipa::path(get, path = "/search", params(Params), responses(
    (status = 200, body = AnswerInfo),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn search(State(app): State<Arc<App>>, Query(params): Query) -> Result<Json<AnswerInfo>> {
    let started = Instant::now();
    if params.is_quick() {
        return app
            .with(|library| answer(&app, library, &params, None, started))
            .map(Json);
    }
    let needs_decoding = params.crop.is_some();
    let permit = if needs_decoding {
        Some(app.encoders.take().await?)
    } else {
        None
    };
    let answer = work::with_library(&app, move |app, library| {
        answer(app, library, &params, None, started)
    })
    .await;
    drop(permit);
    answer.map(Json)
}

/// Ask for images with an uploaded picture.
#[utoipa::path(post, path = "/search", params(Params), request_body(
    content = Vec<u8>, content_type = "application/octet-stream", description = "The bytes of an image file"
), responses(
    (status = 200, body = AnswerInfo),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn search_upload(
    State(app): State<Arc<App>>,
    Query(params): Query,
    body: Body,
) -> Result<Json<AnswerInfo>> {
    let started = Instant::now();
    let bytes = work::read_body(body, app.max_upload).await?;
    let _permit = app.encoders.take().await?;
    let answer = work::with_library(&app, move |app, library| {
        let encoded = encode(library, &bytes, params.crop.as_deref())?;
        answer(app, library, &params, Some(encoded), started)
    });
    answer.await.map(Json)
}

/// Encode a picture. The token that is returned stands for it in questions.
#[utoipa::path(post, path = "/encode", params(
    ("crop" = Option<String>, Query, description = "A part of the picture, as in `10%,10%,50%,50%`"),
), request_body(
    content = Vec<u8>, content_type = "application/octet-stream", description = "The bytes of an image file"
), responses(
    (status = 200, body = Upload),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn encode_upload(
    State(app): State<Arc<App>>,
    Query(params): Query,
    body: Body,
) -> Result<Json<Upload>> {
    let bytes = work::read_body(body, app.max_upload).await?;
    let _permit = app.encoders.take().await?;
    let upload = work::with_library(&app, move |_, library| {
        let encoded = encode(library, &bytes, params.crop.as_deref())?;
        upload(library, &encoded)
    });
    upload.await.map(Json)
}

fn encode(library: &Library, bytes: &Bytes, crop: Option<&str>) -> Result<Encoded> {
    if bytes.is_empty() {
        return Err(Problem::bad(
            "the upload is empty: send the bytes of an image file",
        ));
    }
    // Errors begin with a file's name.
    let name = Path::new("the upload cannot be used");
    let encoded = match crop {
        None => library.encode_bytes(&bytes[..], name),
        Some(crop) => library.encode_part(&bytes[..], name, &parse_crop(crop)?),
    };
    encoded.map_err(|error| Problem::of(&error, None))
}

fn upload(library: &Library, encoded: &Encoded) -> Result<Upload> {
    let file = library
        .encoder_file()
        .map_err(|error| Problem::of(&error, None))?;
    let code = token::write(encoded, &file.info().fingerprint);
    Ok(Upload::new(encoded, code))
}

/// Encodes a part of a stored image.
fn encode_stored(app: &App, library: &Library, id: ImageId, crop: &Crop) -> Result<Part> {
    let image = super::images::stored(app, library, id)?;
    let failed = |error: Error| app.problem(&error);
    let file = library.open_image(&image).map_err(failed)?;
    let source = Source::of_file(file, library.limits())
        .map_err(|unread| failed(Error::unread(unread, &image.path)))?;
    let encoded = library
        .encode_part(&source, &image.path, crop)
        .map_err(failed)?;
    Ok(Part::Image(encoded))
}

/// Returns the part of an answer that is asked for.
fn answer(
    app: &App,
    library: &Library,
    params: &Params,
    uploaded: Option<Encoded>,
    started: Instant,
) -> Result<AnswerInfo> {
    let limit = params.limit()?;
    let uploaded_info = uploaded
        .as_ref()
        .map(|encoded| upload(library, encoded))
        .transpose()?;
    // Later parts are asked for by the token of the upload.
    let mut kept = params.without_paging();
    if let Some(upload) = &uploaded_info {
        kept.code = Some(upload.code.clone());
        kept.crop = None;
    }
    let part = uploaded.map(Part::Image);
    let mut encode = |id, crop: &Crop| encode_stored(app, library, id, crop);
    let place = params.place(MAX_IMAGES)?;
    if let Some(place) = &place
        && let Some(snapshot) = app.snapshots.get(place.number, &kept)
    {
        let mut next = |k: usize| {
            let asked = kept.question(library, None, &mut encode)?;
            ask(app, library, &kept, &asked, k)
        };
        return later(app, library, snapshot, (place, limit), &mut next, started);
    }
    let asked = params.question(library, part, &mut encode)?;
    let offset = place.map_or(0, |place| place.offset);
    let wanted = (offset + limit + 1).min(MAX_IMAGES);
    let found = ask(app, library, params, &asked, wanted)?;
    let snapshot = Snapshot {
        params: kept,
        ranked: found.matches.iter().map(ranked).collect(),
        is_whole: found.matches.len() < wanted,
    };
    let has_more = snapshot.ranked.len() > offset + limit;
    let number = app.snapshots.keep(snapshot);
    let shown = found.matches.iter().enumerate().skip(offset).take(limit);
    let results = shown.map(|(place, found)| Found {
        image: ImageInfo::new(&found.image, &found.labels),
        rank: place + 1,
        distance: found.distance,
        similarity: found.similarity,
    });
    Ok(AnswerInfo {
        results: results.collect(),
        next: has_more.then(|| Place::text(number, offset + limit)),
        resembles: found.resembles,
        nearest: found.matches.first().and_then(|found| found.similarity),
        note: note(library, &asked, &found),
        words: asked.words,
        took_ms: started.elapsed().as_secs_f64() * 1000.0,
        upload: uploaded_info,
    })
}

/// Returns a later part of an answer that is kept.
fn later(
    app: &App,
    library: &Library,
    mut snapshot: Snapshot,
    (place, limit): (&Place, usize),
    search: &mut dyn FnMut(usize) -> Result<Answer>,
    started: Instant,
) -> Result<AnswerInfo> {
    let end = place.offset + limit;
    if snapshot.ranked.len() <= end && !snapshot.is_whole {
        // More than asked for, because whoever scrolls goes on.
        let k = (end + 1).saturating_mul(2).min(MAX_IMAGES);
        let longer = search(k)?;
        let is_whole = longer.matches.len() < k || k == MAX_IMAGES;
        snapshot.extend(longer.matches.iter().map(ranked).collect(), is_whole);
        app.snapshots.replace(place.number, snapshot.clone());
    }
    let shown = snapshot.ranked.iter().enumerate();
    let shown: Vec<(usize, &Ranked)> = shown.skip(place.offset).take(limit).collect();
    let ids: Vec<ImageId> = shown.iter().map(|(_, ranked)| ranked.id).collect();
    let (images, labels) = rows(app, library, &ids)?;
    let found = shown.into_iter().zip(images).zip(labels);
    let results = found.filter_map(|(((place, ranked), image), labels)| {
        Some(Found {
            // One that was removed meanwhile is left out.
            image: ImageInfo::new(&image?, &labels),
            rank: place + 1,
            distance: ranked.distance,
            similarity: ranked.similarity,
        })
    });
    Ok(AnswerInfo {
        results: results.collect(),
        next: (snapshot.ranked.len() > end).then(|| Place::text(place.number, end)),
        resembles: None,
        nearest: snapshot.ranked.first().and_then(|ranked| ranked.similarity),
        note: None,
        words: Vec::new(),
        took_ms: started.elapsed().as_secs_f64() * 1000.0,
        upload: None,
    })
}

/// Stored images, and the labels of each.
type Rows = (Vec<Option<Image>>, Vec<Vec<Label>>);

/// Returns what is stored of images.
pub fn rows(app: &App, library: &Library, ids: &[ImageId]) -> Result<Rows> {
    let read = || -> Result<Rows, Error> {
        let index = library.index_view()?;
        Ok((index.images(ids)?, index.labels(ids)?))
    };
    read().map_err(|error| app.problem(&error))
}

fn ask(app: &App, library: &Library, params: &Params, asked: &Asked, k: usize) -> Result<Answer> {
    let mut search = params.search(library, k, asked)?;
    search.filter = map::filter(app, library, params)?;
    let answer = library.ask(&asked.question, &search);
    let mut answer = answer.map_err(|error| app.problem(&error))?;
    if !asked.has_similarity {
        answer.forget_similarity();
    }
    Ok(answer)
}

fn ranked(found: &Match) -> Ranked {
    Ranked {
        id: found.id,
        distance: found.distance,
        similarity: found.similarity,
    }
}

/// Returns what else there is to say.
fn note(library: &Library, asked: &Asked, answer: &Answer) -> Option<String> {
    if answer.stats.images > 0 && answer.stats.allowed == 0 {
        return Some("None of the images matches the filters.".to_owned());
    }
    if !asked.words.is_empty() && !has_labels(library) {
        return Some(
            "The images have no labels yet, so words find them less well. To add labels: imgsearch index --reencode"
                .to_owned(),
        );
    }
    None
}

/// Returns whether words are looked up well: by labels or by a text tower.
fn has_labels(library: &Library) -> bool {
    let has_tower = |library: &Library| {
        let file = library.encoder_file();
        file.is_ok_and(|file| file.info().text_tower.is_some())
    };
    has_tower(library)
        || library
            .index_view()
            .and_then(|index| Ok(index.to_reader()?.holds_labels()?))
            .unwrap_or(true)
}
