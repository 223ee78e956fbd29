//! The patterns of one run.

use std::path::Path;

use ::ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::error::{Error, Result};

/// Patterns of one run, in the syntax of `.gitignore`: the last match decides, and a pattern that begins with `!`
/// takes back those before it.
#[derive(Debug)]
pub(super) struct Patterns(Gitignore);

impl Patterns {
    /// Compiles patterns; those with a slash start at `root`.
    ///
    /// # Errors
    ///
    /// [`Error::BadPattern`] if a pattern is invalid.
    pub fn new(root: &Path, patterns: &[String]) -> Result<Self> {
        let bad = |pattern: &str, error: ::ignore::Error| Error::BadPattern {
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        };
        let mut builder = GitignoreBuilder::new(root);
        builder.allow_unclosed_class(false);
        for pattern in patterns {
            // Files have comments, but patterns of a run have none.
            let line = match pattern.strip_prefix('#') {
                Some(rest) => format!("\\#{rest}"),
                None => pattern.clone(),
            };
            builder
                .add_line(None, &line)
                .map_err(|error| bad(pattern, error))?;
        }
        let built = builder.build();
        Ok(Self(
            built.map_err(|error| bad(&patterns.join(" "), error))?,
        ))
    }

    /// Returns whether a path is left out. This does not examine the folders above.
    pub fn leave_out(&self, path: &Path, is_dir: bool) -> bool {
        self.0.matched(path, is_dir).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(patterns: &[&str], path: &str) -> bool {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        let root = Path::new("/pictures");
        Patterns::new(root, &patterns)
            .unwrap()
            .leave_out(&root.join(path), false)
    }

    #[test]
    fn an_exclamation_mark_takes_back_what_came_before() {
        assert!(!left_out(&["!keep.png"], "keep.png"));
        assert!(!left_out(&["!keep.png"], "other.png"));
        assert!(!left_out(&["*.png", "!keep.png"], "keep.png"));
        assert!(left_out(&["*.png", "!keep.png"], "other.png"));
        assert!(left_out(&["!keep.png", "*.png"], "keep.png"));
        assert!(left_out(&["#1.png"], "#1.png") && left_out(&["\\!.png"], "a/!.png"));
        assert!(left_out(&["a/*.png"], "a/x.png") && !left_out(&["a/*.png"], "b/a/x.png"));
    }

    #[test]
    fn a_bad_pattern_is_named() {
        for bad in ["a[b", "{a", "[z-a]"] {
            let patterns = ["*.png".to_owned(), bad.to_owned()];
            let error = Patterns::new(Path::new("/"), &patterns).unwrap_err();
            assert!(
                matches!(&error, Error::BadPattern { pattern, .. } if pattern == bad),
                "{error}"
            );
        }
    }
}
