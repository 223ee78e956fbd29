//! Programs that are run (Python and pip): which ones, in which folder, and with which environment.
//!
//! Neither the folder that a person stands in nor one that everybody can write to decides what is run.
//! A program is named by its absolute path, out of those folders of `PATH` that are absolute and not
//! everybody's; it runs in a folder without foreign files; and of the environment it sees what [`PASSED`],
//! [`PASSED_IF_ABSOLUTE`] and [`PASSED_LISTS`] name. A person's proxy, certificates, package index and pip
//! configuration are among those. What would have other code run is not: `PYTHONPATH`, `PYTHONHOME`,
//! `PYTHONSTARTUP`, `PIP_PYTHON`, `BASH_ENV`, `OPENSSL_CONF` and the like.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::trust::{distrust, distrust_folder};

/// Variables that are passed on, in upper and lower case.
const PASSED: &[&str] = &[
    // Who and where.
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "TZ",
    // The way out.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    // pip: if packages come from, who may have them, and how patient it is. What comes is compared with
    // the pinned hash, so that none of these can have other code run.
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_NO_INDEX",
    "PIP_FIND_LINKS",
    "PIP_TRUSTED_HOST",
    "PIP_PROXY",
    "PIP_TIMEOUT",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_RETRIES",
    "PIP_NO_CACHE_DIR",
    "PIP_KEYRING_PROVIDER",
    "PIP_USE_FEATURE",
    "PIP_USE_DEPRECATED",
    // Takes away from what Python loads.
    "PYTHONNOUSERSITE",
    // Which of the installed Pythons pyenv's and asdf's stand-ins run.
    "PYENV_VERSION",
    "ASDF_PYTHON_VERSION",
    // Has been obeyed already, by this process; proxies such as torsocks come this way.
    "LD_PRELOAD",
    "DYLD_INSERT_LIBRARIES",
    // What Windows' own programs need.
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "COMSPEC",
    "PATHEXT",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "PROGRAMFILES(X86)",
    "COMMONPROGRAMFILES",
    "PROCESSOR_ARCHITECTURE",
    "NUMBER_OF_PROCESSORS",
    "USERNAME",
    "USERDOMAIN",
];

/// Variables with one path, which are passed on if that is absolute: a relative one would be looked for in the
/// folder that a person stands in.
const PASSED_IF_ABSOLUTE: &[&str] = &[
    "HOME",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "PIP_CONFIG_FILE",
    "PIP_CACHE_DIR",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NIX_SSL_CERT_FILE",
    "NETRC",
    "PYENV_ROOT",
    "ASDF_DIR",
    "ASDF_DATA_DIR",
];

/// Variables with a list of folders, of which the trusted ones are passed on. Some Pythons need them to find
/// their own library. An empty part of such a list means the folder that a person stands in.
const PASSED_LISTS: &[&str] = &[
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "XDG_CONFIG_DIRS",
];

/// Where programs are looked for.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    folders: Vec<PathBuf>,
}

impl Programs {
    /// Those of the environment's `PATH`.
    pub fn of_environment() -> Self {
        Self::on(&env::var_os("PATH").unwrap_or_default())
    }

    /// Those of a list of folders.
    pub fn on(path: &OsStr) -> Self {
        Self {
            folders: trusted_folders(path),
        }
    }

    /// The absolute path of a program.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let name = format!("{name}{}", env::consts::EXE_SUFFIX);
        self.folders
            .iter()
            .map(|folder| folder.join(&name))
            .find(|path| is_program(path) && distrust(path).is_none())
    }

    /// A command of that program, to run in `folder` with the environment cleaned.
    pub fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .env_clear()
            .envs(passed(env::vars_os()))
            // Python from 3.11 on then keeps its working folder off its path; an older one finds nothing there.
            .env("PYTHONSAFEPATH", "1")
            // Nothing is written next to foreign files.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null());
        if let Ok(path) = env::join_paths(&self.folders) {
            command.env("PATH", path);
        }
        command
    }
}

fn is_program(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    }
    // The stand-ins of Windows' shop are no plain files.
    #[cfg(not(unix))]
    path.symlink_metadata()
        .is_ok_and(|metadata| !metadata.is_dir())
}

/// The folders of a list, such as `PATH`, that may decide what is run or loaded.
pub(super) fn trusted_folders(list: &OsStr) -> Vec<PathBuf> {
    env::split_paths(list)
        // An empty part means the folder that a person stands in.
        .filter(|folder| distrust_folder(folder).is_none())
        .collect()
}

/// What of the environment is passed on.
fn passed(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    variables.filter_map(|(name, value)| {
        let text = name.to_str()?;
        let among = |names: &[&str]| names.iter().any(|own| own.eq_ignore_ascii_case(text));
        if among(PASSED) || text.starts_with("LC_") {
            return Some((name, value));
        }
        if among(PASSED_IF_ABSOLUTE) {
            return Path::new(&value).is_absolute().then_some((name, value));
        }
        if among(PASSED_LISTS) {
            let trusted = env::join_paths(trusted_folders(&value)).ok()?;
            return (!trusted.is_empty()).then_some((name, trusted));
        }
        None
    })
}

/// A folder without foreign files, to run a program in that writes nothing there.
pub(super) fn neutral_folder(program: &Path) -> &Path {
    if cfg!(unix) {
        Path::new("/")
    } else {
        // What lies beside a program was put there by whoever installed it.
        program.parent().unwrap_or(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed_of(name: &str, value: &str) -> Option<String> {
        let one = std::iter::once((OsString::from(name), OsString::from(value)));
        passed(one)
            .next()
            .map(|(_, value)| value.into_string().unwrap())
    }

    #[test]
    fn ways_to_packages_are_passed_on_and_ways_to_code_are_not() {
        for (name, value) in [
            ("https_proxy", "http://proxy:3128"),
            ("HTTPS_PROXY", "http://proxy:3128"),
            ("PIP_INDEX_URL", "https://mirror/simple"),
            ("PIP_FIND_LINKS", "/srv/wheels"),
            ("LC_ALL", "C.UTF-8"),
        ] {
            assert_eq!(passed_of(name, value).as_deref(), Some(value), "{name}");
        }
        for name in [
            "PYTHONPATH",
            "PYTHONHOME",
            "PYTHONSTARTUP",
            "PYTHONUSERBASE",
            "PYTHONINSPECT",
            "PIP_PYTHON",
            "PIP_TARGET",
            "PIP_REQUIREMENT",
            "PIP_NO_BINARY",
            "BASH_ENV",
            "ENV",
            "OPENSSL_CONF",
            "PYENV_DIR",
            "PATH",
        ] {
            assert_eq!(passed_of(name, "/x"), None, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_depends_on_the_working_folder_is_not_passed_on() {
        assert_eq!(passed_of("PIP_CONFIG_FILE", "pip.conf"), None);
        assert_eq!(passed_of("HOME", "."), None);
        assert_eq!(
            passed_of("PIP_CONFIG_FILE", "/etc/pip.conf").unwrap(),
            "/etc/pip.conf"
        );
        assert_eq!(
            passed_of("LD_LIBRARY_PATH", ":/usr/lib:lib:").unwrap(),
            "/usr/lib"
        );
        assert_eq!(passed_of("LD_LIBRARY_PATH", ":"), None);
    }

    #[cfg(unix)]
    #[test]
    fn programs_come_from_absolute_folders_that_are_not_everybodys() {
        use std::fs::{self, Permissions};
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().unwrap();
        let make = |folder: &str, folder_mode| {
            let folder = dir.path().join(folder);
            fs::create_dir(&folder).unwrap();
            let program = folder.join("python3");
            fs::write(&program, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(folder_mode)).unwrap();
            folder
        };
        let (open, sticky, own) = (
            make("open", 0o777),
            make("sticky", 0o1777),
            make("own", 0o755),
        );
        let on = |folders: &[&Path]| Programs::on(&env::join_paths(folders).unwrap());
        let (empty, here) = (Path::new(""), Path::new("."));
        assert_eq!(on(&[empty, here, &open, &sticky]).find("python3"), None);
        assert_eq!(
            on(&[empty, here, &open, &sticky, &own]).find("python3"),
            Some(own.join("python3"))
        );
        // A file that is no program is passed over, as a shell does.
        fs::set_permissions(own.join("python3"), Permissions::from_mode(0o644)).unwrap();
        assert_eq!(on(&[&own]).find("python3"), None);
    }
}
