//! Arguments of `import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use imgsearch::onnx::EncoderResize;

use super::numbers::{from_one, three_numbers};

const HEAD: &str = "Head";
const MODEL: &str = "Model";
const OUTPUT: &str = "Output";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PoolingArg {
    /// The first token
    Cls,
    /// The mean of all tokens
    Mean,
}

/// Make an encoder of a published model: a folder as Hugging Face has it, with ONNX files in it or in its folder
/// onnx, or one ONNX file. CLIP, SigLIP, MobileCLIP, DINOv2 and models of timm are known. If it has a text model,
/// FILE.text.onnx is written, too, and imgsearch query --text works.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  imgsearch import clip-vit-base-patch32 -o clip.onnx                    with a head that needs no images
  imgsearch import clip-vit-base-patch32 -o clip.onnx --train ~/Pictures with a head trained on images
  imgsearch import model.onnx -o own.onnx --size 224 --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5
  imgsearch index ~/Pictures --encoder clip.onnx && imgsearch query --text 'a dog on a beach'")]
pub struct ImportArgs {
    /// Folder of the model, or its ONNX file
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,

    /// Encoder file to write
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,

    /// Variant of the files: fp32, fp16, int8, quantized, uint8 [default: the most exact one]
    #[arg(long, value_name = "NAME", help_heading = MODEL)]
    pub variant: Option<String>,

    /// Output, or any value of the graph, that holds the features [default: image_embeds, pooler_output or
    /// last_hidden_state, by the kind of model]
    #[arg(long, value_name = "NAME", help_heading = MODEL)]
    pub output_name: Option<String>,

    /// How tokens become one vector, if the output has tokens [default: by the kind of model]
    #[arg(long, value_enum, value_name = "HOW", help_heading = MODEL)]
    pub pooling: Option<PoolingArg>,

    /// Mean of the channels of pixels from 0 to 1, as R,G,B [default: image_mean of preprocessor_config.json]
    #[arg(long, value_name = "R,G,B", value_parser = three_numbers, help_heading = MODEL)]
    pub mean: Option<[f32; 3]>,

    /// Standard deviation of the channels, as R,G,B [default: image_std of preprocessor_config.json]
    #[arg(long, value_name = "R,G,B", value_parser = three_numbers, help_heading = MODEL)]
    pub std: Option<[f32; 3]>,

    /// Side in pixels of the images that the model takes [default: as preprocessor_config.json says]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(4..=4096))]
    #[arg(help_heading = MODEL)]
    pub size: Option<u32>,

    /// How to resize images: squash, or short-side-crop:PIXELS, which scales the short side and cuts out the
    /// centre [default: as preprocessor_config.json says]
    #[arg(long, value_name = "HOW", help_heading = MODEL)]
    pub resize: Option<EncoderResize>,

    /// Train the head on these images or folders, as imgsearch train head does
    #[arg(long, value_name = "PATH", num_args = 1.., help_heading = HEAD)]
    pub train: Vec<PathBuf>,

    /// Length of the code
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = from_one, help_heading = HEAD)]
    pub code: usize,

    /// Bits of the semantic hash
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = from_one, help_heading = HEAD)]
    pub bits: usize,

    /// Seed of all random numbers
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = HEAD)]
    pub seed: u64,

    /// Name of the encoder, stored in the file [default: the name of the folder]
    #[arg(long, value_name = "NAME", help_heading = OUTPUT)]
    pub name: Option<String>,

    /// Print events as JSON, one object per line
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}
