//! Small copies of the pictures, made on all cores within the limits of the program.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::OnceLock;

use imgsearch::Error;
use imgsearch::decode::{Crop, DecodeError, Decoder, Limits, Rgb, Source};
use imgsearch::render::sheet::Picture;
use imgsearch::render::thumbnail::{fitted, jpeg, thumbnail};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::items::Made;
use crate::cli::args::Global;
use crate::cli::streams::say;
use crate::cli::{Result, say_error};

/// Pictures that cannot be shown are named, up to this number of them.
const MOST_NAMED: usize = 5;

/// The quality of the JPEG files in a sheet.
const QUALITY: u8 = 80;

/// A picture that is needed.
pub struct Wanted {
    pub path: PathBuf,
    /// What was read already.
    pub source: Option<Source>,
    /// The part that is needed, if not all of it.
    pub crop: Option<Crop>,
}

impl Wanted {
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            source: None,
            crop: None,
        }
    }
}

/// Makes small copies, and names the pictures of which there are none.
pub struct Loader<'a> {
    global: &'a Global,
    pool: OnceLock<ThreadPool>,
    /// Pictures that cannot be shown.
    failed: HashSet<PathBuf>,
}

impl<'a> Loader<'a> {
    pub fn new(global: &'a Global) -> Self {
        Self {
            global,
            pool: OnceLock::new(),
            failed: HashSet::new(),
        }
    }

    /// Returns a small copy of each picture as `finish` makes it, or the reason why there is none.
    ///
    /// # Errors
    ///
    /// If no threads can be started.
    pub fn load<T: Send>(
        &mut self,
        wanted: &[Wanted],
        limits: &Limits,
        longer_side: u32,
        finish: impl Fn(Rgb) -> Result<T, DecodeError> + Sync,
    ) -> Result<Vec<Result<T, Error>>> {
        let made: Vec<Result<T, Error>> = self.pool()?.install(|| {
            wanted
                .par_iter()
                .map_init(
                    || Decoder::new(*limits),
                    |decoder, wanted| {
                        let source = wanted.open(limits)?;
                        let small = wanted.small(decoder, &source, longer_side);
                        small.and_then(&finish).map_err(|source| Error::Image {
                            path: wanted.path.clone(),
                            source,
                        })
                    },
                )
                .collect()
        });
        for (wanted, made) in wanted.iter().zip(&made) {
            if let Err(error) = made
                && self.failed.insert(wanted.path.clone())
                && self.failed.len() <= MOST_NAMED
            {
                say_error(error, self.global.index.as_deref());
            }
        }
        Ok(made)
    }

    /// Puts pictures into the items of a group.
    ///
    /// # Errors
    ///
    /// If no threads can be started.
    pub fn fill(&mut self, made: &mut Made, limits: &Limits, longer_side: u32) -> Result<()> {
        let wanted: Vec<Wanted> = made.wanted.drain(..).collect();
        let files = self.load(&wanted, limits, longer_side, |small| jpeg(&small, QUALITY))?;
        let group = &mut made.group;
        let items = group.asked.iter_mut().chain(&mut group.items);
        let empty = items.filter(|item| matches!(item.picture, Picture::Missing(_)));
        for (item, file) in empty.zip(files) {
            item.picture = match file {
                Ok(file) => Picture::Jpeg(file),
                Err(error) => Picture::Missing(reason(&error)),
            };
        }
        Ok(())
    }

    /// Returns how many pictures could not be shown, and says how many of them were not named.
    pub fn finish(&self) -> usize {
        let unnamed = self.failed.len().saturating_sub(MOST_NAMED);
        if unnamed > 0 {
            say!("{unnamed} more cannot be shown");
        }
        self.failed.len()
    }

    fn pool(&self) -> Result<&ThreadPool> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(self.global.threads)
            .build()?;
        Ok(self.pool.get_or_init(|| pool))
    }
}

/// Returns why a picture cannot be shown, without its path, which is elsewhere.
fn reason(error: &Error) -> String {
    match error {
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            "the file is no longer there".to_owned()
        }
        Error::Io { source, .. } => source.to_string(),
        Error::Image { source, .. } => source.to_string(),
        error => error.to_string(),
    }
}

impl Wanted {
    fn open(&self, limits: &Limits) -> Result<Source, Error> {
        if let Some(source) = &self.source {
            return Ok(source.clone());
        }
        let failed = |source| Error::Io {
            action: "read",
            path: self.path.clone(),
            source,
        };
        // Reading a pipe could take for ever.
        if !self.path.metadata().map_err(failed)?.is_file() {
            let text = "it is not an ordinary file, so it cannot be read again";
            return Err(failed(std::io::Error::other(text)));
        }
        Source::open(&self.path, limits).map_err(|unread| Error::unread(unread, &self.path))
    }

    fn small(
        &self,
        decoder: &mut Decoder,
        source: &Source,
        longer_side: u32,
    ) -> Result<Rgb, DecodeError> {
        let Some(crop) = &self.crop else {
            return thumbnail(decoder, source, longer_side);
        };
        let part = crop.cut(&*decoder.decode_whole(source, u32::MAX)?)?;
        if part.width.max(part.height) <= longer_side {
            return Ok(part);
        }
        fitted(&part, longer_side, longer_side)
    }
}
