//! Parsers of numbers.

use std::time::Duration;

use imgsearch::Shard;

/// Parses a whole number of at least 1.
pub fn from_one(text: &str) -> Result<usize, String> {
    at_least(1, text)
}

/// Parses a whole number of at least 2.
pub fn from_two(text: &str) -> Result<usize, String> {
    at_least(2, text)
}

/// Parses a number of images from 1 to 100.
pub fn up_to_hundred(text: &str) -> Result<usize, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=100).contains(number));
    number.ok_or_else(|| "it must be a whole number from 1 to 100".to_owned())
}

/// Parses a share, such as `3/16`.
pub fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/');
    let parsed = parts.and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
    parsed
        .and_then(|(number, of)| Shard::new(number, of))
        .ok_or_else(|| "it must be a share, such as 3/16: from 1/16 to 16/16".to_owned())
}

fn at_least(min: usize, text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|&number| number >= min);
    number.ok_or_else(|| format!("it must be a whole number from {min} up"))
}

/// Parses three finite numbers with commas between them.
pub fn three_numbers(text: &str) -> Result<[f32; 3], String> {
    let numbers: Option<Vec<f32>> = text
        .split(',')
        .map(|number| number.trim().parse().ok())
        .collect();
    let numbers = numbers.and_then(|numbers| <[f32; 3]>::try_from(numbers).ok());
    numbers
        .filter(|numbers| numbers.iter().all(|number| number.is_finite()))
        .ok_or_else(|| "it must be three numbers, such as 0.5,0.5,0.5".to_owned())
}

/// Parses a finite number above 0.
pub fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    number
        .filter(|number: &f64| number.is_finite() && *number > 0.0)
        .ok_or_else(|| "it must be a number above 0".to_owned())
}

/// Parses a finite number from 0 up.
pub fn from_zero(text: &str) -> Result<f32, String> {
    let number = text.parse().ok();
    number
        .filter(|number: &f32| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| "it must be a number from 0 up".to_owned())
}

/// Parses a number from 0 to 100.
pub fn percent(text: &str) -> Result<f32, String> {
    let number = text.parse().ok();
    number
        .filter(|number: &f32| (0.0..=100.0).contains(number))
        .ok_or_else(|| "it must be a number from 0 to 100".to_owned())
}

/// Parses a positive number of seconds.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    let time = Duration::try_from_secs_f64(number).map_err(|error| error.to_string())?;
    if time.is_zero() {
        return Err("it must be above 0; a large number is as good as no limit".to_owned());
    }
    Ok(time)
}
