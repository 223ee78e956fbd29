//! Grey pictures, and what is done to them before they are compared.

/// A grey picture: brightness from 0 to 255, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grey {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<f32>,
}

impl Grey {
    /// Makes a picture of what `of` returns for each column and row.
    pub fn from_fn(width: usize, height: usize, of: impl Fn(usize, usize) -> f32) -> Self {
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            pixels.extend((0..width).map(|x| of(x, y)));
        }
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Returns the brightness at a place; beyond an edge, that of the edge.
    #[cfg(test)]
    pub fn at(&self, x: isize, y: isize) -> f32 {
        let x = x.clamp(0, self.width as isize - 1) as usize;
        let y = y.clamp(0, self.height as isize - 1) as usize;
        self.pixels[y * self.width + x]
    }

    /// Returns the brightness between pixels, by linear interpolation.
    #[inline(always)]
    pub fn between(&self, x: f32, y: f32) -> f32 {
        let x = x.clamp(0.0, self.width as f32 - 1.0);
        let y = y.clamp(0.0, self.height as f32 - 1.0);
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = (
            (left + 1).min(self.width - 1),
            (top + 1).min(self.height - 1),
        );
        let (fx, fy) = (x - left as f32, y - top as f32);
        let row = |y: usize| {
            let (l, r) = (
                self.pixels[y * self.width + left],
                self.pixels[y * self.width + right],
            );
            l + (r - l) * fx
        };
        let (above, below) = (row(top), row(bottom));
        above + (below - above) * fy
    }

    /// Returns the slopes of brightness at each pixel, across and down, in grey levels a pixel. Beyond an edge it is as
    /// bright as at the edge.
    pub fn slopes(&self) -> (Self, Self) {
        let (width, height) = (self.width, self.height);
        let mut across = vec![0.0; self.pixels.len()];
        let mut down = vec![0.0; self.pixels.len()];
        let row = |y: usize| &self.pixels[y * width..(y + 1) * width];
        let rows = across
            .chunks_exact_mut(width)
            .zip(down.chunks_exact_mut(width));
        for (y, (across, down)) in rows.enumerate() {
            let own = row(y);
            if let [first, middle @ .., last] = &mut across[..] {
                *first = (own[1] - own[0]) / 2.0;
                *last = (own[width - 1] - own[width - 2]) / 2.0;
                for (slope, (before, after)) in middle.iter_mut().zip(own.iter().zip(&own[2..])) {
                    *slope = (after - before) / 2.0;
                }
            }
            let (above, below) = (row(y.saturating_sub(1)), row((y + 1).min(height - 1)));
            for (slope, (above, below)) in down.iter_mut().zip(above.iter().zip(below)) {
                *slope = (below - above) / 2.0;
            }
        }
        let grey = |pixels| Self { pixels, ..*self };
        (grey(across), grey(down))
    }

    /// Blurs by a Gaussian with this deviation in pixels.
    pub fn blurred(&self, deviation: f32) -> Self {
        let reach = (deviation * 2.5).ceil() as usize;
        let mut kernel: Vec<f32> = (0..=reach)
            .map(|i| (-(i as f32).powi(2) / (2.0 * deviation * deviation)).exp())
            .collect();
        let sum: f32 = kernel[0] + 2.0 * kernel[1..].iter().sum::<f32>();
        kernel.iter_mut().for_each(|weight| *weight /= sum);
        self.along_rows(&kernel).along_columns(&kernel)
    }

    /// Halves both sides, which have to be even. Each pixel is the mean of four.
    pub fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut pixels = Vec::with_capacity(width * height);
        for rows in self.pixels.chunks_exact(2 * self.width) {
            let (above, below) = rows.split_at(self.width);
            let ((above, _), (below, _)) = (above.as_chunks::<2>(), below.as_chunks::<2>());
            let pairs = above.iter().zip(below);
            pixels.extend(pairs.map(|([a, b], [c, d])| (a + b + c + d) / 4.0));
        }
        Self {
            width,
            height,
            pixels,
        }
    }

    fn along_rows(&self, kernel: &[f32]) -> Self {
        let (width, reach) = (self.width, kernel.len() - 1);
        let mut pixels = vec![0.0; self.pixels.len()];
        let mut padded = vec![0.0; width + 2 * reach];
        let rows = self.pixels.chunks_exact(width);
        for (row, out) in rows.zip(pixels.chunks_exact_mut(width)) {
            padded[reach..reach + width].copy_from_slice(row);
            padded[..reach].fill(row[0]);
            padded[reach + width..].fill(row[width - 1]);
            add(out, &padded[reach..], kernel[0]);
            for (i, weight) in kernel.iter().enumerate().skip(1) {
                add(out, &padded[reach - i..], *weight);
                add(out, &padded[reach + i..], *weight);
            }
        }
        Self { pixels, ..*self }
    }

    fn along_columns(&self, kernel: &[f32]) -> Self {
        let width = self.width;
        let mut pixels = vec![0.0; self.pixels.len()];
        let row = |y: usize| &self.pixels[y * width..(y + 1) * width];
        for (y, out) in pixels.chunks_exact_mut(width).enumerate() {
            add(out, row(y), kernel[0]);
            for (i, weight) in kernel.iter().enumerate().skip(1) {
                add(out, row(y.saturating_sub(i)), *weight);
                add(out, row((y + i).min(self.height - 1)), *weight);
            }
        }
        Self { pixels, ..*self }
    }

    /// Brings the picture to another size. Each pixel is the mean of the area that it covers.
    pub fn resized(&self, width: usize, height: usize) -> Self {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let across = shares(self.width, width);
        let down = shares(self.height, height);
        let mut rows = Vec::with_capacity(width * self.height);
        for row in self.pixels.chunks_exact(self.width) {
            rows.extend(across.iter().map(|(first, weights)| {
                let covered = row[*first..].iter().zip(weights);
                covered.map(|(value, weight)| value * weight).sum::<f32>()
            }));
        }
        let mut pixels = vec![0.0; width * height];
        for (out, (first, weights)) in pixels.chunks_exact_mut(width).zip(&down) {
            for (row, weight) in rows[first * width..].chunks_exact(width).zip(weights) {
                add(out, row, *weight);
            }
        }
        Self {
            width,
            height,
            pixels,
        }
    }
}

/// Adds values times a weight to sums.
fn add(sums: &mut [f32], values: &[f32], weight: f32) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += weight * value;
    }
}

/// Returns, for each of `to` equal stretches of a side of `from` pixels, the first pixel in it and how much
/// each from there on counts.
fn shares(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let step = from as f64 / to as f64;
    (0..to)
        .map(|i| {
            let (start, end) = (i as f64 * step, (i + 1) as f64 * step);
            let first = (start as usize).min(from - 1);
            let last = (end.ceil() as usize).clamp(first + 1, from);
            let covered = (first..last).map(|pixel| {
                let overlap = end.min((pixel + 1) as f64) - start.max(pixel as f64);
                (overlap / step).max(0.0) as f32
            });
            (first, covered.collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_keeps_the_mean_and_a_plain_picture() {
        let ramp = Grey::from_fn(30, 20, |x, y| (x * 3 + y) as f32);
        let mean = |grey: &Grey| grey.pixels.iter().sum::<f32>() / grey.pixels.len() as f32;
        for (width, height) in [(10, 10), (7, 13), (30, 20), (1, 1), (45, 50)] {
            let small = ramp.resized(width, height);
            assert_eq!(small.pixels.len(), width * height);
            assert!(
                (mean(&small) - mean(&ramp)).abs() < 0.05,
                "{width} {height}"
            );
        }
        assert_eq!(ramp.resized(30, 20), ramp);
    }

    #[test]
    fn blurring_keeps_plain_pictures_and_softens_edges() {
        let plain = Grey::from_fn(9, 5, |_, _| 7.0).blurred(1.5);
        assert!(plain.pixels.iter().all(|value| (value - 7.0).abs() < 1e-4));
        let edge = Grey::from_fn(20, 6, |x, _| if x < 10 { 0.0 } else { 100.0 }).blurred(1.0);
        assert!(edge.at(9, 3) > 20.0 && edge.at(10, 3) < 80.0);
        assert!(edge.at(2, 3) < 1e-3);
    }

    #[test]
    fn halving_is_resizing_to_half() {
        let ramp = Grey::from_fn(30, 20, |x, y| (x * x + y * 3) as f32);
        let apart = ramp.halved().pixels.into_iter();
        let apart = apart.zip(ramp.resized(15, 10).pixels);
        assert!(
            apart
                .into_iter()
                .all(|(one, other)| (one - other).abs() < 1e-3)
        );
    }

    #[test]
    fn slopes_are_differences_and_edges_are_held() {
        let ramp = Grey::from_fn(5, 4, |x, y| (x * x * 2 + y * 6) as f32);
        let (across, down) = ramp.slopes();
        assert_eq!(&across.pixels[..5], &[1.0, 4.0, 8.0, 12.0, 7.0]);
        assert_eq!(
            (down.at(2, 0), down.at(2, 1), down.at(2, 3)),
            (3.0, 6.0, 3.0)
        );
        let (across, down) = Grey::from_fn(1, 3, |_, y| y as f32).slopes();
        assert_eq!(
            (across.pixels, down.pixels),
            (vec![0.0; 3], vec![0.5, 1.0, 0.5])
        );
    }

    #[test]
    fn between_pixels_is_interpolated_and_beyond_edges_held() {
        let ramp = Grey::from_fn(4, 3, |x, y| (x * 10 + y * 100) as f32);
        assert_eq!(ramp.between(1.5, 0.5), 65.0);
        assert_eq!(ramp.between(-5.0, 9.0), 200.0);
        assert_eq!(ramp.at(9, -4), 30.0);
    }
}
