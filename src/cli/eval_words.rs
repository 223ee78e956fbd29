//! `imgsearch eval --text`: how well words find images.

use std::path::Path;

use imgsearch::train::eval::{WordsReport, asked_by_words};

use super::args::Global;
use super::output::{count, shown};
use super::streams::out;
use super::{Result, setup};

/// Asks the index for the names of the folders in `folder`.
pub fn ask(global: &Global, folder: &Path) -> Result<WordsReport> {
    let library = setup::library(global, None, None)?;
    Ok(asked_by_words(&library, folder)?)
}

/// Prints a line for each folder, and the means.
pub fn print(folder: &Path, report: &WordsReport) {
    let kinds = report.rows.len();
    out!(
        "\nthe {} folders of {}, asked for by name among {} images",
        count(kinds as u64),
        shown(folder),
        count(report.images as u64)
    );
    let width = report
        .rows
        .iter()
        .map(|row| row.words.chars().count())
        .max()
        .unwrap_or(0)
        .max(5);
    out!(
        "{:<width$}  {:>6}  {:>6}  {:>6}  understood",
        "words",
        "images",
        "AP",
        "P@10"
    );
    for row in &report.rows {
        let understood = match &row.concepts[..] {
            [] => "nothing".to_owned(),
            concepts => concepts.join(", "),
        };
        out!(
            "{:<width$}  {:>6}  {:.4}  {:.4}  {understood}",
            row.words,
            count(row.images as u64),
            row.average_precision,
            row.precision_at_10
        );
    }
    out!(
        "{:<width$}  {:>6}  {:.4}  {:.4}",
        "mean",
        "",
        report.map,
        report.precision_at_10
    );
}
