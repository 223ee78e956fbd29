//! `imgsearch eval --groups`: how well groups agree with folders.

use std::path::Path;

use imgsearch::Progress;
use imgsearch::train::eval::{GroupsReport, groups_and_folders};

use super::args::Global;
use super::output::{count, shown};
use super::streams::out;
use super::{Result, setup};

/// Groups the indexed images of `folder`.
pub fn measure(global: &Global, folder: &Path, progress: &dyn Progress) -> Result<GroupsReport> {
    let library = setup::library(global, None, None)?;
    Ok(groups_and_folders(&library, folder, progress)?)
}

/// Prints a line for each group, and how well all agree with the folders.
pub fn print(folder: &Path, report: &GroupsReport) {
    out!(
        "\n{} images in the {} folders of {}: {} groups, {} images in none",
        count(report.images as u64),
        count(report.folders as u64),
        shown(folder),
        count(report.rows.len() as u64),
        count(report.ungrouped as u64)
    );
    out!(
        "{:>6}  {:<20} {:>6}  name  {:<18}  words",
        "images",
        "most from",
        "share",
        ""
    );
    for row in &report.rows {
        let right = match row.is_right {
            Some(true) => "right",
            Some(false) => "wrong",
            None => "",
        };
        out!(
            "{:>6}  {:<20} {:>4.0} %  {right:<5} {:<18}  {}",
            count(row.images as u64),
            row.folder,
            100.0 * row.purity,
            row.name.as_deref().unwrap_or("unnamed"),
            row.words.join(", ")
        );
    }
    out!(
        "adjusted mutual information with the folders: {:.4} with images in no group each alone, {:.4} with each in the \
         group of its nearest; k-means with {} clusters: {:.4}",
        report.alone,
        report.nearest,
        report.folders,
        report.kmeans
    );
    out!(
        "names: {} of {} groups are called rightly, among those whose folder is called like a class of ImageNet",
        report.right,
        report.nameable
    );
}
