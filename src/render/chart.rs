//! Charts: lines, dots and text on a white ground.

use std::convert::Infallible;

use embedded_graphics::mono_font::iso_8859_1::{FONT_6X10, FONT_8X13, FONT_8X13_BOLD};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle, MonoTextStyleBuilder};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{
    Dimensions, DrawTarget, Drawable, Pixel, Point, Primitive, RgbColor, Size,
};
use embedded_graphics::primitives::{Circle, Line, PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
use image::{Rgb, RgbImage, imageops};

/// Colours that people with any colour vision can distinguish (Okabe and Ito 2008).
const COLOURS: [[u8; 3]; 8] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 158, 115],
    [204, 121, 167],
    [86, 180, 233],
    [230, 159, 0],
    [0, 0, 0],
    [150, 150, 60],
];

const GREY: Rgb888 = Rgb888::new(110, 110, 110);
const PALE: Rgb888 = Rgb888::new(225, 225, 225);
/// Margins around a chart: left, top, right, bottom.
const MARGIN: [i32; 4] = [72, 36, 24, 48];
const SIZE: (u32, u32) = (860, 480);
/// The maximum number of names in a legend.
const MAX_NAMES: usize = 24;
/// Width and height of a letter of the small font.
pub const LETTER: (u32, u32) = (6, 10);

struct Canvas(RgbImage);

impl Dimensions for Canvas {
    fn bounding_box(&self) -> Rectangle {
        let (width, height) = self.0.dimensions();
        Rectangle::new(Point::zero(), Size::new(width, height))
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        let (width, height) = self.0.dimensions();
        for Pixel(Point { x, y }, colour) in pixels {
            let place = u32::try_from(x).ok().zip(u32::try_from(y).ok());
            if let Some((x, y)) = place.filter(|&(x, y)| x < width && y < height) {
                self.0
                    .put_pixel(x, y, Rgb([colour.r(), colour.g(), colour.b()]));
            }
        }
        Ok(())
    }
}

/// The position of a text relative to its point.
#[derive(Clone, Copy)]
enum From {
    Left,
    Middle,
    Right,
}

impl Canvas {
    fn white(width: u32, height: u32) -> Self {
        Self(RgbImage::from_pixel(width, height, Rgb([255; 3])))
    }

    fn draw(&mut self, what: &impl Drawable<Color = Rgb888>) {
        // Drawing on a canvas in memory cannot fail.
        let Ok(_) = what.draw(self);
    }

    fn text(
        &mut self,
        text: &str,
        (x, y): (i32, i32),
        from: From,
        font: &MonoFont<'_>,
        colour: Rgb888,
    ) {
        let style = TextStyleBuilder::new()
            .alignment(match from {
                From::Left => Alignment::Left,
                From::Middle => Alignment::Center,
                From::Right => Alignment::Right,
            })
            .baseline(Baseline::Middle)
            .build();
        let letters = MonoTextStyle::new(font, colour);
        self.draw(&Text::with_text_style(
            text,
            Point::new(x, y),
            letters,
            style,
        ));
    }

    fn line(&mut self, from: (i32, i32), to: (i32, i32), colour: Rgb888, width: u32) {
        let line = Line::new(Point::new(from.0, from.1), Point::new(to.0, to.1));
        self.draw(&line.into_styled(PrimitiveStyle::with_stroke(colour, width)));
    }

    fn dot(&mut self, (x, y): (i32, i32), diameter: u32, colour: Rgb888) {
        let dot = Circle::with_center(Point::new(x, y), diameter);
        self.draw(&dot.into_styled(PrimitiveStyle::with_fill(colour)));
    }
}

fn colour(i: usize) -> Rgb888 {
    let [r, g, b] = COLOURS[i % COLOURS.len()];
    // After the first round, the same hues are paler.
    let pale = |value: u8| {
        (f32::from(value) + 0.45 * (i / COLOURS.len()) as f32 * (255.0 - f32::from(value)))
            .min(235.0) as u8
    };
    Rgb888::new(pale(r), pale(g), pale(b))
}

/// An axis: the values that it spans, with room, and how they become pixels.
#[derive(Debug, Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    /// In powers of ten.
    logarithmic: bool,
    /// The pixels of `low` and `high`.
    pixels: (i32, i32),
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, logarithmic: bool, pixels: (i32, i32)) -> Self {
        let scaled = values
            .filter(|value| value.is_finite() && (!logarithmic || *value > 0.0))
            .map(|value| if logarithmic { value.log10() } else { value });
        let (mut low, mut high) = scaled
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            });
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if high - low < 1e-9 * high.abs().max(1e-9) {
            (low, high) = (low - 0.5, high + 0.5);
        }
        let room = if logarithmic {
            0.0
        } else {
            0.04 * (high - low)
        };
        Self {
            low: low - room,
            high: high + room,
            logarithmic,
            pixels,
        }
    }

    fn place(&self, value: f64) -> i32 {
        let value = if self.logarithmic {
            value.max(f64::MIN_POSITIVE).log10()
        } else {
            value
        };
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        let (first, last) = self.pixels;
        first + (share * f64::from(last - first)).round() as i32
    }

    /// Returns round values to label the axis with.
    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let decades = self.low.floor() as i32..=self.high.ceil() as i32;
            return decades
                .flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * 10f64.powi(decade)))
                .filter(|value| (self.low - 1e-9..=self.high + 1e-9).contains(&value.log10()))
                .collect();
        }
        let rough = (self.high - self.low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|step| step * power)
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

fn written(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value.abs() >= 1e5 || value.abs() < 1e-3 {
        format!("{value:.0e}")
    } else {
        let text = format!("{value:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// A line of a chart.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Draws lines over a common axis, each with its name.
pub fn lines(title: &str, axes: [&str; 2], logarithmic_x: bool, series: &[Series]) -> RgbImage {
    let (mut canvas, area) = framed(
        title,
        axes,
        series.iter().map(|series| series.name.as_str()),
    );
    let points = || {
        series
            .iter()
            .flat_map(|series| series.points.iter().copied())
    };
    let x = Axis::over(
        points().map(|point| point.0),
        logarithmic_x,
        (area[0], area[2]),
    );
    let y = Axis::over(points().map(|point| point.1), false, (area[3], area[1]));
    grid(&mut canvas, &x, &y);
    for (i, series) in series.iter().enumerate() {
        let placed = series.points.iter().filter(|(_, value)| value.is_finite());
        let placed: Vec<(i32, i32)> = placed.map(|&(a, b)| (x.place(a), y.place(b))).collect();
        for pair in placed.windows(2) {
            canvas.line(pair[0], pair[1], colour(i), 2);
        }
        for &place in &placed {
            canvas.dot(place, 5, colour(i));
        }
    }
    canvas.0
}

/// Draws dots in a plane, coloured by group, a place in `groups`.
pub fn dots(
    title: &str,
    axes: [&str; 2],
    points: &[(f64, f64, usize)],
    groups: &[String],
) -> RgbImage {
    let (mut canvas, area) = framed(title, axes, groups.iter().map(String::as_str));
    let x = Axis::over(
        points.iter().map(|point| point.0),
        false,
        (area[0], area[2]),
    );
    let y = Axis::over(
        points.iter().map(|point| point.1),
        false,
        (area[3], area[1]),
    );
    grid(&mut canvas, &x, &y);
    for &(a, b, group) in points {
        canvas.dot((x.place(a), y.place(b)), 4, colour(group));
    }
    canvas.0
}

/// Makes a canvas with title, names and legend. Returns it and the area that is left, `[left, top, right,
/// bottom]`.
fn framed<'a>(
    title: &str,
    axes: [&str; 2],
    names: impl Iterator<Item = &'a str>,
) -> (Canvas, [i32; 4]) {
    let names: Vec<&str> = names.collect();
    let shown = if names.len() > 1 {
        names.len().min(MAX_NAMES)
    } else {
        0
    };
    let longest = names[..shown]
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let legend = if shown > 0 {
        6 * longest.min(30) as i32 + 36
    } else {
        0
    };
    let mut canvas = Canvas::white(SIZE.0, SIZE.1);
    let (width, height) = (SIZE.0 as i32, SIZE.1 as i32);
    let [left, top, right, bottom] = MARGIN;
    let area = [left, top, width - right - legend, height - bottom];
    canvas.text(
        title,
        (left, top / 2),
        From::Left,
        &FONT_8X13_BOLD,
        Rgb888::BLACK,
    );
    canvas.text(
        axes[0],
        ((area[0] + area[2]) / 2, height - 12),
        From::Middle,
        &FONT_8X13,
        GREY,
    );
    canvas.text(axes[1], (area[2], top / 2), From::Right, &FONT_8X13, GREY);
    for (i, name) in names[..shown].iter().enumerate() {
        let y = area[1] + 8 + 16 * i as i32;
        let cut: String = name.chars().take(30).collect();
        canvas.dot((area[2] + 14, y), 8, colour(i));
        canvas.text(
            &cut,
            (area[2] + 24, y),
            From::Left,
            &FONT_6X10,
            Rgb888::BLACK,
        );
    }
    if names.len() > shown && shown > 0 {
        let y = area[1] + 8 + 16 * shown as i32;
        let more = format!("and {} more", names.len() - shown);
        canvas.text(&more, (area[2] + 24, y), From::Left, &FONT_6X10, GREY);
    }
    (canvas, area)
}

fn grid(canvas: &mut Canvas, x: &Axis, y: &Axis) {
    for value in y.ticks() {
        let at = y.place(value);
        canvas.line((x.pixels.0, at), (x.pixels.1, at), PALE, 1);
        canvas.text(
            &written(value),
            (x.pixels.0 - 6, at),
            From::Right,
            &FONT_6X10,
            GREY,
        );
    }
    for value in x.ticks() {
        let at = x.place(value);
        canvas.line((at, y.pixels.0), (at, y.pixels.1), PALE, 1);
        canvas.text(
            &written(value),
            (at, y.pixels.0 + 12),
            From::Middle,
            &FONT_6X10,
            GREY,
        );
    }
    canvas.line((x.pixels.0, y.pixels.0), (x.pixels.1, y.pixels.0), GREY, 1);
    canvas.line((x.pixels.0, y.pixels.0), (x.pixels.0, y.pixels.1), GREY, 1);
}

/// Writes a line of small letters, from its upper left corner, in grey.
pub fn caption(picture: &mut RgbImage, text: &str, (left, top): (u32, u32)) {
    let mut canvas = Canvas(std::mem::take(picture));
    let place = (left as i32, top as i32 + LETTER.1 as i32 / 2);
    canvas.text(text, place, From::Left, &FONT_6X10, GREY);
    *picture = canvas.0;
}

/// Returns white letters on black, with each pixel enlarged `scale` times.
pub fn stamp(text: &str, scale: u32) -> RgbImage {
    let letters = text.chars().count() as u32;
    let (width, height) = (LETTER.0 * letters, LETTER.1);
    let mut canvas = Canvas(RgbImage::new(width, height));
    let style = MonoTextStyleBuilder::new()
        .font(&FONT_6X10)
        .text_color(Rgb888::WHITE)
        .build();
    canvas.draw(&Text::with_baseline(
        text,
        Point::zero(),
        style,
        Baseline::Top,
    ));
    imageops::resize(
        &canvas.0,
        width * scale,
        height * scale,
        imageops::FilterType::Nearest,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shades(picture: &RgbImage, colour: [u8; 3]) -> usize {
        picture.pixels().filter(|pixel| pixel.0 == colour).count()
    }

    #[test]
    fn ticks_are_round_and_within() {
        let axis = Axis::over([0.0, 97.0].into_iter(), false, (0, 100));
        assert_eq!(axis.ticks(), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        let axis = Axis::over([1.0, 1000.0].into_iter(), true, (0, 100));
        assert_eq!(axis.ticks()[..4], [1.0, 2.0, 5.0, 10.0]);
        assert_eq!((axis.place(1.0), axis.place(1000.0)), (0, 100));
        // No values, one value, and values that are not numbers are drawn as well.
        for values in [vec![], vec![3.0], vec![f64::NAN, 2.0, 2.0]] {
            let axis = Axis::over(values.into_iter(), false, (0, 100));
            assert!(axis.high > axis.low && !axis.ticks().is_empty());
        }
    }

    #[test]
    fn each_line_has_its_colour_and_lies_where_its_values_are() {
        let series = |name: &str, height: f64| Series {
            name: name.to_owned(),
            points: vec![(0.0, height), (10.0, height)],
        };
        let chart = lines(
            "t",
            ["x", "y"],
            false,
            &[series("high", 9.0), series("low", 1.0)],
        );
        let row = |colour: [u8; 3]| {
            let mut rows: Vec<u32> = chart
                .enumerate_pixels()
                .filter(|(x, _, pixel)| *x < 400 && pixel.0 == colour)
                .map(|(_, y, _)| y)
                .collect();
            rows.sort_unstable();
            rows[rows.len() / 2]
        };
        assert!(row(COLOURS[0]) + 200 < row(COLOURS[1]));
    }

    #[test]
    fn dots_are_coloured_by_their_group() {
        let points = [(0.0, 0.0, 0), (1.0, 1.0, 1), (2.0, 0.5, 1)];
        let groups = ["a".to_owned(), "b".to_owned()];
        let chart = dots("t", ["x", "y"], &points, &groups);
        assert!(shades(&chart, COLOURS[1]) > shades(&chart, COLOURS[0]));
        assert!(shades(&chart, COLOURS[0]) > 0);
    }

    #[test]
    fn letters_are_drawn_enlarged_and_cut_at_the_rim() {
        let small = stamp("AB", 1);
        let large = stamp("AB", 3);
        assert_eq!(large.dimensions(), (36, 30));
        assert_eq!(shades(&large, [255; 3]), 9 * shades(&small, [255; 3]));
        let mut picture = RgbImage::from_pixel(10, 10, Rgb([255; 3]));
        caption(&mut picture, "wider than the picture", (2, 2));
        assert_eq!(picture.dimensions(), (10, 10));
        assert!(shades(&picture, [255; 3]) < 100);
    }
}
