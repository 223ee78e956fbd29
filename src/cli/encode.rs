//! `imgsearch encode`.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use imgsearch::decode::Source;
use imgsearch::{Encoded, Error};
use serde_json::json;

use super::args::{EncodeArgs, Global};
use super::file_list;
use super::output::{shown, with_path};
use super::setup::engine;
use super::streams::{self, out};
use super::{Outcome, Result};

pub fn run(global: &Global, args: &EncodeArgs) -> Result {
    let mut images = args.images.clone();
    if let Some(list) = &args.files_from {
        images.extend(file_list::read(list, args.null)?);
    }
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
    engine.encode_opened(&images, &open, &(), |image, encoded| {
        if streams::is_lost() {
            return ControlFlow::Break(());
        }
        match encoded {
            Ok(encoded) if args.json => print_json(image, &encoded),
            Ok(encoded) => print(image, &encoded),
            Err(error) => {
                super::say_error(&error, global.index.as_deref());
                outcome = Outcome::Partial;
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(outcome)
}

fn print(image: &Path, encoded: &Encoded) {
    out!("{}", shown(image));
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
