//! `imgsearch eval --html`: a page with tables and charts in one file.

use std::fmt::Write as _;
use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, RgbImage};
use imgsearch::render::chart::{Series, lines};
use imgsearch::render::sheet::escaped;
use imgsearch::train::eval::copies::CopiesReport;
use imgsearch::train::eval::{RANKS, Report};

use super::Result;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;\
color:#222;background:#fff}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}\
th:first-child,td:first-child{text-align:left}tr.group td{font-weight:600;border-bottom:2px solid #999;padding-top:1rem}\
td.best{font-weight:700}img{max-width:100%;height:auto}p.note{color:#555}.scroll{overflow-x:auto}";

/// Returns the page.
pub fn page(report: Option<&Report>, copies: &[CopiesReport]) -> Result<String> {
    let mut body = String::new();
    if let Some(report) = report {
        evaluation(&mut body, report)?;
    }
    for report in copies {
        copies_table(&mut body, report);
    }
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>imgsearch eval</title><style>{STYLE}</style></head>\n<body><h1>Evaluation of \
         image encoders</h1>\n{body}<p class=\"note\">Made by imgsearch {}.</p></body></html>\n",
        env!("CARGO_PKG_VERSION")
    ))
}

fn evaluation(body: &mut String, report: &Report) -> Result<()> {
    encoders(body, report)?;
    retrieval(body, report)?;
    precision(body, report)?;
    sizes(body, report)
}

/// Writes the encoders.
fn encoders(body: &mut String, report: &Report) -> Result<()> {
    writeln!(
        body,
        "<p>{}. {} queries, {} images, {} classes.</p>\n<h2>Encoders</h2>\n<div class=\"scroll\"><table><tr><th>name</th>\
         <th>fingerprint</th><th>numbers</th><th>bits</th><th>images/s</th></tr>",
        escaped(&report.protocol),
        report.queries,
        report.database,
        report.classes
    )?;
    for one in &report.encoders {
        writeln!(
            body,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.0}</td></tr>",
            escaped(&one.name),
            one.fingerprint,
            one.code_len,
            one.bits,
            one.images_per_second
        )?;
    }
    body.push_str("</table></div>\n");
    Ok(())
}

/// Writes the measures of each representation.
fn retrieval(body: &mut String, report: &Report) -> Result<()> {
    writeln!(
        body,
        "<h2>Retrieval</h2>\n<div class=\"scroll\"><table><tr><th>ranked by</th><th>length</th>\
         <th>bytes</th><th>mAP</th><th>of features</th><th>mAP@{}</th><th>P@1</th><th>P@10</th><th>P@100</th>\
         <th>neighbours kept</th><th>distinct</th><th>balance</th><th>correlation</th></tr>",
        report.cutoff
    )?;
    let mut group: Option<&Option<String>> = None;
    for row in &report.rows {
        if group != Some(&row.encoder) {
            let name = row.encoder.as_deref().unwrap_or("baselines");
            writeln!(
                body,
                "<tr class=\"group\"><td colspan=\"13\">{}</td></tr>",
                escaped(name)
            )?;
            group = Some(&row.encoder);
        }
        let cell = |value: Option<f64>, digits: usize| {
            value.map_or_else(String::new, |value| format!("{value:.digits$}"))
        };
        let cells = [
            escaped(&row.representation),
            row.length.to_string(),
            row.bytes.to_string(),
            cell(Some(row.score.map), 4),
            cell(row.map_of_features, 3),
            cell(Some(row.score.map_at_cutoff), 4),
            cell(Some(row.score.precision_at[0]), 4),
            cell(Some(row.score.precision_at_10()), 4),
            cell(Some(row.score.precision_at[6]), 4),
            cell(row.score.neighbours_kept, 3),
            cell(row.bits.map(|bits| bits.distinct), 3),
            cell(row.bits.map(|bits| bits.balance), 3),
            cell(row.bits.map(|bits| bits.correlation), 3),
        ];
        writeln!(body, "<tr><td>{}</td></tr>", cells.join("</td><td>"))?;
    }
    writeln!(
        body,
        "</table></div>\n<p class=\"note\">mAP: mean average precision over the whole ranking. Neighbours kept: share of \
         the ten nearest by features among the ten nearest. Distinct: different hashes over images. Balance: how often \
         the rarer value of a bit occurs, times two. Correlation: mean absolute correlation of two bits.</p>"
    )?;
    Ok(())
}

/// Draws the precision among the first k.
fn precision(body: &mut String, report: &Report) -> Result<()> {
    let name = |encoder: &Option<String>, representation: &str| match encoder {
        Some(encoder) if report.encoders.len() > 1 => format!("{encoder}: {representation}"),
        _ => representation.to_owned(),
    };
    let most = report.database.saturating_sub(1).max(1);
    let curves: Vec<Series> = report
        .rows
        .iter()
        .map(|row| Series {
            name: name(&row.encoder, &row.representation),
            points: RANKS
                .iter()
                .zip(row.score.precision_at)
                .filter(|(rank, _)| **rank <= most)
                .map(|(&rank, precision)| (rank as f64, precision))
                .collect(),
        })
        .collect();
    let chart = lines(
        "Precision among the first k",
        ["k", "precision"],
        true,
        &curves,
    );
    writeln!(
        body,
        "<h2>Precision</h2>\n{}",
        image(&chart, "precision among the first k")?
    )?;
    Ok(())
}

/// Draws the mean average precision by size.
fn sizes(body: &mut String, report: &Report) -> Result<()> {
    let mut groups: Vec<&Option<String>> = report.rows.iter().map(|row| &row.encoder).collect();
    groups.dedup();
    let sizes: Vec<Series> = groups
        .into_iter()
        .map(|group| {
            let mut points: Vec<(f64, f64)> = report
                .rows
                .iter()
                .filter(|row| row.encoder == *group)
                .map(|row| (row.bytes as f64, row.score.map))
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Series {
                name: group.clone().unwrap_or_else(|| "baselines".to_owned()),
                points,
            }
        })
        .collect();
    let chart = lines(
        "Mean average precision by size",
        ["bytes an image", "mAP"],
        true,
        &sizes,
    );
    writeln!(
        body,
        "{}",
        image(&chart, "mean average precision by bytes an image")?
    )?;
    Ok(())
}

fn copies_table(body: &mut String, report: &CopiesReport) {
    let heads: String = report
        .rows
        .iter()
        .map(|row| format!("<th>{}</th>", escaped(&row.representation)))
        .collect();
    let lines: String = report
        .edits
        .iter()
        .enumerate()
        .map(|(i, edit)| {
            let best = report
                .rows
                .iter()
                .map(|row| row.recall[i])
                .fold(0.0, f64::max);
            let cells: String = report
                .rows
                .iter()
                .map(|row| {
                    let class = if row.recall[i] >= best {
                        " class=\"best\""
                    } else {
                        ""
                    };
                    format!("<td{class}>{:.1} %</td>", row.recall[i] * 100.0)
                })
                .collect();
            format!("<tr><td>{}</td>{cells}</tr>\n", escaped(edit.name()))
        })
        .collect();
    body.push_str(&format!(
        "<h2>Copies</h2>\n<p>{} images, edited; recall at a precision of {:.1} %, by {}.</p>\n<div \
         class=\"scroll\"><table><tr><th>edit</th>{heads}</tr>\n{lines}</table></div>\n",
        report.images,
        report.precision * 100.0,
        escaped(&report.encoder)
    ));
}

fn image(chart: &RgbImage, words: &str) -> Result<String> {
    let mut file = Cursor::new(Vec::new());
    chart.write_to(&mut file, ImageFormat::Png)?;
    Ok(format!(
        "<p><img alt=\"{words}\" src=\"data:image/png;base64,{}\"></p>",
        STANDARD.encode(file.into_inner())
    ))
}
