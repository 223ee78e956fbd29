//! A second `imgsearch index` over files that have not changed.

use std::fs;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use imgsearch::index::{Change, FoldOptions, Index, NewContent, Writer};
use imgsearch::{Library, WalkOptions, walk};
use rayon::prelude::*;

use crate::Result;
use crate::folders::Folder;
use crate::program::{self, run};
use crate::synthetic;

/// Files in a folder.
const A_FOLDER: usize = 500;

/// Runs, of which the median is printed.
const RUNS: usize = 5;

/// Side of the images.
const SIDE: u32 = 32;

/// Images stored in one transaction.
const BLOCK: usize = 20_000;

/// Times runs over `files` small distinct images. The index holds them as if it had encoded them, but their codes
/// are drawn from a seed: a second run reads none of them, and encoding all would take minutes.
pub fn measure(photos: &Folder, files: usize, work: &Path) -> Result {
    let (folder, index) = (work.join("unchanged"), work.join("unchanged-index"));
    let picture = resize(
        &image::open(&photos.files[0])?.to_rgb8(),
        SIDE,
        SIDE,
        FilterType::Triangle,
    );
    let mut bytes = Vec::new();
    JpegEncoder::new(&mut bytes).encode_image(&picture)?;
    for first in (0..files).step_by(A_FOLDER) {
        let below = folder.join(format!("{:04}", first / A_FOLDER));
        fs::create_dir_all(&below)?;
        for i in first..files.min(first + A_FOLDER) {
            // A number after the image gives each its own content.
            let distinct = [&bytes[..], &i.to_le_bytes()].concat();
            fs::write(below.join(format!("{i:06}.jpg")), distinct)?;
        }
    }
    // One real image creates the index, with its encoder.
    let one = work.join("one");
    fs::create_dir(&one)?;
    fs::write(one.join("one.jpg"), &bytes)?;
    program::index(&one, &index)?;
    fill(&folder, &index)?;
    let mut fold = FoldOptions::default();
    fold.all = true;
    Library::open(&index)?.optimize(&fold, &())?;

    let mut times = Vec::new();
    for _ in 0..RUNS {
        let (ms, said) = run(
            &index,
            &["index".as_ref(), folder.as_os_str(), "--json".as_ref()],
        )?;
        let said = said.lines().last().unwrap_or_default();
        let summary: serde_json::Value = serde_json::from_str(said)?;
        if summary["summary"]["unchanged"] != files {
            return Err(format!("not all {files} files were found unchanged: {summary}").into());
        }
        times.push(ms / 1000.0);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "`imgsearch index` of {files} unchanged files, process start to end: {:.2} s (median of {RUNS}; {:.2} to {:.2})",
        times[RUNS / 2],
        times[0],
        times[RUNS - 1]
    );
    Ok(())
}

/// Stores the files of a folder with codes drawn from a seed.
fn fill(folder: &Path, index: &Path) -> Result {
    let walked = walk(&[folder.to_owned()], &WalkOptions::default())?;
    let files = walked.candidates;
    let encoder = Index::open(index)?.encoder().clone();
    let drawn = synthetic::draw(files.len(), files.len(), 1);
    let mut writer = Writer::open(index, &encoder)?;
    for (block, some) in files.chunks(BLOCK).enumerate() {
        let changes: Vec<Change> = some
            .par_iter()
            .enumerate()
            .map(|(i, file)| {
                let (code, hash) = drawn.get(block * BLOCK + i);
                Ok(Change::Insert {
                    path: file.path.clone(),
                    stat: file.stat,
                    content: NewContent {
                        digest: *blake3::hash(&fs::read(&file.path)?).as_bytes(),
                        width: SIDE,
                        height: SIDE,
                        format: "jpeg".to_owned(),
                        taken: None,
                        damage: None,
                        labels: Vec::new(),
                        code: code.to_vec(),
                        hash: hash.to_vec(),
                    },
                })
            })
            .collect::<std::io::Result<_>>()?;
        writer.apply(&changes)?;
    }
    Ok(())
}
