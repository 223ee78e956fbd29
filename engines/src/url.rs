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
#[cfg_attr(not(feature = "postgres"), allow(dead_code))]
pub struct CollectionUrl {
    pub scheme: Scheme,
    /// The collection's name.
    pub name: String,
    /// The certificates to trust, if the URL names a file.
    pub root_certificates: Option<String>,
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
        "milvus" => Some(Scheme::Milvus),
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
    let shown = match authority.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_owned(),
    };
    let query = query.map_or_else(String::new, |query| {
        let parts = query.split('&').map(|part| match part.split_once('=') {
            Some((key, _)) if key.to_ascii_lowercase().contains("pass") => format!("{key}=***"),
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
        let wrong = |why: &str| {
            let how = "postgres://USER@HOST:PORT/DATABASE?collection=NAME";
            Error::InvalidInput(format!("{place} {why}: write it as {how}"))
        };
        let Some(scheme) = scheme_of(text) else {
            return Err(wrong("is not the URL of a collection"));
        };
        if scheme == Scheme::Milvus {
            return Ok(Self {
                scheme,
                name: String::new(),
                root_certificates: None,
                server: text.to_owned(),
                place,
            });
        }
        let (server, query) = text.split_once('?').unwrap_or((text, ""));
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
            return Err(wrong("names no collection"));
        };
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name == RESERVED {
            return Err(wrong(&format!(
                "names the collection {RESERVED:?}, which is reserved"
            )));
        }
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(allowed) {
            return Err(wrong(&format!(
                "names the collection {name:?}, and a name has 1 to {MAX_NAME} of a to z, 0 to 9 and _"
            )));
        }
        let rest = rest.finish().replace('+', "%20");
        let server = match rest.is_empty() {
            true => server.to_owned(),
            false => format!("{server}?{rest}"),
        };
        Ok(Self {
            scheme,
            name,
            root_certificates,
            server,
            place,
        })
    }
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
    fn an_id_names_a_content_in_a_place() {
        let id = |digest: u8, path: &str| shared_id(&[digest; 32], Path::new(path)).unwrap();
        assert_eq!(id(1, "/a"), id(1, "/a"));
        assert_ne!(id(1, "/a"), id(2, "/a"));
        assert_ne!(id(1, "/a"), id(1, "/b"));
        assert!((0..=255).all(|digest| id(digest, "/a").0 >= 0));
    }
}
