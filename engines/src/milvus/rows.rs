//! Rows of a collection at the server: written and read column by column.
//!
//! Paths are bytes, and texts of Milvus are Unicode: they are stored in hexadecimal, which keeps their order. What an
//! image is ranked by is in `packed`, so that a search returns it without looking for vectors.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgsearch_index::collection::{Candidate, Entry, from_bytes, to_bytes};
use imgsearch_index::{
    Digest, EncoderRecord, Error, FileStat, Image, ImageId, Label, NewContent, Result,
};

use super::proto::{
    Arrays, Bools, Column, FieldData, Floats, Ints, Longs, Scalar, Scalars, Texts, Vector, Vectors,
    kind,
};
use super::schema::{MAX_CLASSES, MAX_TEXT};
use crate::url::shared_id;

/// Steps of a stored probability, as in a folder.
const STEPS: f32 = 255.0;

/// What an image is read from.
pub const IMAGE: [&str; 13] = [
    "id", "path", "digest", "size", "mtime_ns", "inode", "ctime_ns", "width", "height", "format",
    "is_dated", "taken", "damage",
];

/// Returns the length of the text that code and hash are packed into.
pub fn packed_len(encoder: &EncoderRecord) -> usize {
    (4 * encoder.code_len + encoder.hash_bytes()).div_ceil(3) * 4
}

fn pack(code: &[f32], hash: &[u8]) -> String {
    let mut bytes: Vec<u8> = code
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    bytes.extend_from_slice(hash);
    STANDARD.encode(bytes)
}

fn unpack(text: &str, code_len: usize) -> Option<(Vec<f32>, Vec<u8>)> {
    let bytes = STANDARD.decode(text).ok()?;
    let (code, hash) = bytes.split_at_checked(4 * code_len)?;
    let (numbers, _) = code.as_chunks::<4>();
    let code = numbers.iter().map(|&number| f32::from_le_bytes(number));
    Some((code.collect(), hash.to_vec()))
}

/// Returns bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|&[high, low]| u8::try_from(digit(high)? * 16 + digit(low)?).ok())
        .collect()
}

/// Returns the key of a row: 63 bits of the BLAKE3 of its path, so that a file has one row, whatever is in it. Two
/// paths share a key as rarely as two images share an id: see [`shared_id`].
///
/// # Errors
///
/// As [`to_bytes`].
pub fn key(path: &Path) -> Result<i64> {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(to_bytes(path)?).as_bytes()[..8]);
    Ok(i64::from_le_bytes(first) & i64::MAX)
}

/// A batch as columns. The last is the vector.
pub struct Batch {
    pub rows: u32,
    shared: Vec<FieldData>,
    code: FieldData,
    hash: FieldData,
}

impl Batch {
    /// Returns the columns of the collection of codes.
    pub fn of_codes(&self) -> Vec<FieldData> {
        self.with(&self.code)
    }

    /// Returns the columns of the collection of hashes.
    pub fn of_hashes(&self) -> Vec<FieldData> {
        self.with(&self.hash)
    }

    fn with(&self, vector: &FieldData) -> Vec<FieldData> {
        let mut columns = self.shared.clone();
        columns.push(vector.clone());
        columns
    }

    /// Puts entries into columns. Of several with one path, the last counts.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a path that is too long.
    pub fn of(entries: &[Entry]) -> Result<Self> {
        let mut by_path: BTreeMap<&[u8], &Entry> = BTreeMap::new();
        for entry in entries {
            by_path.insert(to_bytes(&entry.path)?, entry);
        }
        let rows: Vec<(&[u8], &Entry)> = by_path.into_iter().collect();
        for (path, entry) in &rows {
            if 2 * path.len() > MAX_TEXT {
                return Err(Error::InvalidInput(format!(
                    "{}: a path in Milvus has at most {} bytes",
                    entry.path.display(),
                    MAX_TEXT / 2
                )));
            }
        }
        let longs = |name: &str, of: &dyn Fn(&Entry) -> i64| {
            let data = rows.iter().map(|(_, entry)| of(entry)).collect();
            column(name, kind::INT64, Scalar::Longs(Longs { data }))
        };
        let texts = |name: &str, of: &dyn Fn(&[u8], &Entry) -> String| {
            let data = rows.iter().map(|(path, entry)| of(path, entry)).collect();
            column(name, kind::VARCHAR, Scalar::Texts(Texts { data }))
        };
        let (mut keys, mut ids) = (Vec::new(), Vec::new());
        for (_, entry) in &rows {
            keys.push(key(&entry.path)?);
            ids.push(shared_id(&entry.content.digest, &entry.path)?.0);
        }
        let dated = rows.iter().map(|(_, one)| one.content.taken.is_some());
        let dated = Bools {
            data: dated.collect(),
        };
        let shared = vec![
            column("place", kind::INT64, Scalar::Longs(Longs { data: keys })),
            column("id", kind::INT64, Scalar::Longs(Longs { data: ids })),
            texts("path", &|path, _| hex(path)),
            texts("digest", &|_, one| hex(&one.content.digest)),
            longs("size", &|one| one.stat.size.cast_signed()),
            longs("mtime_ns", &|one| one.stat.mtime_ns),
            longs("inode", &|one| one.stat.inode.cast_signed()),
            longs("ctime_ns", &|one| one.stat.ctime_ns),
            longs("width", &|one| one.content.width.into()),
            longs("height", &|one| one.content.height.into()),
            texts("format", &|_, one| one.content.format.clone()),
            column("is_dated", kind::BOOL, Scalar::Bools(dated)),
            longs("taken", &|one| one.content.taken.unwrap_or(0)),
            texts("damage", &|_, one| damage(one.content.damage.as_deref())),
            classes(&rows),
            texts("labels", &|_, one| labels_text(&one.content.labels)),
            texts("packed", &|_, one| {
                pack(&one.content.code, &one.content.hash)
            }),
        ];
        let (mut codes, mut hashes) = (Vec::new(), Vec::new());
        for (_, entry) in &rows {
            codes.extend_from_slice(&entry.content.code);
            hashes.extend_from_slice(&entry.content.hash);
        }
        let first = rows.first().map(|(_, entry)| &entry.content);
        let dim = |of: usize| i64::try_from(of).unwrap_or(i64::MAX);
        let code_len = first.map_or(0, |content| content.code.len());
        let bits = first.map_or(0, |content| 8 * content.hash.len());
        Ok(Self {
            rows: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            shared,
            code: vector(
                "code",
                kind::FLOAT_VECTOR,
                dim(code_len),
                Vector::Floats(Floats { data: codes }),
            ),
            hash: vector("hash", kind::BINARY_VECTOR, dim(bits), Vector::Bits(hashes)),
        })
    }
}

fn column(name: &str, kind: i32, data: Scalar) -> FieldData {
    FieldData {
        kind,
        name: name.to_owned(),
        column: Some(Column::Scalars(Scalars { data: Some(data) })),
    }
}

fn vector(name: &str, kind: i32, dim: i64, data: Vector) -> FieldData {
    FieldData {
        kind,
        name: name.to_owned(),
        column: Some(Column::Vectors(Vectors {
            dim,
            data: Some(data),
        })),
    }
}

/// Returns what is wrong with a file as a text: empty if nothing is, which differs from an empty text about it.
fn damage(damage: Option<&str>) -> String {
    let Some(damage) = damage else {
        return String::new();
    };
    let mut end = damage.len().min(MAX_TEXT - 1);
    while !damage.is_char_boundary(end) {
        end -= 1;
    }
    format!("!{}", &damage[..end])
}

fn classes(rows: &[(&[u8], &Entry)]) -> FieldData {
    let of_row = |entry: &Entry| {
        let labels = entry.content.labels.iter().take(MAX_CLASSES);
        let data = labels.map(|label| label.class.into()).collect();
        Scalars {
            data: Some(Scalar::Ints(Ints { data })),
        }
    };
    let arrays = Arrays {
        data: rows.iter().map(|(_, entry)| of_row(entry)).collect(),
        element_type: kind::INT32,
    };
    column("classes", kind::ARRAY, Scalar::Arrays(arrays))
}

/// Returns labels as `class:step` with commas, which has at most 10 bytes a label.
fn labels_text(labels: &[Label]) -> String {
    let of = |label: &Label| {
        let step = (label.probability.clamp(0.0, 1.0) * STEPS).round() as u8;
        format!("{}:{step}", label.class)
    };
    let labels = labels.iter().take(MAX_CLASSES);
    labels.map(of).collect::<Vec<_>>().join(",")
}

fn labels_of(text: &str) -> Vec<Label> {
    let mut labels: Vec<Label> = text
        .split(',')
        .filter_map(|label| {
            let (class, step) = label.split_once(':')?;
            Some(Label {
                class: class.parse().ok()?,
                probability: f32::from(step.parse::<u8>().ok()?) / STEPS,
            })
        })
        .collect();
    labels.sort_by(|a, b| {
        let by_probability = b.probability.total_cmp(&a.probability);
        by_probability.then(a.class.cmp(&b.class))
    });
    labels
}

/// Rows as the server returns them.
#[derive(Default)]
pub struct Rows {
    columns: HashMap<String, Scalar>,
    len: usize,
}

impl Rows {
    pub fn of(columns: Vec<FieldData>) -> Self {
        let mut rows = Self::default();
        for column in columns {
            let Some(Column::Scalars(Scalars { data: Some(data) })) = column.column else {
                continue;
            };
            rows.len = rows.len.max(match &data {
                Scalar::Bools(all) => all.data.len(),
                Scalar::Ints(all) => all.data.len(),
                Scalar::Longs(all) => all.data.len(),
                Scalar::Texts(all) => all.data.len(),
                Scalar::Arrays(all) => all.data.len(),
            });
            rows.columns.insert(column.name, data);
        }
        rows
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns a number; 0 if it is missing.
    pub fn long(&self, name: &str, row: usize) -> i64 {
        match self.columns.get(name) {
            Some(Scalar::Longs(all)) => all.data.get(row).copied().unwrap_or(0),
            _ => 0,
        }
    }

    /// Returns a text; an empty one if it is missing.
    pub fn text(&self, name: &str, row: usize) -> &str {
        match self.columns.get(name) {
            Some(Scalar::Texts(all)) => all.data.get(row).map_or("", String::as_str),
            _ => "",
        }
    }

    fn is(&self, name: &str, row: usize) -> bool {
        match self.columns.get(name) {
            Some(Scalar::Bools(all)) => all.data.get(row).copied().unwrap_or(false),
            _ => false,
        }
    }

    pub fn id(&self, row: usize) -> ImageId {
        ImageId(self.long("id", row))
    }

    /// Reads `labels`, the most likely first.
    pub fn labels(&self, row: usize) -> Vec<Label> {
        labels_of(self.text("labels", row))
    }

    /// Reads `path`.
    pub fn path(&self, row: usize) -> Result<std::path::PathBuf> {
        let bytes = unhex(self.text("path", row)).unwrap_or_default();
        from_bytes(bytes)
    }

    /// Reads `id` and `packed`; `None` if they are not what this program writes.
    pub fn candidate(&self, row: usize, encoder: &EncoderRecord) -> Option<Candidate> {
        let (code, hash) = unpack(self.text("packed", row), encoder.code_len)?;
        (hash.len() == encoder.hash_bytes()).then_some(Candidate {
            id: self.id(row),
            code,
            hash,
        })
    }

    /// Reads [`IMAGE`].
    pub fn image(&self, row: usize) -> Result<Image> {
        let stat = FileStat {
            size: self.long("size", row).cast_unsigned(),
            mtime_ns: self.long("mtime_ns", row),
            inode: self.long("inode", row).cast_unsigned(),
            ctime_ns: self.long("ctime_ns", row),
        };
        let content = self.content(row);
        Ok(Image::stored(self.id(row), self.path(row)?, stat, &content))
    }

    /// Reads the content of [`IMAGE`], without what it is searched by.
    pub fn content(&self, row: usize) -> NewContent {
        let mut digest: Digest = [0; 32];
        if let Some(stored) = unhex(self.text("digest", row))
            && stored.len() == digest.len()
        {
            digest.copy_from_slice(&stored);
        }
        let number = |name| u32::try_from(self.long(name, row)).unwrap_or(0);
        let damage = self.text("damage", row).strip_prefix('!');
        NewContent {
            digest,
            width: number("width"),
            height: number("height"),
            format: self.text("format", row).to_owned(),
            taken: self.is("is_dated", row).then(|| self.long("taken", row)),
            damage: damage.map(str::to_owned),
            code: Vec::new(),
            hash: Vec::new(),
            labels: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let (code, hash) = (vec![0.5, -1e-30, 3.0], vec![1, 255]);
        let text = pack(&code, &hash);
        let encoder = EncoderRecord {
            fingerprint: String::new(),
            name: String::new(),
            code_len: 3,
            bits: 16,
            hash_weight: 1.0,
            metadata: String::new(),
        };
        assert_eq!(text.len(), packed_len(&encoder));
        assert_eq!(unpack(&text, 3), Some((code, hash)));
        assert_eq!(unpack("%", 3), None);
        assert_eq!(unpack("AAAA", 3), None);
        let path = b"/p/\xff\x00z";
        assert_eq!(unhex(&hex(path)).as_deref(), Some(&path[..]));
        assert_eq!((unhex("0"), unhex("0g")), (None, None));
    }

    #[test]
    fn no_damage_differs_from_an_empty_one_and_long_ones_are_cut() {
        assert_eq!(
            (damage(None), damage(Some(""))),
            (String::new(), "!".to_owned())
        );
        let cut = damage(Some(&"é".repeat(MAX_TEXT)));
        assert!(cut.len() <= MAX_TEXT && cut.len() > MAX_TEXT - 3);
    }

    #[test]
    fn labels_come_back_in_steps_the_most_likely_first() {
        let label = |class, probability| Label { class, probability };
        let text = labels_text(&[label(7, 0.2), label(65_535, 0.6)]);
        assert_eq!(text, "7:51,65535:153");
        let back = labels_of(&text);
        assert_eq!(back, [label(65_535, 0.6), label(7, 0.2)]);
        assert!(labels_of("").is_empty());
    }
}
