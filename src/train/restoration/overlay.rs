//! Texts and logos laid over a patch.

use crate::random::SplitMix;
use crate::render::chart::stamp;

/// Draws a text or a logo of drawn opacity over a patch `[3, side, side]`.
pub(super) fn draw(patch: &[f32], side: usize, random: &mut SplitMix) -> Vec<f32> {
    let cover = if random.below(3) == 0 {
        logo(side, random)
    } else {
        text(side, random)
    };
    let opacity = 0.25 + 0.55 * random.unit();
    let colour = match random.below(4) {
        0 => [0.0; 3],
        1 => [0, 1, 2].map(|_| random.unit()),
        _ => [1.0; 3],
    };
    let area = side * side;
    let mut covered = patch.to_vec();
    for (i, value) in covered.iter_mut().enumerate() {
        let share = opacity * cover[i % area];
        *value += share * (colour[i / area] - *value);
    }
    covered
}

/// A line of letters, two to four times as large as the smallest: 1 inside, 0 outside.
fn text(side: usize, random: &mut SplitMix) -> Vec<f32> {
    let letters: String = (0..3 + random.below(10))
        .map(|_| {
            char::from(
                b"ABCDEFGHIKLMNOPRSTUVWXYZabcdefghiklmnoprstuvwxyz.0123456789 "[random.below(60)],
            )
        })
        .collect();
    let scale = 1 + random.below(4) as u32;
    let stamp = stamp(&letters, scale);
    let (width, height) = (stamp.width() as usize, stamp.height() as usize);
    // Where it starts, also outside of the patch.
    let left = random.below(side + width / 2) as isize - (width / 2) as isize;
    let top = random.below(side) as isize - (height / 2) as isize;
    let mut cover = vec![0.0; side * side];
    for (x, y, pixel) in stamp.enumerate_pixels() {
        let (x, y) = (x as isize + left, y as isize + top);
        let inside = 0..side as isize;
        if pixel.0[0] > 127 && inside.contains(&x) && inside.contains(&y) {
            cover[y as usize * side + x as usize] = 1.0;
        }
    }
    cover
}

/// A disc or a ring: 1 inside, 0 outside.
fn logo(side: usize, random: &mut SplitMix) -> Vec<f32> {
    let end = side as f32;
    let centre = [0, 1].map(|_| random.unit() * end);
    let outer = end * (0.1 + 0.3 * random.unit());
    let inner = if random.below(2) == 0 {
        0.0
    } else {
        outer * (0.5 + 0.4 * random.unit())
    };
    (0..side * side)
        .map(|i| {
            let (dx, dy) = ((i % side) as f32 - centre[0], (i / side) as f32 - centre[1]);
            let distance = (dx * dx + dy * dy).sqrt();
            f32::from(u8::from(distance >= inner && distance <= outer))
        })
        .collect()
}
