//! Encoders of different worth for a collection.

use std::ops::ControlFlow;

use imgsearch::training::Result;
use imgsearch::training::head::{ClassifierPrior, Head, HeadOptions, TrainingSet, train_head};

use crate::collections::{Collection, Pool, drawn};

/// Trains on some photographs.
fn train(
    pool: &Pool,
    on: &[usize],
    options: &HeadOptions,
    prior: &ClassifierPrior,
) -> Result<Head> {
    let features = pool.features_of(on);
    let set = TrainingSet {
        clean: &features,
        views: Vec::new(),
        d: pool.d,
        prior: prior.clone(),
    };
    train_head(&set, options, &mut |_| ControlFlow::Continue(()))
}

/// Returns an encoder that stands for the built-in one: trained gently and with synthetic rows.
pub fn base(pool: &Pool, on: &[usize], prior: &ClassifierPrior) -> Result<Head> {
    let options = HeadOptions {
        epochs: 20,
        learning_rate: 5e-4,
        synthetic: 4000,
        hash_weight: 16.0,
        ..HeadOptions::default()
    };
    train(pool, on, &options, prior)
}

/// Returns the encoders of a collection: the one that stands for the built-in one first.
pub fn variants(
    pool: &Pool,
    collection: &Collection,
    base: &Head,
    prior: &ClassifierPrior,
) -> Result<Vec<Head>> {
    let own = &collection.images;
    let recipe = HeadOptions::for_collection(own.len());
    let outside = drawn(&pool.outside(collection.third), 500, 7);
    let hardly = HeadOptions {
        epochs: 1,
        learning_rate: 1e-9,
        ..recipe.clone()
    };
    let short = HeadOptions {
        epochs: 3,
        learning_rate: 2e-3,
        ..recipe.clone()
    };
    let long = HeadOptions {
        epochs: 3 * recipe.epochs,
        ..recipe.clone()
    };
    let only_reconstructing = HeadOptions {
        neighbourhood_weight: 0.0,
        ..recipe.clone()
    };
    let trainings: [(&[usize], &HeadOptions); 8] = [
        (own, &recipe),
        (own, &HeadOptions::default()),
        (own, &hardly),
        (own, &short),
        (own, &long),
        (own, &only_reconstructing),
        (&drawn(own, 60, 1), &recipe),
        (&outside, &recipe),
    ];
    let mut heads = vec![base.clone()];
    for (on, options) in trainings {
        heads.push(train(pool, on, options, prior)?);
    }
    Ok(heads)
}
