//! Tests of networks that repair pictures.

use std::ops::ControlFlow;

use imgsearch_onnx::{Restorer, Runtime, RuntimeOptions};

use super::*;
use crate::linear::Normal;

const SIDE: usize = 16;

fn noisy(seed: u64, n: usize) -> Batch {
    let mut random = Normal::new(seed);
    let mut batch = Batch {
        side: SIDE,
        ..Batch::default()
    };
    for _ in 0..n {
        let level = random.unit() - 0.5;
        let area = SIDE * SIDE;
        batch.targets.extend(vec![level; 3 * area]);
        batch
            .inputs
            .extend((0..3 * area).map(|_| level + 0.1 * random.draw()));
        batch.inputs.extend(vec![0.1; area]);
        batch.weights.extend(vec![1.0; area]);
    }
    batch
}

fn trained(steps: usize) -> Restored {
    let schedule = Schedule {
        duration: Duration::Steps(steps),
        width: 8,
        batch: 4,
        side: SIDE,
        ..Schedule::default()
    };
    train(
        Task::Denoise,
        &schedule,
        &noisy(0, 8),
        &mut |step, n| Ok(noisy(1 + step as u64, n)),
        &mut |_| ControlFlow::Continue(()),
    )
    .unwrap()
}

#[test]
fn a_short_training_removes_noise_and_repeats() {
    let restored = trained(400);
    let last = restored.reports.last().unwrap();
    assert_eq!(last.steps, 400);
    assert!((last.corrupted - 20.0).abs() < 0.5, "{last:?}");
    assert!(last.held_out > last.corrupted + 1.0, "{last:?}");
    let again = trained(400);
    assert_eq!(restored.file("{}").unwrap(), again.file("{}").unwrap());
}

#[test]
fn the_file_computes_what_was_trained_at_any_size() {
    let restored = trained(20);
    let runtime = Runtime::load(&RuntimeOptions::default()).unwrap();
    let file = restored.file("{}").unwrap();
    let mut restorer = Restorer::new(&file, "own", runtime, 1).unwrap();
    assert_eq!(restorer.task(), Task::Denoise);
    for [height, width] in [[8, 8], [24, 40]] {
        let mut random = Normal::new(3);
        let planes: Vec<f32> = (0..4 * height * width)
            .map(|_| 0.3 * random.draw())
            .collect();
        let expected = restored.run(&planes, [height, width]).unwrap();
        let made = restorer.restore(&planes, [height, width]).unwrap();
        let worst = expected.iter().zip(&made).map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f32::max) < 1e-4);
    }
    assert!(restorer.restore(&[0.0; 4 * 8 * 9], [8, 9]).is_err());
    assert!(Restorer::new(b"no model", "text", runtime, 1).is_err());
}

#[test]
fn a_far_pixel_changes_nothing() {
    let restored = trained(5);
    let (height, width) = (8, 8 * 40);
    let mut planes = vec![0.1; 4 * height * width];
    let before = restored.run(&planes, [height, width]).unwrap();
    planes[0] = 0.9;
    let after = restored.run(&planes, [height, width]).unwrap();
    for (i, (a, b)) in before.iter().zip(&after).enumerate() {
        assert!(i % width < Restorer::REACH || a == b, "pixel {i}");
    }
    assert_ne!(before, after);
}

#[test]
fn patches_of_a_wrong_size_are_refused() {
    let schedule = Schedule {
        side: 12,
        ..Schedule::default()
    };
    let error = train(
        Task::Inpaint,
        &schedule,
        &Batch::default(),
        &mut |_, _| Ok(Batch::default()),
        &mut |_| ControlFlow::Continue(()),
    )
    .unwrap_err();
    assert!(error.to_string().contains("multiple of 8"), "{error}");
}
