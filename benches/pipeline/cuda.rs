//! How a graphics card encodes the same images, and how fast.

use std::path::Path;
use std::time::Instant;

use imgsearch::onnx::{EncoderFile, ProviderChoice};
use imgsearch::{Engine, EngineOptions, Library, OpenOptions};

use crate::Result;
use crate::fidelity::cosine;
use crate::folders::Folder;
use crate::speed;

/// Images in a batch.
const BATCHES: [usize; 5] = [1, 8, 32, 64, 256];

/// Images and rounds for timing a batch size; the best round counts.
const TIMED: usize = 1024;
const ROUNDS: usize = 5;

fn engine(provider: ProviderChoice) -> Result<Engine, imgsearch::Error> {
    Engine::new(EncoderFile::default_encoder()?, options(provider))
}

fn options(provider: ProviderChoice) -> EngineOptions {
    let mut options = EngineOptions::default();
    options.provider = provider;
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
/// several sizes and in `index`. If there is no usable card, prints why.
pub fn measure(photos: &Folder, provider: ProviderChoice, work: &Path) -> Result {
    // First, because the ONNX Runtime that is loaded first is used for both.
    let card = match engine(provider) {
        Ok(card) => card,
        Err(error) => {
            println!("skipped: {error}");
            return Ok(());
        }
    };
    let processor = engine(ProviderChoice::Cpu)?;
    let contents: Vec<Vec<u8>> = photos
        .files
        .iter()
        .map(std::fs::read)
        .collect::<Result<_, _>>()?;
    let (decoding, _) = speed::toil(&processor, contents.len(), 1, |worker, pixels, range| {
        speed::decode(worker, &contents[range], pixels)
    })?;
    let mut worker = processor.worker()?;
    let size = worker.image_bytes();
    let mut pictures = vec![0; contents.len() * size];
    speed::decode(&mut worker, &contents, &mut pictures)?;
    drop(contents);

    compare(&processor, &card, &pictures, size)?;
    println!("images a second; decoding reaches {decoding:.0} on all cores");
    encode_in_batches(&card, &pictures, size)?;
    index(photos, provider, work)
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

/// Prints how many images per second the card encodes, by batch size.
fn encode_in_batches(card: &Engine, pictures: &[u8], size: usize) -> Result {
    let some: Vec<u8> = pictures
        .chunks_exact(size)
        .cycle()
        .take(TIMED)
        .flatten()
        .copied()
        .collect();
    let mut worker = card.worker()?;
    for batch in BATCHES {
        let mut best = f64::INFINITY;
        // The first round allocates memory for batches of this size.
        for round in 0..=ROUNDS {
            let started = Instant::now();
            for batch in some.chunks(batch * size) {
                worker.encode(batch, batch.len() / size)?;
            }
            if round > 0 {
                best = best.min(started.elapsed().as_secs_f64());
            }
        }
        println!(
            "  encoding in batches of {batch:<4} {:>8.0}",
            TIMED as f64 / best
        );
    }
    Ok(())
}

/// Prints how many images per second `index` reaches.
fn index(photos: &Folder, provider: ProviderChoice, work: &Path) -> Result {
    let mut opening = OpenOptions::default();
    opening.engine = options(provider);
    let mut library = Library::open_or_create_with(work.join("card"), opening)?;
    library.engine()?;
    let started = Instant::now();
    let summary = library.indexer().no_adapt(true).run([&photos.path])?;
    println!(
        "  `index`, end to end       {:>8.0}",
        summary.encoded as f64 / started.elapsed().as_secs_f64()
    );
    Ok(())
}
