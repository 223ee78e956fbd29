//! Colours: when there are any, and of what.
//!
//! Little is coloured: paths, how near an image is, names, and the word before an error. `--color` decides; with `auto`
//! the variables `NO_COLOR`, `CLICOLOR_FORCE` and `CLICOLOR` do, in this order, and then whether the stream is a terminal.
//! Help and usage errors are clap's, which follows the same rules.

use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;

use super::args::ColorArg;

/// What a text is.
#[derive(Debug, Clone, Copy)]
pub enum Paint {
    /// A path.
    Path,
    /// How near an image is.
    Nearness,
    /// A name that can be typed.
    Name,
    /// The word before an error.
    Error,
}

impl Paint {
    /// Returns the parameters of the escape sequence (SGR in ECMA-48).
    fn parameters(self) -> &'static str {
        match self {
            Self::Path => "35",
            Self::Nearness => "32",
            Self::Name => "1",
            Self::Error => "1;31",
        }
    }

    fn on(self, coloured: bool, text: &str) -> String {
        if coloured && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", self.parameters())
        } else {
            text.to_owned()
        }
    }
}

/// What was decided.
struct Chosen {
    when: ColorArg,
    stdout: bool,
    stderr: bool,
}

static CHOSEN: OnceLock<Chosen> = OnceLock::new();

/// Decides for the whole run, for stdout and stderr, which are terminals or not. Without it, nothing has colours.
pub fn choose(when: ColorArg, stdout: bool, stderr: bool) {
    CHOSEN.get_or_init(|| {
        let on = |is_terminal: bool| {
            let wanted = decide(when, is_terminal, |name| std::env::var_os(name));
            // Consoles of Windows are asked for it.
            wanted
                && (when == ColorArg::Always
                    || anstyle_query::windows::enable_ansi_colors().unwrap_or(true))
        };
        Chosen {
            when,
            stdout: on(stdout),
            stderr: on(stderr),
        }
    });
}

/// Returns a part of a result, coloured if stdout has colours.
pub fn result(paint: Paint, text: &str) -> String {
    paint.on(CHOSEN.get().is_some_and(|chosen| chosen.stdout), text)
}

/// Returns a part of a message, coloured if stderr has colours.
pub fn message(paint: Paint, text: &str) -> String {
    paint.on(CHOSEN.get().is_some_and(|chosen| chosen.stderr), text)
}

/// Returns a variable for what draws with coloured characters: `--color` takes the place of `NO_COLOR`.
pub fn variable(name: &str) -> Option<String> {
    let when = CHOSEN.get().map_or(ColorArg::Auto, |chosen| chosen.when);
    match (name, when) {
        ("NO_COLOR", ColorArg::Always) => None,
        ("NO_COLOR", ColorArg::Never) => Some("1".to_owned()),
        _ => std::env::var(name).ok(),
    }
}

/// Returns what clap does with its own texts.
pub fn of_clap(when: ColorArg) -> clap::ColorChoice {
    match when {
        ColorArg::Auto => clap::ColorChoice::Auto,
        ColorArg::Always => clap::ColorChoice::Always,
        ColorArg::Never => clap::ColorChoice::Never,
    }
}

/// Returns the `--color` that was typed, before the arguments are parsed: errors of parsing follow it.
pub fn typed(arguments: &[OsString]) -> ColorArg {
    let mut words = arguments.iter().take_while(|word| *word != "--");
    let mut when = ColorArg::Auto;
    while let Some(word) = words.next() {
        let value = match word.to_str().and_then(|word| word.strip_prefix("--color")) {
            Some("") => words.next().and_then(|value| value.to_str()),
            Some(attached) => attached.strip_prefix('='),
            None => continue,
        };
        when = match value {
            Some("always") => ColorArg::Always,
            Some("never") => ColorArg::Never,
            Some("auto") => ColorArg::Auto,
            _ => when,
        };
    }
    when
}

fn decide(when: ColorArg, is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    match when {
        ColorArg::Always => return true,
        ColorArg::Never => return false,
        ColorArg::Auto => {}
    }
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some() {
        return true;
    }
    let is = |name: &str, value: &str| variable(name).as_deref() == Some(OsStr::new(value));
    let term = cfg!(windows) || set("TERM").is_some();
    is_terminal && term && !is("TERM", "dumb") && !is("CLICOLOR", "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(is_terminal: bool, set: &[(&str, &str)]) -> bool {
        decide(ColorArg::Auto, is_terminal, |name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn a_pipe_has_no_colours_and_variables_decide_in_their_order() {
        let term = ("TERM", "xterm");
        assert!(auto(true, &[term]));
        assert!(!auto(false, &[term]));
        assert!(!auto(true, &[("TERM", "dumb")]));
        assert!(!auto(true, &[term, ("NO_COLOR", "1")]));
        assert!(auto(true, &[term, ("NO_COLOR", "")]));
        assert!(auto(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!auto(false, &[("CLICOLOR_FORCE", "")]));
        assert!(!auto(
            true,
            &[term, ("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]
        ));
        assert!(!auto(true, &[term, ("CLICOLOR", "0")]));
        let none = |_: &str| None;
        assert!(decide(ColorArg::Always, false, none));
        assert!(!decide(ColorArg::Never, true, none));
    }

    #[test]
    fn the_last_choice_that_was_typed_counts() {
        let typed = |line: &str| typed(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(typed("imgsearch query a"), ColorArg::Auto);
        assert_eq!(typed("imgsearch --color never query a"), ColorArg::Never);
        assert_eq!(
            typed("imgsearch --color=never query --color=always"),
            ColorArg::Always
        );
        assert_eq!(typed("imgsearch query -- --color=always"), ColorArg::Auto);
        assert_eq!(typed("imgsearch query --color"), ColorArg::Auto);
    }
}
