//! `imgsearch encode`.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use imgsearch::decode::Source;
use imgsearch::{Encoded, Error};
use serde_json::json;

use super::args::{EncodeArgs, Global};
use super::arrays::Arrays;
use super::colours::{self, Paint};
use super::file_list;
use super::output::{counted, shown, with_path};
use super::setup::engine;
use super::streams::{self, out, say};
use super::{Outcome, Result};

pub fn run(global: &Global, args: &EncodeArgs) -> Result {
    let mut images = args.images.clone();
    if let Some(list) = &args.files_from {
        images.extend(file_list::read(list, args.null)?);
    }
    let mut arrays = match &args.npy {
        Some(stem) => Some(Arrays::begin(stem)?),
        None => None,
    };
    let engine = engine(global, args.encoder.as_deref(), Some(&args.limits))?;
    let mut outcome = Outcome::Done;
    let stdin = Path::new("-");
    // In a list, it is the name of a file.
    let may_be_stdin = args.images.iter().any(|image| image == stdin);
    let open = |file: &mut Source, image: &Path| {
        let read = if may_be_stdin && image == stdin {
            Source::read(io::stdin().lock(), engine.limits()).map(|read| *file = read)
        } else {
            file.reopen(image, engine.limits())
        };
        read.map_err(|unread| Error::unread(unread, image))
    };
    let mut unwritten = None;
    engine.encode_opened(&images, &open, &(), |image, encoded| {
        if streams::is_lost() {
            return ControlFlow::Break(());
        }
        match (encoded, &mut arrays) {
            (Ok(encoded), Some(arrays)) => {
                if let Err(error) = arrays.add(image, &encoded) {
                    unwritten = Some(error);
                    return ControlFlow::Break(());
                }
            }
            (encoded, _) => outcome = shown_one(global, args, image, encoded, outcome),
        }
        ControlFlow::Continue(())
    })?;
    if let Some(error) = unwritten {
        return Err(error);
    }
    if let Some(arrays) = arrays {
        let info = engine.info();
        let rows = arrays.finish(info.code_len, info.bits.div_ceil(8))?;
        if !global.quiet {
            say!("{} written", counted(rows, "row", "rows"));
        }
    }
    Ok(outcome)
}

/// Prints one encoding, or why there is none. Returns how the command ends after `outcome`.
fn shown_one(
    global: &Global,
    args: &EncodeArgs,
    image: &Path,
    encoded: Result<Encoded, Error>,
    outcome: Outcome,
) -> Outcome {
    match encoded {
        Ok(encoded) if args.json => print_json(image, &encoded),
        Ok(encoded) => print(image, &encoded),
        Err(error) => {
            super::say_error(&error, global.index.as_deref());
            return Outcome::Partial;
        }
    }
    outcome
}

fn print(image: &Path, encoded: &Encoded) {
    out!("{}", colours::result(Paint::Path, &shown(image)));
    let code: Vec<String> = encoded.code.iter().map(|v| format!("{v:.4}")).collect();
    out!("  code  {}", code.join(" "));
    out!("  hash  {}", hex(&encoded.hash));
}

fn print_json(image: &Path, encoded: &Encoded) {
    let line = json!({
        "code": encoded.code, "hash": hex(&encoded.hash),
        "width": encoded.width, "height": encoded.height, "damage": encoded.damage,
    });
    out!("{}", with_path(line, "path", image));
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
