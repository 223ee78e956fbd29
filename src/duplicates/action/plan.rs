//! The plan: what would be done to which file, without touching any.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::checked::{is_same_file, plain};
use super::{Action, Group, Member, Why};

/// How a plan is made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlanOptions {
    /// What is to be done.
    pub action: Action,
    /// Folders whose files are never touched. The best file of a group is one of these, if the group has one.
    pub reference: Vec<PathBuf>,
    /// Folders whose files may be touched. Default (none): all.
    pub under: Vec<PathBuf>,
    /// The indexed folders: what is moved keeps its place relative to them.
    pub roots: Vec<PathBuf>,
}

impl PlanOptions {
    /// Returns options without folders.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            reference: Vec::new(),
            under: Vec::new(),
            roots: Vec::new(),
        }
    }
}

/// What would be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// What is to be done.
    pub action: Action,
    /// The groups, in the order in which they were given.
    pub groups: Vec<PlannedGroup>,
}

/// What would be done with the files of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedGroup {
    /// The file that stays.
    pub best: Member,
    /// The files that would be touched.
    pub steps: Vec<Step>,
    /// The files that would be left alone, and why.
    pub left_alone: Vec<(PathBuf, Why)>,
}

/// A file that would be touched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The file.
    pub member: Member,
    /// Where it would be moved to. If that name is taken by then, it gets another.
    pub to: Option<PathBuf>,
}

impl Plan {
    /// Plans an action. No file is read or changed; what the system says of the files decides, and each is read once
    /// more before it is touched.
    pub fn new(groups: &[Group], options: &PlanOptions) -> Self {
        let planner = Planner::new(groups, options);
        let mut taken = HashSet::new();
        let groups = groups
            .iter()
            .filter_map(|group| planner.group(group, &mut taken))
            .collect();
        Self {
            action: options.action.clone(),
            groups,
        }
    }

    /// Returns the number of files that would be touched.
    pub fn files(&self) -> usize {
        self.groups.iter().map(|group| group.steps.len()).sum()
    }

    /// Returns the number of bytes of the files that would be touched.
    pub fn bytes(&self) -> u64 {
        let steps = self.groups.iter().flat_map(|group| &group.steps);
        steps.map(|step| step.member.stat.size).sum()
    }
}

/// A folder that an option names: as it is stored, and without links.
struct Folder {
    stored: PathBuf,
    real: Option<PathBuf>,
}

impl Folder {
    fn all(paths: &[PathBuf]) -> Vec<Self> {
        let folder = |path: &PathBuf| Self {
            stored: path.clone(),
            real: fs::canonicalize(path).ok(),
        };
        paths.iter().map(folder).collect()
    }

    fn holds(&self, path: &Path, real: Option<&Path>) -> bool {
        let holds_real = |(folder, path): (&PathBuf, &Path)| path.starts_with(folder);
        path.starts_with(&self.stored) || self.real.as_ref().zip(real).is_some_and(holds_real)
    }
}

struct Planner<'a> {
    options: &'a PlanOptions,
    reference: Vec<Folder>,
    under: Vec<Folder>,
    target: Vec<Folder>,
    /// What moved files keep their place relative to.
    base: Option<PathBuf>,
    /// How many groups have a path.
    groups_of: HashMap<&'a Path, usize>,
}

impl<'a> Planner<'a> {
    fn new(groups: &'a [Group], options: &'a PlanOptions) -> Self {
        let mut groups_of = HashMap::new();
        for member in groups.iter().flat_map(|group| &group.members) {
            *groups_of.entry(member.path.as_path()).or_default() += 1;
        }
        let target = match &options.action {
            Action::Move { to } => Folder::all(std::slice::from_ref(to)),
            _ => Vec::new(),
        };
        Self {
            options,
            reference: Folder::all(&options.reference),
            under: Folder::all(&options.under),
            target,
            base: common_folder(&options.roots),
            groups_of,
        }
    }

    /// Plans one group; `None` if it has no best file. `taken` are the real paths that a step has already.
    fn group(&self, group: &Group, taken: &mut HashSet<PathBuf>) -> Option<PlannedGroup> {
        let best = group.members.get(self.best(group)?)?;
        let mut planned = PlannedGroup {
            best: best.clone(),
            steps: Vec::new(),
            left_alone: Vec::new(),
        };
        let there = self.usable(best).map_err(|why| Why::Best {
            best: best.path.clone(),
            why: Box::new(why),
        });
        for member in &group.members {
            if member.path == best.path {
                continue;
            }
            let judged = there
                .clone()
                .and_then(|there| self.judge(member, best, &there))
                .and_then(|real| {
                    // Several links may lead to one file.
                    if taken.insert(real.clone()) {
                        Ok(())
                    } else {
                        Err(Why::SameFile { of: real })
                    }
                });
            match judged {
                Ok(()) => planned.steps.push(Step {
                    to: self.target(&member.path),
                    member: member.clone(),
                }),
                Err(why) => planned.left_alone.push((member.path.clone(), why)),
            }
        }
        Some(planned)
    }

    /// Returns the place of the file that stays: one of a reference folder, if there is one.
    fn best(&self, group: &Group) -> Option<usize> {
        let is_reference = |member: &Member| self.is_reference(&member.path);
        let given = group.members.get(group.best)?;
        if is_reference(given) {
            return Some(group.best);
        }
        let reference = group.members.iter().position(is_reference);
        Some(reference.unwrap_or(group.best))
    }

    fn is_reference(&self, path: &Path) -> bool {
        let real = real_path(path);
        let mut folders = self.reference.iter();
        folders.any(|folder| folder.holds(path, real.as_deref()))
    }

    /// Returns what the system says of a file that may be what was indexed.
    fn usable(&self, member: &Member) -> Result<Metadata, Why> {
        let metadata = plain(&member.path)?;
        if metadata.len() != member.stat.size {
            return Err(Why::Changed);
        }
        Ok(metadata)
    }

    /// Returns the real path of a file that may be touched, or why it may not.
    fn judge(&self, member: &Member, best: &Member, there: &Metadata) -> Result<PathBuf, Why> {
        let path = &member.path;
        let metadata = self.usable(member)?;
        let real = real_path(path).ok_or(Why::Gone)?;
        let lies_in = |folders: &[Folder]| {
            let mut folders = folders.iter();
            folders.any(|folder| folder.holds(path, Some(&real)))
        };
        if lies_in(&self.reference) {
            return Err(Why::Reference);
        }
        if !self.under.is_empty() && !lies_in(&self.under) {
            return Err(Why::Outside);
        }
        if lies_in(&self.target) {
            return Err(Why::AlreadyThere);
        }
        if is_same_file(path, &best.path) {
            return Err(Why::SameFile {
                of: best.path.clone(),
            });
        }
        if self.groups_of.get(path.as_path()).is_some_and(|&n| n > 1) {
            return Err(Why::InAnotherGroup);
        }
        if self.options.action == Action::Hardlink {
            self.judge_link(member, best, &metadata, there)?;
        }
        Ok(real)
    }

    fn judge_link(
        &self,
        member: &Member,
        best: &Member,
        metadata: &Metadata,
        there: &Metadata,
    ) -> Result<(), Why> {
        if member.digest != best.digest {
            return Err(Why::OtherContent {
                best: best.path.clone(),
            });
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            if metadata.dev() != there.dev() {
                return Err(Why::OtherDisk {
                    best: best.path.clone(),
                });
            }
            if (metadata.uid(), metadata.gid()) != (there.uid(), there.gid()) {
                return Err(Why::OtherOwner {
                    best: best.path.clone(),
                });
            }
        }
        #[cfg(not(unix))]
        let _ = (metadata, there);
        Ok(())
    }

    /// Returns where a file is moved to.
    fn target(&self, path: &Path) -> Option<PathBuf> {
        let Action::Move { to } = &self.options.action else {
            return None;
        };
        let below = self
            .base
            .as_ref()
            .and_then(|base| path.strip_prefix(base).ok());
        let below = below.unwrap_or(path);
        // Without a drive and a root, so that it stays below the target.
        let names = below.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        Some(to.join(names.collect::<PathBuf>()))
    }
}

/// Returns the path without links in its folder: a link at its end keeps its name, as when it is removed.
pub(super) fn real_path(path: &Path) -> Option<PathBuf> {
    let folder = fs::canonicalize(path.parent()?).ok()?;
    Some(folder.join(path.file_name()?))
}

/// Returns the deepest folder that holds all roots; a root that is a file counts with its folder.
fn common_folder(roots: &[PathBuf]) -> Option<PathBuf> {
    let folder = |root: &PathBuf| -> PathBuf {
        let is_file = fs::metadata(root).is_ok_and(|metadata| metadata.is_file());
        match root.parent() {
            Some(parent) if is_file => parent.to_owned(),
            _ => root.clone(),
        }
    };
    roots.iter().map(folder).reduce(|shared, root| {
        let both = shared.components().zip(root.components());
        both.take_while(|(one, other)| one == other)
            .map(|(one, _)| one)
            .collect()
    })
}

/// Returns the absolute path of a folder that need not exist, without links as far as it exists.
///
/// # Errors
///
/// If the working folder cannot be determined, or something else than a folder is there.
pub fn absolute_folder(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    for place in absolute.ancestors() {
        match fs::canonicalize(place) {
            Ok(real) => {
                let rest = absolute.strip_prefix(place).unwrap_or(Path::new(""));
                // Below what does not exist, nobody knows where this leads.
                if rest.components().any(|part| part == Component::ParentDir) {
                    return Err(io::Error::from(io::ErrorKind::NotFound));
                }
                let folder = if rest.as_os_str().is_empty() {
                    real
                } else {
                    real.join(rest)
                };
                if folder.exists() && !folder.is_dir() {
                    return Err(io::Error::from(io::ErrorKind::NotADirectory));
                }
                return Ok(folder);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_moved_keeps_its_place_below_all_roots() {
        let target = |roots: &[&str], path: &str| {
            let mut options = PlanOptions::new(Action::Move {
                to: "/target".into(),
            });
            options.roots = roots.iter().map(PathBuf::from).collect();
            let planner = Planner::new(&[], &options);
            planner.target(Path::new(path)).unwrap()
        };
        for (roots, path, to) in [
            (&["/p"][..], "/p/2019/a.jpg", "/target/2019/a.jpg"),
            (&["/p", "/p/2019"], "/p/2019/a.jpg", "/target/2019/a.jpg"),
            (&["/p/a", "/p/b"], "/p/b/a.jpg", "/target/b/a.jpg"),
            (&["/p", "/q"], "/q/a.jpg", "/target/q/a.jpg"),
            (&["/p"], "/elsewhere/a.jpg", "/target/elsewhere/a.jpg"),
            (&[], "/p/a.jpg", "/target/p/a.jpg"),
        ] {
            assert_eq!(target(roots, path), Path::new(to), "{roots:?} {path}");
        }
    }

    #[test]
    fn a_folder_to_move_to_need_not_exist_and_must_not_be_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        let new = dir.path().join("not/yet");
        assert_eq!(absolute_folder(&new).unwrap(), real.join("not/yet"));
        assert_eq!(absolute_folder(dir.path()).unwrap(), real);
        let unclear = dir.path().join("not/../yet");
        assert!(absolute_folder(&unclear).is_err());
        fs::write(dir.path().join("file"), "").unwrap();
        for file in ["file", "file/below"] {
            let error = absolute_folder(&dir.path().join(file)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{file}");
        }
    }
}
