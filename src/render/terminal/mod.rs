//! Pictures in a terminal: a grid of them with captions, in whatever way the terminal can draw.
//!
//! Owns the escape sequences. No terminal is asked for what it can do, because one that does not answer would have to
//! be waited for, and its answer could be mistaken for typing: [`Way::of_environment`] goes by environment variables.

mod blocks;
mod grid;
mod inline;
mod sixel;
mod strip;

pub use grid::{Cell, Grid};

/// How a terminal draws pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The graphics protocol of Kitty, which Ghostty and Konsole know, too.
    Kitty,
    /// The inline images of iTerm2, which WezTerm, mintty and others know, too.
    Iterm2,
    /// Sixel, the graphics of the VT340.
    Sixel,
    /// Half blocks (▀) in colours, two pixels a character.
    Blocks(Colours),
}

/// The colours of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// 24 bits.
    True,
    /// The palette of 256.
    Palette,
}

/// Why a terminal draws no pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoPictures {
    /// The variable NO_COLOR is set, and the terminal has nothing but coloured characters to draw with.
    #[error("NO_COLOR is set, and this terminal can draw with coloured characters only")]
    NoColour,
    /// The terminal knows no colours.
    #[error("the terminal is said to have no colours (variable TERM)")]
    Dumb,
    /// The terminal is narrower than the smallest picture.
    #[error("the terminal has fewer than {} columns", grid::MIN_WIDTH)]
    TooNarrow,
}

/// Values of TERM_PROGRAM of terminals with the inline images of iTerm2.
const ITERM2: [&str; 7] = [
    "iTerm.app",
    "WezTerm",
    "mintty",
    "rio",
    "WarpTerminal",
    "Tabby",
    "Hyper",
];

/// Beginnings of TERM of terminals with Sixel.
const SIXEL: [&str; 4] = ["foot", "mlterm", "contour", "yaft"];

/// The first version of Konsole with the graphics of Kitty.
const KONSOLE: u32 = 22_04_00;

impl Way {
    /// Returns how the terminal draws, by the environment variables that `var` returns.
    ///
    /// # Errors
    ///
    /// If it cannot draw, or should not.
    pub fn of_environment(var: impl Fn(&str) -> Option<String>) -> Result<Self, NoPictures> {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        let program = set("TERM_PROGRAM").unwrap_or_default();
        // A multiplexer draws by itself, and passes on no graphics without more ado.
        let is_within = ["TMUX", "STY", "ZELLIJ"]
            .iter()
            .any(|name| set(name).is_some())
            || ["screen", "tmux"].iter().any(|name| term.starts_with(name));
        if !is_within && term != "dumb" {
            let konsole: Option<u32> = set("KONSOLE_VERSION").and_then(|text| text.parse().ok());
            if set("KITTY_WINDOW_ID").is_some()
                || ["kitty", "ghostty"].iter().any(|name| term.contains(name))
                || program == "ghostty"
                || konsole.is_some_and(|version| version >= KONSOLE)
            {
                return Ok(Self::Kitty);
            }
            if ITERM2.contains(&program.as_str())
                || set("LC_TERMINAL").is_some_and(|name| name == "iTerm2")
            {
                return Ok(Self::Iterm2);
            }
            if SIXEL.iter().any(|name| term.starts_with(name)) {
                return Ok(Self::Sixel);
            }
        }
        if set("NO_COLOR").is_some() {
            return Err(NoPictures::NoColour);
        }
        // Windows sets no TERM.
        if term == "dumb" || (term.is_empty() && !cfg!(windows)) {
            return Err(NoPictures::Dumb);
        }
        Ok(Self::Blocks(Colours::of_environment(var)))
    }
}

impl Colours {
    /// Returns the colours that a terminal knows, by the environment variables that `var` returns.
    pub fn of_environment(var: impl Fn(&str) -> Option<String>) -> Self {
        let term = var("TERM").unwrap_or_default();
        let by_name = ["direct", "truecolor", "24bit"];
        let is_true = matches!(var("COLORTERM").as_deref(), Some("truecolor" | "24bit"))
            || var("WT_SESSION").is_some()
            || by_name.iter().any(|name| term.contains(name));
        if is_true { Self::True } else { Self::Palette }
    }
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
    /// Width and height of a character in pixels.
    pub character: (u16, u16),
}

/// The character of a VT340, which terminals without pixels of their own imitate.
const CHARACTER: (u16, u16) = (10, 20);

impl Default for Screen {
    fn default() -> Self {
        Self {
            columns: 80,
            rows: 24,
            character: CHARACTER,
        }
    }
}

impl Screen {
    /// Returns the size of the terminal that a stream is, or `None` if it is none.
    #[cfg(unix)]
    pub fn of(stream: impl std::os::fd::AsFd) -> Option<Self> {
        let size = rustix::termios::tcgetwinsize(stream).ok()?;
        let (columns, rows) = (size.ws_col, size.ws_row);
        if columns == 0 || rows == 0 {
            return None;
        }
        let character = (size.ws_xpixel / columns, size.ws_ypixel / rows);
        // Many terminals do not say how many pixels they have, and some say nonsense.
        let is_sane = (4..=64).contains(&character.0) && (6..=128).contains(&character.1);
        Some(Self {
            columns,
            rows,
            character: if is_sane { character } else { CHARACTER },
        })
    }

    /// Returns the size of the terminal that a stream is, or `None` if it is none.
    #[cfg(windows)]
    pub fn of(stream: impl std::os::windows::io::AsHandle) -> Option<Self> {
        let (columns, rows) = terminal_size::terminal_size_of(stream)?;
        Some(Self {
            columns: columns.0,
            rows: rows.0,
            character: CHARACTER,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(set: &[(&str, &str)]) -> Result<Way, NoPictures> {
        Way::of_environment(|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn terminals_are_told_by_their_variables() {
        let (true_colours, palette) = (Way::Blocks(Colours::True), Way::Blocks(Colours::Palette));
        for (set, expected) in [
            (&[("TERM", "xterm-kitty")][..], Way::Kitty),
            (
                &[("TERM", "xterm-256color"), ("KITTY_WINDOW_ID", "1")],
                Way::Kitty,
            ),
            (&[("TERM", "xterm-ghostty"), ("NO_COLOR", "1")], Way::Kitty),
            (
                &[("TERM", "xterm-256color"), ("KONSOLE_VERSION", "230805")],
                Way::Kitty,
            ),
            (
                &[("TERM", "xterm-256color"), ("KONSOLE_VERSION", "210800")],
                palette,
            ),
            (
                &[("TERM", "xterm-256color"), ("TERM_PROGRAM", "iTerm.app")],
                Way::Iterm2,
            ),
            (
                &[("TERM", "xterm-256color"), ("LC_TERMINAL", "iTerm2")],
                Way::Iterm2,
            ),
            (
                &[("TERM", "xterm-256color"), ("TERM_PROGRAM", "WezTerm")],
                Way::Iterm2,
            ),
            (&[("TERM", "foot-extra")], Way::Sixel),
            (
                &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")],
                true_colours,
            ),
            (&[("TERM", "xterm-256color"), ("COLORTERM", "")], palette),
            (
                &[
                    ("TERM", "xterm-256color"),
                    ("TERM_PROGRAM", "Apple_Terminal"),
                ],
                palette,
            ),
            (&[("TERM", "xterm"), ("WT_SESSION", "a")], true_colours),
            (&[("TERM", "xterm-direct")], true_colours),
            // What the terminal around a multiplexer can do does not count.
            (
                &[("TERM", "tmux-256color"), ("KITTY_WINDOW_ID", "1")],
                palette,
            ),
            (
                &[
                    ("TERM", "xterm-kitty"),
                    ("TMUX", "/tmp/tmux"),
                    ("COLORTERM", "24bit"),
                ],
                true_colours,
            ),
        ] {
            assert_eq!(way(set), Ok(expected), "{set:?}");
        }
    }

    #[test]
    fn nothing_is_drawn_without_colours() {
        let none = Err(NoPictures::NoColour);
        assert_eq!(way(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]), none);
        assert!(way(&[("TERM", "xterm-256color"), ("NO_COLOR", "")]).is_ok());
        assert_eq!(way(&[("TERM", "dumb")]), Err(NoPictures::Dumb));
        #[cfg(unix)]
        assert_eq!(way(&[]), Err(NoPictures::Dumb));
    }
}
