//! Training of networks that restore pictures, on image files.
//!
//! The pictures are decoded once. Patches of them are corrupted as they are needed, so the network never
//! sees the same corruption twice.

mod corrupt;
mod overlay;
mod pictures;

use std::path::PathBuf;

use imgsearch_train::restoration::{self, Batch, Duration, Report, Restored, Schedule, Task};

use crate::decode::Limits;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::random::SplitMix;
use crate::train::jobs::flow;
use crate::train::split::is_held_out;
use pictures::Pictures;

/// Patches of each picture in an epoch.
const PATCHES: usize = 8;
/// Patches that judge a training.
const JUDGED: usize = 48;
/// The least number of pictures to learn from.
const MIN_PICTURES: usize = 2;

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// Minutes.
    Minutes(f64),
    /// Epochs: times that eight patches of each picture are learned from.
    Epochs(usize),
}

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RestorerOptions {
    /// What the network is to do.
    pub task: Task,
    /// How long.
    pub length: Length,
    /// Channels of its largest layers.
    pub width: usize,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Threads that decode; 0 for all cores.
    pub threads: usize,
    /// Limits of what a picture may cost.
    pub limits: Limits,
}

impl RestorerOptions {
    /// Returns the default options of a task: ten minutes.
    pub fn new(task: Task) -> Self {
        Self {
            task,
            length: Length::Minutes(10.0),
            width: Schedule::default().width,
            seed: 0,
            threads: 0,
            limits: Limits::default(),
        }
    }
}

/// The result of [`train_restorer`].
#[derive(Debug)]
#[non_exhaustive]
pub struct TrainedRestorer {
    /// The network.
    pub restored: Restored,
    /// Number of pictures that were learned from.
    pub pictures: usize,
    /// Number of pictures that judged it.
    pub held_out: usize,
}

/// Trains a network on pictures. Every tenth is held out and judges it. A cancellation ends the training;
/// what was learned is kept.
///
/// # Errors
///
/// [`Error::Training`] if there are too few pictures or the training fails, and [`Error::Interrupted`]
/// after a cancellation while pictures are read.
pub fn train_restorer(
    paths: &[PathBuf],
    options: &RestorerOptions,
    progress: &dyn Progress,
    report: &mut dyn FnMut(&Report),
) -> Result<TrainedRestorer> {
    let side = match options.task {
        // The colours of a thing are told by what is around it.
        Task::Colourise => 96,
        _ => 64,
    };
    let read = pictures::read(paths, side, options, progress)?;
    let (mut own, mut judging) = (Vec::new(), Vec::new());
    for (i, picture) in read.into_iter().enumerate() {
        if is_held_out(i) {
            judging.push(picture);
        } else {
            own.push(picture);
        }
    }
    if own.len() < MIN_PICTURES {
        return Err(Error::Training(imgsearch_train::Error::InvalidInput(
            format!(
                "{} pictures of at least {side} × {side} pixels are too few to learn from; {MIN_PICTURES} are the least, \
                 and some hundred are good",
                own.len()
            ),
        )));
    }
    let (pictures, held_out) = (own.len(), judging.len());
    let own = Pictures::new(own, side);
    let judging = if judging.is_empty() {
        own.clone()
    } else {
        Pictures::new(judging, side)
    };
    let mut schedule = Schedule::default();
    schedule.side = side;
    schedule.seed = options.seed;
    schedule.width = options.width;
    schedule.duration = match options.length {
        Length::Minutes(minutes) => Duration::Seconds(minutes * 60.0),
        Length::Epochs(epochs) => {
            Duration::Steps((epochs * pictures * PATCHES).div_ceil(schedule.batch))
        }
    };
    let draw = |from: &Pictures, seed: u64, n: usize| -> imgsearch_train::Result<Batch> {
        let mut random = SplitMix::new(seed);
        let mut batch = Batch {
            side,
            ..Batch::default()
        };
        for _ in 0..n {
            let patch = from.patch(&mut random);
            corrupt::add(options.task, &patch, side, &mut random, &mut batch)
                .map_err(imgsearch_train::Error::InvalidInput)?;
        }
        Ok(batch)
    };
    let judged = draw(&judging, JUDGED as u64, JUDGED)?;
    // Steps of different seeds draw different patches.
    let base = (options.seed + 1) << 32;
    let restored = restoration::train(
        options.task,
        &schedule,
        &judged,
        &mut |step, n| draw(&own, base + step as u64, n),
        &mut |now| {
            if let Some(now) = now {
                report(now);
            }
            flow(progress)
        },
    )?;
    Ok(TrainedRestorer {
        restored,
        pictures,
        held_out,
    })
}
