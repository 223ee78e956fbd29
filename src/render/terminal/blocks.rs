//! Half blocks: each character shows two pixels, one above the other.

use super::Colours;
use super::strip::Strip;

/// Draws an image in lines, each with its own end.
pub(super) fn blocks(strip: &Strip, colours: Colours) -> String {
    let mut drawn = String::new();
    for y in (0..strip.height).step_by(2) {
        let pairs = (0..strip.width).map(|x| (strip.colour(x, y), strip.colour(x, y + 1)));
        let pairs: Vec<_> = pairs.collect();
        let used = pairs.iter().rposition(|pair| *pair != (None, None));
        let mut before = (None, None);
        for pair in &pairs[..used.map_or(0, |last| last + 1)] {
            // The lower half block shows the terminal above it.
            let (character, ink, ground) = match *pair {
                (None, None) => (' ', None, None),
                (None, lower) => ('▄', lower, None),
                (upper, lower) => ('▀', upper, lower),
            };
            if (ink, ground) != before {
                drawn += &style(ink, ground, colours);
                before = (ink, ground);
            }
            drawn.push(character);
        }
        if before != (None, None) {
            drawn += "\x1b[0m";
        }
        drawn.push('\n');
    }
    drawn
}

/// Returns the escape sequence for the colours of a character and of what is behind it.
fn style(ink: Option<[u8; 3]>, ground: Option<[u8; 3]>, colours: Colours) -> String {
    let part = |kind: u8, colour: Option<[u8; 3]>| match colour {
        None => format!("{}", kind + 1),
        Some([red, green, blue]) if colours == Colours::True => {
            format!("{kind};2;{red};{green};{blue}")
        }
        Some(colour) => format!("{kind};5;{}", of_palette(colour)),
    };
    format!("\x1b[{};{}m", part(38, ink), part(48, ground))
}

/// The levels of the palette's cube of 6 by 6 by 6 colours, which starts at 16.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// Returns the nearest of the palette's cube and greys.
fn of_palette(colour: [u8; 3]) -> u8 {
    let nearest = |level: u8| {
        let distance = |i: &u8| LEVELS[usize::from(*i)].abs_diff(level);
        (0..6).min_by_key(distance).unwrap_or(0)
    };
    let [red, green, blue] = colour.map(nearest);
    let cube = [red, green, blue].map(|i| LEVELS[usize::from(i)]);
    let mean = colour.iter().map(|&level| u32::from(level)).sum::<u32>() / 3;
    // 24 greys from 8 in steps of 10, which start at 232.
    let grey = (mean.saturating_sub(3) / 10).min(23) as u8;
    let distance = |other: [u8; 3]| -> u32 {
        let pairs = colour.iter().zip(other);
        pairs.map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    if distance([8 + 10 * grey; 3]) < distance(cube) {
        232 + grey
    } else {
        16 + 36 * red + 6 * green + blue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Rgb;

    #[test]
    fn two_pixels_are_one_character() {
        let mut strip = Strip::new(4, 3);
        let image = Rgb {
            width: 2,
            height: 3,
            pixels: [[1, 2, 3], [4, 5, 6]].concat().repeat(3),
        };
        strip.put(&image, 1);
        let upper = "\x1b[39;49m \x1b[38;2;1;2;3;48;2;1;2;3m▀\x1b[38;2;4;5;6;48;2;4;5;6m▀\x1b[0m\n";
        let upper = upper.strip_prefix("\x1b[39;49m").unwrap();
        let lower = " \x1b[38;2;1;2;3;49m▀\x1b[38;2;4;5;6;49m▀\x1b[0m\n";
        assert_eq!(blocks(&strip, Colours::True), [upper, lower].concat());
        // An image at the bottom of an even number of rows starts in the lower half.
        let mut strip = Strip::new(1, 2);
        let pixel = Rgb {
            width: 1,
            height: 1,
            pixels: vec![255; 3],
        };
        strip.put(&pixel, 0);
        assert_eq!(
            blocks(&strip, Colours::Palette),
            "\x1b[38;5;231;49m▄\x1b[0m\n"
        );
    }

    #[test]
    fn the_palette_has_a_colour_near_each() {
        for (colour, index) in [
            ([0, 0, 0], 16),
            ([255, 255, 255], 231),
            ([255, 0, 0], 196),
            ([0, 0, 255], 21),
            ([8, 8, 8], 232),
            ([128, 128, 128], 244),
            ([100, 130, 180], 67),
        ] {
            assert_eq!(of_palette(colour), index, "{colour:?}");
        }
    }
}
