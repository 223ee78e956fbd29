//! Whether a program printed what a page shows.

/// Returns whether what was printed is what is shown, but for durations, rates, dates and what `…` stands for.
pub fn similar(shown: &str, printed: &str) -> bool {
    let shown: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    lines_match(without_end(&shown), without_end(&printed))
}

/// Empty lines at the end of a block are there for the eye.
fn without_end<'a, 'b>(lines: &'a [&'b str]) -> &'a [&'b str] {
    let end = lines.iter().rposition(|line| !line.is_empty());
    &lines[..end.map_or(0, |end| end + 1)]
}

fn lines_match(shown: &[&str], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((&"…", rest)) => (0..=printed.len()).any(|skip| lines_match(rest, &printed[skip..])),
        Some((line, rest)) => printed
            .split_first()
            .is_some_and(|(first, after)| line_matches(line, first) && lines_match(rest, after)),
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    match shown.strip_suffix('…') {
        Some(beginning) => general(printed).starts_with(&general(beginning)),
        None => general(shown) == general(printed),
    }
}

const UNITS: [&str; 4] = ["s", "ms", "images/s", "files/s"];

/// Returns a line with what differs between runs replaced.
fn general(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let bare = |word: &str| word.trim_matches([',', ';', '.', ')', '(', ':']).to_owned();
    let numeric = |word: &str| {
        word.contains(|c: char| c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_digit() || ".,".contains(c))
    };
    let like = |word: &str, pattern: &str| {
        word.len() == pattern.len()
            && word.bytes().zip(pattern.bytes()).all(|(c, p)| {
                if p == b'0' {
                    c.is_ascii_digit()
                } else {
                    c == p
                }
            })
    };
    let word = |i: usize| {
        let word = words[i];
        let next = words.get(i + 1).map(|next| bare(next)).unwrap_or_default();
        let plain = bare(word);
        if numeric(word) && UNITS.contains(&next.as_str()) {
            "N".to_owned()
        } else if like(&plain, "0000-00-00") {
            word.replace(&plain, "DATE")
        } else if like(&plain, "00:00") {
            word.replace(&plain, "TIME")
        } else {
            word.to_owned()
        }
    };
    (0..words.len()).map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn only_durations_rates_and_dates_may_differ() {
    assert!(similar(
        "2 added; 0.1 s, 20 images/s\n",
        "2 added; 3.4 s, 1,234 images/s\n"
    ));
    assert!(!similar("2 added; 0.1 s\n", "3 added; 0.1 s\n"));
    assert!(similar(
        "last run  2024-01-31 10:00 UTC",
        "last run  2026-11-30 19:57 UTC"
    ));
    assert!(similar("{\"query\":…", "{\"query\":\"cat.jpg\"}"));
    assert!(similar("one\n…\nlast\n\n", "one\ntwo\nthree\nlast"));
    assert!(!similar("one\n…\nlast", "one\ntwo\nthree"));
    assert!(!similar("one", "one\ntwo"));
    assert!(!similar("one\ntwo", "one"));
}
