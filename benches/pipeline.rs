//! How fast photographs become an index, and a query an answer.
//!
//!     cargo bench --bench pipeline -- PHOTOS
//!
//! PHOTOS is a folder of photographs. Decoding alone, encoding alone and `index` end to end are
//! timed on all cores in one run, for the photographs as they are and for 12-megapixel ones made
//! of them (enlarged, with grain), and set against what decoding and encoding one after the other
//! would allow. Then the time of a cold `imgsearch query`, a process of its own, and the bytes
//! that an image takes in the index.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use imgsearch::{Engine, EngineOptions, IndexOptions, Library, Quiet, WalkOptions, walk};

/// Photographs made large, and their size.
const LARGE: usize = 60;
const LARGE_SIDES: (u32, u32) = (4000, 3000);

/// Rounds of each measurement; the best counts, for noise only ever slows down.
const ROUNDS: usize = 3;

/// Cold queries, of which the median is printed.
const QUERIES: usize = 11;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(photos) = std::env::args().skip(1).find(|word| !word.starts_with('-')) else {
        // `cargo test --benches` runs this without a folder: there is nothing to time then.
        eprintln!("name a folder of photographs: cargo bench --bench pipeline -- PHOTOS");
        return Ok(());
    };
    let work = tempfile::tempdir()?;
    let small = files(Path::new(&photos))?;
    let large = enlarge(&small, work.path())?;
    println!(
        "{:<12} {:>7} {:>12} {:>12} {:>12} {:>12} {:>8}",
        "photographs", "number", "decode/s", "encode/s", "both/s", "index/s", "share"
    );
    for (name, files) in [("as they are", &small), ("12 megapixel", &large)] {
        measure(name, files, work.path())?;
    }
    query(Path::new(&photos), &small, work.path())
}

fn files(folder: &Path) -> imgsearch::Result<Vec<PathBuf>> {
    let walked = walk(&[folder.to_owned()], &WalkOptions::default())?;
    Ok(walked
        .candidates
        .into_iter()
        .map(|found| found.path)
        .collect())
}

/// Photographs of 12 megapixels with the detail that a file of that size has.
fn enlarge(files: &[PathBuf], work: &Path) -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
    let folder = work.join("large");
    std::fs::create_dir(&folder)?;
    let mut made = Vec::new();
    let mut noise = 1u32;
    for (i, file) in files.iter().take(LARGE).enumerate() {
        let image = image::open(file)?.to_rgb8();
        let (width, height) = LARGE_SIDES;
        let mut large =
            image::imageops::resize(&image, width, height, image::imageops::FilterType::Triangle);
        for channel in large.iter_mut() {
            // Xorshift (Marsaglia 2003): grain of up to six levels.
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            *channel = channel.saturating_add((noise % 7) as u8).saturating_sub(3);
        }
        let path = folder.join(format!("{i}.jpg"));
        let mut out = std::io::BufWriter::new(std::fs::File::create(&path)?);
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 90).encode_image(&large)?;
        made.push(path);
    }
    Ok(made)
}

fn measure(name: &str, files: &[PathBuf], work: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new(
        imgsearch::onnx::EncoderFile::default_encoder()?,
        EngineOptions::default(),
    )?;
    let contents: Vec<Vec<u8>> = files.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    let batch = engine.batch();
    let (mut decode, mut encode, mut index) = (0.0f64, 0.0f64, 0.0f64);
    for round in 0..ROUNDS {
        decode = decode.max(rate(&engine, contents.len(), 1, |worker, i| {
            let mut out = vec![0; worker.image_bytes()];
            worker
                .decode_into(&contents[i], &mut out)
                .map_err(|error| error.to_string())
                .map(|_| ())
        })?);
        encode = encode.max(rate(&engine, 512, batch, |worker, _| {
            let pixels = vec![127; worker.image_bytes() * batch];
            worker
                .encode(&pixels, batch)
                .map_err(|error| error.to_string())
                .map(|_| ())
        })?);
        let dir = work.join(format!("index-{name}-{round}"));
        let mut library = Library::open_or_create(&dir)?;
        library.engine()?;
        let started = Instant::now();
        let summary = library.index(files, &IndexOptions::default(), &Quiet)?;
        index = index.max(summary.added as f64 / started.elapsed().as_secs_f64());
    }
    let both = 1.0 / (1.0 / decode + 1.0 / encode);
    println!(
        "{name:<12} {:>7} {decode:>12.1} {encode:>12.1} {both:>12.1} {index:>12.1} {:>7.1}%",
        files.len(),
        100.0 * index / both
    );
    Ok(())
}

/// Images a second, all cores together, of work that deals with `step` images at a time.
fn rate(
    engine: &Engine,
    images: usize,
    step: usize,
    work: impl Fn(&mut imgsearch::Worker, usize) -> Result<(), String> + Sync,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut workers = Vec::new();
    for _ in 0..engine.threads() {
        workers.push(engine.worker()?);
    }
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let results: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let handles: Vec<_> = workers
            .iter_mut()
            .map(|worker| {
                scope.spawn(|| {
                    loop {
                        let i = next.fetch_add(step, Ordering::Relaxed);
                        if i >= images {
                            return Ok(());
                        }
                        work(worker, i)?;
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
    let seconds = started.elapsed().as_secs_f64();
    results.into_iter().collect::<Result<(), _>>()?;
    Ok(images as f64 / seconds)
}

fn query(photos: &Path, files: &[PathBuf], work: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let binary = env!("CARGO_BIN_EXE_imgsearch");
    let dir = work.join("query-index");
    let run = |arguments: &[&std::ffi::OsStr]| -> Result<f64, Box<dyn std::error::Error>> {
        let started = Instant::now();
        let output = Command::new(binary)
            .args(arguments)
            .env("IMGSEARCH_INDEX", &dir)
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(started.elapsed().as_secs_f64() * 1000.0)
    };
    run(&["index".as_ref(), photos.as_os_str()])?;
    let file = files.first().ok_or("the folder holds no photograph")?;
    let mut times = (0..QUERIES)
        .map(|_| run(&["query".as_ref(), file.as_os_str()]))
        .collect::<Result<Vec<_>, _>>()?;
    times.sort_by(f64::total_cmp);
    let bytes: u64 = std::fs::read_dir(&dir)?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .sum::<Result<u64, std::io::Error>>()?;
    let encoder = imgsearch::onnx::EncoderFile::default_encoder()?
        .bytes()
        .len() as u64;
    println!();
    println!(
        "cold query of {} images, end to end: {:.0} ms (median of {QUERIES})",
        files.len(),
        times[QUERIES / 2]
    );
    println!(
        "index on disk: {} bytes an image, and {:.1} MB once for its encoder",
        (bytes - encoder) / files.len() as u64,
        encoder as f64 / 1e6
    );
    Ok(())
}
