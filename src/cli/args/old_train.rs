//! The old spelling of `imgsearch train`, which had no subcommands. It keeps working for one version.
//!
//! `train PATH --kind K` is `train autoencoder PATH --kind K`, `train PATH --for copies` is `train
//! copies PATH`, and `train PATH` is `train head PATH`.

use std::ffi::{OsStr, OsString};

/// Global options that take a value.
const WITH_VALUE: [&str; 8] = [
    "--index",
    "--provider",
    "--ort-library",
    "--threads",
    "-j",
    "--log-file",
    "--color",
    "--config",
];

/// Global options without one.
const FLAGS: [&str; 7] = [
    "--offline",
    "--quiet",
    "-q",
    "--verbose",
    "-v",
    "-vv",
    "--no-config",
];

/// A training that the old spelling can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Training {
    Head,
    Copies,
    Autoencoder,
}

impl Training {
    fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Copies => "copies",
            Self::Autoencoder => "autoencoder",
        }
    }

    /// Returns what to say if the arguments cannot be parsed.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Head => {
                "`imgsearch train` was read as `imgsearch train head`. Autoencoders are trained with --kind or `imgsearch \
                 train autoencoder`."
            }
            Self::Copies => {
                "`imgsearch train --for copies` was read as `imgsearch train copies`. An option that this command does not \
                 know has no meaning with --for copies."
            }
            Self::Autoencoder => {
                "`imgsearch train --kind` was read as `imgsearch train autoencoder`."
            }
        }
    }
}

/// Returns the arguments in the new spelling, and the training that they name, if they are in the old
/// one.
pub fn rewritten(mut arguments: Vec<OsString>) -> (Vec<OsString>, Option<Training>) {
    let Some(train) = first_word(&arguments, 1).filter(|&at| arguments[at] == "train") else {
        return (arguments, None);
    };
    let first = first_word(&arguments, train + 1).map(|at| &arguments[at]);
    if first.is_none_or(|word| is_new(word)) {
        return (arguments, None);
    }
    let end = arguments.iter().position(|word| word == "--");
    let end = end.unwrap_or(arguments.len());
    let own = train + 1..end;
    let is_kind = |word: &OsString| word == "--kind" || starts_with(word, "--kind=");
    let training = if arguments[own.clone()].iter().any(is_kind) {
        Training::Autoencoder
    } else if let Some(purpose) = take_purpose(&mut arguments, own) {
        purpose
    } else {
        Training::Head
    };
    arguments.insert(train + 1, training.name().into());
    (arguments, Some(training))
}

/// Returns the place of the first word, from place `from` on, that is not a global option or its
/// value.
fn first_word(arguments: &[OsString], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(word) = arguments.get(at) {
        if WITH_VALUE.iter().any(|option| word == option) {
            at += 2;
        } else if is_global(word) {
            at += 1;
        } else {
            return Some(at);
        }
    }
    None
}

/// Returns whether a word is a global option without a value, or with its value attached.
fn is_global(word: &OsStr) -> bool {
    let attached = |option: &&str| match option.strip_prefix("--") {
        Some(_) => starts_with(word, &format!("{option}=")),
        None => starts_with(word, option),
    };
    FLAGS.iter().any(|flag| word == *flag) || WITH_VALUE.iter().any(attached)
}

fn starts_with(word: &OsStr, start: &str) -> bool {
    word.as_encoded_bytes().starts_with(start.as_bytes())
}

/// Returns whether the word after `train` is a word of the new spelling.
fn is_new(word: &OsStr) -> bool {
    [
        "head",
        "copies",
        "autoencoder",
        "restorer",
        "help",
        "-h",
        "--help",
    ]
    .iter()
    .any(|new| word == *new)
}

/// Takes `--for PURPOSE` out of the arguments.
fn take_purpose(arguments: &mut Vec<OsString>, own: std::ops::Range<usize>) -> Option<Training> {
    let training = |purpose: &OsStr| match purpose.to_str() {
        Some("copies") => Some(Training::Copies),
        Some("similar") => Some(Training::Head),
        _ => None,
    };
    for at in own.clone() {
        let (purpose, words) = if arguments[at] == "--for" && at + 1 < own.end {
            (training(&arguments[at + 1]), 2)
        } else {
            let attached = arguments[at].to_str();
            let purpose = attached.and_then(|word| word.strip_prefix("--for="));
            (purpose.and_then(|purpose| training(purpose.as_ref())), 1)
        };
        if purpose.is_some() {
            arguments.drain(at..at + words);
            return purpose;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(line: &str) -> (String, Option<Training>) {
        let words = line.split(' ').map(OsString::from).collect();
        let (words, training) = rewritten(words);
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        (words.join(" "), training)
    }

    #[test]
    fn the_old_spelling_names_its_subcommand() {
        for (old, new, training) in [
            (
                "imgsearch train P -o f",
                "imgsearch train head P -o f",
                Training::Head,
            ),
            (
                "imgsearch train -o f --for similar P",
                "imgsearch train head -o f P",
                Training::Head,
            ),
            (
                "imgsearch train P --for copies -o f",
                "imgsearch train copies P -o f",
                Training::Copies,
            ),
            (
                "imgsearch train P --for=copies -o f",
                "imgsearch train copies P -o f",
                Training::Copies,
            ),
            (
                "imgsearch train P --kind sparse -o f",
                "imgsearch train autoencoder P --kind sparse -o f",
                Training::Autoencoder,
            ),
            (
                "imgsearch train P --kind=sparse -o f",
                "imgsearch train autoencoder P --kind=sparse -o f",
                Training::Autoencoder,
            ),
            (
                "imgsearch --quiet --index d -j 2 train -q P -o f",
                "imgsearch --quiet --index d -j 2 train head -q P -o f",
                Training::Head,
            ),
            (
                "imgsearch -j2 --index=d train P -o f -- --kind",
                "imgsearch -j2 --index=d train head P -o f -- --kind",
                Training::Head,
            ),
        ] {
            assert_eq!(rewrite(old), (new.to_owned(), Some(training)));
        }
    }

    #[test]
    fn everything_else_stays() {
        for line in [
            "imgsearch",
            "imgsearch train",
            "imgsearch train --help",
            "imgsearch train -q head P -o f",
            "imgsearch train copies P -o f",
            "imgsearch train autoencoder P --kind deep -o f",
            "imgsearch train help head",
            "imgsearch index train",
            "imgsearch --index train query cat.jpg",
            "imgsearch query train --kind x",
        ] {
            assert_eq!(rewrite(line), (line.to_owned(), None));
        }
    }
}
