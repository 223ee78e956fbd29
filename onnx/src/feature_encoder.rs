//! Runs the head of an encoder alone: features in, codes and hashes out.

use ort::session::Session;
use ort::value::TensorRef;
use prost::Message as _;

use crate::encoder::{Encodings, take};
use crate::encoder_file::{CODE, EncoderFile, EncoderInfo, FEATURES, HASH};
use crate::error::{Error, Result};
use crate::graph_edit::{Side, value};
use crate::proto::data_type;
use crate::runtime::Runtime;
use crate::visit::prune;

/// The head of an encoder, ready to run on one thread at a time. Features need not come from an image: those of a
/// text lead to the code of images that show what it says.
#[derive(Debug)]
pub struct FeatureEncoder {
    session: Session,
    info: EncoderInfo,
    feature_len: usize,
}

impl FeatureEncoder {
    /// Cuts the head out of an encoder and opens it.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] if the encoder has no features, or if its code needs more than them;
    /// [`Error::Run`] if ONNX Runtime refuses the head.
    pub fn new(file: &EncoderFile, runtime: &Runtime) -> Result<Self> {
        let info = file.info();
        let broken = |reason: &str| Error::Contract {
            name: info.name.clone(),
            reason: reason.to_owned(),
        };
        let feature_len = info
            .feature_len
            .ok_or_else(|| broken("it has no output `features`, so its head cannot run alone"))?;
        file.require_codes()?;
        let mut model = file.model()?;
        let Some(graph) = &mut model.graph else {
            return Err(broken("it holds no graph"));
        };
        let inputs = std::mem::take(&mut graph.input);
        let needed = prune(graph, &[CODE, HASH], &[FEATURES], &[]);
        let mut names = inputs.iter().filter_map(|input| input.name.as_ref());
        if names.any(|name| needed.contains(name)) {
            return Err(broken(
                "its code depends on more than its `features`, so its head cannot run alone",
            ));
        }
        let sides = [Side::Open("n"), Side::Of(feature_len)];
        graph.input.push(value(FEATURES, data_type::FLOAT, &sides));
        graph
            .output
            .retain(|output| output.name.as_deref() != Some(FEATURES));
        let bytes = model.encode_to_vec();
        let open = || -> Result<Session, ort::Error> {
            Session::builder(&runtime.environment)?
                .with_intra_threads(1)?
                .commit_from_memory(&bytes)
        };
        Ok(Self {
            session: open().map_err(|source| Error::Run {
                name: info.name.clone(),
                source: Box::new(source),
            })?,
            info: info.clone(),
            feature_len,
        })
    }

    /// Encodes `n` rows of features, `[n, feature_len]`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if `features` has another length, [`Error::Run`] if ONNX Runtime fails,
    /// [`Error::Contract`] if the outputs are not what the file declares, or not finite.
    pub fn encode(&mut self, features: &[f32], n: usize) -> Result<Encodings> {
        if n == 0 || features.len() != n * self.feature_len {
            return Err(Error::InvalidInput(format!(
                "{} numbers are not {n} rows of {} features",
                features.len(),
                self.feature_len
            )));
        }
        let failed = |source: ort::Error| Error::Run {
            name: self.info.name.clone(),
            source: Box::new(source),
        };
        let input =
            TensorRef::from_array_view(([n, self.feature_len], features)).map_err(failed)?;
        let outputs = self
            .session
            .run(ort::inputs![FEATURES => input])
            .map_err(failed)?;
        let take = |output: &str, length| take(&outputs, output, [n, length], &self.info.name);
        let mut encodings = Encodings::of_codes(n, take(CODE, self.info.code_len)?);
        encodings.logits = take(HASH, self.info.bits)?;
        encodings.features = features.to_vec();
        Ok(encodings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encoder, RuntimeOptions, SessionOptions};

    #[test]
    fn the_head_alone_makes_the_same_codes() {
        let file = EncoderFile::default_encoder().unwrap();
        let runtime = Runtime::load(&RuntimeOptions::default()).unwrap();
        let mut whole = Encoder::new(&file, runtime, &SessionOptions::default()).unwrap();
        let pixels: Vec<u8> = (0..2 * 224 * 224 * 3usize)
            .map(|i| (i * i / 97 % 256) as u8)
            .collect();
        let expected = whole.encode(&pixels, 2).unwrap();
        let mut head = FeatureEncoder::new(&file, runtime).unwrap();
        let found = head.encode(&expected.features, 2).unwrap();
        for i in 0..2 {
            let pairs = found.code(i).iter().zip(expected.code(i));
            assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-4);
        }
        assert_eq!(found.n, 2);
        assert!(head.encode(&expected.features[1..], 2).is_err());
    }
}
