//! `imgsearch encode`.

use std::io;
use std::path::Path;

use imgsearch::decode::Source;
use serde_json::json;

use super::args::{EncodeArgs, Global};
use super::output::{shown, with_path};
use super::setup::engine;
use super::streams::{self, out};
use super::{Outcome, Result};

pub fn run(global: &Global, args: &EncodeArgs) -> Result {
    let engine = engine(global, args.encoder.as_deref(), Some(&args.limits))?;
    engine.file().require_codes()?;
    let mut worker = engine.worker()?;
    let mut outcome = Outcome::Done;
    for image in &args.images {
        if streams::is_lost() {
            break;
        }
        let read = if image == Path::new("-") {
            Source::read(io::stdin().lock(), engine.limits())
        } else {
            Source::open(image, engine.limits())
        };
        let encoded = read
            .map_err(|unread| imgsearch::Error::unread(unread, image))
            .and_then(|source| worker.encode_image(&source, image));
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(error) => {
                super::say_error(&error, global.index.as_deref());
                outcome = Outcome::Partial;
                continue;
            }
        };
        let hash: String = encoded
            .hash
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if args.json {
            let line = json!({
                "code": encoded.code, "hash": hash,
                "width": encoded.width, "height": encoded.height, "damage": encoded.damage,
            });
            out!("{}", with_path(line, "path", image));
        } else {
            out!("{}", shown(image));
            let code: Vec<String> = encoded.code.iter().map(|v| format!("{v:.4}")).collect();
            out!("  code  {}", code.join(" "));
            out!("  hash  {hash}");
        }
    }
    Ok(outcome)
}
