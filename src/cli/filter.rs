//! The filters of a query: what was typed, turned into what the index understands.

use imgsearch::Library;
use imgsearch::decode::Format;
use imgsearch::index::Filter;

use super::Result;
use super::args::FilterArgs;

/// The filter of a library's images that was asked for; none of its parts stands for all images.
pub fn filter(library: &Library, args: &FilterArgs) -> Result<Filter> {
    let mut filter = Filter::default();
    for path in &args.under {
        filter.under.push(library.stored_path(path)?);
    }
    filter.globs.clone_from(&args.glob);
    filter.after = args.after.as_deref().map(moment).transpose()?;
    filter.before = args.before.as_deref().map(moment).transpose()?;
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

/// A moment in seconds since 1970, from `2024`, `2024-05`, `2024-05-17` or `2024-05-17T18:30`.
fn moment(text: &str) -> Result<i64> {
    let whole = match text.matches('-').count() {
        0 => format!("{text}-01-01"),
        1 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    // A camera's clock knows no time zone, and neither do dates in the index.
    let moment: jiff::civil::DateTime = whole.parse().map_err(|_| {
        format!("{text:?} is no date: write it as 2024, 2024-05, 2024-05-17 or 2024-05-17T18:30")
    })?;
    Ok(moment
        .to_zoned(jiff::tz::TimeZone::UTC)?
        .timestamp()
        .as_second())
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
    Ok((number * unit as f64).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_every_length_are_read() {
        assert_eq!(moment("1970").unwrap(), 0);
        assert_eq!(moment("2000-02-29").unwrap(), 951_782_400);
        assert_eq!(moment("2000-03").unwrap(), 951_868_800);
        assert_eq!(moment("2000-02-29T12:00").unwrap(), 951_825_600);
        assert!(moment("1960-01-01").unwrap() < 0);
        for bad in ["", "yesterday", "2001-02-29", "2024-13", "17.5.2024"] {
            let error = moment(bad).unwrap_err().to_string();
            assert!(error.contains("2024-05-17"), "{error}");
        }
    }

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
        for bad in ["", "k", "-1", "5 bananas", "1.2.3"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
