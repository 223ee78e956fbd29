//! `imgsearch config`: which settings hold, and where each comes from.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use serde_json::{Value, json};

use super::args::{Cli, ConfigArgs, ConfigCommand, Global};
use super::colours::{self, Paint};
use super::output::{shown, with_path};
use super::parsing::Run;
use super::settings::{Entry, Origin, Setting, Settings, all};
use super::streams::{self, out, say};
use super::{Outcome, Result};

/// Commands whose settings a new file lists.
const COMMON: [&str; 5] = ["", "index", "query", "serve", "watch"];

pub fn run(global: &Global, args: &ConfigArgs, run: &Run) -> Result {
    match &args.command {
        None => show(args, run),
        Some(ConfigCommand::Path) => {
            let file = file_of(&run.settings)?;
            if args.json {
                out!("{}", with_path(json!({}), "file", file));
            } else {
                out!("{}", shown(file));
            }
            Ok(Outcome::Done)
        }
        Some(ConfigCommand::Init) => init(global, file_of(&run.settings)?),
        Some(ConfigCommand::Edit) => edit(global, file_of(&run.settings)?),
    }
}

fn file_of(settings: &Settings) -> Result<&Path> {
    match &settings.file {
        Some(file) => Ok(file),
        None => Err("no configuration file is read: --no-config or an empty IMGSEARCH_CONFIG says so, or there is no home \
                     folder; name a file with --config FILE"
            .into()),
    }
}

/// A setting with its value.
struct Row<'a> {
    setting: &'a Setting,
    values: Vec<String>,
    from: Source<'a>,
}

enum Source<'a> {
    Line,
    Entry(&'a Entry),
    Default,
}

fn show(args: &ConfigArgs, run: &Run) -> Result {
    let root = Cli::command();
    let known = all(&root);
    let rows: Vec<Row<'_>> = known
        .iter()
        .map(|setting| row(setting, &root, run))
        .filter(|row| {
            args.all || row.setting.command.is_empty() || !matches!(row.from, Source::Default)
        })
        .collect();
    let settings = &run.settings;
    if args.json {
        print_json(settings, &rows);
    } else {
        print(settings, &rows);
    }
    for problem in &settings.problems {
        streams::complain(format_args!("{problem}"));
    }
    Ok(if settings.problems.is_empty() {
        Outcome::Done
    } else {
        Outcome::Partial
    })
}

fn row<'a>(setting: &'a Setting, root: &Command, run: &'a Run) -> Row<'a> {
    let is_typed = setting.command.is_empty()
        && (run.typed.ids.contains(&setting.id) || run.typed.off.contains(&setting.key));
    let mut entries = run.settings.entries.iter();
    let entry = entries.find(|entry| entry.setting.sort_key() == setting.sort_key());
    let (values, from) = match (is_typed, entry) {
        (true, _) => (typed(&run.cli.global, &setting.id), Source::Line),
        (false, Some(entry)) => {
            let values = entry.values.iter();
            let values = values.map(|value| value.to_string_lossy().into_owned());
            (values.collect(), Source::Entry(entry))
        }
        (false, None) => {
            let option = setting.option(root);
            let mut values = defaults(option);
            if let Some(none) = option.and_then(without_value) {
                values.push(none.to_owned());
            }
            (values, Source::Default)
        }
    };
    Row {
        setting,
        values,
        from,
    }
}

/// Returns what an option without a value is if it is not typed.
fn without_value(option: &Arg) -> Option<&'static str> {
    match option.get_action() {
        ArgAction::SetTrue => Some("false"),
        ArgAction::Count => Some("0"),
        _ => None,
    }
}

fn defaults(option: Option<&Arg>) -> Vec<String> {
    let values = option.map(Arg::get_default_values).unwrap_or_default();
    values
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect()
}

/// Returns the value of an option of every command that was typed.
fn typed(global: &Global, id: &str) -> Vec<String> {
    let path =
        |path: &Option<PathBuf>| path.iter().map(|path| path.display().to_string()).collect();
    let word = |value: &dyn std::fmt::Debug| vec![format!("{value:?}").to_lowercase()];
    match id {
        "index" => path(&global.index),
        "provider" => word(&global.provider),
        "ort_library" => path(&global.ort_library),
        "offline" => word(&global.offline),
        "threads" => word(&global.threads),
        "quiet" => word(&global.quiet),
        "verbose" => word(&global.verbose),
        "log_file" => path(&global.log_file),
        "color" => word(&global.color),
        _ => Vec::new(),
    }
}

fn print(settings: &Settings, rows: &[Row<'_>]) {
    match &settings.file {
        Some(file) if settings.exists => {
            out!("file: {}", colours::result(Paint::Path, &shown(file)))
        }
        Some(file) => out!(
            "file: {} (not there; imgsearch config init writes one)",
            colours::result(Paint::Path, &shown(file))
        ),
        None => out!("file: none is read"),
    }
    let width = rows.iter().map(|row| row.setting.name().len()).max();
    let width = width.unwrap_or(0);
    let value_of = |row: &Row<'_>| match row.values.is_empty() {
        true => "-".to_owned(),
        false => row.values.join(", "),
    };
    let value_width = rows.iter().map(|row| value_of(row).chars().count()).max();
    let value_width = value_width.unwrap_or(0).min(40);
    out!();
    for row in rows {
        let name = format!("{:width$}", row.setting.name());
        let from = match row.from {
            Source::Line => "typed".to_owned(),
            Source::Default => "default".to_owned(),
            Source::Entry(entry) => match &entry.origin {
                Origin::File { line } => format!("line {line} of the file"),
                Origin::Environment { variable } => format!("variable {variable}"),
            },
        };
        let value = shown(Path::new(&value_of(row)));
        let name = colours::result(Paint::Name, &name);
        out!("{name}  {value:value_width$}  {from}");
    }
    for stranger in &settings.strangers {
        say!("the variable {stranger} is no setting");
    }
}

fn print_json(settings: &Settings, rows: &[Row<'_>]) {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let (from, line, variable) = match row.from {
                Source::Line => ("typed", None, None),
                Source::Default => ("default", None, None),
                Source::Entry(entry) => match &entry.origin {
                    Origin::File { line } => ("file", Some(line), None),
                    Origin::Environment { variable } => ("environment", None, Some(variable)),
                },
            };
            json!({
                "name": row.setting.name(), "values": row.values, "from": from, "line": line, "variable": variable,
                "settable_by": row.setting.variable(),
            })
        })
        .collect();
    let object = json!({
        "exists": settings.exists, "settings": rows, "problems": settings.problems,
        "unknown_variables": settings.strangers,
    });
    match &settings.file {
        Some(file) => out!("{}", with_path(object, "file", file)),
        None => out!("{object}"),
    }
}

/// Writes a file in which everything is commented out.
fn init(global: &Global, file: &Path) -> Result {
    let failed = |error: std::io::Error| format!("{} cannot be written: {error}", shown(file));
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    match options.write(true).create_new(true).open(file) {
        Ok(mut new) => {
            std::io::Write::write_all(&mut new, template().as_bytes()).map_err(failed)?;
            new.sync_all().map_err(failed)?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(format!(
                "{} is there already and was not changed; to change it: imgsearch config edit",
                shown(file)
            )
            .into());
        }
        Err(error) => return Err(failed(error).into()),
    }
    if !global.quiet {
        say!("wrote {}", shown(file));
    }
    Ok(Outcome::Done)
}

/// Returns a file with the settings of the common commands, each with its help and default, commented out.
fn template() -> String {
    let root = Cli::command();
    let mut text = String::from(
        "# Settings of imgsearch: options that hold in every run. What is typed counts more, and so does a variable of the\n\
         # environment, such as IMGSEARCH_THREADS or IMGSEARCH_QUERY_K. imgsearch config shows which value holds and why,\n\
         # imgsearch config --all lists the settings of all commands. Paths begin with / or ~/.\n",
    );
    let known = all(&root);
    for command in COMMON {
        let of = |setting: &&Setting| setting.command.join(".") == command;
        if !command.is_empty() {
            text += &format!("\n[{command}]\n");
        }
        for setting in known.iter().filter(of) {
            let Some(option) = setting.option(&root) else {
                continue;
            };
            let help = option
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let first = help.lines().next().unwrap_or_default();
            // Writing to a text does not fail.
            let _ = write!(
                text,
                "\n# {first}\n# {} = {}\n",
                setting.key,
                example(setting, option)
            );
        }
    }
    text
}

/// Returns the default of an option in TOML, or what stands for a value.
fn example(setting: &Setting, option: &Arg) -> String {
    let values = defaults(Some(option));
    let quoted = |value: &String| match value.parse::<f64>() {
        Ok(_) => value.clone(),
        Err(_) => json!(value).to_string(),
    };
    if let Some(none) = without_value(option) {
        return none.to_owned();
    }
    let values: Vec<String> = values.iter().map(quoted).collect();
    if setting.is_list {
        return format!("[{}]", values.join(", "));
    }
    values.into_iter().next().unwrap_or_else(|| {
        let names = option.get_value_names().unwrap_or_default();
        let name = names.first().map(ToString::to_string).unwrap_or_default();
        json!(name).to_string()
    })
}

/// Opens the file in an editor, and checks it afterwards.
fn edit(global: &Global, file: &Path) -> Result {
    if !file.exists() {
        init(global, file)?;
    }
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.trim().is_empty())
    });
    let editor = editor.unwrap_or_else(|| if cfg!(windows) { "notepad" } else { "vi" }.to_owned());
    // It may have arguments, as in `code --wait`.
    let words = shlex::split(&editor).unwrap_or_else(|| vec![editor.clone()]);
    let Some((program, arguments)) = words.split_first() else {
        return Err(format!("the editor {editor:?} is no command; set VISUAL or EDITOR").into());
    };
    let ended = std::process::Command::new(program)
        .args(arguments)
        .arg(file)
        .status()
        .map_err(|error| {
            format!(
                "the editor {editor} cannot be started: {error}; set VISUAL or EDITOR, or edit {} yourself",
                shown(file)
            )
        })?;
    if !ended.success() {
        return Err(format!("the editor {editor} ended with {ended}").into());
    }
    let mut named = global.clone();
    named.config = Some(file.to_owned());
    let read = Settings::read(&Cli::command(), &named);
    for problem in &read.problems {
        streams::complain(format_args!("{problem}"));
    }
    if !read.problems.is_empty() {
        say!("to correct it: imgsearch config edit");
        return Ok(Outcome::Partial);
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_valid_also_without_the_comment_signs() {
        let text = template();
        assert!(
            text.lines()
                .all(|line| line.is_empty() || line.starts_with(['#', '[']))
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        // What has no default has the name of its value there, in capitals, which stays a comment.
        let uncommented = |line: &str| {
            let setting = line.strip_prefix("# ")?;
            let (_, value) = setting.split_once(" = ")?;
            let is_name = value.starts_with('"') && value.to_uppercase() == value;
            (!is_name).then(|| setting.to_owned())
        };
        let lines = text.lines();
        let lines: Vec<String> = lines
            .map(|line| uncommented(line).unwrap_or_else(|| line.to_owned()))
            .collect();
        std::fs::write(&file, lines.join("\n")).unwrap();
        let root = Cli::command();
        let mut problems = Vec::new();
        let bytes = std::fs::read(&file).unwrap();
        let entries = super::super::settings::parse_file(&root, &file, &bytes, &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        assert!(
            entries
                .iter()
                .any(|entry| entry.setting.name() == "query.k"),
            "{text}"
        );
    }
}
