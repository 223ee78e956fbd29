//! Rows of pictures with captions, as wide as the terminal.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::strip::Strip;
use super::{NoPictures, Screen, Way, blocks, inline, sixel};
use crate::decode::{DecodeError, Rgb};
use crate::render::thumbnail::fitted;

/// Minimum width of a picture, in characters.
pub(super) const MIN_WIDTH: usize = 8;

/// Characters between two pictures.
const GAP: usize = 2;

/// Lines of captions below a picture.
const CAPTIONS: usize = 2;

/// A picture and its caption.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    /// The picture. `None` draws a crossed box in its place.
    pub picture: Option<Rgb>,
    /// The first line below it. If it is too long, its end is left out.
    pub title: String,
    /// The second line, such as a path. If it is too long, its beginning is left out.
    pub name: String,
}

/// How pictures are laid out and drawn.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    way: Way,
    /// Pictures in a row.
    columns: usize,
    /// Maximum width of a picture in characters.
    width: usize,
    /// Maximum height of a picture in lines.
    height: usize,
    /// Width and height of a character in what is drawn.
    character: (usize, usize),
}

impl Grid {
    /// Lays out pictures for a terminal.
    ///
    /// # Errors
    ///
    /// [`NoPictures::TooNarrow`].
    pub fn new(way: Way, screen: Screen) -> Result<Self, NoPictures> {
        let (wanted, character) = match way {
            // Two pixels a character need more of them.
            Way::Blocks(_) => (24, (1, 2)),
            _ => (18, screen.character),
        };
        let character = (usize::from(character.0), usize::from(character.1));
        let all = usize::from(screen.columns);
        if all < MIN_WIDTH {
            return Err(NoPictures::TooNarrow);
        }
        let columns = ((all + GAP) / (wanted + GAP)).max(1);
        let width = ((all + GAP) / columns - GAP).min(wanted * 4 / 3);
        // A square, unless a row with its captions would not fit on the screen.
        let square = (width * character.0).div_ceil(character.1);
        let room = usize::from(screen.rows).saturating_sub(CAPTIONS + 2);
        Ok(Self {
            way,
            columns,
            width,
            height: square.min(room.max(3)),
            character,
        })
    }

    /// Returns the pixels that a picture's longer side should have at least.
    pub fn longer_side(&self) -> u32 {
        let (width, height) = self.most();
        width.max(height)
    }

    /// Returns the maximum width and height of a picture in pixels.
    fn most(&self) -> (u32, u32) {
        let (width, height) = self.character;
        ((self.width * width) as u32, (self.height * height) as u32)
    }

    /// Draws pictures, row by row, with an empty line after each row.
    ///
    /// # Errors
    ///
    /// If a picture has another number of pixels than its size says.
    pub fn draw(&self, cells: &[Cell]) -> Result<String, DecodeError> {
        let mut drawn = String::new();
        for row in cells.chunks(self.columns) {
            drawn += &self.pictures(row)?;
            let titles = row.iter().map(|cell| cut_end(&cell.title, self.width));
            drawn += &self.line(titles);
            let names = row.iter().map(|cell| cut_start(&cell.name, self.width));
            drawn += &self.line(names);
            drawn.push('\n');
        }
        Ok(drawn)
    }

    /// Draws the pictures of a row.
    fn pictures(&self, row: &[Cell]) -> Result<String, DecodeError> {
        let (width, height) = self.most();
        let pictures = row.iter().map(|cell| match &cell.picture {
            Some(picture) => fitted(picture, width, height),
            None => fitted(&crossed_box(), width, height),
        });
        let pictures = pictures.collect::<Result<Vec<Rgb>, _>>()?;
        let tallest = pictures.iter().map(|picture| picture.height as usize).max();
        let rows = tallest.unwrap_or(1).div_ceil(self.character.1);
        let step = self.width + GAP;
        let columns = row.len() * step - GAP;
        let mut strip = Strip::new(columns * self.character.0, rows * self.character.1);
        for (i, picture) in pictures.iter().enumerate() {
            strip.put(picture, i * step * self.character.0);
        }
        let drawn = match self.way {
            Way::Blocks(colours) => return Ok(blocks::blocks(&strip, colours)),
            Way::Kitty => inline::kitty(&strip.png()?, columns, rows),
            Way::Iterm2 => inline::iterm2(&strip.png()?, columns, rows),
            Way::Sixel => sixel::sixel(&strip),
        };
        // Empty lines make room, so that nothing scrolls while the picture is drawn. Terminals disagree about where
        // the cursor is afterwards.
        Ok(format!(
            "{}\x1b[{rows}A\x1b7{drawn}\x1b8\x1b[{rows}B\r",
            "\n".repeat(rows)
        ))
    }

    /// Returns a line of captions, each below its picture.
    fn line(&self, captions: impl Iterator<Item = String>) -> String {
        let mut line = String::new();
        for caption in captions {
            line += &caption;
            line += &" ".repeat(self.width + GAP - caption.width());
        }
        line.truncate(line.trim_end().len());
        line + "\n"
    }
}

/// Returns a text without characters that would move the cursor.
fn harmless(text: &str) -> String {
    let is_harmless = |c: char| !c.is_control() && c.width().is_some();
    let seen = |c| if is_harmless(c) { c } else { '\u{fffd}' };
    text.chars().map(seen).collect()
}

/// Returns the beginning of a text that fits into `width` characters.
fn cut_end(text: &str, width: usize) -> String {
    let text = harmless(text);
    if text.width() <= width {
        return text;
    }
    let mut room = width.saturating_sub(1);
    let kept = text.chars().take_while(|c| takes(*c, &mut room));
    kept.chain(['…']).collect()
}

/// Returns the end of a text that fits into `width` characters.
fn cut_start(text: &str, width: usize) -> String {
    let text = harmless(text);
    if text.width() <= width {
        return text;
    }
    let mut room = width.saturating_sub(1);
    let kept = text.chars().rev().take_while(|c| takes(*c, &mut room));
    let kept: Vec<char> = kept.collect();
    ['…'].into_iter().chain(kept.into_iter().rev()).collect()
}

/// Takes the room of a character, if there is so much.
fn takes(c: char, room: &mut usize) -> bool {
    let left = room.checked_sub(c.width().unwrap_or(0));
    *room = left.unwrap_or(0);
    left.is_some()
}

/// Draws the box that stands for a picture that cannot be shown.
fn crossed_box() -> Rgb {
    const WIDTH: u32 = 96;
    const HEIGHT: u32 = 72;
    let level = |x: u32, y: u32| {
        let on_edge = x < 3 || y < 3 || x >= WIDTH - 3 || y >= HEIGHT - 3;
        let down = (x * HEIGHT).abs_diff(y * WIDTH);
        let up = (x * HEIGHT).abs_diff((HEIGHT - 1 - y) * WIDTH);
        if on_edge || down.min(up) < 2 * HEIGHT {
            150
        } else {
            64
        }
    };
    let pixels = (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| [level(x, y); 3]));
    Rgb {
        width: WIDTH,
        height: HEIGHT,
        pixels: pixels.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Colours;
    use super::*;

    const BLOCKS: Way = Way::Blocks(Colours::True);

    fn screen(columns: u16, rows: u16) -> Screen {
        Screen {
            columns,
            rows,
            ..Screen::default()
        }
    }

    fn cell(name: &str) -> Cell {
        Cell {
            picture: Some(Rgb {
                width: 4,
                height: 2,
                pixels: [9, 8, 7].repeat(8),
            }),
            title: "1  100 %".to_owned(),
            name: name.to_owned(),
        }
    }

    /// Returns the lines without escape sequences of colours.
    fn plain(drawn: &str) -> Vec<String> {
        let mut parts = drawn.split('\x1b');
        let mut plain = parts.next().unwrap().to_owned();
        for part in parts {
            plain += part.split_once('m').unwrap().1;
        }
        plain.lines().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn a_row_is_as_wide_as_the_terminal_and_no_wider() {
        for columns in MIN_WIDTH as u16..300 {
            for way in [BLOCKS, Way::Sixel] {
                let grid = Grid::new(way, screen(columns, 24)).unwrap();
                let wide = grid.columns * (grid.width + GAP) - GAP;
                assert!(wide <= usize::from(columns), "{columns}: {grid:?}");
                assert!(grid.width >= MIN_WIDTH && grid.height >= 3, "{grid:?}");
                assert!(grid.height + CAPTIONS < 24, "{grid:?}");
            }
        }
        assert_eq!(Grid::new(Way::Kitty, screen(80, 24)).unwrap().columns, 4);
        let narrow = Grid::new(BLOCKS, screen(7, 24)).unwrap_err();
        assert!(
            narrow.to_string().contains("fewer than 8 columns"),
            "{narrow}"
        );
    }

    #[test]
    fn captions_stand_below_their_pictures() {
        let grid = Grid::new(BLOCKS, screen(50, 24)).unwrap();
        let drawn = grid
            .draw(&[cell("a.jpg"), cell("b.jpg"), cell("c.jpg")])
            .unwrap();
        let lines = plain(&drawn);
        let picture = "▀".repeat(24);
        let row = format!("{picture}  {picture}");
        assert_eq!(lines[..6], vec![row; 6]);
        assert_eq!(lines[6], format!("{:<26}1  100 %", "1  100 %"));
        assert_eq!(lines[7], format!("{:<26}b.jpg", "a.jpg"));
        assert_eq!(lines[8], "");
        assert_eq!(lines[9], picture);
        assert_eq!(lines[16], "c.jpg");
    }

    #[test]
    fn long_captions_are_cut_and_harmless() {
        assert_eq!(cut_start("photos/2024/cat.jpg", 12), "…024/cat.jpg");
        assert_eq!(cut_end("1  golden retriever 70 %", 12), "1  golden r…");
        assert_eq!(cut_start("日本語.jpg", 9), "…本語.jpg");
        assert_eq!(cut_start("日本語.jpg", 8), "…語.jpg");
        assert_eq!(cut_start("日本語.jpg", 10), "日本語.jpg");
        assert_eq!(cut_end("a\x1b[2J\n", 9), "a\u{fffd}[2J\u{fffd}");
    }

    #[test]
    fn a_missing_picture_is_a_crossed_box() {
        let grid = Grid::new(BLOCKS, screen(24, 24)).unwrap();
        let missing = Cell {
            name: "gone.jpg".to_owned(),
            ..Cell::default()
        };
        let drawn = grid.draw(&[missing]).unwrap();
        assert_eq!(plain(&drawn)[0], "▀".repeat(24));
        assert!(
            drawn.contains(";2;150;150;150") && drawn.contains("2;64;64;64"),
            "{drawn}"
        );
        assert!(drawn.ends_with("gone.jpg\n\n"));
    }

    #[test]
    fn graphics_are_drawn_where_there_is_room_for_them() {
        let grid = Grid::new(Way::Kitty, screen(80, 24)).unwrap();
        let drawn = grid.draw(&[cell("a.jpg")]).unwrap();
        // 18 characters of 10 by 20 pixels, and half as high as wide.
        let rest = drawn
            .strip_prefix("\n\n\n\n\n\x1b[5A\x1b7\x1b_Ga=T,")
            .unwrap();
        assert!(rest.contains(",c=18,r=5,"), "{drawn}");
        assert!(
            rest.ends_with("\x1b\\\x1b8\x1b[5B\r1  100 %\na.jpg\n\n"),
            "{drawn}"
        );
    }
}
