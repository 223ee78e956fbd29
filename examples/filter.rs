//! Finds the nearest images among those that meet a filter, and shows what the search cost:
//!
//!     cargo run --release --example filter -- INDEX IMAGE FOLDER
//!
//! Only PNG and JPEG files below FOLDER of at least 10 kB are found.

use std::path::Path;

use imgsearch::Library;
use imgsearch::index::{Filter, RankBy, SearchParams};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [index, image, folder] = args.as_slice() else {
        return Err("usage: filter INDEX IMAGE FOLDER".into());
    };
    let library = Library::open(index)?;
    let mut filter = Filter::default();
    // A path through links is stored under another name.
    filter.under.push(library.stored_path(folder)?);
    filter.formats = vec!["png".to_owned(), "jpeg".to_owned()];
    filter.min_size = Some(10_000);
    let params = SearchParams::new(10).by(RankBy::Both).filter(filter);
    let answer = library.search(&library.encode_file(Path::new(image))?, &params)?;
    for found in &answer.matches {
        println!("{:.3}  {}", found.distance, found.path.display());
    }
    let stats = &answer.stats;
    println!(
        "{} of {} images meet the filter; the search took {:.0} µs",
        stats.allowed, stats.images, stats.search_us
    );
    Ok(())
}
