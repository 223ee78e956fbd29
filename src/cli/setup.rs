//! Setup: from arguments to the library's options.

use std::path::{Path, PathBuf};

use imgsearch::decode::Limits;
use imgsearch::engines::{is_url, redacted};
use imgsearch::index::Filter;
use imgsearch::onnx::{EncoderFile, Provider, ProviderChoice};
use imgsearch::{Collections, Engine, EngineOptions, Library, OpenOptions, WalkOptions};

use super::Result;
use super::args::{Global, LimitArgs, ProviderArg, WalkArgs};
use super::streams::say;
use crate::typed::{self, filter::Typed};

/// Returns the folder of the index. A collection on a server is an error.
pub fn index_dir(global: &Global) -> Result<PathBuf> {
    let dir = index_place(global)?;
    match dir.to_str() {
        Some(url) if is_url(url) => Err(imgsearch::Error::NeedsFolder {
            place: redacted(url),
        }
        .into()),
        _ => Ok(dir),
    }
}

/// Returns where the index is: a folder, which is named by its path or as a collection, or the URL of a collection on a
/// server.
pub fn index_place(global: &Global) -> Result<PathBuf> {
    if let Some(url) = global.index.as_deref().and_then(Path::to_str)
        && is_url(url)
    {
        tracing::info!(place = redacted(url), "index");
        return Ok(url.into());
    }
    let dir = match &global.index {
        Some(named) => match Collections::of_user() {
            Ok(collections) => collections.locate(named)?,
            // Without a home folder there are no collections, so it is a path.
            Err(_) => named.clone(),
        },
        None => imgsearch::default_dir()?,
    };
    tracing::info!(?dir, named = ?global.index, "index");
    if dir.exists() && !dir.is_dir() {
        return Err(format!(
            "{} is a file, but an index is a folder; name another with --index DIR or IMGSEARCH_INDEX",
            dir.display()
        )
        .into());
    }
    Ok(dir)
}

pub fn provider(global: &Global) -> ProviderChoice {
    match global.provider {
        ProviderArg::Cpu => ProviderChoice::Cpu,
        ProviderArg::Cuda => ProviderChoice::Cuda,
        ProviderArg::Auto => ProviderChoice::Auto,
    }
}

pub fn engine_options(global: &Global, limits: Option<&LimitArgs>) -> EngineOptions {
    let mut options = EngineOptions::default();
    options.provider = provider(global);
    options.library.clone_from(&global.ort_library);
    options.offline = global.offline;
    options.threads = global.threads;
    if let Some(args) = limits {
        let mut limits = Limits::default();
        limits.max_pixels = args.max_megapixels.saturating_mul(1_000_000);
        limits.max_file_bytes = args.max_file_size.saturating_mul(1 << 20);
        limits.max_memory = args.max_memory.saturating_mul(1 << 20);
        limits.max_time = args.max_seconds;
        limits.sandbox = args.sandbox;
        options.limits = limits;
    }
    options.notice = Some(|text| say!("{text}"));
    options
}

/// The name of the built-in encoder where a file can be named.
const BUILT_IN: &str = "built-in";

/// Reads an encoder file, or returns the built-in encoder if that is asked for.
pub fn encoder_file(path: &Path) -> Result<EncoderFile> {
    Ok(if path == Path::new(BUILT_IN) && !path.exists() {
        EncoderFile::default_encoder()?
    } else {
        EncoderFile::from_path(path)?
    })
}

pub fn open_options(
    global: &Global,
    encoder: Option<&Path>,
    limits: Option<&LimitArgs>,
) -> Result<OpenOptions> {
    let mut options = OpenOptions::default();
    options.encoder = encoder.map(encoder_file).transpose()?;
    options.engine = engine_options(global, limits);
    Ok(options)
}

/// Opens the index, with the named encoder or its own.
pub fn library(
    global: &Global,
    encoder: Option<&Path>,
    limits: Option<&LimitArgs>,
) -> Result<Library> {
    let dir = index_dir(global)?;
    Ok(Library::open_with(
        dir,
        open_options(global, encoder, limits)?,
    )?)
}

/// Returns the filter that was typed, and says what it stands for.
pub fn filter(global: &Global, library: &Library, typed: &Typed) -> Result<Filter> {
    typed::filter::filter(library, typed, |text| {
        if !global.quiet {
            say!("{text}");
        }
    })
}

/// Starts the named encoder, or the built-in one.
pub fn engine(
    global: &Global,
    encoder: Option<&Path>,
    limits: Option<&LimitArgs>,
) -> Result<Engine> {
    let file = match encoder {
        Some(path) => encoder_file(path)?,
        None => EncoderFile::default_encoder()?,
    };
    let engine = Engine::new(file, engine_options(global, limits))?;
    say_provider(global, &engine);
    Ok(engine)
}

/// Prints which provider `auto` chose.
pub fn say_provider(global: &Global, engine: &Engine) {
    if global.provider != ProviderArg::Auto || global.quiet {
        return;
    }
    match (engine.provider(), engine.provider_note()) {
        (Provider::Cuda, _) => say!("running on the graphics card (CUDA)"),
        (_, Some(why)) => say!("running on the processor: {why}"),
        _ => say!("running on the processor"),
    }
}

pub fn walk_options(args: &WalkArgs) -> WalkOptions {
    let mut options = WalkOptions::default();
    options.hidden = args.hidden;
    options.no_follow = args.no_follow;
    options.ignore.clone_from(&args.ignore);
    options
}
