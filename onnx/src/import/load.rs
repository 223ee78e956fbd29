//! Reads a model with the data that it keeps in files of its own.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path};

use prost::Message as _;

use crate::error::{Error, Result};
use crate::outside::is_outside;
use crate::proto::{ModelProto, TensorProto};
use crate::read::{MAX_MODEL_BYTES, open_regular, read_whole};
use crate::visit::each_tensor;

/// The oldest version of the operators whose arithmetic spreads shapes as the grafted nodes need it.
const MIN_OPSET: i64 = 9;

/// Reads the model at `path`, whole.
///
/// # Errors
///
/// [`Error::Import`] if it is no ONNX file, if its data is missing or larger than one file can hold, or if its
/// operators are too old.
pub(super) fn load(path: &Path) -> Result<ModelProto> {
    let bytes = read_whole(path, MAX_MODEL_BYTES)?;
    let mut model = ModelProto::decode(&*bytes).map_err(|error| {
        Error::import(
            path,
            format!("it is not an ONNX file ({error}); a pointer of Git LFS, which is a text, has to be downloaded"),
        )
    })?;
    let size = bytes.len() as u64;
    drop(bytes);
    if model.graph.is_none() {
        return Err(Error::import(
            path,
            "it is not an ONNX file: it holds no graph",
        ));
    }
    pull_in(&mut model, path, size)?;
    let opset = opset(&model);
    if opset < MIN_OPSET {
        return Err(Error::import(
            path,
            format!(
                "it uses the operators of opset {opset}, and at least {MIN_OPSET} is needed; export it again with --opset 17"
            ),
        ));
    }
    Ok(model)
}

/// The version of the standard operators that a model uses; 0 if it names none.
pub(super) fn opset(model: &ModelProto) -> i64 {
    let standard = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let mut imports = model.opset_import.iter();
    let import = imports.find(|import| standard(import.domain.as_deref().unwrap_or("")));
    import.and_then(|import| import.version).unwrap_or(0)
}

/// Puts the data of all tensors into the model.
fn pull_in(model: &mut ModelProto, path: &Path, size: u64) -> Result<()> {
    let mut data = External {
        path,
        size,
        files: HashMap::new(),
    };
    each_tensor(model, &mut |tensor| {
        if is_outside(tensor) {
            data.pull_in(tensor)?;
        }
        Ok(())
    })
}

/// The files with data of a model.
struct External<'a> {
    path: &'a Path,
    /// Bytes of the model so far.
    size: u64,
    files: HashMap<String, File>,
}

impl External<'_> {
    fn pull_in(&mut self, tensor: &mut TensorProto) -> Result<()> {
        let entry = |key: &str| {
            let mut entries = tensor.external_data.iter();
            let entry = entries.find(|entry| entry.key.as_deref() == Some(key))?;
            entry.value.clone()
        };
        let name = tensor.name.clone().unwrap_or_default();
        let fail = |reason: String| Error::import(self.path, reason);
        let location = entry("location")
            .ok_or_else(|| fail(format!("it does not say where the data of `{name}` lies")))?;
        // A model must not make its user's program read any other file.
        let mut parts = Path::new(&location).components();
        if !parts.all(|part| matches!(part, Component::Normal(_))) {
            return Err(fail(format!(
                "the data of `{name}` lies at {location:?}, which is not in the folder of the model"
            )));
        }
        let number = |key: &str| -> Result<Option<u64>> {
            let text = entry(key);
            text.map(|text| {
                text.parse()
                    .map_err(|_| fail(format!("the {key} {text:?} of `{name}` is no number")))
            })
            .transpose()
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let data_path = self.path.with_file_name(&location);
        let missing = |source: std::io::Error| {
            Error::import(
                self.path,
                format!(
                    "its weights lie in {}, which cannot be read ({source}); download that file, too, and keep its name",
                    data_path.display()
                ),
            )
        };
        let file = match self.files.entry(location) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(open_regular(&data_path).map_err(missing)?)
            }
        };
        let there = file.metadata().map_err(missing)?.len();
        let length = length.unwrap_or(there.saturating_sub(offset));
        if offset.checked_add(length).is_none_or(|end| end > there) {
            return Err(Error::import(
                self.path,
                format!(
                    "{} has {there} bytes, and `{name}` needs {length} from {offset} on; download it again",
                    data_path.display()
                ),
            ));
        }
        self.size += length;
        if self.size > MAX_MODEL_BYTES {
            return Err(Error::import(
                self.path,
                "with its weights it is larger than the 2 GB that one ONNX file can hold; import a smaller variant, such \
                 as --variant fp16",
            ));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.seek(SeekFrom::Start(offset)).map_err(missing)?;
        file.read_exact(&mut bytes).map_err(missing)?;
        tensor.raw_data = Some(bytes);
        tensor.external_data.clear();
        tensor.data_location = None;
        Ok(())
    }
}
