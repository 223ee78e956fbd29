//! Who is let in.

use std::io::Write as _;
use std::process::Stdio;

use super::client::Server;
use super::indexed;
use crate::support::Place;

fn headers(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    pairs
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

#[test]
fn other_names_and_other_sites_are_refused() {
    let place = indexed();
    let server = Server::start(&place, &[]);
    let ask = |method: &str, pairs: &[(&'static str, &str)]| {
        server
            .send(method, "/api/v1/status", &headers(pairs), b"")
            .status
    };
    let host = format!("localhost:{}", server.port);
    assert_eq!(ask("GET", &[("host", &host)]), 200);
    assert_eq!(ask("GET", &[("host", "evil.example")]), 421);
    assert_eq!(ask("GET", &[]), 421);
    assert_eq!(
        ask("GET", &[("host", &host), ("origin", "http://evil.example")]),
        403
    );
    assert_eq!(
        ask("GET", &[("host", &host), ("sec-fetch-site", "cross-site")]),
        403
    );
    // Without the header that other sites cannot send.
    let path = "/api/v1/encode";
    let reply = server.send("POST", path, &headers(&[("host", &host)]), b"x");
    assert!(reply.problem(403).contains("X-Imgsearch"));
    let preflight = headers(&[
        ("host", &host),
        ("origin", "http://evil.example"),
        ("access-control-request-method", "POST"),
    ]);
    let reply = server.send("OPTIONS", path, &preflight, b"");
    assert_eq!(reply.header("access-control-allow-origin"), None);
    assert!(reply.status >= 400, "{}", reply.status);
}

#[test]
fn a_token_is_needed_where_one_is_set() {
    let place = indexed();
    let token = "a-long-enough-token";
    let server = Server::start(&place, &["--token", token]);
    assert!(
        server.link.ends_with(&format!("/?token={token}")),
        "{}",
        server.link
    );
    let host = format!("127.0.0.1:{}", server.port);
    let ask = |path: &str, pairs: &[(&'static str, &str)]| {
        server.send(
            "GET",
            path,
            &[headers(&[("host", &host)]), headers(pairs)].concat(),
            b"",
        )
    };
    for path in [
        "/",
        "/assets/app.js",
        "/api/v1/status",
        "/api/v1/images/1/original",
        "/?token=wrong-wrong-wrong",
    ] {
        assert!(ask(path, &[]).problem(401).contains("link"), "{path}");
    }
    let signed = ask(&format!("/?token={token}"), &[]);
    assert_eq!((signed.status, signed.header("location")), (303, Some("/")));
    let cookie = signed.header("set-cookie").unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap().to_owned();
    assert_eq!(ask("/", &[("cookie", &cookie)]).status, 200);
    assert_eq!(ask("/api/v1/status", &[("cookie", &cookie)]).status, 200);
    let bearer = format!("Bearer {token}");
    assert_eq!(
        ask("/api/v1/status", &[("authorization", &bearer)]).status,
        200
    );
}

#[test]
fn a_password_is_needed_where_one_is_set() {
    let place = indexed();
    let mut made = place
        .command()
        .args(["serve", "--new-password", "password"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    made.stdin
        .take()
        .unwrap()
        .write_all("open sesame\n".as_bytes())
        .unwrap();
    assert!(made.wait().unwrap().success());
    let file = place.photos().parent().unwrap().join("password");
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .starts_with("$argon2id$")
    );
    let server = Server::start(&place, &["--password-file", "password"]);
    let host = format!("127.0.0.1:{}", server.port);
    let ask = |pairs: &[(&'static str, &str)]| {
        server.send(
            "GET",
            "/api/v1/status",
            &[headers(&[("host", &host)]), headers(pairs)].concat(),
            b"",
        )
    };
    let refused = ask(&[]);
    refused.problem(401);
    assert!(
        refused
            .header("www-authenticate")
            .unwrap()
            .starts_with("Basic")
    );
    // `me:open sesame` and `me:closed sesame`.
    assert_eq!(
        ask(&[("authorization", "Basic bWU6Y2xvc2VkIHNlc2FtZQ==")]).status,
        401
    );
    for _ in 0..3 {
        assert_eq!(
            ask(&[("authorization", "Basic bWU6b3BlbiBzZXNhbWU=")]).status,
            200
        );
    }
    std::fs::write(&file, "open sesame").unwrap();
    let ran = place
        .run(&["serve", "--password-file", "password"])
        .ended(2);
    assert!(ran.stderr.contains("--new-password"), "{ran:?}");
}

#[test]
fn a_server_that_lets_others_in_needs_a_secret() {
    let place = Place::new();
    let ran = place.run(&["serve", "--bind", "0.0.0.0"]).ended(2);
    assert!(
        ran.stderr.contains("--token TOKEN or --password-file FILE"),
        "{ran:?}"
    );
    let ran = place.run(&["serve", "--token", "short"]).ended(2);
    assert!(ran.stderr.contains("at least 16"), "{ran:?}");
    let ran = place
        .run(&[
            "serve",
            "--bind",
            "203.0.113.7",
            "--token",
            "a-long-enough-token",
        ])
        .ended(2);
    assert!(
        ran.stderr.contains("cannot listen to 203.0.113.7"),
        "{ran:?}"
    );
    let ran = place.run(&["serve", "--password-file", "nowhere"]).ended(2);
    assert!(ran.stderr.contains("nowhere"), "{ran:?}");
}
