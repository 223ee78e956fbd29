//! Disks that come and go under Linux.
//!
//! A disk that is mounted or unmounted is not a change of a folder, so [`super::source`] does not report it, and
//! what was watched on it is not watched any more. The kernel says when its table of mounts changes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};

use super::Shared;

/// The kernel's table of mounts, as this process sees it.
const TABLE: &str = "/proc/self/mountinfo";

/// Kinds of file systems that other machines, or programs, change without a report: NFS, SMB, CIFS, FUSE (which
/// includes sshfs and virtiofs), 9P, AFS, Ceph, Coda, Lustre, OCFS2, GFS2 and the folders of VirtualBox. The numbers
/// are those of the kernel's `magic.h` and of each file system's sources.
const SILENT: [u32; 16] = [
    0x6969,
    0x517B,
    0xFF53_4D42,
    0xFE53_4D42,
    0x6573_5546,
    0x0102_1997,
    0x5346_414F,
    0x6B41_4653,
    0x00C3_6400,
    0x7375_7245,
    0x0BD0_0BD0,
    0x7461_636F,
    0x0116_1970,
    0x786F_4256,
    0x564C,
    0x0BD0_0BD1,
];

/// Returns whether the file system of a path may change without a report of the system.
pub(crate) fn is_silent(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stats| {
        // The type of the field differs between processors; the numbers have 32 bits.
        let kind = (stats.f_type as u64 & 0xFFFF_FFFF) as u32;
        SILENT.contains(&kind)
    })
}

/// A thread that tells when the table of mounts changes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Mounts {
    /// When this closes, the thread ends.
    _stop: OwnedFd,
}

impl Mounts {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If the table cannot be read or the thread cannot be started.
    pub fn follow(shared: Arc<Shared>) -> io::Result<Self> {
        let table = File::open(TABLE)?;
        let (stopped, stop) = rustix::pipe::pipe()?;
        std::thread::Builder::new()
            .name("mounts".to_owned())
            .spawn(move || {
                loop {
                    let mut polled = [
                        PollFd::new(&table, PollFlags::PRI),
                        PollFd::new(&stopped, PollFlags::IN),
                    ];
                    match poll(&mut polled, None) {
                        Ok(_) if polled[1].revents().is_empty() => {
                            shared.tell(|state| state.mounts_changed = true);
                        }
                        Err(rustix::io::Errno::INTR) => {}
                        _ => return,
                    }
                }
            })?;
        Ok(Self { _stop: stop })
    }
}

/// Returns the mounts that concern indexed folders, each given by its path and real path: for the path to look at,
/// what is mounted there.
pub(crate) fn near(roots: &[(PathBuf, PathBuf)]) -> BTreeMap<PathBuf, Vec<String>> {
    let table = fs::read_to_string(TABLE).unwrap_or_default();
    near_in(&table, roots)
}

fn near_in(table: &str, roots: &[(PathBuf, PathBuf)]) -> BTreeMap<PathBuf, Vec<String>> {
    let mut near: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for line in table.lines() {
        // Identifier, parent, device, root in the file system, mount point, …
        let fields: Vec<&str> = line.split(' ').take(5).collect();
        let [id, _, device, _, point] = fields[..] else {
            continue;
        };
        let point = PathBuf::from(unescaped(point));
        for (root, real) in roots {
            let place = match point.strip_prefix(real) {
                Ok(rest) if rest.as_os_str().is_empty() => root.clone(),
                Ok(rest) => root.join(rest),
                Err(_) if real.starts_with(&point) => root.clone(),
                Err(_) => continue,
            };
            near.entry(place)
                .or_default()
                .push(format!("{id} {device}"));
        }
    }
    near
}

/// Undoes the escapes of the table: a backslash and three octal digits.
fn unescaped(text: &str) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt;
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, more)) = rest.split_first() {
        let code = more.get(..3).filter(|_| first == b'\\');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[3..];
            }
            None => {
                bytes.push(first);
                rest = more;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_above_and_below_a_root_concern_it() {
        let table = "\
21 1 8:1 / / rw - ext4 /dev/sda1 rw
30 21 8:17 / /data/my\\040photos/disk rw - ext4 /dev/sdb1 rw
31 21 8:33 / /data rw,nosuid shared:2 - ext4 /dev/sdc1 rw
32 21 8:49 / /datab rw - ext4 /dev/sdd1 rw
33 21 0:5 / /other rw - nfs4 server:/x rw
broken
";
        let roots = [(PathBuf::from("/p"), PathBuf::from("/data/my photos"))];
        let near = near_in(table, &roots);
        let expected = BTreeMap::from([
            (
                PathBuf::from("/p"),
                vec!["21 8:1".to_owned(), "31 8:33".to_owned()],
            ),
            (PathBuf::from("/p/disk"), vec!["30 8:17".to_owned()]),
        ]);
        assert_eq!(near, expected);
        assert_eq!(unescaped("a\\011b\\9\\"), "a\tb\\9\\");
        // The one of this machine can be read.
        let all = super::near(&[(PathBuf::from("/"), PathBuf::from("/"))]);
        assert!(!all.is_empty());
    }

    #[test]
    fn disks_of_this_machine_report_changes() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_silent(&dir.path().join("nothing")));
        assert!(SILENT.contains(&(rustix::fs::NFS_SUPER_MAGIC as u32)));
    }

    #[test]
    fn the_thread_ends_when_it_is_dropped() {
        let shared = Arc::new(Shared::default());
        drop(Mounts::follow(Arc::clone(&shared)).unwrap());
        while Arc::strong_count(&shared) > 1 {
            std::thread::yield_now();
        }
    }
}
