//! Sixel: bands of six rows, in each a line of characters for every colour.

use color_quant::NeuQuant;

use super::strip::Strip;

/// Colours of the palette. Terminals have 256 at least.
const COLOURS: usize = 255;

/// One of this number of pixels is looked at to choose the palette.
const SAMPLED: i32 = 1;

/// Draws an image from the cursor.
pub(super) fn sixel(strip: &Strip) -> String {
    let opaque: Vec<u8> = strip
        .pixels
        .chunks_exact(4)
        .filter(|pixel| pixel[3] == u8::MAX)
        .flatten()
        .copied()
        .collect();
    // Transparent pixels stay as they are; the aspect ratio of a pixel is 1 to 1.
    let mut drawn = format!("\x1bP0;1;0q\"1;1;{};{}", strip.width, strip.height);
    if !opaque.is_empty() {
        let palette = NeuQuant::new(SAMPLED, COLOURS, &opaque);
        for (i, colour) in palette.color_map_rgb().chunks_exact(3).enumerate() {
            let [red, green, blue] = [0, 1, 2].map(|i| percents(colour[i]));
            drawn += &format!("#{i};2;{red};{green};{blue}");
        }
        let chosen = dithered(strip, &palette);
        for (i, band) in chosen.chunks(strip.width * 6).enumerate() {
            if i > 0 {
                drawn.push('-');
            }
            draw_band(&mut drawn, band, strip.width);
        }
    }
    drawn + "\x1b\\"
}

/// Chooses a colour for each opaque pixel. What a colour differs by is passed on to the pixels to the right and below,
/// so that areas keep their colour on the whole (Floyd and Steinberg).
fn dithered(strip: &Strip, palette: &NeuQuant) -> Vec<Option<u8>> {
    let width = strip.width;
    let mut chosen = vec![None; width * strip.height];
    // Errors of this row and the next, each with a pixel more on both sides.
    let mut errors = [vec![[0.0; 3]; width + 2], vec![[0.0; 3]; width + 2]];
    for y in 0..strip.height {
        errors.swap(0, 1);
        errors[1].fill([0.0; 3]);
        for x in 0..width {
            let Some(colour) = strip.colour(x, y) else {
                continue;
            };
            let error: [f32; 3] = errors[0][x + 1];
            let wanted = [0, 1, 2].map(|i| (f32::from(colour[i]) + error[i]).clamp(0.0, 255.0));
            let [red, green, blue] = wanted.map(|level| level.round() as u8);
            let index = palette.index_of(&[red, green, blue, u8::MAX]);
            chosen[y * width + x] = Some(index as u8);
            let there = palette.lookup(index).unwrap_or_default();
            for (row, place, share) in [
                (0, x + 2, 7.0),
                (1, x, 3.0),
                (1, x + 1, 5.0),
                (1, x + 2, 1.0),
            ] {
                for (i, error) in errors[row][place].iter_mut().enumerate() {
                    *error += (wanted[i] - f32::from(there[i])) * share / 16.0;
                }
            }
        }
    }
    chosen
}

fn percents(level: u8) -> u32 {
    (u32::from(level) * 100 + 127) / 255
}

/// Draws up to six rows.
fn draw_band(drawn: &mut String, band: &[Option<u8>], width: usize) {
    let mut used = [false; COLOURS + 1];
    for colour in band.iter().flatten() {
        used[usize::from(*colour)] = true;
    }
    let mut columns = vec![0_u8; width];
    for (colour, _) in used.iter().enumerate().filter(|(_, used)| **used) {
        columns.fill(0);
        for (y, row) in band.chunks(width).enumerate() {
            for (column, pixel) in columns.iter_mut().zip(row) {
                if pixel.is_some_and(|pixel| usize::from(pixel) == colour) {
                    *column |= 1 << y;
                }
            }
        }
        drawn.push('#');
        *drawn += &colour.to_string();
        draw_line(drawn, &columns);
        drawn.push('$');
    }
}

/// Draws one colour of a band: a character for each column, or a count and a character.
fn draw_line(drawn: &mut String, columns: &[u8]) {
    for run in columns.chunk_by(|a, b| a == b) {
        let sixel = char::from(b'?' + run[0]);
        if run.len() > 3 {
            *drawn += &format!("!{}{sixel}", run.len());
        } else {
            drawn.extend(std::iter::repeat_n(sixel, run.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Rgb;

    #[test]
    fn runs_are_counted() {
        let mut line = String::new();
        draw_line(&mut line, &[63, 63, 63, 0, 1, 1, 1, 1]);
        assert_eq!(line, "~~~?!4@");
    }

    #[test]
    fn an_image_has_its_size_its_palette_and_its_bands() {
        let mut strip = Strip::new(10, 13);
        let red = Rgb {
            width: 10,
            height: 7,
            pixels: [255, 0, 0].repeat(70),
        };
        strip.put(&red, 0);
        let drawn = sixel(&strip);
        assert!(drawn.starts_with("\x1bP0;1;0q\"1;1;10;13#0;2;"), "{drawn}");
        let bands = drawn.strip_suffix("\x1b\\").unwrap();
        let bands: Vec<&str> = bands.rsplit('-').collect();
        // Row 12, then rows 6 to 11, then nothing of 0 to 5. All red pixels have one colour.
        assert_eq!(bands.len(), 3);
        let line = |band: &str| band.split_once('!').unwrap().1.to_owned();
        assert_eq!(
            (line(bands[0]), line(bands[1])),
            ("10@$".into(), "10~$".into())
        );
        assert!(!bands[2].contains('$'));
    }

    #[test]
    fn areas_keep_their_colour_on_the_whole() {
        let palette = NeuQuant::new(1, COLOURS, &[200, 0, 0, 255, 0, 0, 200, 255].repeat(500));
        let mut strip = Strip::new(40, 40);
        let purple = Rgb {
            width: 40,
            height: 40,
            pixels: [120, 0, 80].repeat(1600),
        };
        strip.put(&purple, 0);
        let chosen = dithered(&strip, &palette);
        let colours = chosen
            .iter()
            .flatten()
            .filter_map(|&i| palette.lookup(usize::from(i)));
        let mean = |i: usize| {
            colours
                .clone()
                .map(|colour| f32::from(colour[i]))
                .sum::<f32>()
                / 1600.0
        };
        assert!(
            (mean(0) - 120.0).abs() < 8.0 && (mean(2) - 80.0).abs() < 8.0,
            "{}",
            mean(0)
        );
    }

    #[test]
    fn nothing_but_transparent_pixels_is_an_empty_image() {
        assert_eq!(sixel(&Strip::new(3, 2)), "\x1bP0;1;0q\"1;1;3;2\x1b\\");
    }
}
