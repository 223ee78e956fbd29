//! A first `imgsearch query`: a new process, from start to end. The files are in the page cache, as shortly after
//! the last query, or only on the disk, as after a night.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Instant;

use imgsearch::Library;
use imgsearch::index::{FoldOptions, Index};
use imgsearch::onnx::EncoderFile;

use crate::Result;
use crate::evict::evict;
use crate::folders::Folder;
use crate::program::{self, run};
use crate::synthetic;

/// Queries in new processes, of which the median is printed.
const QUERIES: usize = 11;

/// Prints the time for an index of only the photographs, and its size.
pub fn small(photos: &Folder, work: &Path) -> Result {
    let index = work.join("query-index");
    program::index(&photos.path, &index)?;
    let bytes = size(&index)?;
    let encoder = EncoderFile::default_encoder()?.bytes().len() as u64;
    println!();
    println!(
        "index on disk: {} bytes an image, and {:.1} MB once for its encoder",
        (bytes - encoder) / photos.files.len() as u64,
        encoder as f64 / 1e6
    );
    ask(photos, &index)
}

/// Returns the bytes of the files below a folder.
fn size(folder: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(folder)?
        .map(|entry| {
            let (path, metadata) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
            if metadata.is_dir() {
                size(&path)
            } else {
                Ok(metadata.len())
            }
        })
        .sum()
}

/// Prints the time for an index of `images`: the photographs, and codes drawn from a seed.
pub fn measure(photos: &Folder, images: usize, work: &Path) -> Result {
    let index = work.join("stored-index");
    program::index(&photos.path, &index)?;
    let more = images.saturating_sub(photos.files.len());
    let started = Instant::now();
    let encoder = Index::open(&index)?.encoder().clone();
    if (encoder.code_len, encoder.bits) != (synthetic::CODE, synthetic::BITS) {
        return Err(format!(
            "the built-in encoder's codes have {} numbers and {} bits, and this bench draws others",
            encoder.code_len, encoder.bits
        )
        .into());
    }
    let drawn = synthetic::draw(more, images, 1);
    synthetic::fill(&index, &encoder, &drawn, photos.files.len());
    drop(drawn);
    let filled = started.elapsed().as_secs_f64();
    let mut fold = FoldOptions::default();
    fold.all = true;
    let folded = Library::open(&index)?.optimize(&fold, &())?;
    println!(
        "{images} images: {more} codes drawn and stored in {filled:.0} s, folded in {:.0} s",
        folded.seconds
    );
    ask(photos, &index)
}

/// Queries photographs in turns, and prints where the time went.
fn ask(photos: &Folder, index: &Path) -> Result {
    let images = Index::open(index)?.len()?;
    let query = |i: usize, more: &[&OsStr]| {
        let file = photos.files[i % photos.files.len()].as_os_str();
        run(index, &[&["query".as_ref(), file], more].concat())
    };
    let print = |what: &str, mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        println!(
            "query of {images} images, a new process, {what}: {:.0} ms (median of {QUERIES}; {:.0} to {:.0})",
            times[QUERIES / 2],
            times[0],
            times[QUERIES - 1]
        );
    };
    if cfg!(target_os = "linux") {
        let runtime = run(index, &["runtime".as_ref(), "--json".as_ref()])?.1;
        let runtime: serde_json::Value = serde_json::from_str(&runtime)?;
        let library = runtime["library"]
            .as_str()
            .ok_or("no path of ONNX Runtime")?;
        let times = (0..QUERIES).map(|i| {
            evict(index);
            evict(Path::new(library));
            evict(Path::new(env!("CARGO_BIN_EXE_imgsearch")));
            evict(&photos.files[i % photos.files.len()]);
            Ok(query(i, &[])?.0)
        });
        let what = "index, program, ONNX Runtime and photograph read from the disk";
        print(what, times.collect::<Result<_>>()?);
    }
    query(0, &[])?;
    let times = (0..QUERIES).map(|i| Ok(query(i, &[])?.0));
    print("all in the page cache", times.collect::<Result<_>>()?);
    let mut steps: Vec<(String, Vec<f64>)> = Vec::new();
    for i in 0..QUERIES {
        let (ms, said) = query(i, &["--explain".as_ref(), "--json".as_ref()])?;
        let said: serde_json::Value = serde_json::from_str(&said)?;
        let timings = said["timings"].as_object().ok_or("it gave no timings")?;
        let total = timings["total_ms"].as_f64().unwrap_or(0.0);
        let outside = ("outside of main".to_owned(), ms - total);
        let newest = timings
            .iter()
            .map(|(step, ms)| (step.clone(), ms.as_f64().unwrap_or(0.0)));
        for (step, ms) in newest.chain([outside]) {
            match steps.iter_mut().find(|(name, _)| *name == step) {
                Some((_, times)) => times.push(ms),
                None => steps.push((step, vec![ms])),
            }
        }
    }
    for (step, mut times) in steps {
        times.sort_by(f64::total_cmp);
        println!(
            "  {:7.1}  {}",
            times[times.len() / 2],
            step.trim_end_matches("_ms")
        );
    }
    Ok(())
}
