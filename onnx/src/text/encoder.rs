//! Runs a text tower: texts in, vectors out.

use std::path::Path;

use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;
use tokenizers::{Tokenizer, TruncationParams};

use super::file::{TEXT_EMBEDS, TextFile, TextInfo};
use crate::encoder::{SessionOptions, take};
use crate::error::{Error, Result};
use crate::runtime::Runtime;

/// Texts that run at once.
const BATCH: usize = 16;

/// A text tower, ready to run on one thread at a time.
///
/// # Examples
///
/// ```no_run
/// use imgsearch_onnx::{Runtime, RuntimeOptions, TextEncoder};
///
/// let runtime = Runtime::load(&RuntimeOptions::default())?;
/// let mut texts = TextEncoder::open("clip.text.onnx", runtime)?;
/// let embeddings = texts.encode(&["two red circles", "a blue square"])?;
/// assert_eq!(embeddings.len(), 2 * texts.info().dim);
/// # Ok::<(), imgsearch_onnx::Error>(())
/// ```
#[derive(Debug)]
pub struct TextEncoder {
    session: Session,
    tokenizer: Tokenizer,
    info: TextInfo,
    inputs: Vec<&'static str>,
}

impl TextEncoder {
    /// Opens the text tower in a file, on the processor.
    ///
    /// # Errors
    ///
    /// As [`TextFile::from_path`] and [`TextEncoder::new`].
    pub fn open(path: impl AsRef<Path>, runtime: &Runtime) -> Result<Self> {
        Self::new(
            &TextFile::from_path(path.as_ref())?,
            runtime,
            &SessionOptions::default(),
        )
    }

    /// Opens a text tower on the processor.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] if its tokenizer is of an unknown kind, [`Error::Run`] if ONNX Runtime refuses it.
    pub fn new(file: &TextFile, runtime: &Runtime, options: &SessionOptions) -> Result<Self> {
        let info = file.info().clone();
        let tokenizer =
            tokenizer(&info.tokenizer, info.length).map_err(|reason| Error::Contract {
                name: NAME.to_owned(),
                reason: format!("its tokenizer cannot be used: {reason}"),
            })?;
        let open = || -> Result<Session, ort::Error> {
            Session::builder(&runtime.environment)?
                .with_intra_threads(options.threads)?
                .with_inter_threads(1)?
                .commit_from_memory(file.bytes())
        };
        Ok(Self {
            session: open().map_err(failed)?,
            tokenizer,
            info,
            inputs: file.inputs().to_vec(),
        })
    }

    /// Returns what its file declares.
    pub fn info(&self) -> &TextInfo {
        &self.info
    }

    /// Returns the embeddings of texts, `[n, dim]`, row-major, each of length 1.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if a text cannot be tokenized, [`Error::Run`] if ONNX Runtime fails,
    /// [`Error::Contract`] if it gives something other than declared.
    pub fn encode(&mut self, texts: &[&str]) -> Result<Vec<f32>> {
        let mut all = Vec::with_capacity(texts.len() * self.info.dim);
        for texts in texts.chunks(BATCH) {
            all.extend(self.batch(texts)?);
        }
        for row in all.chunks_exact_mut(self.info.dim) {
            let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            row.iter_mut()
                .for_each(|value| *value /= norm.max(f32::MIN_POSITIVE));
        }
        Ok(all)
    }

    fn batch(&mut self, texts: &[&str]) -> Result<Vec<f32>> {
        let (n, length) = (texts.len(), self.info.length);
        let mut ids = vec![i64::from(self.info.pad); n * length];
        let mut mask = vec![0i64; n * length];
        let rows = ids
            .chunks_exact_mut(length)
            .zip(mask.chunks_exact_mut(length));
        for (text, (ids, mask)) in texts.iter().zip(rows) {
            let lowered;
            let text = if self.info.lowercase {
                lowered = text.to_lowercase();
                &lowered
            } else {
                *text
            };
            let encoding = self.tokenizer.encode_fast(text, true).map_err(|error| {
                Error::InvalidInput(format!("the text {text:?} cannot be tokenized: {error}"))
            })?;
            for (i, &id) in encoding.get_ids().iter().enumerate().take(length) {
                (ids[i], mask[i]) = (i64::from(id), 1);
            }
        }
        let mut inputs: Vec<(&str, SessionInputValue<'_>)> = Vec::new();
        for &name in &self.inputs {
            let values = match name {
                "input_ids" => ids.clone(),
                "attention_mask" => mask.clone(),
                "position_ids" => (0..n).flat_map(|_| 0..length as i64).collect(),
                _ => vec![0; n * length],
            };
            let tensor = Tensor::from_array(([n, length], values)).map_err(failed)?;
            inputs.push((name, tensor.into()));
        }
        let outputs = self.session.run(inputs).map_err(failed)?;
        take(&outputs, TEXT_EMBEDS, [n, self.info.dim], NAME)
    }
}

/// How errors call it.
const NAME: &str = "the text tower";

fn failed(source: ort::Error) -> Error {
    Error::Run {
        name: NAME.to_owned(),
        source: Box::new(source),
    }
}

/// Reads a tokenizer that cuts texts off at `length` tokens and pads nothing: padding is done here, with the token
/// that the model was trained with.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn tokenizer(text: &str, length: usize) -> std::result::Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_bytes(text).map_err(|error| error.to_string())?;
    tokenizer.with_padding(None);
    let added = tokenizer.get_post_processor().map_or(0, |processor| {
        use tokenizers::PostProcessor as _;
        processor.added_tokens(false)
    });
    if length <= added {
        return Err(format!(
            "texts of {length} tokens have no room beside the {added} that it adds"
        ));
    }
    let truncation = TruncationParams {
        max_length: length,
        ..TruncationParams::default()
    };
    tokenizer
        .with_truncation(Some(truncation))
        .map_err(|error| error.to_string())?;
    Ok(tokenizer)
}
