//! `imgsearch train`.

mod autoencoder;
mod head;
mod input;
pub mod preservation;
mod restorer;

use super::Result;
use super::args::{Global, TrainArgs, TrainCommand};

pub fn run(global: &Global, args: &TrainArgs) -> Result {
    match &args.command {
        TrainCommand::Head(args) => head::run(global, args),
        TrainCommand::Copies(args) => head::run_copies(global, args),
        TrainCommand::Restorer(args) => restorer::run(global, args),
        TrainCommand::Autoencoder(args) => autoencoder::run(global, args),
    }
}
