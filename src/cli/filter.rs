//! The filters of a query: what was typed, turned into what the index understands.

use imgsearch::Library;
use imgsearch::decode::Format;
use imgsearch::index::Filter;

use super::Result;
use super::args::{FilterArgs, Global};
use super::dates::{here, moment};

/// The filter of a library's images that was asked for; none of its parts stands for all images.
pub fn filter(global: &Global, library: &Library, args: &FilterArgs) -> Result<Filter> {
    let mut filter = Filter::default();
    for path in &args.under {
        filter.under.push(library.stored_path(path)?);
    }
    filter.globs.clone_from(&args.glob);
    if args.after.is_some() || args.before.is_some() {
        let zone = here(global);
        let moment = |text: &String| moment(text, &zone);
        filter.after = args.after.as_ref().map(moment).transpose()?;
        filter.before = args.before.as_ref().map(moment).transpose()?;
    }
    filter.min_size = args.min_size.as_deref().map(size).transpose()?;
    filter.max_size = args.max_size.as_deref().map(size).transpose()?;
    for name in &args.formats {
        let Some(format) = Format::named(name) else {
            let known: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
            return Err(format!("--type {name} is none of {}", known.join(", ")).into());
        };
        filter.formats.push(format.name().to_owned());
    }
    Ok(filter)
}

/// A size in bytes, from `300`, `200k`, `1.5M` or `2 GiB`: units of 1024.
fn size(text: &str) -> Result<u64> {
    let bad = || format!("{text:?} is no size: write it as 300, 200k, 1.5M or 2G");
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
