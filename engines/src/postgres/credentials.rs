//! Who connects: the URL, the environment and `~/.pgpass`, in this order, as PostgreSQL's own programs do.

use std::fs;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Adds the user and the password that the URL does not name.
pub fn complete(config: &mut Config) {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if config.get_user().is_none() {
        let user = variable("PGUSER").or_else(|| variable("USER"));
        if let Some(user) = user.or_else(|| variable("USERNAME")) {
            config.user(user);
        }
    }
    if config.get_password().is_some() {
        return;
    }
    if let Some(password) = variable("PGPASSWORD") {
        config.password(password);
        return;
    }
    let Some(file) = variable("PGPASSFILE")
        .map(PathBuf::from)
        .or_else(default_file)
    else {
        return;
    };
    if let Some(text) = read_private(&file)
        && let Some(password) = password_in(&text, config)
    {
        config.password(password);
    }
}

fn default_file() -> Option<PathBuf> {
    if cfg!(windows) {
        let data = std::env::var_os("APPDATA")?;
        return Some(Path::new(&data).join("postgresql").join("pgpass.conf"));
    }
    Some(Path::new(&std::env::var_os("HOME")?).join(".pgpass"))
}

/// Reads a file of passwords. One that others can read is not used.
fn read_private(file: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(file).ok()?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(
                "{} is not used: others can read it; chmod 600 corrects this",
                file.display()
            );
            return None;
        }
    }
    fs::read_to_string(file).ok()
}

/// Returns the password of the first line that fits: `host:port:database:user:password`, where `*` fits anything and
/// a backslash makes a colon or a backslash an ordinary character.
fn password_in(text: &str, config: &Config) -> Option<String> {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            // As in PostgreSQL's programs, the host of a socket.
            #[cfg(unix)]
            Host::Unix(_) => "localhost".to_owned(),
        })
        .collect();
    let user = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(user);
    let ports = config.get_ports();
    text.lines().find_map(|line| {
        if line.starts_with('#') {
            return None;
        }
        let [host, port, of_database, of_user, password] = &fields(line)[..] else {
            return None;
        };
        let fits = |field: &str, is: &str| field == "*" || field == is;
        let host_fits = host == "*" || hosts.iter().any(|is| is == host);
        let port_fits = port == "*"
            || match ports {
                [] => port == "5432",
                ports => ports.iter().any(|is| is.to_string() == *port),
            };
        let fits = host_fits && port_fits && fits(of_database, database) && fits(of_user, user);
        fits.then(|| password.clone())
    })
}

/// Splits a line at its colons. The password is the rest.
fn fields(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => field.extend(characters.next()),
            ':' if fields.len() < 4 => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str, url: &str) -> Option<String> {
        password_in(text, &url.parse().unwrap())
    }

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# comment\nhost:5432:db:me:first\nhost:*:*:me:second\n*:*:*:*:a\\:b:c\n";
        let of = |url| password(text, url);
        assert_eq!(of("postgres://me@host/db").as_deref(), Some("first"));
        assert_eq!(of("postgres://me@host:99/db").as_deref(), Some("second"));
        assert_eq!(of("postgres://me@host/other").as_deref(), Some("second"));
        assert_eq!(of("postgres://you@elsewhere/x").as_deref(), Some("a:b:c"));
        assert_eq!(password("host:5432:db:me", "postgres://me@host/db"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pgpass");
        fs::write(&file, "*:*:*:*:x").unwrap();
        for (mode, used) in [(0o600, true), (0o644, false)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_private(&file).is_some(), used);
        }
    }
}
