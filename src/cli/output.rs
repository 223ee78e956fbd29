//! Formatting: paths, numbers, durations, progress bars.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::args::Global;
use super::{settings, streams};

/// Returns a path relative to the current folder if it lies below, else unchanged.
pub fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(std::fs::canonicalize);
    match here {
        Ok(here) => path
            .strip_prefix(&here)
            .map_or_else(|_| path.to_owned(), Path::to_owned),
        Err(_) => path.to_owned(),
    }
}

/// Returns a path for a terminal. Control characters, which could move its cursor, are escaped.
pub fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.chars().any(char::is_control) {
        text.chars()
            .flat_map(|c| {
                if c.is_control() {
                    c.escape_default().collect::<Vec<_>>()
                } else {
                    vec![c]
                }
            })
            .collect()
    } else {
        text.into_owned()
    }
}

/// Returns a word that names the URL of a collection without its password; `None` for other words.
fn without_password(word: &str) -> Option<String> {
    let url = word.strip_prefix("--index=").unwrap_or(word);
    let (option, _) = word.split_at(word.len() - url.len());
    imgsearch::engines::is_url(url)
        .then(|| format!("{option}{}", imgsearch::engines::redacted(url)))
}

/// Returns a word as a shell reads it: quoted if needed. Bytes that are not text, and control characters, are
/// escaped.
pub fn typed(word: &OsStr) -> String {
    let redacted = word.to_str().and_then(without_password);
    match redacted.as_deref().or(word.to_str()) {
        Some(text) if !text.chars().any(char::is_control) => shlex::try_quote(text)
            // Only a zero byte cannot be quoted, and no argument contains one.
            .map_or_else(|_| text.to_owned(), |quoted| quoted.into_owned()),
        _ => {
            let bytes = word.as_encoded_bytes().iter();
            let escaped: String = bytes
                .map(|&byte| match byte {
                    b'\'' | b'\\' => format!("\\{}", char::from(byte)),
                    b' '..=b'~' => char::from(byte).to_string(),
                    // Octal escapes end after three digits; hexadecimal ones may take more.
                    _ => format!("\\{byte:03o}"),
                })
                .collect();
            format!("$'{escaped}'")
        }
    }
}

/// Returns a command of this program for a person to type. `index` is the index that an option names.
pub fn command(index: Option<&Path>, words: &[&OsStr]) -> String {
    let by_environment = std::env::var_os("IMGSEARCH_INDEX").map(PathBuf::from);
    let mut command = String::from("imgsearch");
    let named = index.filter(|&index| {
        by_environment.as_deref() != Some(index) && !settings::is_standing_index(index)
    });
    let index = named.map(|index| [OsStr::new("--index"), index.as_os_str()]);
    for word in words
        .iter()
        .take(1)
        .copied()
        .chain(index.into_iter().flatten())
        .chain(words.iter().skip(1).copied())
    {
        command.push(' ');
        command += &typed(word);
    }
    command
}

/// Puts a path into a JSON object under `key`. JSON contains text: if the path is not valid Unicode, its bytes are
/// added in Base64 under `key_bytes`.
pub fn with_path(mut object: Value, key: &str, path: &Path) -> Value {
    object[key] = json!(path.to_string_lossy());
    if let Some(bytes) = bytes_of(path) {
        object[format!("{key}_bytes")] = json!(bytes);
    }
    object
}

/// Puts several paths into a JSON object, as [`with_path`]: `key_bytes` has an entry for each, null for valid
/// Unicode.
pub fn with_paths(mut object: Value, key: &str, paths: &[PathBuf]) -> Value {
    let texts: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
    object[key] = json!(texts);
    let bytes: Vec<Option<String>> = paths.iter().map(|path| bytes_of(path)).collect();
    if bytes.iter().any(Option::is_some) {
        object[format!("{key}_bytes")] = json!(bytes);
    }
    object
}

fn bytes_of(path: &Path) -> Option<String> {
    match path.to_str() {
        Some(_) => None,
        None => Some(STANDARD.encode(path.as_os_str().as_encoded_bytes())),
    }
}

/// Returns a number with groups of digits, such as `12,345,678`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns a number with its noun, such as `1 image` or `2 images`.
pub fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(n as u64), if n == 1 { one } else { many })
}

pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{n} bytes")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

pub fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    if whole < 3600 {
        format!("{} min {} s", whole / 60, whole % 60)
    } else {
        format!("{} h {} min", whole / 3600, whole % 3600 / 60)
    }
}

/// Returns a moment in UTC, such as `2026-11-23 16:20`.
pub fn moment(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(moment) => moment.strftime("%Y-%m-%d %H:%M").to_string(),
        // Outside of the calendar.
        Err(_) => format!("{seconds} s since 1970"),
    }
}

/// Returns a progress bar on stderr, which is hidden if stderr is not a terminal or if `--quiet` or `--json` is
/// given.
pub fn bar(global: &Global, json: bool, length: u64, unit: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    // Lines of -v would tear it apart.
    if global.quiet || global.verbose > 0 || json || !streams::is_watched() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let template =
        format!("{{msg}}{{wide_bar}} {{pos}}/{{len}}  {{per_sec}}  {{eta}} left ({unit})");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("━╸ ").with_key(
            "per_sec",
            |state: &indicatif::ProgressState, w: &mut dyn std::fmt::Write| {
                // A bar that cannot be drawn does not stop the work.
                let _ = write!(w, "{:.0}/s", state.per_sec());
            },
        ));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(counted(1, "image", "images"), "1 image");
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(duration(59.94), "59.9 s");
        assert_eq!(duration(61.0), "1 min 1 s");
        assert_eq!(duration(7260.0), "2 h 1 min");
    }

    #[test]
    fn moments_are_dates() {
        assert_eq!(moment(0), "1970-01-01 00:00");
        assert_eq!(moment(951_825_601), "2000-02-29 12:00");
        assert_eq!(moment(1_795_450_800), "2026-11-23 16:20");
        assert_eq!(moment(-60), "1969-12-31 23:59");
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_not_unicode_has_its_bytes_in_json() {
        use std::os::unix::ffi::OsStrExt;
        let odd = Path::new(OsStr::from_bytes(b"/caf\xe9.jpg"));
        let object = with_path(json!({"id": 1}), "path", odd);
        assert_eq!(object["path"], "/caf\u{fffd}.jpg");
        let bytes = STANDARD.decode(object["path_bytes"].as_str().unwrap());
        assert_eq!(bytes.unwrap(), b"/caf\xe9.jpg");
        let object = with_path(json!({}), "path", Path::new("/café.jpg"));
        assert_eq!(object, json!({"path": "/café.jpg"}));
        let roots = [PathBuf::from("/a"), odd.to_owned()];
        let object = with_paths(json!({}), "roots", &roots);
        assert_eq!(object["roots"][0], "/a");
        assert_eq!(object["roots_bytes"][0], Value::Null);
        assert_eq!(object["roots_bytes"][1], "L2NhZukuanBn");
        let object = with_paths(json!({}), "roots", &roots[..1]);
        assert_eq!(object, json!({"roots": ["/a"]}));
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_quoted_words_unchanged() {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        assert_eq!(typed(OsStr::new("plain.jpg")), "plain.jpg");
        assert_eq!(typed(OsStr::new("a b")), "'a b'");
        for word in [
            &b"it's \xff1 \\ \x1b[2J"[..],
            b"\n",
            "ü".as_bytes(),
            b"$HOME `x`",
            b"",
        ] {
            let word = OsStr::from_bytes(word);
            let echoed = std::process::Command::new("bash")
                .arg("-c")
                .arg(format!("printf %s {}", typed(word)))
                .output()
                .unwrap();
            assert_eq!(std::ffi::OsString::from_vec(echoed.stdout), word);
        }
    }

    #[test]
    fn a_command_names_its_index_and_quotes_special_characters() {
        let words = [OsStr::new("remove"), OsStr::new("/my photos/$HOME")];
        let named = Path::new("/an index");
        assert_eq!(command(None, &words), "imgsearch remove '/my photos/$HOME'");
        assert_eq!(
            command(Some(named), &words),
            "imgsearch remove --index '/an index' '/my photos/$HOME'"
        );
    }

    #[test]
    fn a_path_cannot_move_the_cursor() {
        assert_eq!(shown(Path::new("a\x1b[2Jb.jpg")), "a\\u{1b}[2Jb.jpg");
        assert_eq!(shown(Path::new("ordinary ü.jpg")), "ordinary ü.jpg");
    }
}
