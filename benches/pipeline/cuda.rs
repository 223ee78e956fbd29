//! How a graphics card encodes the same images, and how fast.

use std::path::Path;
use std::time::Instant;

use imgsearch::onnx::{EncoderFile, Provider, ProviderChoice};
use imgsearch::{Engine, EngineOptions, Library, OpenOptions};

use crate::Result;
use crate::fidelity::cosine;
use crate::folders::Folder;
use crate::speed;

/// Images in a batch.
const BATCHES: [usize; 5] = [1, 8, 32, 64, 256];

/// Images and rounds for timing a batch size; the best round counts. A processor in the place of the card takes long.
const TIMED: usize = 1024;
const ROUNDS: usize = 5;
const DRY_TIMED: usize = 256;
const DRY_ROUNDS: usize = 1;

/// What bounds `index` is what it comes this near to.
const NEAR: f64 = 0.85;

fn engine(provider: ProviderChoice, threads: usize) -> Result<Engine, imgsearch::Error> {
    Engine::new(EncoderFile::default_encoder()?, options(provider, threads))
}

fn options(provider: ProviderChoice, threads: usize) -> EngineOptions {
    let mut options = EngineOptions::default();
    options.provider = provider;
    options.threads = threads;
    options
}

/// Codes and hashes of decoded images.
struct Encoded {
    codes: Vec<Vec<f32>>,
    hashes: Vec<Vec<u8>>,
}

fn encoded(engine: &Engine, pictures: &[u8], size: usize) -> Result<Encoded> {
    let mut worker = engine.worker()?;
    let (mut codes, mut hashes) = (Vec::new(), Vec::new());
    for batch in pictures.chunks(engine.batch() * size) {
        let n = batch.len() / size;
        let encodings = worker.encode(batch, n)?;
        codes.extend((0..n).map(|i| encodings.code(i).to_vec()));
        hashes.extend((0..n).map(|i| encodings.hash(i)));
    }
    Ok(Encoded { codes, hashes })
}

/// Compares the card's codes and hashes with the processor's, and prints how fast the card encodes, in batches of
/// several sizes and in `index`, and what bounds it. If there is no usable card, prints why.
pub fn measure(photos: &Folder, provider: ProviderChoice, work: &Path) -> Result {
    // First, because the ONNX Runtime that is loaded first is used for both.
    let card = match engine(provider, 0) {
        Ok(card) => card,
        Err(error) => {
            println!("skipped: {error}");
            return Ok(());
        }
    };
    let processor = engine(ProviderChoice::Cpu, 0)?;
    let contents: Vec<Vec<u8>> = photos
        .files
        .iter()
        .map(std::fs::read)
        .collect::<Result<_, _>>()?;
    let mut worker = processor.worker()?;
    let size = worker.image_bytes();
    let mut pictures = vec![0; contents.len() * size];
    speed::decode(&mut worker, &contents, &mut pictures)?;
    drop(worker);

    compare(&processor, &card, &pictures, size)?;
    let encoding = encode_in_batches(&card, &pictures, size)?;
    drop(pictures);
    by_threads(photos, &contents, provider, encoding, work)
}

/// Prints how close the card's codes and hashes are to the processor's.
fn compare(processor: &Engine, card: &Engine, pictures: &[u8], size: usize) -> Result {
    let (ours, theirs) = (
        encoded(processor, pictures, size)?,
        encoded(card, pictures, size)?,
    );
    let mut cosines: Vec<f64> = ours
        .codes
        .iter()
        .zip(&theirs.codes)
        .map(|(a, b)| cosine(a, b))
        .collect();
    cosines.sort_by(f64::total_cmp);
    let pairs = ours.hashes.iter().flatten();
    let differing: u32 = pairs
        .zip(theirs.hashes.iter().flatten())
        .map(|(a, b)| (a ^ b).count_ones())
        .sum();
    let bits = card.info().bits * ours.hashes.len();
    println!(
        "{} photographs on {:?} and on {:?}",
        cosines.len(),
        card.provider(),
        processor.provider()
    );
    println!(
        "cosine of codes: mean {:.5}, lowest {:.5} (goal: 0.999)",
        cosines.iter().sum::<f64>() / cosines.len() as f64,
        cosines[0]
    );
    println!(
        "equal bits of hashes: {:.2} % (goal: 99 %)",
        100.0 * (1.0 - f64::from(differing) / bits as f64)
    );
    Ok(())
}

/// Prints how many images per second the card encodes, by batch size. Returns the most.
fn encode_in_batches(card: &Engine, pictures: &[u8], size: usize) -> Result<f64> {
    let (timed, rounds) = match card.provider() {
        Provider::Cpu => (DRY_TIMED, DRY_ROUNDS),
        _ => (TIMED, ROUNDS),
    };
    let some: Vec<u8> = pictures
        .chunks_exact(size)
        .cycle()
        .take(timed)
        .flatten()
        .copied()
        .collect();
    let mut worker = card.worker()?;
    let mut most = 0.0f64;
    println!("images a second, encoding alone, {:?}", card.provider());
    for batch in BATCHES {
        let mut best = f64::INFINITY;
        // The first round allocates memory for batches of this size.
        for round in 0..=rounds {
            let started = Instant::now();
            for batch in some.chunks(batch * size) {
                worker.encode(batch, batch.len() / size)?;
            }
            if round > 0 {
                best = best.min(started.elapsed().as_secs_f64());
            }
        }
        let rate = timed as f64 / best;
        let used = if batch == card.batch() {
            "  (used)"
        } else {
            ""
        };
        println!("  batches of {batch:<4} {rate:>8.0}{used}");
        most = most.max(rate);
    }
    Ok(most)
}

/// Prints how many images per second are decoded and indexed, by the number of threads, and what bounds `index`.
/// `encoding` is what the card alone reaches.
fn by_threads(
    photos: &Folder,
    contents: &[Vec<u8>],
    provider: ProviderChoice,
    encoding: f64,
    work: &Path,
) -> Result {
    println!("images a second, by threads");
    println!("  threads   decoding   `index`   bounded by");
    let cores = engine(ProviderChoice::Cpu, 0)?.threads();
    let counts = (0..).map(|power| 1 << power).take_while(|&n| n < cores);
    for threads in counts.chain([cores]) {
        let processor = engine(ProviderChoice::Cpu, threads)?;
        let (decoding, _) = speed::toil(&processor, contents.len(), 1, |worker, pixels, range| {
            speed::decode(worker, &contents[range], pixels)
        })?;
        let indexing = index(photos, provider, threads, work)?;
        let bound = bound(indexing, decoding, encoding, provider);
        println!("  {threads:>7}   {decoding:>8.0}  {indexing:>8.0}   {bound}");
    }
    Ok(())
}

/// Says which of the two that `index` does at the same time holds it up.
fn bound(indexing: f64, decoding: f64, encoding: f64, provider: ProviderChoice) -> &'static str {
    if provider == ProviderChoice::Cpu {
        // One worker does both in turns.
        return "the processor, which does both";
    }
    match (indexing > NEAR * decoding, indexing > NEAR * encoding) {
        (true, true) => "decoding and the card alike",
        (true, false) => "decoding",
        (false, true) => "the card",
        (false, false) => "neither alone: what is between them",
    }
}

/// Returns how many images per second `index` reaches.
fn index(photos: &Folder, provider: ProviderChoice, threads: usize, work: &Path) -> Result<f64> {
    let mut opening = OpenOptions::default();
    opening.engine = options(provider, threads);
    let folder = work.join(format!("card-{threads}"));
    let mut library = Library::open_or_create_with(folder, opening)?;
    library.engine()?;
    let started = Instant::now();
    let summary = library.indexer().no_adapt(true).run([&photos.path])?;
    Ok(summary.encoded as f64 / started.elapsed().as_secs_f64())
}
