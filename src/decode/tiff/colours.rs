//! Samples of 8 bits as RGB.

use super::super::colour::Inks;
use super::layout::{Alpha, Colour, Layout, Ycc};

/// Adds pixels of `layout.samples` samples each: RGB, or RGB and alpha if `with_alpha`.
pub fn add(samples: &[u8], layout: &Layout, inks: &Inks, with_alpha: bool, out: &mut Vec<u8>) {
    let top = if layout.bits < 8 {
        (1u16 << layout.bits) - 1
    } else {
        255
    };
    let scaled = |value: u8| (u16::from(value).min(top) * 255 / top) as u8;
    let channels = layout.channels();
    let mut lights = Vec::new();
    if layout.colour == Colour::Cmyk {
        let pixels = samples.chunks_exact(layout.samples);
        let cmyk: Vec<u8> = pixels
            .flat_map(|pixel| &pixel[..4])
            .map(|ink| scaled(*ink))
            .collect();
        inks.add_rgb(&cmyk, &mut lights);
    }
    for (place, pixel) in samples.chunks_exact(layout.samples).enumerate() {
        let alpha = match layout.alpha {
            Alpha::Nothing => 255,
            _ => scaled(pixel[channels]),
        };
        let mut rgb = match &layout.colour {
            Colour::Grey { inverted: false } => [scaled(pixel[0]); 3],
            Colour::Grey { inverted: true } => [255 - scaled(pixel[0]); 3],
            Colour::Rgb => [pixel[0], pixel[1], pixel[2]].map(scaled),
            Colour::Palette(colours) => {
                let colour = colours.get(usize::from(pixel[0]));
                *colour.unwrap_or(&[0; 3])
            }
            Colour::Cmyk => [0, 1, 2].map(|colour| lights[place * 3 + colour]),
            Colour::YCbCr(ycc) => from_ycc([pixel[0], pixel[1], pixel[2]], ycc),
            Colour::Lab { signed } => from_lab([pixel[0], pixel[1], pixel[2]], *signed),
        };
        if layout.alpha == Alpha::Associated && alpha > 0 {
            let divided =
                |value: u8| (u16::from(value) * 255 + u16::from(alpha) / 2) / u16::from(alpha);
            rgb = rgb.map(|value| divided(value).min(255) as u8);
        }
        out.extend(rgb);
        if with_alpha {
            out.push(alpha);
        }
    }
}

fn from_ycc([y, cb, cr]: [u8; 3], ycc: &Ycc) -> [u8; 3] {
    let [y_black, y_white, cb_zero, cb_full, cr_zero, cr_full] = ycc.range;
    let y = (f32::from(y) - y_black) * 255.0 / (y_white - y_black);
    let cb = (f32::from(cb) - cb_zero) * 127.0 / (cb_full - cb_zero);
    let cr = (f32::from(cr) - cr_zero) * 127.0 / (cr_full - cr_zero);
    let [of_red, of_green, of_blue] = ycc.shares;
    let red = y + cr * (2.0 - 2.0 * of_red);
    let blue = y + cb * (2.0 - 2.0 * of_blue);
    let green = (y - of_blue * blue - of_red * red) / of_green;
    // The conversion saturates.
    [red, green, blue].map(|value| value.round() as u8)
}

/// Converts from CIE L*a*b* under D50, the light of print, to sRGB.
pub fn from_lab([l, a, b]: [u8; 3], signed: bool) -> [u8; 3] {
    let moved = |value: u8| {
        if signed {
            f32::from(value as i8)
        } else {
            f32::from(value) - 128.0
        }
    };
    let y = (f32::from(l) / 2.55 + 16.0) / 116.0;
    let (x, z) = (y + moved(a) / 500.0, y - moved(b) / 200.0);
    let light = |value: f32| {
        if value > 6.0 / 29.0 {
            value.powi(3)
        } else {
            (value - 4.0 / 29.0) * (108.0 / 841.0)
        }
    };
    let (x, y, z) = (0.9642 * light(x), light(y), 0.8251 * light(z));
    // From D50 to the colours of sRGB, with Bradford's adaptation.
    let rgb = [
        3.1339 * x - 1.6169 * y - 0.4906 * z,
        -0.9788 * x + 1.9161 * y + 0.0335 * z,
        0.0719 * x - 0.2290 * y + 1.4052 * z,
    ];
    rgb.map(|value| {
        let value = if value <= 0.003_130_8 {
            12.92 * value
        } else {
            1.055 * value.powf(1.0 / 2.4) - 0.055
        };
        (value * 255.0).round() as u8
    })
}

/// Returns luma and colour differences that pixels share as three samples a pixel: blocks of luma, row by row, each
/// followed by its two differences.
pub fn unshared(bytes: &[u8], layout: &Layout, rows: u32) -> Vec<u8> {
    let (across, down) = (layout.subsampling.0 as usize, layout.subsampling.1 as usize);
    let width = layout.piece.0 as usize;
    let rows = rows as usize;
    let mut out = vec![0; width * rows * 3];
    let block = across * down + 2;
    for (i, block) in bytes.chunks_exact(block).enumerate() {
        let blocks = width.div_ceil(across);
        let (left, top) = (i % blocks * across, i / blocks * down);
        let differences = &block[across * down..];
        for (j, luma) in block[..across * down].iter().enumerate() {
            let (x, y) = (left + j % across, top + j / across);
            if x < width && y < rows {
                let place = (y * width + x) * 3;
                out[place] = *luma;
                out[place + 1..place + 3].copy_from_slice(differences);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_and_lab_become_rgb() {
        let ycc = Ycc {
            shares: [0.299, 0.587, 0.114],
            range: [0.0, 255.0, 128.0, 255.0, 128.0, 255.0],
        };
        assert_eq!(from_ycc([76, 85, 255], &ycc), [254, 0, 0]);
        assert_eq!(from_ycc([200, 128, 128], &ycc), [200; 3]);
        // sRGB's red is L* 54.3, a* 80.8, b* 69.9.
        let red = from_lab([138, 81, 70], true);
        let near = red
            .iter()
            .zip([255, 0, 0])
            .all(|(a, b): (&u8, u8)| a.abs_diff(b) < 8);
        assert!(near, "{red:?}");
        assert_eq!(from_lab([255, 128, 128], false), [255; 3]);
    }
}
