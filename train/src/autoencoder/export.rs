//! Writes a trained autoencoder as two ONNX files: the encoder and the decoder.

use candle_core::Var;
use prost::Message as _;

use super::design::{Design, Layers, Sparsity};
use super::network::{KERNEL, Layer, Network, PADDING, STRIDE, sides};
use super::samples::Scaling;
use crate::error::{Error, Result};
use imgsearch_onnx::authoring::{
    AttributeProto, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, data_type,
};
use imgsearch_onnx::authoring::{CODE, DECODER_OF, FEATURES, HASH, INPUT, PICTURES};
use imgsearch_onnx::authoring::{Grafter, Side, WORDS, WORDS_METADATA, cut_trunk};
use imgsearch_onnx::{EncoderFile, EncoderInfo};

/// The version of the operators, which ONNX Runtime 1.14 and later know.
const OPSET: i64 = 17;
/// The version of the file format that goes with it.
const IR: i64 = 8;
/// How much red, green and blue count in grey (ITU-R BT.601).
const GREY: [f32; 3] = [0.299, 0.587, 0.114];

/// Returns a model without nodes.
pub(crate) fn empty_model(name: &str) -> ModelProto {
    ModelProto {
        ir_version: Some(IR),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(OPSET),
        }],
        producer_name: Some("imgsearch".to_owned()),
        graph: Some(GraphProto {
            name: Some(name.to_owned()),
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

/// The hash that is made from codes after training, without a twin bottleneck.
#[derive(Debug)]
pub(super) struct HashLayer {
    /// `[code_len, bits]`.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

fn values(var: &Var) -> Result<Vec<f32>> {
    var.flatten_all()
        .and_then(|flat| flat.to_vec1())
        .map_err(|error| Error::Training(error.to_string()))
}

struct Writing<'a> {
    graft: Grafter<'a>,
    design: &'a Design,
}

impl Writing<'_> {
    /// Adds a layer's weights and biases as constants.
    fn constants(&mut self, layer: &Layer, name: &str) -> Result<[String; 2]> {
        let mut add = |var: &Var, part: &str| -> Result<String> {
            let shape = var.dims().to_vec();
            Ok(self
                .graft
                .constant(&format!("{name}.{part}"), &shape, &values(var)?))
        };
        Ok([add(&layer.weight, "weight")?, add(&layer.bias, "bias")?])
    }

    fn dense(&mut self, x: &str, layer: &Layer, name: &str) -> Result<String> {
        let [weight, bias] = self.constants(layer, name)?;
        Ok(self.graft.node("Gemm", &[x, &weight, &bias], name))
    }

    fn relu(&mut self, x: &str) -> String {
        let name = format!("{x}.relu");
        self.graft.node("Relu", &[x], &name)
    }

    /// Adds the layers from the bytes to the bottleneck.
    fn down(&mut self, network: &Network) -> Result<String> {
        let to_float = [AttributeProto::int("to", i64::from(data_type::FLOAT))];
        let mut x = self.graft.node_with("Cast", &[INPUT], "float", &to_float);
        let most = self.graft.constant("most", &[], &[255.0]);
        x = self.graft.node("Div", &[&x, &most], "scaled");
        if self.design.shape.channels == 1 {
            let grey = self.graft.constant("grey.weight", &[3, 1], &GREY);
            x = self.graft.node("MatMul", &[&x, &grey], "grey");
        }
        let first = [AttributeProto::ints("perm", &[0, 3, 1, 2])];
        x = self.graft.node_with("Transpose", &[&x], "channels", &first);
        if !matches!(self.design.layers, Layers::Convolutional(_)) {
            x = self
                .graft
                .node_with("Flatten", &[&x], "flat", &[AttributeProto::int("axis", 1)]);
        }
        self.layers(x, network)
    }

    /// Adds the layers from the trunk's features to the bottleneck.
    fn down_from_features(&mut self, network: &Network, scaling: &Scaling) -> Result<String> {
        let d = scaling.mean.len();
        let mean = self.graft.constant("mean", &[d], &scaling.mean);
        let scale = self.graft.constant("scale", &[], &[scaling.scale]);
        let x = self.graft.node("Sub", &[FEATURES, &mean], "centred");
        let x = self.graft.node("Mul", &[&x, &scale], "scaled");
        self.layers(x, network)
    }

    fn layers(&mut self, mut x: String, network: &Network) -> Result<String> {
        let convolutional = matches!(self.design.layers, Layers::Convolutional(_));
        for (i, layer) in network.encoder.iter().enumerate() {
            let name = format!("encoder.{i}");
            x = if convolutional {
                let [weight, bias] = self.constants(layer, &name)?;
                let attributes = [
                    AttributeProto::ints("kernel_shape", &[KERNEL; 2]),
                    AttributeProto::ints("strides", &[STRIDE; 2]),
                    AttributeProto::ints("pads", &[PADDING; 4]),
                ];
                self.graft
                    .node_with("Conv", &[&x, &weight, &bias], &name, &attributes)
            } else {
                self.dense(&x, layer, &name)?
            };
            x = self.relu(&x);
        }
        if convolutional {
            x = self
                .graft
                .node_with("Flatten", &[&x], "flat", &[AttributeProto::int("axis", 1)]);
        }
        Ok(x)
    }

    /// Adds the bottleneck and its outputs.
    fn bottleneck(&mut self, x: &str, network: &Network, hash: Option<&HashLayer>) -> Result<()> {
        let design = self.design;
        let linear = self.dense(x, &network.code, "code.linear")?;
        let sigmoid = matches!(design.sparsity, Some(Sparsity::Kl { .. }));
        let operator = if sigmoid { "Sigmoid" } else { "Identity" };
        self.graft
            .output_node(operator, &[&linear], CODE, design.code_len);
        match (&network.bits, hash) {
            (Some(bits), _) => {
                let [weight, bias] = self.constants(bits, "hash")?;
                self.graft
                    .output_node("Gemm", &[x, &weight, &bias], HASH, design.twin_bits);
            }
            (None, Some(hash)) => {
                let bits = hash.bias.len();
                let weight =
                    self.graft
                        .constant("hash.weight", &[design.code_len, bits], &hash.weight);
                let bias = self.graft.constant("hash.bias", &[bits], &hash.bias);
                self.graft
                    .output_node("Gemm", &[CODE, &weight, &bias], HASH, bits);
            }
            (None, None) => return Err(Error::Training("the hash is missing".to_owned())),
        }
        Ok(())
    }

    /// Adds what the decoder takes: the code, and the bits of a twin bottleneck as -1 and 1.
    fn decoder_input(&mut self) -> String {
        if self.design.twin_bits == 0 {
            return CODE.to_owned();
        }
        // Twice whether the logit is above zero, less one.
        let zero = self.graft.constant("zero", &[], &[0.0]);
        let above = self.graft.node("Greater", &[HASH, &zero], "above");
        let to_float = [AttributeProto::int("to", i64::from(data_type::FLOAT))];
        let on = self.graft.node_with("Cast", &[&above], "on", &to_float);
        let two = self.graft.constant("two", &[], &[2.0]);
        let one = self.graft.constant("one", &[], &[1.0]);
        let twice = self.graft.node("Mul", &[&on, &two], "twice");
        let bits = self.graft.node("Sub", &[&twice, &one], "bits");
        let axis = [AttributeProto::int("axis", 1)];
        self.graft
            .node_with("Concat", &[CODE, &bits], "bottleneck", &axis)
    }

    /// Adds the layers from the bottleneck to images.
    fn up(&mut self, network: &Network) -> Result<()> {
        let shape = self.design.shape;
        let mut x = self.decoder_input();
        let last = network.decoder.len() - 1;
        let sides = sides(self.design);
        for (i, layer) in network.decoder.iter().enumerate() {
            let name = format!("decoder.{i}");
            let convolutional = i > 0 && matches!(self.design.layers, Layers::Convolutional(_));
            x = if convolutional {
                let [weight, bias] = self.constants(layer, &name)?;
                let (height, width) = sides[sides.len() - 1 - i];
                // An even side needs one more at its end.
                let more = [height, width].map(|side| (side + 1) % STRIDE);
                let attributes = [
                    AttributeProto::ints("kernel_shape", &[KERNEL; 2]),
                    AttributeProto::ints("strides", &[STRIDE; 2]),
                    AttributeProto::ints("pads", &[PADDING; 4]),
                    AttributeProto::ints("output_padding", &more),
                ];
                self.graft
                    .node_with("ConvTranspose", &[&x, &weight, &bias], &name, &attributes)
            } else {
                self.dense(&x, layer, &name)?
            };
            if i < last {
                x = self.relu(&x);
            }
            if i == 0
                && let Layers::Convolutional(channels) = &self.design.layers
            {
                let (height, width) = sides[sides.len() - 1];
                let inside = channels[channels.len() - 1];
                let to = self
                    .graft
                    .shape("inside", &[-1, inside as i64, height as i64, width as i64]);
                x = self.graft.node("Reshape", &[&x, &to], "inside.planes");
            }
        }
        let Some([channels, height, width]) = [shape.channels, shape.height, shape.width]
            .map(i64::try_from)
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .and_then(|sides| <[i64; 3]>::try_from(sides).ok())
        else {
            return Err(Error::InvalidInput("images are too large".to_owned()));
        };
        let to = self.graft.shape("picture", &[-1, channels, height, width]);
        x = self.graft.node("Reshape", &[&x, &to], "planes");
        let last = [AttributeProto::ints("perm", &[0, 2, 3, 1])];
        x = self.graft.node_with("Transpose", &[&x], "pixels", &last);
        self.graft.output_of(
            "Sigmoid",
            &[&x],
            PICTURES,
            &[
                Side::Open("n"),
                Side::Of(shape.height),
                Side::Of(shape.width),
                Side::Of(shape.channels),
            ],
        );
        Ok(())
    }
}

/// Returns the encoder file.
pub(super) fn encoder_file(
    network: &Network,
    hash: Option<&HashLayer>,
    info: &EncoderInfo,
) -> Result<EncoderFile> {
    let design = &network.design;
    let mut model = empty_model("autoencoder");
    let mut writing = Writing {
        graft: Grafter::new(&mut model, ""),
        design,
    };
    let sides = [
        Side::Open("n"),
        Side::Of(design.shape.height),
        Side::Of(design.shape.width),
        Side::Of(3),
    ];
    writing.graft.input(INPUT, data_type::UINT8, &sides);
    let x = writing.down(network)?;
    writing.bottleneck(&x, network, hash)?;
    Ok(EncoderFile::from_model(model, info)?)
}

/// Returns the encoder file behind a trunk.
pub(super) fn encoder_file_behind(
    network: &Network,
    hash: Option<&HashLayer>,
    base: &EncoderFile,
    scaling: &Scaling,
    info: &EncoderInfo,
) -> Result<EncoderFile> {
    let mut model = cut_trunk(&base.model()?, &base.info().name)?;
    let mut writing = Writing {
        graft: Grafter::new(&mut model, "head."),
        design: &network.design,
    };
    let x = writing.down_from_features(network, scaling)?;
    writing.bottleneck(&x, network, hash)?;
    Ok(EncoderFile::from_model(model, info)?)
}

/// Returns the model that encodes documents: from counts to codes less their mean `centre`, of length one, and their
/// hash.
pub(super) fn words_model(
    network: &Network,
    centre: &[f32],
    hash: &HashLayer,
    metadata: &str,
) -> Result<Vec<u8>> {
    let design = &network.design;
    let (code_len, bits) = (design.code_len, hash.bias.len());
    let mut model = empty_model("documents");
    let mut writing = Writing {
        graft: Grafter::new(&mut model, ""),
        design,
    };
    let sides = [Side::Open("n"), Side::Of(design.shape.len())];
    writing.graft.input(WORDS, data_type::FLOAT, &sides);
    let x = writing.layers(WORDS.to_owned(), network)?;
    let x = writing.dense(&x, &network.code, "code.linear")?;
    let graft = &mut writing.graft;
    let centre = graft.constant("centre", &[code_len], centre);
    let x = graft.node("Sub", &[&x, &centre], "centred");
    let x = graft.unit(&x, code_len, "unit");
    graft.output_node("Identity", &[&x], CODE, code_len);
    let weight = graft.constant("hash.weight", &[code_len, bits], &hash.weight);
    let bias = graft.constant("hash.bias", &[bits], &hash.bias);
    graft.output_node("Gemm", &[&x, &weight, &bias], HASH, bits);
    model.metadata_props.push(StringStringEntryProto {
        key: Some(WORDS_METADATA.to_owned()),
        value: Some(metadata.to_owned()),
    });
    Ok(model.encode_to_vec())
}

/// Returns the decoder's model: from the code, and the logits of a twin bottleneck, to images.
pub(super) fn decoder_model(network: &Network) -> Result<ModelProto> {
    let design = &network.design;
    let mut model = empty_model("autoencoder");
    let mut writing = Writing {
        graft: Grafter::new(&mut model, ""),
        design,
    };
    let mut input = |name: &str, length: usize| {
        let sides = [Side::Open("n"), Side::Of(length)];
        writing.graft.input(name, data_type::FLOAT, &sides);
    };
    input(CODE, design.code_len);
    if design.twin_bits > 0 {
        input(HASH, design.twin_bits);
    }
    writing.up(network)?;
    Ok(model)
}

/// Returns the file of a network's decoder half, for an encoder.
pub(super) fn decoder_bytes(network: &Network, encoder: &EncoderFile) -> Result<Vec<u8>> {
    let mut model = decoder_model(network)?;
    model.metadata_props.push(StringStringEntryProto {
        key: Some(DECODER_OF.to_owned()),
        value: Some(encoder.info().fingerprint.clone()),
    });
    Ok(model.encode_to_vec())
}
