//! `imgsearch duplicates`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use imgsearch::Library;
use imgsearch::duplicates::action::{Group, Member};
use imgsearch::index::{Digest, Image};
use serde_json::json;

use super::args::{DuplicatesArgs, Global};
use super::output::{relative, shown, with_paths};
use super::setup::index_dir;
use super::streams::{out, say};
use super::{Outcome, Result, duplicates_action};

pub fn run(global: &Global, args: &DuplicatesArgs) -> Result {
    let mut library = Library::open(index_dir(global)?)?;
    if args.actions.undo {
        return duplicates_action::undo(global, &mut library, args.json);
    }
    let groups = identical(&library, &args.under)?;
    if args.actions.apply.is_some() {
        let wanted = duplicates_action::Wanted {
            args: &args.actions,
            under: &args.under,
            json: args.json,
        };
        return duplicates_action::apply(global, &mut library, &groups, &wanted);
    }
    for group in &groups {
        let members = group.members.iter();
        let paths: Vec<PathBuf> = members.map(|member| member.path.clone()).collect();
        if args.json {
            out!(
                "{}",
                with_paths(json!({"best": group.best}), "paths", &paths)
            );
        } else {
            paths
                .iter()
                .for_each(|path| out!("{}", shown(&relative(path))));
            out!();
        }
    }
    if groups.is_empty() && !args.json && !global.quiet {
        say!("no two files have the same content");
    }
    Ok(if groups.is_empty() {
        Outcome::Partial
    } else {
        Outcome::Done
    })
}

/// Returns the files of identical content, the oldest of each group first.
fn identical(library: &Library, under: &[PathBuf]) -> Result<Vec<Group>> {
    let under: Vec<PathBuf> = under
        .iter()
        .map(|path| library.stored_path(path))
        .collect::<imgsearch::Result<_>>()?;
    let is_chosen = |image: &Image| {
        let below = under.is_empty() || under.iter().any(|path| image.path.starts_with(path));
        below && image.away_since.is_none()
    };
    let mut contents: BTreeMap<Digest, Vec<Image>> = BTreeMap::new();
    for image in library.index_view()?.to_reader()?.all()? {
        if is_chosen(&image) {
            contents.entry(image.digest).or_default().push(image);
        }
    }
    let mut groups: Vec<Group> = contents
        .into_values()
        .filter(|images| images.len() > 1)
        .map(|mut images| {
            images.sort_by(|a, b| (a.stat.mtime_ns, &a.path).cmp(&(b.stat.mtime_ns, &b.path)));
            Group {
                members: images.iter().map(Member::from).collect(),
                best: 0,
            }
        })
        .collect();
    groups.sort_by(|a, b| a.members[0].path.cmp(&b.members[0].path));
    Ok(groups)
}
