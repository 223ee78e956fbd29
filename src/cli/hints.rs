//! Hints: what a person can do about an error. The libraries state facts; commands and options are
//! known here.

use std::error::Error;

use imgsearch::index::{self, Note};

/// Returns the text of an error, and below it what to do about it.
pub fn with_hint(error: &(dyn Error + 'static)) -> String {
    match hint(error) {
        Some(hint) => format!("{error}\n{hint}"),
        None => error.to_string(),
    }
}

/// Returns what a person can do about an error, or about the first of its sources that has a hint.
pub fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(hint) = hint_of(error) {
            return Some(hint.to_owned());
        }
        next = error.source();
    }
    None
}

fn hint_of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    // This one shows its source as itself, so the source is not met on the way.
    if let Some(imgsearch::Error::Index(error)) = error.downcast_ref() {
        return of_index(error);
    }
    of_index(error.downcast_ref()?)
}

fn of_index(error: &index::Error) -> Option<&'static str> {
    Some(match error {
        index::Error::IndexNotFound { .. } => {
            "Make one with: imgsearch index FOLDER   (or name another with --index DIR)"
        }
        index::Error::EncoderMismatch { .. } => {
            "Encode it again with: imgsearch index --reencode [--encoder FILE]   (or choose another index with --index \
             DIR)"
        }
        index::Error::NewerFormat { .. } => "Use a newer imgsearch.",
        index::Error::NewerSegment { .. } => {
            "Use a newer imgsearch, or delete the folder that the segment lies in: imgsearch optimize rebuilds it."
        }
        index::Error::Corrupt { .. } => "Rebuild it: move the folder away and run imgsearch index.",
        index::Error::Locked { .. } => "Wait until it is done, then try again.",
        index::Error::Changed { .. } => "Try again.",
        _ => return None,
    })
}

/// Returns a note of a view with what to do about it, in one line.
pub fn note(note: &Note) -> String {
    let hint = match note {
        Note::DamagedSegment { .. } => "imgsearch optimize rebuilds it",
        Note::LostCodes { .. } => {
            "imgsearch check --repair restores what it can, and imgsearch index reads the other files again"
        }
        _ => return note.to_string(),
    };
    format!("{note}; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_index() -> index::Error {
        index::Error::IndexNotFound {
            dir: "/index".into(),
        }
    }

    #[test]
    fn an_error_of_the_index_has_a_hint_wherever_it_is_in_the_chain() {
        let direct = hint(&no_index()).unwrap();
        assert!(direct.contains("imgsearch index FOLDER") && direct.contains("--index DIR"));
        assert_eq!(hint(&imgsearch::Error::Index(no_index())), Some(direct));
        let text = with_hint(&imgsearch::Error::Index(no_index()));
        assert_eq!(text.lines().count(), 2, "{text}");
        let other = imgsearch::Error::NoDataFolder;
        assert_eq!(with_hint(&other), other.to_string());
    }

    #[test]
    fn the_library_names_no_commands() {
        let mismatch = index::Error::EncoderMismatch {
            dir: "/index".into(),
            made_by: "one".to_owned(),
            made_by_fingerprint: "1".to_owned(),
            given: "two".to_owned(),
            given_fingerprint: "2".to_owned(),
        };
        let corrupt = index::Error::Corrupt {
            dir: "/index".into(),
            what: "torn".to_owned(),
        };
        for error in [no_index(), mismatch, corrupt] {
            let text = error.to_string();
            assert!(
                !text.contains("--") && !text.contains("imgsearch "),
                "{text}"
            );
            assert!(hint(&error).unwrap().contains("imgsearch index"), "{text}");
        }
    }
}
