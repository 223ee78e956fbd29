//! Questions: from the arguments of `query` to what the library is asked.

use std::io;
use std::path::{Path, PathBuf};

use imgsearch::decode::{Crop, Source};
use imgsearch::index::ImageId;
use imgsearch::{DEFAULT_LESS, Encoded, Library, Part, Question, WalkOptions, Words, walk};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::args::{Global, QueryArgs};
use super::output::{count, counted, shown, with_path};
use super::streams::say;
use super::weighted::{self, Weighted, What};
use super::{Outcome, Result, file_list, say_error};

/// Pictures of a folder that are asked with at most. More of them change the mean hardly.
const MAX_OF_FOLDER: usize = 200;

/// A question as it was typed.
#[derive(Debug)]
pub struct Plan {
    /// The picture, folder or id that it starts with.
    main: Option<What>,
    more: Vec<Weighted>,
    less: Vec<Weighted>,
    crop: Option<Crop>,
    focus: bool,
}

/// A question whose pictures were encoded.
pub struct Asked {
    pub question: Question,
    /// Whether some pictures of a folder could not be used.
    pub outcome: Outcome,
    /// The images of each part, in the order of [`Plan::parts`].
    pub images: Vec<usize>,
    /// The picture from standard input, which cannot be read twice.
    pub piped: Option<Source>,
}

impl Asked {
    /// Returns the question of words that only texts can answer.
    pub fn of_texts() -> Self {
        Self {
            question: Question::new(),
            outcome: Outcome::Done,
            images: vec![0],
            piped: None,
        }
    }
}

/// Returns one question for each picture, folder and id, or the one that `--more` and `--less` make. Wrong arguments
/// are reported before any picture is read.
pub fn plans(args: &QueryArgs) -> Result<Vec<Plan>> {
    let listed = file_list::with_list(&[], args.files_from.as_deref())?;
    // A list names files, so nothing in it is words or standard input.
    let listed = listed.into_iter().map(|path| match path.is_dir() {
        true => What::Folder(path),
        false if path == Path::new("-") => What::Picture("./-".into()),
        false => What::Picture(path),
    });
    let mains: Vec<What> = args.images.iter().map(|path| What::at(path)).collect();
    let mains = mains.into_iter().chain(listed);
    let ids = args.id.iter().map(|&id| What::Id(id));
    let texts = args.text.iter().cloned().map(What::Words);
    let mut mains: Vec<What> = mains.chain(ids).chain(texts).collect();
    let parts = |values: &[std::ffi::OsString], default: f32| {
        let parts = values.iter().map(|value| weighted::parse(value, default));
        parts.collect::<Result<Vec<_>, String>>()
    };
    let (more, less) = (parts(&args.more, 1.0)?, parts(&args.less, DEFAULT_LESS)?);
    if let Some(crop) = &args.crop
        && !matches!(mains[..], [What::Picture(_)])
    {
        return Err(format!(
            "--crop {crop} needs exactly one picture to take a part of, and no folder or --id in its place"
        )
        .into());
    }
    let is_mixture = !more.is_empty() || !less.is_empty();
    if is_mixture && mains.len() > 1 {
        return Err(format!(
            "--more and --less belong to one picture, folder or --id, and {} are named: name the others with --more",
            mains.len()
        )
        .into());
    }
    if mains.is_empty() && !more.iter().any(|part| part.weight > 0.0) {
        return Err(
            "this asks for nothing: name a picture, or one with --more and a weight above 0".into(),
        );
    }
    if args.focus && !is_mixture && !mains.iter().any(|main| matches!(main, What::Folder(_))) {
        return Err("--focus needs several pictures that agree: add some with --more".into());
    }
    if !is_mixture {
        let alone = |main| Plan {
            main: Some(main),
            more: Vec::new(),
            less: Vec::new(),
            crop: args.crop,
            focus: args.focus,
        };
        return Ok(mains.into_iter().map(alone).collect());
    }
    Ok(vec![Plan {
        main: mains.pop(),
        more,
        less,
        crop: args.crop,
        focus: args.focus,
    }])
}

impl Plan {
    /// Returns whether pictures must be decoded.
    pub fn needs_encoder(&self) -> bool {
        self.parts()
            .iter()
            .any(|(what, _)| matches!(what, What::Picture(_) | What::Folder(_)))
    }

    /// Returns whether the distances of its answers have no similarity.
    pub fn has_no_similarity(&self) -> bool {
        self.focus || self.is_words() || self.less.iter().any(|part| part.weight > 0.0)
    }

    /// Returns whether words are all there is to it.
    pub fn is_words(&self) -> bool {
        matches!(self.parts()[..], [(What::Words(_), _)])
    }

    /// Returns the words that are all there is to it.
    pub fn words(&self) -> Option<&str> {
        match self.parts()[..] {
            [(What::Words(text), _)] => Some(text),
            _ => None,
        }
    }

    /// Returns the part of the first picture that is asked for, if not all of it.
    pub fn crop(&self) -> Option<&Crop> {
        self.crop.as_ref()
    }

    /// Returns the parts with their weights, below 0 for those to avoid.
    pub fn parts(&self) -> Vec<(&What, f32)> {
        let main = self.main.iter().map(|what| (what, 1.0));
        let more = self.more.iter().map(|part| (&part.what, part.weight));
        let less = self.less.iter().map(|part| (&part.what, -part.weight));
        main.chain(more).chain(less).collect()
    }

    /// Returns the picture that is all there is to it.
    fn picture(&self) -> Option<&Path> {
        match (&self.main, self.parts().len()) {
            (Some(What::Picture(path)), 1) => Some(path),
            _ => None,
        }
    }

    /// Returns its name above its answers.
    pub fn heading(&self) -> String {
        match &self.main {
            Some(What::Picture(path) | What::Folder(path)) => shown(path),
            Some(What::Id(id)) => format!("id {id}"),
            Some(What::Words(text)) => format!("{text:?}"),
            None => "mixture".to_owned(),
        }
    }

    /// Adds to a JSON object what was asked.
    pub fn describe(&self, asked: &Asked, mut line: Value) -> Value {
        line = match &self.main {
            Some(What::Picture(path) | What::Folder(path)) => with_path(line, "query", path),
            _ => {
                line["query"] = Value::Null;
                line
            }
        };
        if let Some(crop) = &self.crop {
            line["crop"] = json!(crop.to_string());
        }
        if self.picture().is_some() {
            return line;
        }
        let parts = self.parts().into_iter().zip(&asked.images);
        let parts: Vec<Value> = parts
            .map(|((what, weight), &images)| {
                // As it was typed: 0.2 has no exact value, and the two kinds of floats differ.
                let weight: f64 = weight.to_string().parse().unwrap_or(f64::from(weight));
                let part = json!({ "weight": weight });
                match what {
                    What::Picture(path) => with_path(part, "path", path),
                    What::Folder(path) => {
                        let mut part = with_path(part, "path", path);
                        part["images"] = json!(images);
                        part
                    }
                    What::Id(id) => {
                        let mut part = part;
                        part["id"] = json!(id);
                        part
                    }
                    What::Words(text) => {
                        let mut part = part;
                        part["words"] = json!(text);
                        part
                    }
                }
            })
            .collect();
        line["parts"] = json!(parts);
        if self.focus {
            line["focus"] = json!(true);
        }
        line
    }

    /// Encodes the pictures.
    ///
    /// # Errors
    ///
    /// If a picture cannot be encoded, unless it is one of several of a folder.
    pub fn ask(&self, global: &Global, library: &Library) -> Result<Asked> {
        let mut asked = Asked {
            question: Question::new().focus(self.focus),
            outcome: Outcome::Done,
            images: Vec::new(),
            piped: None,
        };
        let mut wanted = 0;
        for (i, (what, weight)) in self.parts().into_iter().enumerate() {
            let crop = self.crop.as_ref().filter(|_| i == 0);
            let encoded: Vec<Part> = match what {
                What::Id(id) => vec![stored(library, *id)?],
                What::Picture(path) => {
                    vec![Part::Image(picture(library, path, crop, &mut asked.piped)?)]
                }
                What::Words(text) => vec![words(library, text)?],
                What::Folder(path) => folder(global, library, path, &mut asked.outcome)?,
            };
            asked.images.push(encoded.len());
            if weight > 0.0 {
                wanted += encoded.len();
            }
            // A folder counts as much as one picture.
            let each = weight.abs() / encoded.len() as f32;
            for part in encoded {
                asked.question = if weight.is_sign_negative() {
                    asked.question.less_of(part, each)
                } else {
                    asked.question.more_of(part, each)
                };
            }
        }
        if self.focus && wanted < 2 {
            return Err(
                "--focus needs several pictures that agree: add some with --more, or name a folder of them"
                    .into(),
            );
        }
        Ok(asked)
    }
}

/// Returns a stored image, which must be there.
fn stored(library: &Library, id: ImageId) -> Result<Part> {
    if library.image(id)?.is_none() {
        return Err(imgsearch::Error::NoSuchImage { id }.into());
    }
    Ok(Part::Stored(id))
}

/// Encodes words with the text tower of the index's encoder. If it has none, reads them, and names those that are
/// unknown.
fn words(library: &Library, text: &str) -> imgsearch::Result<Part> {
    if library.encoder_file()?.info().text_tower.is_some() {
        return Ok(Part::Image(library.text_to_encoded(text)?));
    }
    let words = Words::read(text)?;
    if library.collection().is_none() {
        let reader = library.index_view()?.to_reader()?;
        if reader.holds_images()? && !reader.holds_labels()? {
            say!(
                "the images have no labels yet, so words find them less well; to add labels: imgsearch index --reencode"
            );
        }
    }
    for unknown in &words.unknown {
        let alike = match &unknown.alike[..] {
            [] => String::new(),
            alike => format!("; spelled alike: {}", alike.join(", ")),
        };
        say!("{:?} is not known and does not count{alike}", unknown.word);
    }
    Ok(Part::Words(words))
}

/// Encodes a picture, or a part of it, and says if it is damaged. Keeps one from standard input in `piped`.
fn picture(
    library: &Library,
    path: &Path,
    crop: Option<&Crop>,
    piped: &mut Option<Source>,
) -> imgsearch::Result<Encoded> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin {
        Path::new("standard input")
    } else {
        path
    };
    let encoded = match crop {
        None if !is_stdin => library.encode_file(path)?,
        _ => {
            let read = if is_stdin {
                Source::read(io::stdin().lock(), library.limits())
            } else {
                Source::open(path, library.limits())
            };
            let source = read.map_err(|unread| imgsearch::Error::unread(unread, name))?;
            let encoded = match crop {
                Some(crop) => library.encode_part(&source, name, crop)?,
                None => library.encode_bytes(&source, name)?,
            };
            if is_stdin {
                *piped = Some(source);
            }
            encoded
        }
    };
    if let Some(damage) = &encoded.damage {
        say!("{}: {damage}; searching with what is there", shown(path));
    }
    Ok(encoded)
}

/// Encodes the pictures of a folder, or some of them, evenly spread. Names those that cannot be used.
fn folder(
    global: &Global,
    library: &Library,
    path: &Path,
    outcome: &mut Outcome,
) -> Result<Vec<Part>> {
    let walked = walk(&[path.to_owned()], &WalkOptions::default())?;
    for (path, reason) in &walked.errors {
        say!("{}: {reason}", shown(path));
        *outcome = Outcome::Partial;
    }
    let all: Vec<PathBuf> = walked.candidates.into_iter().map(|one| one.path).collect();
    if all.is_empty() {
        return Err(format!(
            "there is no picture in {}: name a folder with pictures (hidden ones do not count)",
            shown(path)
        )
        .into());
    }
    let chosen = spread(&all, MAX_OF_FOLDER);
    let encoded: Vec<imgsearch::Result<Encoded>> = chosen
        .par_iter()
        .map(|path| library.encode_file(path))
        .collect();
    let mut parts = Vec::with_capacity(chosen.len());
    for (path, encoded) in chosen.iter().zip(encoded) {
        match encoded {
            Ok(encoded) => {
                if let Some(damage) = &encoded.damage {
                    say!("{}: {damage}; searching with what is there", shown(path));
                }
                parts.push(Part::Image(encoded));
            }
            Err(error @ imgsearch::Error::Image { .. } | error @ imgsearch::Error::Io { .. }) => {
                say_error(&error, global.index.as_deref());
                *outcome = Outcome::Partial;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if parts.is_empty() {
        return Err(format!("none of the pictures in {} can be used", shown(path)).into());
    }
    if !global.quiet {
        let used = counted(parts.len(), "picture", "pictures");
        if all.len() > MAX_OF_FOLDER {
            say!(
                "asking with {used} of {}, evenly spread over its {}",
                shown(path),
                count(all.len() as u64)
            );
        } else {
            say!("asking with {used} of {}", shown(path));
        }
    }
    Ok(parts)
}

/// Returns at most `limit` items, evenly spread.
fn spread<T>(items: &[T], limit: usize) -> Vec<&T> {
    let n = items.len().min(limit);
    (0..n).map(|i| &items[i * items.len() / n]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_items_are_all_taken_and_many_are_spread() {
        let items: Vec<usize> = (0..1000).collect();
        assert!(spread(&items[..0], 3).is_empty());
        assert_eq!(spread(&items[..3], 3), [&0, &1, &2]);
        assert_eq!(spread(&items, 4), [&0, &250, &500, &750]);
        let many = spread(&items, 200);
        assert_eq!(many.len(), 200);
        assert!(many.windows(2).all(|pair| *pair[1] - *pair[0] == 5));
    }
}
