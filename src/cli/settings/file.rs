//! Settings in the configuration file, in TOML: options of every command, and a table for each command.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Command;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::known::Setting;
use super::{Entry, Origin};
use crate::cli::args::Global;

/// The name of the file in the folder of settings.
const NAME: &str = "config.toml";

/// The variable that names another file, or none if it is empty.
const VARIABLE: &str = "IMGSEARCH_CONFIG";

/// The file to read.
pub struct Place {
    pub path: Option<PathBuf>,
    /// Whether it was named, so that it has to exist.
    pub required: bool,
}

/// Returns which file is read.
pub fn find(global: &Global) -> Result<Place, String> {
    let named = |path: PathBuf| {
        let path = std::path::absolute(&path)
            .map_err(|error| format!("the configuration file {}: {error}", path.display()))?;
        Ok::<_, String>(Place {
            path: Some(path),
            required: true,
        })
    };
    let none = Place {
        path: None,
        required: false,
    };
    if global.no_config {
        return Ok(none);
    }
    if let Some(path) = &global.config {
        return named(path.clone());
    }
    match std::env::var_os(VARIABLE) {
        Some(path) if path.is_empty() => Ok(none),
        Some(path) => named(path.into()),
        None => Ok(Place {
            path: imgsearch::config_dir().map(|folder| folder.join(NAME)),
            required: false,
        }),
    }
}

/// Reads the settings of a file. What is wrong is a problem with its line, and the rest counts.
pub fn parse(
    root: &Command,
    known: &[Setting],
    path: &Path,
    bytes: &[u8],
    problems: &mut Vec<String>,
) -> Vec<Entry> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = line_of(bytes, error.valid_up_to());
            problems.push(format!("{}:{line}: this is no UTF-8 text", path.display()));
            return Vec::new();
        }
    };
    let mut reading = Reading {
        root,
        known,
        text,
        problems: Vec::new(),
        entries: Vec::new(),
    };
    match DeTable::parse(text) {
        Ok(table) => reading.table(root, table.get_ref(), &mut Vec::new()),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            reading.problem(at, error.message().trim());
        }
    }
    reading.problems.sort();
    let said = reading.problems.into_iter();
    problems.extend(said.map(|(line, text)| format!("{}:{line}: {text}", path.display())));
    reading.entries
}

fn line_of(bytes: &[u8], at: usize) -> usize {
    let before = bytes.get(..at).unwrap_or(bytes);
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

struct Reading<'a> {
    root: &'a Command,
    known: &'a [Setting],
    text: &'a str,
    /// With their lines.
    problems: Vec<(usize, String)>,
    entries: Vec<Entry>,
}

impl Reading<'_> {
    fn problem(&mut self, at: usize, text: &str) {
        let line = line_of(self.text.as_bytes(), at);
        self.problems.push((line, text.to_owned()));
    }

    fn table(&mut self, command: &Command, table: &DeTable<'_>, names: &mut Vec<String>) {
        for (key, value) in table {
            let at = key.span().start;
            let key: &str = key.get_ref();
            let setting = self
                .known
                .iter()
                .find(|setting| setting.command == *names && setting.key == key);
            let below = command
                .get_subcommands()
                .find(|below| below.get_name() == key);
            match (setting, below, value.get_ref()) {
                (_, Some(below), DeValue::Table(table)) => {
                    names.push(key.to_owned());
                    self.table(below, table, names);
                    names.pop();
                }
                (Some(setting), ..) => self.setting(&setting.clone(), at, value),
                _ => {
                    let text = self.unknown(key, names, value.get_ref().is_table());
                    self.problem(at, &text);
                }
            }
        }
    }

    fn setting(&mut self, setting: &Setting, at: usize, value: &Spanned<DeValue<'_>>) {
        let checked = values(setting, value.get_ref()).and_then(|values| {
            let values = if setting.is_path {
                values
                    .into_iter()
                    .map(|value| whole_path(setting, value))
                    .collect::<Result<_, _>>()?
            } else {
                values
            };
            setting.check(self.root, &values)?;
            Ok(values)
        });
        match checked {
            Ok(values) => {
                let line = line_of(self.text.as_bytes(), at);
                self.entries.push(Entry {
                    setting: setting.clone(),
                    values,
                    origin: Origin::File { line },
                    read_elsewhere: false,
                });
            }
            Err(reason) => {
                let typed = self.text.get(value.span()).unwrap_or_default();
                // A long one is not repeated.
                let typed = typed.lines().next().unwrap_or_default();
                self.problem(at, &format!("{} = {typed}: {reason}", setting.name()));
            }
        }
    }

    /// Says what a key could mean that is none here.
    fn unknown(&self, key: &str, names: &[String], is_table: bool) -> String {
        let whole = [names, &[key.to_owned()]].concat().join(".");
        if is_table {
            return format!(
                "[{whole}] is no command with settings; imgsearch config --all lists all settings"
            );
        }
        let same_key = || self.known.iter().filter(|setting| setting.key == key);
        let of: Vec<String> = same_key()
            .take(3)
            .map(|setting| match setting.command.is_empty() {
                true => "above all tables".to_owned(),
                false => format!("in [{}]", setting.command.join(".")),
            })
            .collect();
        if !of.is_empty() {
            return format!("{whole} is no setting; {key} can be {}", of.join(", "));
        }
        let here = self
            .known
            .iter()
            .filter(|setting| setting.command == names)
            .map(|setting| {
                (
                    strsim::jaro_winkler(&setting.key, &key.replace('_', "-")),
                    &setting.key,
                )
            });
        let nearest = here.max_by(|a, b| a.0.total_cmp(&b.0));
        match nearest.filter(|(alike, _)| *alike > 0.8) {
            Some((_, nearest)) => format!("{whole} is no setting; is {nearest} meant?"),
            None => format!("{whole} is no setting; imgsearch config --all lists all settings"),
        }
    }
}

/// Returns the values as they would be typed.
fn values(setting: &Setting, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    match value {
        DeValue::Array(array) if setting.is_list => array
            .iter()
            .map(|value| one(setting, value.get_ref()))
            .collect(),
        DeValue::Array(_) => Err("it takes one value, and no list".to_owned()),
        value => Ok(vec![one(setting, value)?]),
    }
}

fn one(setting: &Setting, value: &DeValue<'_>) -> Result<OsString, String> {
    if setting.is_flag && !value.is_bool() {
        return Err("it is true or false".to_owned());
    }
    Ok(match value {
        DeValue::String(text) => OsString::from(&**text),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().replace('_', "").into(),
        DeValue::Float(number) => number.as_str().replace('_', "").into(),
        DeValue::Boolean(value) if setting.is_flag => value.to_string().into(),
        _ => {
            return Err(format!(
                "it takes a text or a number, and this is {}",
                value.type_str()
            ));
        }
    })
}

/// Returns a path that means the same wherever a command is run.
fn whole_path(setting: &Setting, value: OsString) -> Result<OsString, String> {
    let path = Path::new(&value);
    let is_word =
        path.components().count() == 1 && !value.to_string_lossy().contains(['/', '\\', '~']);
    let is_name = match setting.id.as_str() {
        "index" => is_word,
        "encoder" => value == "built-in",
        _ => value == "-",
    };
    if let Ok(rest) = path.strip_prefix("~") {
        let home = std::env::home_dir().ok_or("there is no home folder for ~")?;
        return Ok(home.join(rest).into());
    }
    if path.is_absolute() || is_name {
        return Ok(value);
    }
    let or = match setting.id.as_str() {
        "index" => ", or is the name of a collection",
        "encoder" => ", or is built-in",
        _ => "",
    };
    Err(format!(
        "it holds wherever a command is run, so a path here begins with / or ~/{or}"
    ))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::Cli;
    use crate::cli::settings::all;

    /// The name, the values and the origin of a setting.
    type Told = (String, Vec<String>, Origin);

    fn read(text: &str) -> (Vec<Told>, Vec<String>) {
        let root = Cli::command();
        let mut problems = Vec::new();
        let entries = parse(
            &root,
            &all(&root),
            Path::new("c.toml"),
            text.as_bytes(),
            &mut problems,
        );
        let entries = entries.into_iter().map(|entry| {
            let values = entry
                .values
                .iter()
                .map(|value| value.to_string_lossy().into_owned());
            (entry.setting.name(), values.collect(), entry.origin)
        });
        (entries.collect(), problems)
    }

    #[test]
    fn values_are_read_with_their_lines() {
        let text = "# mine\nthreads = 2\noffline = true\n\n[query]\nk = 1_0\nby = 'code'\nmin-similarity = 90.5\n\
                    [index]\nignore = ['*.tmp', \"b\"]\n[train.head]\nepochs = 3\n";
        let (mut entries, problems) = read(text);
        assert_eq!(problems, Vec::<String>::new());
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        let line = |line| Origin::File { line };
        let one = |name: &str, value: &str, at| (name.to_owned(), vec![value.to_owned()], line(at));
        let ignored = (
            "index.ignore".to_owned(),
            vec!["*.tmp".to_owned(), "b".to_owned()],
            line(10),
        );
        assert_eq!(
            entries,
            [
                ignored,
                one("offline", "true", 3),
                one("query.by", "code", 7),
                one("query.k", "10", 6),
                one("query.min-similarity", "90.5", 8),
                one("threads", "2", 2),
                one("train.head.epochs", "3", 12),
            ]
        );
    }

    #[test]
    fn every_mistake_is_named_with_its_line_and_what_to_write() {
        for (text, line, said) in [
            ("threads = 'many'", 1, "threads = 'many': invalid digit"),
            ("\nthread = 1", 2, "is threads meant?"),
            ("k = 3", 1, "k can be in [query]"),
            ("[query]\nthreads = 3", 2, "threads can be above all tables"),
            ("[qurey]\nk = 1", 1, "[qurey] is no command"),
            (
                "[query]\nby = 'colour'",
                2,
                "choose one of code, hash, both",
            ),
            ("offline = 'yes'", 1, "it is true or false"),
            ("[index]\nprune = true", 2, "index.prune is no setting"),
            ("threads = [1]", 1, "no list"),
            ("threads = 1\nthreads = 2", 2, "duplicate key"),
            (
                "index = 'a/b'",
                1,
                "begins with / or ~/, or is the name of a collection",
            ),
            (
                "[query]\nencoder = 'my.onnx'",
                2,
                "begins with / or ~/, or is built-in",
            ),
            ("x = ", 1, ""),
            ("[query]\nk = true", 2, "a text or a number"),
        ] {
            let (entries, problems) = read(text);
            assert_eq!(entries, [], "{text}");
            let problem = problems.first().unwrap_or_else(|| panic!("{text}"));
            assert!(
                problem.starts_with(&format!("c.toml:{line}: ")),
                "{text}: {problem}"
            );
            assert!(problem.contains(said), "{text}: {problem}");
        }
        let root = Cli::command();
        let mut problems = Vec::new();
        let _ = parse(
            &root,
            &all(&root),
            Path::new("c.toml"),
            b"a\n\xff",
            &mut problems,
        );
        assert_eq!(problems, ["c.toml:2: this is no UTF-8 text"]);
    }

    #[test]
    fn a_path_holds_everywhere() {
        let home = std::env::home_dir().unwrap();
        let (entries, problems) = read("index = '~/photos-index'");
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(entries[0].1, [home.join("photos-index").to_string_lossy()]);
        for name in ["holiday", "/data/index"] {
            let (entries, problems) = read(&format!("index = '{name}'"));
            assert_eq!(problems, Vec::<String>::new());
            assert_eq!(entries[0].1, [name]);
        }
    }
}
