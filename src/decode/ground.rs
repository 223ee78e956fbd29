//! Transparent pictures, shown on a ground: white, or black if white hides what is drawn.

/// A colour is lost on white if no channel differs by more than this.
const LOST: u8 = 16;

/// A picture shows nothing if no channel of a pixel differs by more than this.
const SAME: u8 = 3;

/// White hides a picture if less than this share of what is drawn can be seen on it: one pixel in 200.
const SEEN: u64 = 200;

/// Shows pixels of red, green, blue and alpha as RGB, on white. A picture that is partly transparent and whose drawn
/// part is white goes on black: on white it would be an empty page.
pub(super) fn show(mut pixels: Vec<u8>) -> Vec<u8> {
    let ground = if is_hidden_on_white(&pixels) { 0 } else { 255 };
    // In place: a pixel is written to where it or an earlier one was read.
    let count = pixels.len() / 4;
    for i in 0..count {
        let alpha = u16::from(pixels[4 * i + 3]);
        for channel in 0..3 {
            let value = u16::from(pixels[4 * i + channel]) * alpha;
            pixels[3 * i + channel] = ((value + ground * (255 - alpha) + 127) / 255) as u8;
        }
    }
    pixels.truncate(3 * count);
    pixels
}

/// Returns whether a picture in RGB shows nothing: one colour.
pub(super) fn is_flat(rgb: &[u8]) -> bool {
    let Some(first) = rgb.first_chunk::<3>() else {
        return true;
    };
    rgb.chunks_exact(3)
        .all(|pixel| pixel.iter().zip(first).all(|(a, b)| a.abs_diff(*b) <= SAME))
}

fn is_hidden_on_white(pixels: &[u8]) -> bool {
    let (mut drawn, mut seen, mut all) = (0u64, 0u64, 0u64);
    for pixel in pixels.chunks_exact(4) {
        all += 1;
        // Nearly transparent dust is not drawn.
        if pixel[3] > LOST {
            drawn += 1;
            let darkest = pixel[0].min(pixel[1]).min(pixel[2]);
            let difference = u16::from(255 - darkest) * u16::from(pixel[3]) / 255;
            seen += u64::from(difference > u16::from(LOST));
        }
    }
    drawn > 0 && drawn < all && seen * SEEN < drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_colour_is_flat() {
        assert!(is_flat(&[]) && is_flat(&[5, 6, 7, 6, 5, 7]));
        assert!(!is_flat(&[5, 6, 7, 5, 6, 11]));
    }

    #[test]
    fn white_drawings_go_on_black_and_others_on_white() {
        let transparent = [9, 9, 9, 0];
        let white = [[250, 255, 255, 255], transparent].concat();
        assert_eq!(show(white), [250, 255, 255, 0, 0, 0]);
        let grey = [[100, 100, 100, 255], transparent].concat();
        assert_eq!(show(grey), [100, 100, 100, 255, 255, 255]);
        assert_eq!(show(vec![255; 8]), [255; 6], "nothing is transparent");
        assert_eq!(show(vec![0; 4]), [255; 3], "nothing is drawn");
    }
}
