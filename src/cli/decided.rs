//! Files that a person chose to put away, as the page of `serve` lists them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use imgsearch::duplicates::action::{Group, Member};

use super::output::{counted, shown};
use super::streams::say;
use super::{Result, file_list};

/// Files that are named, up to this number of them.
const MOST_NAMED: usize = 5;

/// The files of a list.
pub struct Decided {
    paths: HashSet<PathBuf>,
}

impl Decided {
    /// Reads a list. Relative paths lie in the current folder.
    pub fn read(list: &Path) -> Result<Self> {
        let paths = file_list::read_either(list)?.into_iter();
        let paths = paths
            .map(std::path::absolute)
            .collect::<std::io::Result<HashSet<PathBuf>>>()
            .map_err(|error| format!("the list {} cannot be used: {error}", shown(list)))?;
        if paths.is_empty() {
            return Err(format!("the list {} names no file", shown(list)).into());
        }
        Ok(Self { paths })
    }

    /// Returns the groups with the listed files and one that stays: the best that is not listed. Says which files are
    /// left alone, because none would stay or because they are no duplicates, and returns their number, too.
    pub fn only(&self, groups: &[Group]) -> (Vec<Group>, usize) {
        let mut known = HashSet::new();
        let mut last = Vec::new();
        let mut chosen = Vec::new();
        for group in groups {
            let is_listed = |member: &&Member| self.paths.contains(&member.path);
            let listed: Vec<Member> = group.members.iter().filter(is_listed).cloned().collect();
            if listed.is_empty() {
                continue;
            }
            known.extend(listed.iter().map(|member| member.path.clone()));
            let best = group.members.get(group.best);
            // The better come before the worse.
            let stays = best
                .into_iter()
                .chain(&group.members)
                .find(|member| !is_listed(member));
            match stays {
                Some(stays) => chosen.push(Group {
                    members: std::iter::once(stays.clone()).chain(listed).collect(),
                    best: 0,
                }),
                None => last.extend(listed.into_iter().map(|member| member.path)),
            }
        }
        let strange: Vec<PathBuf> = self.paths.difference(&known).cloned().collect();
        let left = last.len() + strange.len();
        say_left(
            last,
            "the list names every file of its group, and one stays",
        );
        say_left(strange, "it is not among the duplicates that were found");
        (chosen, left)
    }
}

fn say_left(mut paths: Vec<PathBuf>, why: &str) {
    paths.sort();
    for path in paths.iter().take(MOST_NAMED) {
        say!("{}: left alone: {why}", shown(path));
    }
    let unnamed = paths.len().saturating_sub(MOST_NAMED);
    if unnamed > 0 {
        say!(
            "{} more left alone: {why}",
            counted(unnamed, "file", "files")
        );
    }
}
