//! Image files in escape sequences: the protocols of Kitty and iTerm2.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Maximum bytes of Base64 in one escape sequence of Kitty.
const CHUNK: usize = 4096;

/// Draws a PNG over `columns` by `rows` characters from the cursor, which stays where it is. The terminal does not
/// answer, because nobody would read it.
pub(super) fn kitty(png: &[u8], columns: usize, rows: usize) -> String {
    let data = STANDARD.encode(png);
    let mut rest = data.as_str();
    let mut keys = format!("a=T,f=100,q=2,C=1,c={columns},r={rows},");
    let mut drawn = String::with_capacity(data.len() + data.len() / CHUNK * 16 + 64);
    loop {
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
        let more = u8::from(!after.is_empty());
        drawn += &format!("\x1b_G{keys}m={more};{chunk}\x1b\\");
        if more == 0 {
            return drawn;
        }
        rest = after;
        "q=2,".clone_into(&mut keys);
    }
}

/// Draws an image file over `columns` by `rows` characters from the cursor.
pub(super) fn iterm2(file: &[u8], columns: usize, rows: usize) -> String {
    format!(
        "\x1b]1337;File=inline=1;size={};width={columns};height={rows};preserveAspectRatio=0:{}\x07",
        file.len(),
        STANDARD.encode(file)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kitty_gets_the_file_in_chunks() {
        for length in [1, 3000, 3072, 3073, 9000] {
            let file: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let drawn = kitty(&file, 18, 9);
            let sequences: Vec<&str> = drawn.split_terminator("\x1b\\").collect();
            let mut data = String::new();
            for (i, sequence) in sequences.iter().enumerate() {
                let (keys, chunk) = sequence
                    .strip_prefix("\x1b_G")
                    .and_then(|sequence| sequence.split_once(';'))
                    .unwrap();
                let is_last = i + 1 == sequences.len();
                assert!(
                    keys.ends_with(if is_last { "m=0" } else { "m=1" }),
                    "{keys}"
                );
                assert_eq!(keys.starts_with("a=T,f=100,q=2,C=1,c=18,r=9,"), i == 0);
                assert!(chunk.len() <= CHUNK && (is_last || chunk.len() % 4 == 0));
                data += chunk;
            }
            assert_eq!(STANDARD.decode(data).unwrap(), file);
        }
    }
}
