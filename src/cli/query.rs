//! `imgsearch query`.

use std::io::{self, Read as _, Write as _};
use std::path::Path;

use imgsearch::index::RankBy;
use imgsearch::{Encoded, Library, Match};
use serde_json::json;

use super::args::{ByArg, Global, QueryArgs};
use super::output::{relative, shown};
use super::setup::{index_dir, open_options, say_provider};
use super::{Outcome, Result};

pub fn run(global: &Global, args: &QueryArgs) -> Result {
    if args.k == 0 {
        return Err("-k 0 asks for nothing: ask for at least one image".into());
    }
    let open = open_options(global, args.encoder.as_deref(), Some(&args.limits))?;
    let library = Library::open_with(index_dir(global)?, open)?;
    say_provider(global, library.engine()?);
    let by = match args.by {
        ByArg::Code => RankBy::Code,
        ByArg::Hash => RankBy::Hash,
        ByArg::Both => RankBy::Both,
    };
    let mut outcome = Outcome::Done;
    let several = args.images.len() > 1;
    for image in &args.images {
        let encoded = match encode(&library, image) {
            Ok(encoded) => encoded,
            // One bad image of several does not keep the others from their answers.
            Err(error) if several => {
                eprintln!("imgsearch: {error}");
                outcome = Outcome::Lacking;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(damage) = &encoded.damage {
            eprintln!("{}: {damage}; asking with what is there", shown(image));
        }
        let found = library.nearest(&encoded, args.k, by)?;
        if found.is_empty() {
            outcome = Outcome::Lacking;
        }
        print(args, image, &found, several)?;
    }
    Ok(outcome)
}

fn encode(library: &Library, image: &Path) -> imgsearch::Result<Encoded> {
    if image == Path::new("-") {
        let name = Path::new("standard input");
        let mut bytes = Vec::new();
        io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|source| imgsearch::Error::Io {
                action: "read",
                path: name.to_owned(),
                source,
            })?;
        library.encode_bytes(&bytes, name)
    } else {
        library.encode_file(image)
    }
}

fn print(args: &QueryArgs, image: &Path, found: &[Match], several: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    if args.json {
        let results: Vec<_> = found
            .iter()
            .enumerate()
            .map(|(i, found)| {
                json!({
                    "rank": i + 1,
                    "id": found.id,
                    "path": found.path.to_string_lossy(),
                    "distance": found.distance,
                    "hamming": found.hamming,
                })
            })
            .collect();
        writeln!(
            out,
            "{}",
            json!({"query": image.to_string_lossy(), "results": results})
        )?;
    } else if args.print0 || args.paths {
        let end = if args.print0 { b"\0" } else { b"\n" };
        for found in found {
            out.write_all(found.path.as_os_str().as_encoded_bytes())?;
            out.write_all(end)?;
        }
    } else {
        if several {
            writeln!(out, "{}", shown(image))?;
        }
        if found.is_empty() {
            eprintln!("the index is empty: add images with imgsearch index FOLDER");
        }
        let rank_width = found.len().to_string().len();
        for (i, found) in found.iter().enumerate() {
            writeln!(
                out,
                "{:>rank_width$}  {:.4}  {}",
                i + 1,
                found.distance,
                shown(&relative(&found.path))
            )?;
        }
        if several {
            writeln!(out)?;
        }
    }
    out.flush()?;
    Ok(())
}
