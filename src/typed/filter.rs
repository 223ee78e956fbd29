//! Filters: from what was typed to the filter of the index.

use std::path::PathBuf;

use imgsearch::decode::Format;
use imgsearch::index::Filter;
use imgsearch::{Library, classes_of};

use super::Result;
use super::dates::{here, moment};

/// The minimum probability of what a label asks for: more likely than not.
const LIKELY: f32 = 0.5;

/// A filter as it was typed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Typed {
    /// At or below one of these paths.
    pub under: Vec<PathBuf>,
    /// The path matches one of these globs.
    pub globs: Vec<String>,
    /// Taken at this date or later.
    pub after: Option<String>,
    /// Taken before this date.
    pub before: Option<String>,
    /// The minimum size of the file.
    pub min_size: Option<String>,
    /// The maximum size of the file.
    pub max_size: Option<String>,
    /// Shows all of these.
    pub labels: Vec<String>,
    /// Of one of these formats.
    pub formats: Vec<String>,
}

/// Returns the filter that was typed. Without any, it matches all images. `say` is told if the time zone is unknown.
///
/// # Errors
///
/// If an argument is invalid, or the index cannot be read.
pub fn filter(library: &Library, typed: &Typed, say: impl FnOnce(&str)) -> Result<Filter> {
    let mut filter = Filter::default();
    for path in &typed.under {
        filter.under.push(library.stored_path(path)?);
    }
    filter.globs.clone_from(&typed.globs);
    if typed.after.is_some() || typed.before.is_some() {
        let zone = here(say);
        let moment = |text: &String| moment(text, &zone);
        filter.after = typed.after.as_ref().map(moment).transpose()?;
        filter.before = typed.before.as_ref().map(moment).transpose()?;
    }
    filter.min_size = typed.min_size.as_deref().map(size).transpose()?;
    filter.max_size = typed.max_size.as_deref().map(size).transpose()?;
    for name in &typed.formats {
        let Some(format) = Format::named(name) else {
            let known: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
            return Err(format!(
                "the format {name} is unknown; choose one of {}",
                known.join(", ")
            )
            .into());
        };
        filter.formats.push(format.name().to_owned());
    }
    for name in &typed.labels {
        filter = filter.label(classes_of(name)?, LIKELY);
    }
    if !filter.labels.is_empty() && library.collection().is_none() {
        let reader = library.index_view()?.to_reader()?;
        let images = reader.count()?;
        if images > 0 && !reader.holds_labels()? {
            return Err(imgsearch::Error::NoLabels { images }.into());
        }
    }
    Ok(filter)
}

/// Parses a size in bytes, such as `300`, `200k`, `1.5M` or `2 GiB`, in units of 1024.
fn size(text: &str) -> Result<u64> {
    let bad = || format!("{text:?} is not a size; write it as 300, 200k, 1.5M or 2G");
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(trimmed.len());
    let number: f64 = trimmed[..end].parse().map_err(|_| bad())?;
    let unit = match trimmed[end..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1u64,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(bad().into()),
    };
    let bytes = (number * unit as f64).round();
    if bytes >= u64::MAX as f64 {
        return Err(format!("{text:?} is larger than any file").into());
    }
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_with_and_without_units_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("300", 300),
            ("200k", 200 << 10),
            ("1.5M", 3 << 19),
            ("2 GiB", 2 << 30),
        ] {
            assert_eq!(size(text).unwrap(), bytes);
        }
        let endless = "9".repeat(400);
        for bad in [
            "",
            "k",
            "-1",
            "5 bananas",
            "1.2.3",
            "nan",
            "inf",
            "99999999T",
            &endless,
        ] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
