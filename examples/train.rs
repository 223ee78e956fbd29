//! Trains an encoder on a folder of images and writes it to a file:
//!
//!     cargo run --release --example train -- FOLDER my.onnx
//!
//! `imgsearch index FOLDER --encoder my.onnx` uses it.

use std::path::PathBuf;

use imgsearch::onnx::EncoderFile;
use imgsearch::train::{TrainOptions, train};
use imgsearch::{Engine, EngineOptions, WalkOptions, save, walk};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, output] = args.as_slice() else {
        return Err("usage: train FOLDER OUTPUT".into());
    };
    let walked = walk(std::slice::from_ref(folder), &WalkOptions::default())?;
    let images: Vec<PathBuf> = walked.candidates.into_iter().map(|one| one.path).collect();
    let engine = Engine::new(EncoderFile::default_encoder()?, EngineOptions::default())?;
    let trained = train(&engine, &images, &TrainOptions::default(), &())?;
    save(output, trained.file.bytes())?;
    println!(
        "of the nearest neighbours by features, the code keeps {:.1} %, code and hash together {:.1} %",
        trained.after.code * 100.0,
        trained.after.both * 100.0
    );
    Ok(())
}
