//! Hints: what to type after an error. The libraries state facts; their remedies on the command line are here.

use std::error::Error;
use std::ffi::OsStr;
use std::path::Path;

use imgsearch::decode::DecodeError;
use imgsearch::index::{self, Note};

use super::output::command;

/// Returns what to do about an error, or about one of its causes. `index` is the index that an option names;
/// commands in the hint name it, too.
pub fn hint(error: &(dyn Error + 'static), index: Option<&Path>) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        let hint = if let Some(error) = error.downcast_ref::<imgsearch::Error>() {
            of_library(error, index)
        } else if let Some(error) = error.downcast_ref::<index::Error>() {
            of_index(error, index)
        } else if let Some(error) = error.downcast_ref::<DecodeError>() {
            of_decode(error).map(ToOwned::to_owned)
        } else {
            None
        };
        if hint.is_some() {
            return hint;
        }
        next = error.source();
    }
    None
}

/// The hint for files that cost more than the limits allow.
pub const LIMITS: &str = "Files that exceed a limit are indexed once you raise it with an option of imgsearch index: \
                          --max-megapixels, --max-file-size, --max-memory or --max-seconds";

fn of_library(error: &imgsearch::Error, index: Option<&Path>) -> Option<String> {
    use imgsearch::Error as E;
    let command = |words: &[&str]| {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        command(index, &words)
    };
    Some(match error {
        E::EncoderCopy { .. } => format!(
            "If you have the file of that encoder: {}\nTo encode all images again with the built-in one: {}",
            command(&["index", "--encoder", "FILE"]),
            command(&["index", "--reencode"])
        ),
        E::OutOfReach { root, .. } => format!(
            "If they are gone for good: {}",
            super::output::command(index, &[OsStr::new("remove"), root.as_os_str()])
        ),
        E::NotOurs { .. } => "Move it elsewhere and run this again".to_owned(),
        E::StoredUnreadable { over_limit, .. } => {
            let limits = if *over_limit {
                "Raise a limit with --max-megapixels, --max-file-size, --max-memory or --max-seconds. "
            } else {
                ""
            };
            format!(
                "{limits}Correct this and run it again, or forget the images: {}",
                command(&["remove", "PATH"])
            )
        }
        E::StoredMissing { .. } => "Without --keep-missing they are left out".to_owned(),
        E::Unconfirmed { .. } => format!(
            "To leave them out, add --prune. To forget them first: {}",
            command(&["index", "--prune"])
        ),
        E::NoDataFolder => "Name a folder with --index DIR or IMGSEARCH_INDEX".to_owned(),
        E::AmbiguousIndex { name, dir } => {
            let folder = Path::new(".").join(name);
            format!(
                "The index in the folder: --index {}\nThe collection: --index {}",
                super::output::typed(folder.as_os_str()),
                super::output::typed(dir.as_os_str())
            )
        }
        E::NoSuchCollection { .. } => format!("All that there are: {}", super::output::command(None, &["collections"].map(OsStr::new))),
        E::CollectionExists { name, .. } => format!(
            "Choose another name, or take it away first: {}",
            super::output::command(None, &["collections", "remove", name].map(OsStr::new))
        ),
        E::NoSuchImage { .. } => {
            "imgsearch query IMAGE --json prints the ids of images; an image that changed has a new one".to_owned()
        }
        E::NoLabels { .. } | E::UnknownNeedsLabels { .. } => format!(
            "Encode them again: {}   (encoders behind the built-in trunk give labels; others cannot)",
            command(&["index", "--reencode"])
        ),
        E::NothingToWatch => format!("Name the folders: {}", command(&["watch", "FOLDER"])),
        E::WatchLimit { limit, .. } => watch_limit(limit),
        E::Watch { .. } => "Look at all folders regularly instead: --poll 60".to_owned(),
        E::FileChanged { .. } => format!("Index it again: {}", command(&["index"])),
        E::BadQuestion(_) => {
            "Name a picture, or one with --more and a weight above 0".to_owned()
        }
        E::NoFeatures { .. } => {
            "Train with the built-in encoder, or with one that has this output".to_owned()
        }
        E::NoSimilarity { .. } => {
            "Measure it on labelled folders: imgsearch eval FOLDER --calibrate FILE".to_owned()
        }
        E::NoTextTower { .. } => {
            "Import a model with texts, such as CLIP, with its folder: imgsearch import DIR -o clip.onnx. Then index with \
             it: imgsearch index FOLDER --encoder clip.onnx"
                .to_owned()
        }
        E::NeedsFolder { .. } => {
            "On a server, these commands work: index, query, status, remove, check".to_owned()
        }
        E::ShardOfFolder => {
            "Name a collection: --index 'postgres://USER@HOST/DATABASE?collection=NAME'".to_owned()
        }
        // It shows its source as itself, so the source is not in the chain.
        E::Index(error) => return of_index(error, index),
        _ => return None,
    })
}

/// What to do about a limit on watched folders.
fn watch_limit(limit: &str) -> String {
    let value = if limit.contains("instances") {
        1024
    } else {
        1 << 20
    };
    format!(
        "Raise it: sudo sysctl {limit}={value}   (to keep it after a restart, write {limit}={value} to \
         /etc/sysctl.d/imgsearch.conf)\nOr look at all folders regularly instead: --poll 60"
    )
}

fn of_index(error: &index::Error, index: Option<&Path>) -> Option<String> {
    use imgsearch::index::Error as E;
    let command = |words: &[&str]| {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        command(index, &words)
    };
    Some(match error {
        E::IndexNotFound { .. } => format!(
            "Make one with: {}   (or name another with --index DIR)",
            command(&["index", "FOLDER"])
        ),
        E::EncoderMismatch { dir, .. }
            if dir.to_str().is_some_and(imgsearch::engines::is_url) =>
        {
            "Name the file of the encoder that made it with --encoder FILE, or another collection with --index".to_owned()
        }
        E::Unreachable { .. } => {
            "Is the server running, and are host and port right? What was stored is kept, and the same command goes on"
                .to_owned()
        }
        E::Denied { place, .. } if place.starts_with("milvus") => {
            "User and password, or a token, come from the URL or from MILVUS_TOKEN=USER:PASSWORD; the user must be \
             allowed to make, load and change collections"
                .to_owned()
        }
        E::NoVectors { place, .. } if place.starts_with("milvus") => {
            "Use a server of Milvus 2.3 or newer".to_owned()
        }
        E::Denied { .. } => "User and password come from the URL, from PGUSER and PGPASSWORD, or from ~/.pgpass; the \
                             database must exist: createdb NAME"
            .to_owned(),
        E::NoVectors { .. } => "Install pgvector 0.8 or newer at the server, on Debian with: apt install \
                                postgresql-18-pgvector\nThen, as a superuser in the database: CREATE EXTENSION vector; or \
                                ALTER EXTENSION vector UPDATE"
            .to_owned(),
        E::EncoderMismatch { .. } => format!(
            "To encode all images again: {} [--encoder FILE]   (or choose another index with --index DIR)",
            command(&["index", "--reencode"])
        ),
        E::NewerFormat { .. } => "Use a newer imgsearch".to_owned(),
        E::NewerSegment { .. } => format!(
            "Use a newer imgsearch, or delete the folder of the segment and rebuild it: {}",
            command(&["optimize"])
        ),
        E::Corrupt { .. } => format!(
            "Move the folder away and index the images again: {}",
            command(&["index", "FOLDER"])
        ),
        E::Locked { .. } => "Wait until it is done, then try again".to_owned(),
        E::Changed { .. } => "Try again".to_owned(),
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

fn of_decode(error: &DecodeError) -> Option<&'static str> {
    Some(match error {
        DecodeError::TooManyBytes { .. } => "Raise the limit with --max-file-size MIB",
        DecodeError::TooManyPixels { .. } => "Raise the limit with --max-megapixels MP",
        DecodeError::TooMuchMemory { .. } | DecodeError::LongHeaders { .. } => {
            "Raise the limit with --max-memory MIB"
        }
        DecodeError::TooSlow { .. } => "Raise the limit with --max-seconds S",
        DecodeError::NoSandbox(_) => "Try it again, with fewer --threads or without --sandbox",
        DecodeError::MemoryBusy { .. } => {
            "Try it again later, without the slow images, or with more --max-memory"
        }
        DecodeError::OutsideOfImage { .. } => {
            "Choose X + W and Y + H of --crop X,Y,W,H within the picture, or per cent of it"
        }
        DecodeError::Busy { .. } => {
            "Try it again later, without the slow images, or with another --max-seconds"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_hint_is_quoted_for_a_shell_and_names_the_index() {
        let hint_for = |path: &str, index: Option<&Path>| {
            let error = imgsearch::Error::OutOfReach {
                count: 3,
                root: PathBuf::from(path),
            };
            let hint = hint(&error, index).unwrap();
            hint.rsplit_once("imgsearch remove ").unwrap().1.to_owned()
        };
        assert_eq!(hint_for("/media/disk-1/2019", None), "/media/disk-1/2019");
        assert_eq!(hint_for("/media/my disk", None), "'/media/my disk'");
        assert_eq!(
            hint_for("/media/x", Some(Path::new("/my index"))),
            "--index '/my index' /media/x"
        );
        let spoken = hint_for("/it's; rm x", None);
        assert_eq!(shlex::split(&spoken).unwrap(), ["/it's; rm x"]);
    }

    #[test]
    fn the_cause_of_an_error_has_its_hint() {
        let error = imgsearch::Error::Image {
            path: PathBuf::from("large.png"),
            source: DecodeError::TooManyPixels {
                width: 10,
                height: 10,
                limit: 1,
            },
        };
        assert!(hint(&error, None).unwrap().contains("--max-megapixels"));
        let error = imgsearch::Error::Image {
            path: PathBuf::from("empty.png"),
            source: DecodeError::Empty,
        };
        assert_eq!(hint(&error, None), None);
    }

    #[test]
    fn the_limit_of_watched_folders_is_named_with_its_value_and_how_to_raise_it() {
        for limit in ["fs.inotify.max_user_watches", "user.max_inotify_instances"] {
            let error = imgsearch::Error::WatchLimit {
                limit,
                value: Some(8192),
            };
            assert!(error.to_string().contains(&format!("{limit} is 8192")));
            let hint = hint(&error, None).unwrap();
            assert!(hint.contains(&format!("sysctl {limit}=")), "{hint}");
            assert!(hint.contains("--poll"), "{hint}");
        }
    }

    fn no_index() -> index::Error {
        index::Error::IndexNotFound {
            dir: "/index".into(),
        }
    }

    #[test]
    fn an_error_of_the_index_has_a_hint_wherever_it_is_in_the_chain() {
        let direct = hint(&no_index(), None).unwrap();
        assert!(direct.contains("imgsearch index FOLDER") && direct.contains("--index DIR"));
        assert_eq!(
            hint(&imgsearch::Error::Index(no_index()), None),
            Some(direct)
        );
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
            assert!(
                hint(&error, None).unwrap().contains("imgsearch index"),
                "{text}"
            );
        }
    }
}
