//! The files beside a published model that describe it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::read::read_whole;

/// A file of configuration is a few kilobytes; a tokenizer has some megabytes.
const MAX_BYTES: u64 = 256 << 20;

/// What the files of a model's folder say. A file that is not there says nothing.
#[derive(Debug, Default)]
pub(super) struct Configs {
    /// The folder.
    pub folder: PathBuf,
    /// `config.json`.
    pub config: Value,
    /// How images are prepared: `preprocessor_config.json`, or the part of `processor_config.json` about images.
    pub images: Option<(&'static str, Value)>,
    /// `tokenizer_config.json`.
    #[cfg(feature = "text")]
    pub tokenizer: Value,
    /// `special_tokens_map.json`.
    #[cfg(feature = "text")]
    pub special_tokens: Value,
    /// The licence that the head of `README.md` names.
    pub card_licence: Option<String>,
}

impl Configs {
    /// Reads the files in a folder.
    ///
    /// # Errors
    ///
    /// [`Error::Import`] if one of them is not JSON.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut images = json(folder, PREPROCESSOR)?.map(|value| (PREPROCESSOR, value));
        if images.is_none() {
            let processor = json(folder, PROCESSOR)?.unwrap_or_default();
            let part = processor.get("image_processor");
            images = part.map(|part| (PROCESSOR, part.clone()));
        }
        Ok(Self {
            folder: folder.to_owned(),
            config: json(folder, "config.json")?.unwrap_or_default(),
            images,
            #[cfg(feature = "text")]
            tokenizer: json(folder, "tokenizer_config.json")?.unwrap_or_default(),
            #[cfg(feature = "text")]
            special_tokens: json(folder, "special_tokens_map.json")?.unwrap_or_default(),
            card_licence: licence(folder),
        })
    }

    /// The kind of model: `clip`, `siglip`, `dinov2`; empty if that is not said.
    pub fn model_type(&self) -> &str {
        self.config["model_type"].as_str().unwrap_or("")
    }

    /// The licence, or where to look for it.
    pub fn licence(&self) -> String {
        let licence = self.card_licence.clone();
        licence
            .unwrap_or_else(|| "that of the imported model, see where it was published".to_owned())
    }
}

/// The usual file about the preparation of images, and the newer one.
const PREPROCESSOR: &str = "preprocessor_config.json";
const PROCESSOR: &str = "processor_config.json";

/// Reads a file of JSON; `None` if there is none.
fn json(folder: &Path, name: &str) -> Result<Option<Value>> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read_whole(&path, MAX_BYTES)?;
    let value = serde_json::from_slice(&bytes).map_err(|error| {
        Error::import(
            &path,
            format!("it is not JSON ({error}); download it again, or remove it and give what it says as options"),
        )
    })?;
    Ok(Some(value))
}

/// Reads a text; `None` if there is none.
#[cfg(feature = "text")]
pub(super) fn text(path: &Path) -> Result<Option<String>> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read_whole(path, MAX_BYTES)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::import(path, "it is not a text in UTF-8; download it again"))?;
    Ok(Some(text))
}

/// Returns the licence that a model card names at its head, between two lines `---`.
fn licence(folder: &Path) -> Option<String> {
    let bytes = read_whole(&folder.join("README.md"), MAX_BYTES).ok()?;
    let card = String::from_utf8_lossy(&bytes);
    let mut lines = card.lines();
    if lines.next()?.trim() != "---" {
        return None;
    }
    let mut head = lines.take_while(|line| line.trim() != "---");
    let named = head.find_map(|line| line.strip_prefix("license:"))?;
    let named = named.trim().trim_matches(['"', '\'']);
    (!named.is_empty()).then(|| named.to_owned())
}
