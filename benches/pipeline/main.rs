//! How fast images are indexed, and a query is answered.
//!
//!     cargo bench --bench pipeline -- PHOTOS [--keep FOLDER] [--rounds N] [--large N]
//!
//! PHOTOS is a folder of photographs. They are measured as they are, enlarged to 12 megapixels (with grain), and as
//! a mixed folder (six formats, several sizes, some lossless ones of 12 megapixels). Timed on all cores: walking,
//! decoding, inference, decoding and inference in turns, and `index` end to end. Each round covers all folders, so
//! that other load on the machine affects all alike. The best round counts, because noise only slows down. Then
//! come the peak memory of an `imgsearch index` process, and the time of an `imgsearch query` in a new process.
//!
//! There are 240 large photographs, or as many as `--large N` says. `--keep FOLDER` keeps the folders and reuses
//! existing ones; `--only-folders` ends after making them. These options measure something else instead:
//!
//! - `--unchanged N` times a second `imgsearch index` over N small files that have not changed;
//! - `--crowded N` times it over a folder of N files that are not images, although half are named so;
//! - `--cuda` compares the codes of an NVIDIA card with the processor's, and prints how fast it is by batch and by
//!   decoding threads and what bounds it, or why there is none; with `--dry`, it tries that with the processor in the
//!   place of the card;
//! - `--stored N` times an `imgsearch query` of an index of N images;
//! - `--fidelity` prints how close the encoder's features are to those of a full decode.

mod crowded;
mod cuda;
#[path = "../evict.rs"]
mod evict;
mod fidelity;
mod folders;
mod program;
mod speed;
mod stored;
// The search bench uses the rest.
#[allow(dead_code)]
#[path = "../synthetic.rs"]
mod synthetic;
mod unchanged;

use std::path::PathBuf;

use imgsearch::onnx::ProviderChoice;

/// The result of a part of the bench.
type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Number of enlarged photographs to index.
const LARGE: usize = 240;
/// Number of enlarged photographs to compare with full decodes.
const FIDELITY_LARGE: usize = 60;

/// The arguments.
#[derive(Default)]
struct Options {
    photos: Option<PathBuf>,
    keep: Option<PathBuf>,
    only_folders: bool,
    rounds: Option<usize>,
    large: Option<usize>,
    unchanged: Option<usize>,
    crowded: Option<usize>,
    stored: Option<usize>,
    fidelity: bool,
    cuda: bool,
    dry: bool,
}

fn options() -> Result<Options> {
    let mut options = Options::default();
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        let mut number = || -> Result<Option<usize>> {
            let given = words.next().unwrap_or_default();
            let number = given.to_string_lossy().parse();
            Ok(Some(number.map_err(|_| {
                format!("{text} {} is no number", given.display())
            })?))
        };
        match text.as_str() {
            // Options that cargo passes to every bench.
            "--bench" => {}
            "--keep" => options.keep = Some(words.next().ok_or("--keep needs a folder")?.into()),
            "--only-folders" => options.only_folders = true,
            "--rounds" => options.rounds = number()?,
            "--large" => options.large = number()?,
            "--unchanged" => options.unchanged = number()?,
            "--crowded" => options.crowded = number()?,
            "--stored" => options.stored = number()?,
            "--fidelity" => options.fidelity = true,
            "--cuda" => options.cuda = true,
            "--dry" => options.dry = true,
            _ if text.starts_with('-') => {
                return Err(
                    format!("there is no option {text}: see the head of this bench").into(),
                );
            }
            _ => options.photos = Some(word.into()),
        }
    }
    Ok(options)
}

fn main() -> Result {
    let options = options()?;
    let Some(photos) = options.photos else {
        // `cargo test --benches` runs this without a folder, so there is nothing to time.
        eprintln!("name a folder of photographs: cargo bench --bench pipeline -- PHOTOS");
        return Ok(());
    };
    let work = tempfile::tempdir()?;
    let photos = folders::Folder::of("as they are", &photos)?;
    if let Some(files) = options.unchanged {
        return unchanged::measure(&photos, files, work.path());
    }
    if let Some(files) = options.crowded {
        return crowded::measure(&photos, files, work.path());
    }
    if options.cuda {
        let card = if options.dry {
            ProviderChoice::Cpu
        } else {
            ProviderChoice::Cuda
        };
        return cuda::measure(&photos, card, work.path());
    }
    if let Some(images) = options.stored {
        return stored::measure(&photos, images, work.path());
    }
    let made = options.keep.as_deref().unwrap_or(work.path());
    if options.fidelity {
        return fidelity::measure(&folders::large(&photos, FIDELITY_LARGE, made)?);
    }
    let large = folders::large(&photos, options.large.unwrap_or(LARGE), made)?;
    let mixed = folders::mixed(&photos, &large, made)?;
    if options.only_folders {
        return Ok(());
    }
    let folders = [photos, large, mixed];
    speed::measure(&folders, options.rounds.unwrap_or(5), work.path())?;
    program::memory(&folders, work.path())?;
    stored::small(&folders[0], work.path())
}
