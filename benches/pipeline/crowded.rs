//! A folder with very many files, none of them usable.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::folders::Folder;
use crate::program;

/// Runs after the first.
const AGAIN: usize = 3;

/// Prints how long `imgsearch index` takes for a folder of `files` files, half of them empty and named as images,
/// half of them texts without an extension, and how long the next run takes. Each file must be opened, and every
/// empty one is reported and recorded.
pub fn measure(photos: &Folder, files: usize, work: &Path) -> Result {
    let (folder, index) = (work.join("crowded"), work.join("crowded-index"));
    fs::create_dir(&folder)?;
    for i in 0..files {
        if i % 2 == 0 {
            fs::write(folder.join(format!("{i:07}.jpg")), b"")?;
        } else {
            fs::write(folder.join(format!("{i:07}")), format!("text {i}"))?;
        }
    }
    // One image, because an index needs one.
    fs::copy(&photos.files[0], folder.join("picture.jpg"))?;
    println!(
        "`imgsearch index` of {files} files in one folder that are no images, and one that is"
    );
    for run in 0..=AGAIN {
        let watched = program::watch(&[&folder], &index)?;
        println!(
            "{} {:>6.1} s, {:>4.0} MB resident at most",
            if run == 0 { "first" } else { "again" },
            watched.seconds,
            watched.peak_mb
        );
    }
    Ok(())
}
