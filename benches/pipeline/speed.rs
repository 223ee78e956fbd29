//! How fast each step is alone, and `index` end to end.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use cpu_time::{ProcessTime, ThreadTime};
use imgsearch::{Engine, EngineOptions, Library, WalkOptions, Worker, onnx::EncoderFile, walk};

use crate::Result;
use crate::folders::Folder;

/// Number of images on which inference alone is timed.
const ENCODED: usize = 512;

/// Number of times that a folder is walked.
const WALKS: usize = 20;

/// The best round: images per second of all cores together, and processor time in seconds per image.
struct Best {
    walk: f64,
    decode: f64,
    encode: f64,
    sequence: f64,
    index: f64,
    decode_processor: f64,
    encode_processor: f64,
    index_processor: f64,
    /// Share of the time of `index`.
    storing: f64,
    /// Share of the processor time of `index`.
    storing_thread: f64,
}

impl Best {
    const fn none() -> Self {
        Self {
            walk: 0.0,
            decode: 0.0,
            encode: 0.0,
            sequence: 0.0,
            index: 0.0,
            decode_processor: f64::INFINITY,
            encode_processor: f64::INFINITY,
            index_processor: f64::INFINITY,
            storing: f64::INFINITY,
            storing_thread: f64::INFINITY,
        }
    }
}

pub fn measure(folders: &[Folder], rounds: usize, work: &Path) -> Result {
    let engine = Engine::new(EncoderFile::default_encoder()?, EngineOptions::default())?;
    let mut best: Vec<Best> = folders.iter().map(|_| Best::none()).collect();
    for round in 0..rounds {
        for (folder, best) in folders.iter().zip(&mut best) {
            let index = work.join(format!("index-{}-{round}", folder.name));
            measure_one(&engine, folder, &index, best)?;
        }
    }
    print(folders, &best, engine.threads() as f64, rounds);
    Ok(())
}

fn measure_one(engine: &Engine, folder: &Folder, index: &Path, best: &mut Best) -> Result {
    let contents: Vec<Vec<u8>> = folder
        .files
        .iter()
        .map(std::fs::read)
        .collect::<std::result::Result<_, _>>()?;
    let n = contents.len();
    let batch = engine.batch();

    let started = Instant::now();
    for _ in 0..WALKS {
        walk(std::slice::from_ref(&folder.path), &WalkOptions::default())?;
    }
    best.walk = best
        .walk
        .max((WALKS * n) as f64 / started.elapsed().as_secs_f64());

    let (rate, processor) = toil(engine, n, 1, |worker, pixels, range| {
        decode(worker, &contents[range], pixels)
    })?;
    best.decode = best.decode.max(rate);
    best.decode_processor = best.decode_processor.min(processor);

    // Real images, as many as a batch has.
    let mut worker = engine.worker()?;
    let mut some = vec![0; worker.image_bytes() * batch];
    let few = n.min(batch);
    decode(&mut worker, &contents[..few], &mut some)?;
    let size = worker.image_bytes();
    for place in few..batch {
        some.copy_within(0..size, place * size);
    }
    let (rate, processor) = toil(engine, ENCODED, batch, |worker, _, range| {
        encode(worker, &some, range.len())
    })?;
    best.encode = best.encode.max(rate);
    best.encode_processor = best.encode_processor.min(processor);

    let (rate, _) = toil(engine, n, batch, |worker, pixels, range| {
        let few = range.len();
        decode(worker, &contents[range], pixels)?;
        encode(worker, pixels, few)
    })?;
    best.sequence = best.sequence.max(rate);

    drop(contents);
    let mut library = Library::open_or_create(index)?;
    library.engine()?;
    let (started, processor, thread) = (Instant::now(), ProcessTime::now(), ThreadTime::now());
    // Training an encoder is measured on its own.
    let run = library.indexer().no_adapt(true);
    let summary = run.run([&folder.path])?;
    let seconds = started.elapsed().as_secs_f64();
    let (processor, thread) = (processor.elapsed(), thread.elapsed());
    if summary.encoded != n {
        return Err(format!(
            "{} of {n} files of {} were encoded: name a folder of sound photographs, each once",
            summary.encoded,
            folder.path.display()
        )
        .into());
    }
    best.index = best.index.max(n as f64 / seconds);
    best.index_processor = best.index_processor.min(processor.as_secs_f64() / n as f64);
    best.storing = best.storing.min(summary.storing_seconds / seconds);
    best.storing_thread = best
        .storing_thread
        .min(thread.as_secs_f64() / processor.as_secs_f64());
    Ok(())
}

fn print(folders: &[Folder], best: &[Best], cores: f64, rounds: usize) {
    let row = |name: &str, cell: &dyn Fn(&Folder, &Best) -> String| {
        let cells: String = folders
            .iter()
            .zip(best)
            .map(|(folder, best)| format!("{:>14}", cell(folder, best)))
            .collect();
        println!("{name:<58}{cells}");
    };
    let rate = |rate: f64| format!("{rate:.1}");
    let share = |share: f64| format!("{:.1} %", 100.0 * share);
    let both = |best: &Best| best.decode_processor + best.encode_processor;
    let limit = |best: &Best| cores / both(best);
    let alone = |best: &Best| 1.0 / (1.0 / best.decode + 1.0 / best.encode);

    println!("{cores} cores, {rounds} rounds; a second, all cores together");
    row("", &|folder, _| folder.name.to_owned());
    row("files", &|folder, _| folder.files.len().to_string());
    row("walking alone", &|_, best| format!("{:.0}", best.walk));
    row("decoding alone", &|_, best| rate(best.decode));
    row("inference alone", &|_, best| rate(best.encode));
    row(
        "decoding and inference in turns, nothing stored",
        &|_, b| rate(b.sequence),
    );
    row("`index`, end to end", &|_, best| rate(best.index));
    row(
        "limit: cores / processor time of decoding and inference",
        &|_, b| rate(limit(b)),
    );
    row("  share of it that `index` reaches", &|_, best| {
        share(best.index / limit(best))
    });
    row("decoding alone and inference alone would allow", &|_, b| {
        rate(alone(b))
    });
    row("  share of it that `index` reaches", &|_, best| {
        share(best.index / alone(best))
    });
    row(
        "of the processor time of `index`, decoding and inference",
        &|_, b| share(both(b) / b.index_processor),
    );
    row(
        "  … and the thread that walks, plans and stores",
        &|_, b| share(b.storing_thread),
    );
    row(
        "of the time of `index`, storing (in parallel with the workers)",
        &|_, b| share(b.storing),
    );
}

/// Decodes files one after the other.
pub fn decode(worker: &mut Worker, contents: &[Vec<u8>], pixels: &mut [u8]) -> Result<(), String> {
    let size = worker.image_bytes();
    for (bytes, out) in contents.iter().zip(pixels.chunks_exact_mut(size)) {
        worker
            .decode_into(bytes, out)
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn encode(worker: &mut Worker, pixels: &[u8], n: usize) -> Result<(), String> {
    let size = worker.image_bytes();
    worker
        .encode(&pixels[..n * size], n)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// Runs `work` on all cores, `step` images at a time. Returns images per second, and seconds of processor time per
/// image. Each worker has room for a batch of images.
pub fn toil(
    engine: &Engine,
    images: usize,
    step: usize,
    work: impl Fn(&mut Worker, &mut [u8], Range<usize>) -> Result<(), String> + Sync,
) -> Result<(f64, f64)> {
    let mut workers = Vec::new();
    for _ in 0..engine.threads() {
        let worker = engine.worker()?;
        let pixels = vec![0; worker.image_bytes() * engine.batch()];
        workers.push((worker, pixels));
    }
    let next = AtomicUsize::new(0);
    let (started, processor) = (Instant::now(), ProcessTime::now());
    let results: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let handles: Vec<_> = workers
            .iter_mut()
            .map(|(worker, pixels)| {
                scope.spawn(|| {
                    loop {
                        let start = next.fetch_add(step, Ordering::Relaxed);
                        if start >= images {
                            return Ok(());
                        }
                        work(worker, pixels, start..images.min(start + step))?;
                    }
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| {
                handle
                    .join()
                    .unwrap_or_else(|_| Err("a worker panicked".to_owned()))
            })
            .collect()
    });
    let (seconds, processor) = (started.elapsed().as_secs_f64(), processor.elapsed());
    results.into_iter().collect::<Result<(), _>>()?;
    Ok((
        images as f64 / seconds,
        processor.as_secs_f64() / images as f64,
    ))
}
