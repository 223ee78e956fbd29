//! Runs a decoder: from codes back to images.

use std::path::Path;

use ort::session::Session;
use ort::value::TensorRef;

use crate::encoder::Encodings;
use crate::encoder_file::{CODE, EncoderInfo, HASH};
use crate::error::{Error, Result};
use crate::open;
use crate::read::{MAX_MODEL_BYTES, read_whole};
use crate::runtime::Runtime;

/// Key of the metadata that names the encoder to which a decoder belongs.
pub const DECODER_OF: &str = "imgsearch.decoder_of";

/// Name of the decoder's output: float32 `[n, height, width, channels]`, 0 to 1.
pub const PICTURES: &str = "pictures";

/// The maximum side of an image that a decoder makes.
const MAX_SIDE: usize = 4096;

/// A decoder, ready to run.
#[derive(Debug)]
pub struct CodeDecoder {
    session: Session,
    name: String,
    twins: bool,
}

impl CodeDecoder {
    /// Opens the decoder in a file, which must belong to an encoder.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read, and as [`CodeDecoder::new`].
    pub fn from_path(path: &Path, of: &EncoderInfo, runtime: &Runtime) -> Result<Self> {
        let bytes = read_whole(path, MAX_MODEL_BYTES)?;
        Self::new(&bytes, &path.display().to_string(), of, runtime)
    }

    /// Opens the decoder in `bytes`, which must belong to an encoder; messages use `name`.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] if it is no decoder, or another encoder's; [`Error::Run`] where
    /// ONNX Runtime refuses it.
    pub fn new(bytes: &[u8], name: &str, of: &EncoderInfo, runtime: &Runtime) -> Result<Self> {
        let refuse = |reason: String| Error::Contract {
            name: name.to_owned(),
            reason,
        };
        let model = open::read_model(bytes).map_err(refuse)?;
        let belongs = open::metadata(&model, DECODER_OF)
            .ok_or_else(|| refuse("it is no decoder that imgsearch train wrote".to_owned()))?;
        if belongs != of.fingerprint {
            return Err(refuse(format!(
                "it decodes the codes of the encoder {belongs}, and this one is {}",
                of.fingerprint
            )));
        }
        let twins = model.graph.as_ref().is_some_and(|graph| {
            let mut inputs = graph.input.iter();
            inputs.any(|input| input.name.as_deref() == Some(HASH))
        });
        Ok(Self {
            session: open::session(bytes, name, runtime, 1)?,
            name: name.to_owned(),
            twins,
        })
    }

    /// Returns whether the decoder takes the bits of the hash in addition to the code.
    pub fn has_twins(&self) -> bool {
        self.twins
    }

    /// Reconstructs images from codes: `[height, width, channels]` of each, and their numbers from 0 to 1.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if ONNX Runtime fails, [`Error::Contract`] if what it gives are no images.
    pub fn decode(&mut self, encodings: &Encodings) -> Result<([usize; 3], Vec<f32>)> {
        let failed = |source: ort::Error| Error::Run {
            name: self.name.clone(),
            source: Box::new(source),
        };
        let n = encodings.n;
        let rows = |values: &[f32]| [n, values.len() / n.max(1)];
        let code = TensorRef::from_array_view((rows(&encodings.codes), &*encodings.codes))
            .map_err(failed)?;
        let outputs = if self.twins {
            let hash = TensorRef::from_array_view((rows(&encodings.logits), &*encodings.logits))
                .map_err(failed)?;
            self.session.run(ort::inputs![CODE => code, HASH => hash])
        } else {
            self.session.run(ort::inputs![CODE => code])
        }
        .map_err(failed)?;
        let value = outputs.get(PICTURES).ok_or_else(|| Error::Contract {
            name: self.name.clone(),
            reason: format!("it gave no output `{PICTURES}`"),
        })?;
        let (shape, values) = value.try_extract_tensor::<f32>().map_err(failed)?;
        let sides = pictures_of(shape, n).ok_or_else(|| Error::Contract {
            name: self.name.clone(),
            reason: format!(
                "it gave `{PICTURES}` the shape {shape:?}, and {n} images of 1 or 3 channels, with sides from 1 to \
                 {MAX_SIDE}, were wanted"
            ),
        })?;
        Ok((sides, values.to_vec()))
    }
}

/// Returns height, width and channels of `n` images.
fn pictures_of(shape: &[i64], n: usize) -> Option<[usize; 3]> {
    let &[pictures, height, width, channels] = shape else {
        return None;
    };
    let [pictures, height, width, channels] =
        [pictures, height, width, channels].map(|side| usize::try_from(side).unwrap_or(0));
    let side = 1..=MAX_SIDE;
    (pictures == n && side.contains(&height) && side.contains(&width) && matches!(channels, 1 | 3))
        .then_some([height, width, channels])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_are_taken_for_pictures() {
        assert_eq!(pictures_of(&[2, 8, 9, 3], 2), Some([8, 9, 3]));
        assert_eq!(pictures_of(&[2, 8, 9, 1], 2), Some([8, 9, 1]));
        for shape in [
            &[2, 0, 9, 3][..],
            &[2, 8, 0, 3],
            &[2, 8, 9, 0],
            &[2, 8, 9, 2],
            &[1, 8, 9, 3],
            &[0, 8, 9, 3],
            &[2, -8, 9, 3],
            &[2, 8, 5000, 3],
            &[2, 8, 27],
            &[],
        ] {
            assert_eq!(pictures_of(shape, 2), None, "{shape:?}");
        }
    }
}
