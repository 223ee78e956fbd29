//! Runs an encoder of documents: from counts of words to codes and hashes.

use ort::session::Session;
use ort::value::TensorRef;

use crate::encoder::Encodings;
use crate::encoder_file::{CODE, HASH};
use crate::error::{Error, Result};
use crate::open;
use crate::runtime::Runtime;

/// Key of the metadata of an encoder of documents: what its maker stored, such as the vocabulary. No encoder of images
/// has it.
pub const WORDS_METADATA: &str = "imgsearch.words";

/// Name of the input of an encoder of documents: float32 `[n, words]`.
pub const WORDS: &str = "words";

/// Documents that are encoded at once.
const AT_ONCE: usize = 256;

/// An encoder of documents, ready to run.
#[derive(Debug)]
pub struct WordEncoder {
    session: Session,
    name: String,
    metadata: String,
}

impl WordEncoder {
    /// Opens the encoder in `bytes`; messages use `name`.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] if it is no encoder of documents; [`Error::Run`] if ONNX Runtime refuses it.
    pub fn new(bytes: &[u8], name: &str, runtime: &Runtime) -> Result<Self> {
        let refuse = |reason: String| Error::Contract {
            name: name.to_owned(),
            reason,
        };
        let model = open::read_model(bytes).map_err(refuse)?;
        let metadata = open::metadata(&model, WORDS_METADATA).ok_or_else(|| {
            refuse("it encodes no documents, such as imgsearch topics stores".to_owned())
        })?;
        Ok(Self {
            session: open::session(bytes, name, runtime, 1)?,
            name: name.to_owned(),
            metadata: metadata.to_owned(),
        })
    }

    /// Returns what its maker stored in the file.
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// Encodes documents: their counts of words, `[n, words]`, become codes and the logits of their hashes.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if ONNX Runtime fails, [`Error::Contract`] if the file gives no such outputs.
    pub fn encode(&mut self, counts: &[f32], words: usize) -> Result<Encodings> {
        let mut all = Encodings::of_codes(0, Vec::new());
        for counts in counts.chunks(words.max(1) * AT_ONCE) {
            let n = counts.len() / words.max(1);
            let failed = |source: ort::Error| Error::Run {
                name: self.name.clone(),
                source: Box::new(source),
            };
            let input = TensorRef::from_array_view(([n, words], counts)).map_err(failed)?;
            let outputs = self
                .session
                .run(ort::inputs![WORDS => input])
                .map_err(failed)?;
            for (output, into) in [(CODE, &mut all.codes), (HASH, &mut all.logits)] {
                let value = outputs.get(output).ok_or_else(|| Error::Contract {
                    name: self.name.clone(),
                    reason: format!("it gave no output `{output}`"),
                })?;
                let (_, values) = value.try_extract_tensor::<f32>().map_err(failed)?;
                if values.len() % n.max(1) != 0 || values.iter().any(|value| !value.is_finite()) {
                    return Err(Error::Contract {
                        name: self.name.clone(),
                        reason: format!(
                            "it gave `{output}` {} numbers for {n} documents, or some that are not finite",
                            values.len()
                        ),
                    });
                }
                into.extend_from_slice(values);
            }
            all.n += n;
        }
        Ok(all)
    }
}
