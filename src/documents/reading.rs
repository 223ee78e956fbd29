//! Text from bytes: encodings, and what is no text.

/// Why a file is no text.
pub(crate) const BINARY: &str = "it is no text: it has zero bytes";

/// What the bytes from 0x80 to 0x9F are in Windows-1252. Those that it leaves undefined stand for themselves.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Returns the text that bytes hold: UTF-16 with its mark, UTF-8, or else Windows-1252.
///
/// # Errors
///
/// Says why they are no text.
pub(crate) fn decoded(bytes: &[u8]) -> Result<String, &'static str> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units)
            .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => return Ok(utf16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => return Ok(utf16(rest, u16::from_be_bytes)),
        _ => {}
    }
    if bytes.contains(&0) {
        return Err(BINARY);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes
            .iter()
            .map(|&byte| match byte {
                0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
                _ => char::from(byte),
            })
            .collect(),
    })
}

/// Keys of JSON whose values describe a picture.
const KEYS: [&str; 17] = [
    "alt",
    "alt_text",
    "caption",
    "captions",
    "comment",
    "description",
    "headline",
    "keywords",
    "label",
    "labels",
    "name",
    "prompt",
    "subject",
    "tags",
    "text",
    "title",
    "transcript",
];

/// Returns the texts that describe a picture in a JSON file, a line each: those under keys such as `caption`, or all if
/// the file holds nothing but texts.
///
/// # Errors
///
/// If it is no JSON.
pub(crate) fn text_of_json(text: &str) -> Result<String, String> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let mut lines = Vec::new();
    let counts = !value.is_object();
    add(&value, counts, &mut lines);
    Ok(lines.join("\n"))
}

/// Adds the texts of a value. `counts` says whether it is one that describes.
fn add(value: &serde_json::Value, counts: bool, lines: &mut Vec<String>) {
    use serde_json::Value;
    match value {
        Value::String(text) if counts => lines.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| add(value, counts, lines)),
        Value::Object(fields) => {
            for (key, value) in fields {
                add(value, KEYS.contains(&&*key.to_lowercase()), lines);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_four_encodings() {
        assert_eq!(decoded("Brücke".as_bytes()), Ok("Brücke".to_owned()));
        assert_eq!(decoded(b"\xef\xbb\xbfabc"), Ok("abc".to_owned()));
        assert_eq!(decoded(b"Br\xfccke \x93x\x94"), Ok("Brücke “x”".to_owned()));
        assert_eq!(decoded(b"\xff\xfea\0\xfc\0"), Ok("aü".to_owned()));
        assert_eq!(decoded(b"\xfe\xff\0a\0\xfc"), Ok("aü".to_owned()));
        assert_eq!(decoded(b"\x7fELF\0\0"), Err(BINARY));
    }

    #[test]
    fn captions_of_json_are_read_and_numbers_and_paths_are_not() {
        let json = r#"{"caption": "a train", "file": "x.jpg", "size": 3, "info": {"Tags": ["steam", "old"]}}"#;
        assert_eq!(text_of_json(json).unwrap(), "a train\nsteam\nold");
        assert_eq!(text_of_json(r#"["one", "two"]"#).unwrap(), "one\ntwo");
        assert_eq!(text_of_json("{}").unwrap(), "");
        assert!(text_of_json("{").unwrap_err().starts_with("it is no JSON"));
    }
}
