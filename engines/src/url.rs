//! URLs of collections, what may be shown of them, and ids that all machines agree on.

use std::path::Path;

use imgsearch_index::collection::to_bytes;
use imgsearch_index::{Digest, Error, ImageId, Result};

/// The longest name of a collection: a table's name has it in it.
const MAX_NAME: usize = 40;

/// The name whose table lists all collections.
const RESERVED: &str = "collections";

/// Which server a URL means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Postgres,
    Milvus,
}

/// A URL of a collection, in parts.
#[derive(Clone)]
#[cfg_attr(not(all(feature = "milvus", feature = "postgres")), allow(dead_code))]
pub struct CollectionUrl {
    pub scheme: Scheme,
    /// The collection's name.
    pub name: String,
    /// The certificates to trust, if the URL names a file.
    pub root_certificates: Option<String>,
    /// `user:password` or a token, if it is not a part of `server`.
    pub credentials: Option<String>,
    /// The database at the server, if it is not a part of `server`.
    pub database: Option<String>,
    /// The URL without what is ours, for the server's client. It may hold a password.
    pub server: String,
    /// The URL for people, without a password.
    pub place: String,
}

/// Returns whether a text is the URL of a collection rather than a folder.
pub fn is_url(text: &str) -> bool {
    scheme_of(text).is_some()
}

fn scheme_of(text: &str) -> Option<Scheme> {
    let (scheme, _) = text.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "postgres" | "postgresql" => Some(Scheme::Postgres),
        "milvus" | "milvuss" => Some(Scheme::Milvus),
        _ => None,
    }
}

/// Returns a URL without its password, to be shown. Anything else is returned as it is.
pub fn redacted(text: &str) -> String {
    if !is_url(text) {
        return text.to_owned();
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let end = rest.find('/').unwrap_or(rest.len());
    // An unescaped `@` or `/` in a password must not leave a part of it in what is shown.
    let end = rest.rfind('@').map_or(end, |at| end.max(at));
    let (authority, path) = rest.split_at(end);
    let (authority, path) = match path.strip_prefix('@') {
        Some(_) => (rest, ""),
        None => (authority, path),
    };
    let is_milvus = scheme_of(text) == Some(Scheme::Milvus);
    let shown = match authority.rsplit_once('@') {
        // Without a password it is a token.
        Some((token, host)) if is_milvus && !token.contains(':') => format!("***@{host}"),
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_owned(),
    };
    let query = query.map_or_else(String::new, |query| {
        let parts = query.split('&').map(|part| match part.split_once('=') {
            Some((key, _))
                if ["pass", "token"]
                    .iter()
                    .any(|secret| key.to_ascii_lowercase().contains(secret)) =>
            {
                format!("{key}=***")
            }
            _ => part.to_owned(),
        });
        format!("?{}", parts.collect::<Vec<_>>().join("&"))
    });
    format!("{scheme}://{shown}{path}{query}")
}

impl CollectionUrl {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if it names no collection, or not in the way of its server.
    pub fn parse(text: &str) -> Result<Self> {
        let place = redacted(text);
        let Some(scheme) = scheme_of(text) else {
            return Err(wrong(
                Scheme::Postgres,
                &place,
                "is not the URL of a collection",
            ));
        };
        let (server, query) = text.split_once('?').unwrap_or((text, ""));
        match scheme {
            Scheme::Postgres => Self::of_postgres(server, query, place),
            Scheme::Milvus => Self::of_milvus(server, query, place),
        }
    }

    fn of_postgres(server: &str, query: &str, place: String) -> Result<Self> {
        let (mut name, mut root_certificates) = (None, None);
        let mut rest = form_urlencoded::Serializer::new(String::new());
        let mut verifies = false;
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "collection" => name = Some(value.into_owned()),
                "sslrootcert" => root_certificates = Some(value.into_owned()),
                // A certificate is always verified.
                "sslmode" if value.starts_with("verify-") => verifies = true,
                _ => {
                    rest.append_pair(&key, &value);
                }
            }
        }
        if verifies {
            rest.append_pair("sslmode", "require");
        }
        let Some(name) = name else {
            return Err(wrong(Scheme::Postgres, &place, "names no collection"));
        };
        if name == RESERVED {
            return Err(wrong(
                Scheme::Postgres,
                &place,
                &format!("names the collection {RESERVED:?}, which is reserved"),
            ));
        }
        check_name(Scheme::Postgres, &place, &name)?;
        let rest = rest.finish().replace('+', "%20");
        let server = match rest.is_empty() {
            true => server.to_owned(),
            false => format!("{server}?{rest}"),
        };
        Ok(Self {
            scheme: Scheme::Postgres,
            name,
            root_certificates,
            credentials: None,
            database: None,
            server,
            place,
        })
    }

    fn of_milvus(server: &str, query: &str, place: String) -> Result<Self> {
        let wrong = |why: &str| Err(wrong(Scheme::Milvus, &place, why));
        let (word, rest) = server.split_once("://").unwrap_or(("", server));
        let Some((authority, name)) = rest.rsplit_once('/') else {
            return wrong("names no collection");
        };
        check_name(Scheme::Milvus, &place, name)?;
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, authority),
        };
        if host.is_empty() || host.contains('/') {
            return wrong("names no host");
        }
        let mut is_tls = word.eq_ignore_ascii_case("milvuss");
        let (mut root_certificates, mut database) = (None, None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match (&*key, &*value) {
                ("tls", "1" | "true") => is_tls = true,
                ("tls", "0" | "false") => is_tls = false,
                ("sslrootcert", _) => root_certificates = Some(value.into_owned()),
                ("database", _) => database = Some(value.into_owned()),
                _ => return wrong(&format!("has the unknown option {key:?}")),
            }
        }
        // After the brackets of an address of IPv6.
        let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
        let port = if has_port { "" } else { ":19530" };
        let protocol = if is_tls { "https" } else { "http" };
        Ok(Self {
            scheme: Scheme::Milvus,
            name: name.to_owned(),
            root_certificates,
            credentials: credentials.map(decoded),
            database,
            server: format!("{protocol}://{host}{port}"),
            place,
        })
    }
}

/// Returns the error of a URL, with how one is written.
fn wrong(scheme: Scheme, place: &str, why: &str) -> Error {
    let how = match scheme {
        Scheme::Postgres => "postgres://USER@HOST:PORT/DATABASE?collection=NAME",
        Scheme::Milvus => "milvus://USER:PASSWORD@HOST:19530/NAME",
    };
    Error::InvalidInput(format!("{place} {why}: write it as {how}"))
}

fn check_name(scheme: Scheme, place: &str, name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(allowed) {
        return Err(wrong(
            scheme,
            place,
            &format!(
                "names the collection {name:?}, and a name has 1 to {MAX_NAME} of a to z, 0 to 9 and _"
            ),
        ));
    }
    Ok(())
}

/// Returns what is written with escapes in a URL.
fn decoded(text: &str) -> String {
    // A plus is no space here.
    let text = text
        .replace('+', "%2B")
        .replace('=', "%3D")
        .replace('&', "%26");
    let mut parts = form_urlencoded::parse(text.as_bytes());
    parts
        .next()
        .map_or_else(String::new, |(key, _)| key.into_owned())
}

/// Returns the id of an image in a shared collection: 63 bits of the BLAKE3 of its content's digest and its path. Of
/// a hundred million images, two share an id with a probability of 1 in 1,800 (n² / 2⁶⁴).
///
/// # Errors
///
/// As [`to_bytes`].
pub fn shared_id(digest: &Digest, path: &Path) -> Result<ImageId> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(digest).update(to_bytes(path)?);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    Ok(ImageId(i64::from_le_bytes(first) & i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "postgres://me:s3cret@host:5432/db?collection=a",
            "postgresql://me:s3cret@host/db?sslmode=require&password=s3cret",
            "POSTGRES://me:s3cret@host",
            "postgres://me:s3cret/with@slash@host/db",
            "postgres://me:s3cret@with-at@host/db",
            "milvus://root:s3cret@host:19530/a",
            "milvus://root:s3cret/with@slash@host:19530/a",
            "milvuss://s3cret@host/a?token=s3cret",
        ] {
            let shown = redacted(url);
            assert!(
                !shown.contains("s3cret") && !shown.contains("slash"),
                "{shown}"
            );
            assert!(shown.contains("host"), "{shown}");
        }
        let without = "postgres://host:5432/db?collection=a";
        assert_eq!(redacted(without), without);
        assert_eq!(redacted("/my:folder@home"), "/my:folder@home");
    }

    #[test]
    fn a_url_is_split_into_ours_and_the_servers() {
        let url =
            "postgres://me@host/db?collection=photos&sslmode=verify-full&sslrootcert=%2Fca.pem";
        let url = CollectionUrl::parse(url).unwrap();
        assert_eq!((&*url.name, url.scheme), ("photos", Scheme::Postgres));
        assert_eq!(url.root_certificates.as_deref(), Some("/ca.pem"));
        assert_eq!(url.server, "postgres://me@host/db?sslmode=require");
        for bad in [
            "postgres://host/db",
            "postgres://host/db?collection=",
            "postgres://host/db?collection=a-b",
            "postgres://host/db?collection=a%22%3B",
            "mysql://host/db?collection=a",
        ] {
            let error = CollectionUrl::parse(bad).err().unwrap().to_string();
            assert!(error.contains("?collection=NAME"), "{error}");
        }
        let long = format!("postgres://host/db?collection={}", "a".repeat(41));
        assert!(CollectionUrl::parse(&long).is_err());
    }

    #[test]
    fn a_url_of_milvus_names_host_collection_and_whom() {
        let url = CollectionUrl::parse("milvus://me:a%2Fb+c%26@host/photos?database=d").unwrap();
        assert_eq!((&*url.name, &*url.server), ("photos", "http://host:19530"));
        assert_eq!(url.credentials.as_deref(), Some("me:a/b+c&"));
        assert_eq!(url.database.as_deref(), Some("d"));
        let url = CollectionUrl::parse("milvuss://token@[::1]:99/a?sslrootcert=%2Fca.pem").unwrap();
        assert_eq!(url.server, "https://[::1]:99");
        assert_eq!(url.credentials.as_deref(), Some("token"));
        assert_eq!(url.root_certificates.as_deref(), Some("/ca.pem"));
        let url = CollectionUrl::parse("milvus://[::1]/a?tls=1").unwrap();
        assert_eq!(url.server, "https://[::1]:19530");
        for bad in [
            "milvus://host",
            "milvus://host/",
            "milvus://host/A",
            "milvus:///a",
            "milvus://h/a?b=c",
            "milvus://h/a/b",
        ] {
            let error = CollectionUrl::parse(bad).err().unwrap().to_string();
            assert!(error.contains("milvus://USER"), "{error}");
        }
    }

    #[test]
    fn an_id_names_a_content_in_a_place() {
        let id = |digest: u8, path: &str| shared_id(&[digest; 32], Path::new(path)).unwrap();
        assert_eq!(id(1, "/a"), id(1, "/a"));
        assert_ne!(id(1, "/a"), id(2, "/a"));
        assert_ne!(id(1, "/a"), id(1, "/b"));
        assert!((0..=255).all(|digest| id(digest, "/a").0 >= 0));
    }
}
