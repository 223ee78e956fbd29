//! Finds the files of a published model.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The suffixes of the variants, the most exact first, as exporters write them.
const VARIANTS: [&str; 5] = ["fp32", "fp16", "int8", "quantized", "uint8"];

/// The stems of vision models, and of text models. A combined model is called `model`.
const VISION: [&str; 2] = ["vision_model", "model"];
const TEXT: &str = "text_model";

/// The folders in which ONNX files lie, below that of the model.
const FOLDERS: [&str; 2] = ["onnx", ""];

/// The files of a model.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The folder with its configuration.
    pub folder: PathBuf,
    /// The vision model, or the combined one.
    pub vision: PathBuf,
    /// The text model, if it is a file of its own.
    pub text: Option<PathBuf>,
    /// What a person should know about the choice.
    pub notes: Vec<String>,
}

impl Source {
    /// Finds the files of the model in a folder, or around an ONNX file.
    ///
    /// # Errors
    ///
    /// [`Error::Import`] if there is no ONNX file, or not of this variant.
    pub fn find(path: &Path, variant: Option<&str>) -> Result<Self> {
        if path.is_dir() {
            return Self::in_folder(path, variant);
        }
        if !path.exists() {
            return Err(Error::import(path, "there is no such file or folder"));
        }
        if path.extension().is_none_or(|extension| extension != "onnx") {
            return Err(Error::import(
                path,
                "it is neither a folder nor a file that ends in .onnx; name the folder of the model",
            ));
        }
        let mut folder = path.parent().unwrap_or(Path::new("")).to_owned();
        if folder.file_name().is_some_and(|name| name == "onnx") {
            folder.pop();
        }
        // A parent that is not named is the current one.
        if folder.as_os_str().is_empty() {
            folder.push(".");
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = stem
            .strip_prefix(VISION[0])
            .map(|suffix| path.with_file_name(format!("{TEXT}{suffix}.onnx")));
        Ok(Self {
            folder,
            vision: path.to_owned(),
            text: text.filter(|text| text.is_file()),
            notes: Vec::new(),
        })
    }

    fn in_folder(folder: &Path, variant: Option<&str>) -> Result<Self> {
        let wanted = match variant {
            Some(variant) => vec![variant],
            None => VARIANTS.to_vec(),
        };
        let found = wanted.iter().find_map(|variant| {
            let mut stems = VISION.iter();
            stems.find_map(|stem| Some((*variant, file(folder, stem, variant)?)))
        });
        let Some((chosen, vision)) = found else {
            return Err(none_found(folder, variant));
        };
        let mut notes = Vec::new();
        if variant.is_none() && chosen != VARIANTS[0] {
            notes.push(format!(
                "there is no float32 model, so {} is used; it is less exact",
                vision.display()
            ));
        }
        let mut variants = std::iter::once(&chosen).chain(&VARIANTS);
        let text = variants.find_map(|variant| file(folder, TEXT, variant));
        Ok(Self {
            folder: folder.to_owned(),
            vision,
            text,
            notes,
        })
    }

    /// The name of the model: that of its folder, or of its file if the folder has none.
    pub fn name(&self) -> String {
        let folder = self.folder.canonicalize().ok();
        let name = folder.as_deref().and_then(Path::file_name);
        let name = name.or_else(|| self.vision.file_stem()).unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// Returns the file of a model in a variant, if there is one.
fn file(folder: &Path, stem: &str, variant: &str) -> Option<PathBuf> {
    let name = if variant == VARIANTS[0] {
        format!("{stem}.onnx")
    } else {
        format!("{stem}_{variant}.onnx")
    };
    let mut paths = FOLDERS.iter().map(|below| folder.join(below).join(&name));
    paths.find(|path| path.is_file())
}

fn none_found(folder: &Path, variant: Option<&str>) -> Error {
    let mut there: Vec<String> = FOLDERS
        .iter()
        .flat_map(|below| std::fs::read_dir(folder.join(below)).into_iter().flatten())
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".onnx"))
        .collect();
    there.sort();
    let there = if there.is_empty() {
        "it holds no ONNX file at all. If it has weights in another format, export them: optimum-cli export onnx \
         --model DIR NEW_DIR"
            .to_owned()
    } else {
        format!(
            "it holds {}; name one of these files instead",
            there.join(", ")
        )
    };
    let what = match variant {
        Some(variant) => {
            format!("no model of the variant {variant:?} (files end in _{variant}.onnx)")
        }
        None => "no vision_model.onnx and no model.onnx, there or in its folder onnx".to_owned(),
    };
    Error::import(folder, format!("{what}; {there}"))
}
