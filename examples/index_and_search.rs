//! Indexes a folder of images and finds those nearest to another image:
//!
//!     cargo run --release --example index_and_search -- INDEX FOLDER IMAGE

use std::path::Path;

use imgsearch::{Library, Outcome, Progress};

/// Prints the files that cannot be used.
struct PrintFailures;

impl Progress for PrintFailures {
    fn file(&self, path: &Path, outcome: &Outcome) {
        if let Outcome::Failed(reason) = outcome {
            eprintln!("{}: {reason}", path.display());
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [index, folder, image] = args.as_slice() else {
        return Err("usage: index_and_search INDEX FOLDER IMAGE".into());
    };
    let mut library = Library::open_or_create(index)?;
    let summary = library.indexer().progress(&PrintFailures).run([folder])?;
    println!(
        "{} images added, {} unchanged",
        summary.added, summary.unchanged
    );
    for found in library.nearest_to(image, 10)? {
        println!("{:.3}  {}", found.distance, found.path.display());
    }
    Ok(())
}
