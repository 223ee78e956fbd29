//! Who may ask: the addresses by which the server may be called, other sites, tokens and passwords.
//!
//! A page of another site can make a browser send requests here, and a name of another site can be made to lead here
//! (DNS rebinding). So the name in `Host` must be one of this server, and a request must come from its own page, which
//! browsers tell in `Origin` and `Sec-Fetch-Site`.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::problem::Problem;

/// The cookie that holds the token.
const COOKIE: &str = "imgsearch_token";

/// The header that the page sends with requests that change or cost something. Other sites cannot send it without
/// being allowed to.
const OWN_HEADER: &str = "x-imgsearch";

/// What a browser may do with the page: nothing that does not come from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Who may ask.
#[derive(Debug)]
pub struct Access {
    /// Names by which the server may be called, beside addresses: in lower case, without a port.
    pub names: Vec<String>,
    /// Whether only this machine can reach it.
    pub is_loopback: bool,
    pub secret: Secret,
}

/// What whoever asks has to know.
#[derive(Debug)]
pub enum Secret {
    /// Nothing.
    None,
    /// A token, of which the hash is kept.
    Token(blake3::Hash),
    /// A password, of which the Argon2 hash is kept.
    Password(Password),
}

impl Secret {
    pub fn token(token: &str) -> Self {
        Self::Token(blake3::hash(token.as_bytes()))
    }
}

/// A password.
#[derive(Debug)]
pub struct Password {
    /// In PHC's format: `$argon2id$…`.
    hash: String,
    /// The hash of the header that was right last, because Argon2 is slow on purpose.
    right: Mutex<Option<blake3::Hash>>,
}

impl Password {
    /// Takes an Argon2 hash.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn new(hash: &str) -> Result<Self, String> {
        argon2::password_hash::phc::PasswordHash::new(hash)
            .map_err(|error| format!("it holds no Argon2 hash ({error})"))?;
        Ok(Self {
            hash: hash.to_owned(),
            right: Mutex::new(None),
        })
    }

    fn is_right(&self, credentials: &str) -> bool {
        let known = blake3::hash(credentials.as_bytes());
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if *right == Some(known) {
            return true;
        }
        let decoded = STANDARD.decode(credentials).ok();
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let password = text.as_deref().and_then(|text| text.split_once(':'));
        let Some((_, password)) = password else {
            return false;
        };
        // While the lock is held, so that guessing takes one core at most.
        let Ok(hash) = argon2::password_hash::phc::PasswordHash::new(&self.hash) else {
            return false;
        };
        let is_right = Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok();
        if is_right {
            *right = Some(known);
        }
        is_right
    }
}

/// Returns the Argon2 hash of a password, with a salt from the system.
///
/// # Errors
///
/// If the system gives no random numbers.
pub fn hash_password(password: &str) -> Result<String, String> {
    use argon2::password_hash::PasswordHasher as _;
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| error.to_string())
}

/// Lets a request pass or refuses it, and sets the headers that every answer has.
pub async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let mut response = match access.check(request.headers(), request.method(), request.uri()) {
        Ok(Pass::Through) => {
            let by_password = matches!(access.secret, Secret::Password(_));
            if by_password {
                verified(access, request, next).await
            } else {
                next.run(request).await
            }
        }
        Ok(Pass::Signed(cookie)) => {
            let mut response = Redirect::to("/").into_response();
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            response
        }
        Err(problem) => problem.into_response(),
    };
    secure(response.headers_mut());
    response
}

/// Checks the password on a thread that may block, and lets the request pass if it is right.
async fn verified(access: Arc<Access>, request: Request, next: Next) -> Response {
    let credentials = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .map(ToOwned::to_owned);
    let checked = super::work::on_a_thread(move || {
        Ok(match (&access.secret, credentials) {
            (Secret::Password(password), Some(credentials)) => password.is_right(&credentials),
            _ => false,
        })
    });
    if checked.await.unwrap_or(false) {
        return next.run(request).await;
    }
    let mut refused =
        Problem::new(StatusCode::UNAUTHORIZED, "a password is needed").into_response();
    refused.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Basic realm=\"imgsearch\", charset=\"UTF-8\""),
    );
    refused
}

/// How a request passes.
#[derive(Debug)]
enum Pass {
    Through,
    /// The token was in the address: from now on it is in this cookie.
    Signed(HeaderValue),
}

impl Access {
    fn check(&self, headers: &HeaderMap, method: &Method, uri: &Uri) -> Result<Pass, Problem> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST)
            .or_else(|| uri.authority().map(|authority| authority.as_str()))
            .unwrap_or_default();
        if !self.is_own(host) {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                format!("this server is not called {:?}", shortened(host)),
            )
            .hint("If it is, start it with --name NAME"));
        }
        let foreign = || {
            Problem::new(
                StatusCode::FORBIDDEN,
                "this request comes from the page of another site",
            )
        };
        if let Some(origin) = text(header::ORIGIN)
            && origin.split_once("://").map(|(_, host)| host) != Some(host)
        {
            return Err(foreign());
        }
        let site = text(HeaderName::from_static("sec-fetch-site"));
        let is_link = text(HeaderName::from_static("sec-fetch-mode")) == Some("navigate")
            && method == Method::GET
            && !uri.path().starts_with("/api/");
        if matches!(site, Some("cross-site" | "same-site")) && !is_link {
            return Err(foreign());
        }
        if !method.is_safe() && !headers.contains_key(OWN_HEADER) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "requests that send something need the header X-Imgsearch: 1",
            ));
        }
        match &self.secret {
            Secret::Token(expected) => token(*expected, headers, uri),
            Secret::None | Secret::Password(_) => Ok(Pass::Through),
        }
    }

    /// Returns whether the server may be called by a host.
    fn is_own(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        if self.names.contains(&name) {
            return true;
        }
        let address = name.trim_start_matches('[').trim_end_matches(']');
        match address.parse::<IpAddr>() {
            // Only names can be made to lead here.
            Ok(address) => !self.is_loopback || address.is_loopback(),
            Err(_) => false,
        }
    }
}

/// Checks the token: in the header, in the cookie, or once in the address of the page.
fn token(expected: blake3::Hash, headers: &HeaderMap, uri: &Uri) -> Result<Pass, Problem> {
    // Hashes are compared in constant time.
    let is_right = |token: &str| blake3::hash(token.as_bytes()) == expected;
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(token) = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "))
        && is_right(token.trim())
    {
        return Ok(Pass::Through);
    }
    let cookies = headers.get_all(header::COOKIE).iter();
    let mut cookies = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|all| all.split(';'));
    if cookies.any(|cookie| {
        let cookie = cookie.trim().split_once('=');
        cookie.is_some_and(|(name, value)| name == COOKIE && is_right(value))
    }) {
        return Ok(Pass::Through);
    }
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    if uri.path() == "/"
        && let Some((_, token)) = pairs.find(|(name, _)| name == "token")
        && is_right(&token)
    {
        let cookie =
            format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            return Ok(Pass::Signed(cookie));
        }
    }
    Err(Problem::new(StatusCode::UNAUTHORIZED, "a token is needed")
        .hint("Open the link that imgsearch serve printed when it started"))
}

/// Returns a host without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Sets the headers that every answer has.
fn secure(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(secret: Secret) -> Access {
        Access {
            names: vec!["localhost".to_owned()],
            is_loopback: true,
            secret,
        }
    }

    fn asked(
        access: &Access,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
    ) -> Result<Pass, u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let result = access.check(&map, &method.parse().unwrap(), &uri.parse().unwrap());
        result.map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn only_names_of_this_server_are_answered() {
        let access = access(Secret::None);
        for host in [
            "localhost",
            "localhost:7878",
            "LOCALHOST:1",
            "127.0.0.1:7878",
            "[::1]:7878",
            "127.5.5.5",
        ] {
            assert!(
                asked(&access, "GET", "/", &[("host", host)]).is_ok(),
                "{host}"
            );
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "192.168.1.5:7878",
            "[2001:db8::1]",
            "localhost:x",
        ] {
            assert_eq!(
                asked(&access, "GET", "/", &[("host", host)]).unwrap_err(),
                421,
                "{host}"
            );
        }
        let open = Access {
            is_loopback: false,
            names: vec!["photos.example".to_owned()],
            ..access
        };
        for host in ["192.168.1.5:7878", "photos.example"] {
            assert!(
                asked(&open, "GET", "/", &[("host", host)]).is_ok(),
                "{host}"
            );
        }
        assert!(asked(&open, "GET", "/", &[("host", "localhost")]).is_err());
    }

    #[test]
    fn other_sites_may_link_here_and_no_more() {
        let access = access(Secret::None);
        let host = ("host", "localhost:7878");
        let own = ("origin", "http://localhost:7878");
        let other = ("origin", "http://evil.example");
        let header = ("x-imgsearch", "1");
        assert!(asked(&access, "POST", "/api/v1/search", &[host, own, header]).is_ok());
        assert_eq!(
            asked(&access, "POST", "/api/v1/search", &[host, own]).unwrap_err(),
            403
        );
        assert_eq!(
            asked(&access, "POST", "/api/v1/search", &[host, other, header]).unwrap_err(),
            403
        );
        // Another port is another site.
        let port = ("origin", "http://localhost:1");
        assert_eq!(
            asked(&access, "GET", "/api/v1/status", &[host, port]).unwrap_err(),
            403
        );
        assert_eq!(
            asked(&access, "GET", "/", &[host, ("origin", "null")]).unwrap_err(),
            403
        );
        let cross = ("sec-fetch-site", "cross-site");
        let link = ("sec-fetch-mode", "navigate");
        assert!(asked(&access, "GET", "/?id=3", &[host, cross, link]).is_ok());
        assert_eq!(
            asked(
                &access,
                "GET",
                "/api/v1/images/3/original",
                &[host, cross, link]
            )
            .unwrap_err(),
            403
        );
        assert_eq!(
            asked(&access, "GET", "/api/v1/images/3/thumbnail", &[host, cross]).unwrap_err(),
            403
        );
    }

    #[test]
    fn a_token_is_taken_from_the_address_once_and_then_from_the_cookie() {
        let access = access(Secret::token("correct horse"));
        let host = ("host", "localhost");
        let refused =
            |headers: &[(&str, &str)], uri: &str| asked(&access, "GET", uri, headers).unwrap_err();
        assert_eq!(refused(&[host], "/"), 401);
        assert_eq!(refused(&[host], "/?token=wrong"), 401);
        assert_eq!(
            refused(&[host], "/api/v1/status?token=correct%20horse"),
            401
        );
        assert_eq!(
            refused(&[host, ("cookie", "imgsearch_token=wrong")], "/"),
            401
        );
        assert_eq!(
            refused(&[host, ("cookie", "other=correct horse")], "/"),
            401
        );
        assert_eq!(
            refused(&[host, ("authorization", "Bearer wrong")], "/"),
            401
        );
        match asked(&access, "GET", "/?token=correct%20horse", &[host]).unwrap() {
            Pass::Signed(cookie) => {
                let cookie = cookie.to_str().unwrap().to_owned();
                assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
            }
            Pass::Through => panic!("no cookie"),
        }
        for right in [
            ("cookie", "a=b; imgsearch_token=correct horse"),
            ("authorization", "Bearer correct horse"),
        ] {
            assert!(matches!(
                asked(&access, "GET", "/", &[host, right]),
                Ok(Pass::Through)
            ));
        }
    }

    #[test]
    fn a_password_is_known_by_its_hash() {
        let hash = hash_password("s3cret: with a colon").unwrap();
        assert!(hash.starts_with("$argon2id$") && !hash.contains("s3cret"));
        let password = Password::new(&hash).unwrap();
        let basic = |text: &str| STANDARD.encode(text);
        assert!(!password.is_right(&basic("me:s3cret")));
        assert!(!password.is_right("not base64") && !password.is_right(&basic("no colon")));
        for _ in 0..2 {
            assert!(password.is_right(&basic("me:s3cret: with a colon")));
        }
        assert!(Password::new("s3cret").is_err());
    }
}
