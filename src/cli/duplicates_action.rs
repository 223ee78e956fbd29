//! Actions on duplicates: the plan, the question about it, what came of it, and undoing it.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use imgsearch::duplicates::action::{
    Action, Applied, Group, Outcome as Acted, Plan, Undone, absolute_folder,
};
use imgsearch::{Library, Progress};
use serde_json::json;

use super::args::{ActionArgs, Global};
use super::output::{bytes, command, counted, moment, relative, shown, with_path};
use super::signals::stop_flag;
use super::streams::{self, out, say};
use super::{Outcome, Result};

/// What was asked for.
pub struct Wanted<'a> {
    pub args: &'a ActionArgs,
    /// Only files at and below these paths are touched; all if there are none.
    pub under: &'a [PathBuf],
    pub json: bool,
}

/// Plans the action on the groups, prints the plan, asks, and does it.
pub fn apply(
    global: &Global,
    library: &mut Library,
    groups: &[Group],
    wanted: &Wanted<'_>,
) -> Result {
    let Some(action) = &wanted.args.apply else {
        return Ok(Outcome::Done);
    };
    let reference = &wanted.args.reference;
    if let Some(missing) = reference.iter().find(|folder| !folder.exists()) {
        return Err(format!("no such file or folder: {}", missing.display()).into());
    }
    let plan = library.plan_action(groups, placed(action)?, reference, wanted.under)?;
    print_plan(&plan, wanted.json);
    let planned = plan.groups.iter().flat_map(|group| &group.left_alone);
    let in_trouble = planned.filter(|(_, why)| !why.is_intended()).count();
    if plan.files() == 0 {
        if !global.quiet {
            say!("there is nothing to do");
        }
        return Ok(Outcome::Partial);
    }
    if !global.quiet {
        say!("{}", announced(&plan));
    }
    if !wanted.args.yes && !asked(&plan) {
        say!("Nothing was changed. To do it without a question, add --yes");
        return Ok(Outcome::Partial);
    }
    let reporter = Reporter {
        stop: stop_flag("stopping after the current file")?,
        json: wanted.json,
    };
    let applied = library.apply_plan(&plan, &reporter)?;
    print_applied(global, &plan, &applied, wanted.json);
    Ok(if applied.interrupted {
        Outcome::Interrupted
    } else if in_trouble + applied.left_alone > 0 {
        Outcome::Partial
    } else {
        Outcome::Done
    })
}

/// Undoes the last action.
pub fn undo(global: &Global, library: &mut Library, json: bool) -> Result {
    let reporter = Reporter {
        stop: stop_flag("stopping after the current file")?,
        json,
    };
    let Some(undone) = library.undo_action(&reporter)? else {
        if !json && !global.quiet {
            say!("there is nothing to undo");
        }
        return Ok(Outcome::Partial);
    };
    print_undone(global, &undone, json);
    Ok(if undone.interrupted {
        Outcome::Interrupted
    } else if undone.not_back > 0 {
        Outcome::Partial
    } else {
        Outcome::Done
    })
}

/// Returns the action with an absolute folder.
fn placed(action: &Action) -> Result<Action> {
    Ok(match action {
        Action::Move { to } => Action::Move {
            to: absolute_folder(to)
                .map_err(|error| format!("cannot move files to {}: {error}", to.display()))?,
        },
        other => other.clone(),
    })
}

fn print_plan(plan: &Plan, json: bool) {
    let verb = plan.action.name();
    for (number, group) in plan.groups.iter().enumerate() {
        if json {
            let line = |event: &str, path: &Path| {
                with_path(json!({"event": event, "group": number}), "path", path)
            };
            out!("{}", line("keep", &group.best.path));
            for step in &group.steps {
                let mut planned = line("planned", &step.member.path);
                planned["action"] = json!(verb);
                planned["bytes"] = json!(step.member.stat.size);
                if let Some(to) = &step.to {
                    planned = with_path(planned, "to", to);
                }
                out!("{planned}");
            }
            for (path, why) in &group.left_alone {
                let mut left = line("left_alone", path);
                left["reason"] = json!(why.to_string());
                out!("{left}");
            }
            continue;
        }
        out!("keep      {}", shown(&relative(&group.best.path)));
        for step in &group.steps {
            let path = shown(&relative(&step.member.path));
            match &step.to {
                Some(to) => out!("{verb:9} {path} to {}", shown(&relative(to))),
                None => out!("{verb:9} {path}"),
            }
        }
        for (path, why) in &group.left_alone {
            out!("leave     {}: {why}", shown(&relative(path)));
        }
        out!();
    }
}

/// Returns what would be done, in a line.
fn announced(plan: &Plan) -> String {
    let files = counted(plan.files(), "file", "files");
    let size = bytes(plan.bytes());
    match &plan.action {
        Action::Hardlink => format!("{files} ({size}) would become links to the kept ones"),
        Action::Move { to } => format!("{files} ({size}) would be moved to {}", shown(to)),
        _ => format!("{files} ({size}) would go to the trash"),
    }
}

/// Asks a person at the terminal, and returns whether the plan may be applied.
fn asked(plan: &Plan) -> bool {
    if !io::stdin().is_terminal() || !streams::is_watched() {
        return false;
    }
    let files = counted(plan.files(), "file", "files");
    let what = match &plan.action {
        Action::Hardlink => format!("Replace {files} by links"),
        Action::Move { to } => format!("Move {files} to {}", shown(to)),
        _ => format!("Move {files} to the trash"),
    };
    streams::question(format_args!(
        "{what}? imgsearch duplicates --undo brings them back. [y/N] "
    ));
    let mut answer = String::new();
    let answered = io::stdin().lock().read_line(&mut answer);
    answered.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn print_applied(global: &Global, plan: &Plan, applied: &Applied, json: bool) {
    if json {
        out!(
            "{}",
            json!({
                "event": "summary", "action": plan.action.name(), "done": applied.done,
                "bytes": applied.bytes, "left_alone": applied.left_alone,
                "interrupted": applied.interrupted,
            })
        );
        return;
    }
    if global.quiet {
        return;
    }
    let files = counted(applied.done, "file", "files");
    let size = bytes(applied.bytes);
    let mut text = match &plan.action {
        Action::Hardlink => format!("{files} ({size}) replaced by links"),
        Action::Move { to } => format!("{files} ({size}) moved to {}", shown(to)),
        _ => format!("{files} ({size}) moved to the trash"),
    };
    if applied.left_alone > 0 {
        text += &format!(", {} left alone", applied.left_alone);
    }
    say!("{text}");
    if applied.done > 0 {
        let words = ["duplicates", "--undo"].map(std::ffi::OsStr::new);
        say!("To undo this: {}", command(global.index.as_deref(), &words));
    }
}

fn print_undone(global: &Global, undone: &Undone, json: bool) {
    if json {
        out!(
            "{}",
            json!({
                "event": "summary", "action": undone.action, "began": undone.began, "back": undone.back,
                "not_back": undone.not_back, "closed": undone.closed,
                "unreadable_lines": undone.unreadable_lines, "interrupted": undone.interrupted,
            })
        );
        return;
    }
    if undone.unreadable_lines > 0 {
        say!(
            "{} of the undo log cannot be read; what they say was done cannot be undone",
            counted(undone.unreadable_lines, "line", "lines")
        );
    }
    if global.quiet {
        return;
    }
    say!(
        "{} brought back ({}, {} UTC)",
        counted(undone.back, "file", "files"),
        undone.action,
        moment(undone.began)
    );
    if undone.not_back == 0 {
        return;
    }
    let files = counted(undone.not_back, "file", "files");
    if undone.closed {
        say!("{files} cannot be brought back. The next --undo takes the action before this one");
    } else {
        say!("{files} could not be brought back. Correct this, and run it again to try once more");
    }
}

/// Prints what becomes of each file.
struct Reporter {
    stop: Arc<AtomicBool>,
    json: bool,
}

impl Progress for Reporter {
    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn acted(&self, path: &Path, outcome: &Acted) {
        let (event, why) = match outcome {
            Acted::Done { .. } => ("done", None),
            Acted::Back => ("back", None),
            Acted::LeftAlone(why) => ("left_alone", Some(why)),
            Acted::NotBack(why) => ("not_back", Some(why)),
            _ => return,
        };
        if self.json {
            let mut line = with_path(json!({"event": event}), "path", path);
            if let Some(why) = why {
                line["reason"] = json!(why.to_string());
            }
            if let Acted::Done { to: Some(to) } = outcome {
                line = with_path(line, "to", to);
            }
            out!("{line}");
        } else if let Some(why) = why {
            let path = shown(&relative(path));
            match outcome {
                Acted::NotBack(_) => say!("{path}: not brought back: {why}"),
                _ => say!("{path}: left alone: {why}"),
            }
        }
    }
}
