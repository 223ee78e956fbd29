//! What cannot be trained on.

use super::*;
use crate::Error;

#[test]
fn what_cannot_be_trained_on_is_refused() {
    let (clean, copy) = samples(100, 10, 1);
    let refused = |set: &TrainingSet<'_>, options: &HeadOptions, because: &str| {
        let error = train_head(set, options, &mut quietly).unwrap_err();
        assert!(matches!(error, Error::InvalidInput(_)), "{error}");
        assert!(error.to_string().contains(because), "{error}");
    };
    let few = &clean[..D * (MIN_IMAGES - 1)];
    refused(&set(few), &small(), "at least 16");
    refused(&set(&clean[1..]), &small(), "rows");
    for broken in [f32::NAN, f32::INFINITY] {
        let mut rows = clean.clone();
        rows[70] = broken;
        refused(&set(&rows), &small(), "not finite");
        let views = TrainingSet {
            views: vec![&copy, &rows],
            ..set(&clean)
        };
        refused(&views, &small(), "not finite");
    }
    let alike: Vec<f32> = clean[..D].repeat(100);
    refused(&set(&alike), &small(), "same features");
    let views = TrainingSet {
        views: vec![&copy[D..]],
        ..set(&clean)
    };
    refused(&views, &small(), "altered copies");
    let long = HeadOptions {
        code_len: D + 1,
        ..small()
    };
    refused(&set(&clean), &long, "at most 48");
    for options in [
        HeadOptions {
            code_len: 0,
            ..small()
        },
        HeadOptions { bits: 0, ..small() },
        HeadOptions {
            batch: 1,
            ..small()
        },
    ] {
        refused(&set(&clean), &options, "at least one");
    }
    let metric = TrainingSet {
        prior: prior().with_metric(vec![1.0; 20], 10, 2).unwrap(),
        ..set(&clean)
    };
    refused(&metric, &small(), "metric");
    let classes = TrainingSet {
        prior: prior()
            .with_classes(vec![1.0; 20], vec![0.0; 2], 10)
            .unwrap(),
        ..set(&clean)
    };
    refused(&classes, &small(), "classifier");
    assert!(prior().with_metric(vec![1.0; 20], 10, 3).is_err());
    assert!(prior().with_metric(vec![f32::NAN; 20], 10, 2).is_err());
    assert!(
        prior()
            .with_classes(vec![1.0; 20], vec![0.0; 3], 10)
            .is_err()
    );
    assert!(
        prior()
            .with_classes(vec![1.0; 20], vec![f32::NAN; 2], 10)
            .is_err()
    );
}

#[test]
fn a_descent_that_diverges_is_an_error() {
    let (clean, _) = samples(100, 10, 1);
    let options = HeadOptions {
        learning_rate: 1e38,
        ..small()
    };
    let error = train_head(&set(&clean), &options, &mut quietly).unwrap_err();
    assert!(matches!(error, Error::Training(_)), "{error}");
    assert!(error.to_string().contains("lower learning rate"), "{error}");
}
