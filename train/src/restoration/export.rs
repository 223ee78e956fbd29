//! Writes a trained network as an ONNX file.

use candle_core::Var;
use imgsearch_onnx::authoring::{
    AttributeProto, Grafter, PICTURE, RESTORED, RESTORER_TASK, Side, data_type,
};
use prost::Message as _;

use super::fit::Restored;
use super::network::{COLOURS, PLANES, Step};
use crate::autoencoder::empty_model;
use crate::error::{Error, Result};
use imgsearch_onnx::authoring::StringStringEntryProto;

fn values(var: &Var) -> Result<Vec<f32>> {
    var.flatten_all()
        .and_then(|flat| flat.to_vec1())
        .map_err(|error| Error::Training(error.to_string()))
}

impl Restored {
    /// Returns the bytes of the ONNX file. `training` says how the network was trained, in JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Training`] if a parameter cannot be read.
    pub fn file(&self, training: &str) -> Result<Vec<u8>> {
        let mut model = empty_model("restorer");
        let mut graft = Grafter::new(&mut model, "");
        let sides = |planes| {
            [
                Side::Open("n"),
                Side::Of(planes),
                Side::Open("height"),
                Side::Open("width"),
            ]
        };
        graft.input(PICTURE, data_type::FLOAT, &sides(PLANES));
        let block = AttributeProto::int("blocksize", 2);
        let mut x = PICTURE.to_owned();
        let (mut kept, mut convs) = (Vec::new(), self.network.convs.iter());
        for (i, step) in self.network.steps.iter().enumerate() {
            let name = format!("step.{i}");
            x = match step {
                Step::Conv { kernel, .. } => {
                    let Some(conv) = convs.next() else {
                        return Err(Error::Training("a layer is missing".to_owned()));
                    };
                    let mut constant = |var: &Var, part: &str| -> Result<String> {
                        Ok(graft.constant(&format!("{name}.{part}"), var.dims(), &values(var)?))
                    };
                    let weight = constant(&conv.weight, "weight")?;
                    let bias = constant(&conv.bias, "bias")?;
                    let attributes = [
                        AttributeProto::ints("kernel_shape", &[*kernel; 2]),
                        AttributeProto::ints("pads", &[kernel / 2; 4]),
                    ];
                    graft.node_with("Conv", &[&x, &weight, &bias], &name, &attributes)
                }
                Step::Relu => graft.node("Relu", &[&x], &name),
                Step::Down => {
                    graft.node_with("SpaceToDepth", &[&x], &name, std::slice::from_ref(&block))
                }
                Step::Up => {
                    graft.node_with("DepthToSpace", &[&x], &name, std::slice::from_ref(&block))
                }
                Step::Keep => {
                    kept.push(x.clone());
                    x
                }
                Step::Add => match kept.pop() {
                    Some(kept) => graft.node("Add", &[&x, &kept], &name),
                    None => x,
                },
            };
        }
        // The three colours of the input, as a convolution, so that no operator depends on the version.
        let mut colours = vec![0.0; COLOURS * PLANES];
        for colour in 0..COLOURS {
            colours[colour * PLANES + colour] = 1.0;
        }
        let weight = graft.constant("colours.weight", &[COLOURS, PLANES, 1, 1], &colours);
        let seen = graft.node("Conv", &[PICTURE, &weight], "colours");
        graft.output_of("Add", &[&x, &seen], RESTORED, &sides(COLOURS));
        let entries = [
            ("imgsearch.kind", "restorer"),
            (RESTORER_TASK, self.task().name()),
            ("imgsearch.multiple_of", "8"),
            ("imgsearch.training", training),
        ];
        model
            .metadata_props
            .extend(entries.map(|(key, value)| StringStringEntryProto {
                key: Some(key.to_owned()),
                value: Some(value.to_owned()),
            }));
        Ok(model.encode_to_vec())
    }
}
