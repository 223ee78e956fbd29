//! One collection on a server in place of a folder: the same commands, the same answers.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Place, Ran, sample, sample_names};

#[path = "../../engines/tests/milvus.rs"]
#[allow(dead_code)]
mod milvus;
#[path = "../../engines/tests/server.rs"]
#[allow(dead_code)]
mod server;

use milvus::Milvus;
use server::{PASSWORD, Server};

/// Runs a command on a collection. No message may hold the password.
fn on(place: &Place, url: &str, arguments: &[&str]) -> Ran {
    let mut all = vec![arguments[0], "--index", url];
    all.extend(&arguments[1..]);
    let ran = place.run(&all);
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains(PASSWORD), "{text}");
        assert!(!text.contains(":Milvus"), "{text}");
    }
    ran
}

/// Returns the paths and distances of a query's answers.
fn answers(ran: &Ran) -> Vec<(String, f64)> {
    let line = ran.json_lines().remove(0);
    let results = line["results"].as_array().unwrap();
    let of = |found: &Value| {
        let path = found["path"].as_str().unwrap().to_owned();
        (path, found["distance"].as_f64().unwrap())
    };
    results.iter().map(of).collect()
}

fn stored(place: &Place, url: &str) -> u64 {
    let status = on(place, url, &["status", "--json"]).ended(0);
    status.json_lines()[0]["stats"]["images"].as_u64().unwrap()
}

#[test]
fn the_same_commands_answer_as_in_a_folder() {
    if let Some(server) = Server::start() {
        answers_as_in_a_folder(&server.url("same"));
    }
}

#[test]
fn the_same_commands_answer_as_in_a_folder_with_milvus() {
    if let Some(server) = Milvus::shared() {
        answers_as_in_a_folder(&server.url("same"));
    }
}

fn answers_as_in_a_folder(url: &str) {
    let names: Vec<String> = sample_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let place = Place::with(&names);
    let folder = place.run(&["index", "photos", "--no-adapt", "--json"]);
    let shared = on(&place, url, &["index", "photos", "--no-adapt", "--json"]);
    assert_eq!(folder.status, shared.status, "{}", shared.stderr);
    for count in ["added", "failed", "identical", "damaged"] {
        assert_eq!(folder.summary()[count], shared.summary()[count], "{count}");
    }
    let images = folder.summary()["added"].as_u64().unwrap();
    assert_eq!(stored(&place, url), images);
    let again = on(&place, url, &["index", "photos", "--json"]).summary();
    assert_eq!(
        (again["added"].as_u64(), again["unchanged"].as_u64()),
        (Some(0), Some(images))
    );

    let picture = sample("gravel.jpg");
    let picture = picture.to_str().unwrap();
    let other = sample("cat.jpg");
    let less = format!("{}:0.2", other.display());
    for question in [
        vec!["query", picture, "-k", "7"],
        vec!["query", picture, "-k", "7", "--no-expand", "--exact"],
        vec!["query", picture, "-k", "7", "--by", "code"],
        vec!["query", picture, "-k", "7", "--by", "hash"],
        vec!["query", picture, "-k", "7", "--min-similarity", "5"],
        vec!["query", picture, "-k", "7", "--format", "png"],
        vec!["query", picture, "-k", "7", "--less", &less],
        vec!["query", "--text", "cat", "-k", "7"],
    ] {
        let question: Vec<&str> = question.iter().copied().chain(["--json"]).collect();
        let right = place.run(&question);
        let found = on(&place, url, &question);
        assert_eq!(found.status, right.status, "{question:?}: {}", found.stderr);
        if right.status != 0 {
            continue;
        }
        let (right, found) = (answers(&right), answers(&found));
        assert_eq!(found.len(), right.len(), "{question:?}");
        // Equal distances may come in another order: ids differ.
        let right: HashMap<String, f64> = right.into_iter().collect();
        let last = right.values().copied().fold(0.0, f64::max);
        for (path, distance) in found {
            let there = right.get(&path).copied().unwrap_or(last);
            assert!(
                (there - distance).abs() < 1e-3,
                "{question:?}: {path} {there} {distance}"
            );
        }
    }
    on(&place, url, &["check"]).ended(0);
    let removed = on(&place, url, &["remove", "photos/gravel.jpg", "--json"]).ended(0);
    assert_eq!(removed.json_lines()[0]["removed"], 1);
    assert_eq!(stored(&place, url), images - 1);
    on(&place, url, &["remove", "photos/gravel.jpg"]).ended(1);
}

#[test]
fn shares_of_several_machines_make_the_whole_and_may_be_cut_anew() {
    if let Some(server) = Server::start() {
        shares_make_the_whole(&server.url("shares"));
    }
}

#[test]
fn shares_of_several_machines_make_the_whole_with_milvus() {
    if let Some(server) = Milvus::shared() {
        shares_make_the_whole(&server.url("shares"));
    }
}

fn shares_make_the_whole(url: &str) {
    let place = Place::new();
    let picture = image::open(sample("gravel.jpg")).unwrap();
    for i in 0..60 {
        let path = place.photo(&format!("{i:02}.png"));
        picture.crop_imm(i, 2 * i, 48, 48).save(path).unwrap();
    }
    fs::copy(place.photo("00.png"), place.photo("copy.png")).unwrap();
    // Two of three shares at once, one of which is killed; then all of two.
    let run = |share: &str| {
        let mut command = place.command();
        command.args([
            "index", "photos", "--quiet", "--index", url, "--shard", share,
        ]);
        command.spawn().unwrap()
    };
    let (mut first, mut second) = (run("1/3"), run("3/3"));
    std::thread::sleep(std::time::Duration::from_millis(700));
    second.kill().unwrap();
    second.wait().unwrap();
    assert!(first.wait().unwrap().success());
    let (mut first, mut second) = (run("1/2"), run("2/2"));
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    assert_eq!(
        stored(&place, url),
        61,
        "nothing is doubled, and nothing is lost"
    );
    let summary = on(&place, url, &["index", "photos", "--json"])
        .ended(0)
        .summary();
    assert_eq!(summary["unchanged"], 61);

    // Only a missing file in a folder that is there is forgotten, and only if that is asked for.
    fs::remove_file(place.photo("07.png")).unwrap();
    on(&place, url, &["index", "photos", "--quiet"]).ended(0);
    assert_eq!(stored(&place, url), 61);
    let pruned = on(&place, url, &["index", "photos", "--prune", "--json"])
        .ended(0)
        .summary();
    assert_eq!(pruned["removed"], 1);
    let elsewhere = place.photos().with_file_name("elsewhere");
    fs::rename(place.photos(), &elsewhere).unwrap();
    fs::create_dir(place.photos()).unwrap();
    let kept = on(&place, url, &["index", "photos", "--prune", "--json"]).summary();
    assert_eq!(
        (kept["removed"].as_u64(), kept["kept_missing"].as_u64()),
        (Some(0), Some(60))
    );
    assert_eq!(stored(&place, url), 60);
}

#[test]
fn what_a_collection_cannot_do_is_said() {
    let Some(server) = Server::start() else {
        return;
    };
    let place = Place::with(&["gravel.jpg"]);
    let url = server.url("cannot");
    let says = |url: &str, arguments: &[&str], what: &str| {
        let ran = on(&place, url, arguments).ended(2);
        assert!(ran.stderr.contains(what), "{arguments:?}: {}", ran.stderr);
    };
    says(
        &url,
        &["status"],
        "there is no index in postgres://postgres@",
    );
    on(&place, &url, &["index", "photos", "--quiet"]).ended(0);
    says(&url, &["optimize"], "by itself");
    says(&url, &["groups"], "needs an index in a folder");
    says(&url, &["restore"], "needs an index in a folder");
    says(&url, &["index"], "name the folders");
    says(
        &url,
        &["index", "photos", "--reencode"],
        "needs an index in a folder",
    );
    says(
        &server.url_with("wr0ng", "cannot"),
        &["status"],
        "PGPASSWORD",
    );
    let gone = url.replace(&format!(":{}/", server.port), ":9/");
    says(&gone, &["status"], "Is the server running");
    let no_name = url.replace("?collection=cannot", "");
    says(&no_name, &["status"], "?collection=NAME");
    let folder = place.run(&["index", "photos", "--shard", "1/2"]).ended(2);
    assert!(folder.stderr.contains("one writer"), "{}", folder.stderr);
    let bad = place.run(&["index", "photos", "--shard", "3/2"]).ended(2);
    assert!(bad.stderr.contains("1/16 to 16/16"), "{}", bad.stderr);
    // Another encoder.
    server.sql("UPDATE imgsearch_collections SET encoder = replace(encoder, '\"fingerprint\":\"', '\"fingerprint\":\"0')");
    says(&url, &["query", "photos/gravel.jpg"], "--encoder FILE");
    says(&url, &["index", "photos"], "--encoder FILE");
}

#[test]
fn a_url_of_milvus_names_its_collection_and_a_wrong_password_is_told() {
    let Some(server) = Milvus::shared() else {
        return;
    };
    let place = Place::new();
    for (url, what) in [
        (server.url("nothing"), "there is no index in milvus://root@"),
        (server.url_with("wr0ng", "nothing"), "MILVUS_TOKEN"),
        (
            server
                .url("nothing")
                .replace(&format!(":{}/", server.port), ":9/"),
            "Is the server running",
        ),
        (server.url(""), "milvus://USER:PASSWORD@HOST"),
    ] {
        let ran = on(&place, &url, &["status"]).ended(2);
        assert!(ran.stderr.contains(what), "{}", ran.stderr);
    }
}

#[test]
fn the_password_may_come_from_the_environment_or_a_file() {
    let Some(server) = Server::start() else {
        return;
    };
    let place = Place::with(&["gravel.jpg"]);
    let url = server.url("words").replace(&format!(":{PASSWORD}@"), "@");
    let index = |variable: &str, value: &Path| {
        let mut command = place.command();
        command
            .env("HOME", place.photos())
            .env_remove("PGPASSWORD")
            .env(variable, value);
        let ran = command
            .args(["index", "photos", "--index", &url])
            .output()
            .unwrap();
        (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
    };
    let (status, stderr) = index("UNRELATED", Path::new(""));
    assert_eq!(status, Some(2));
    assert!(stderr.contains("password"), "{stderr}");
    assert_eq!(index("PGPASSWORD", Path::new(PASSWORD)).0, Some(0));
    let file = place.photos().with_file_name("passwords");
    fs::write(
        &file,
        format!("127.0.0.1:{}:*:postgres:{PASSWORD}\n", server.port),
    )
    .unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(index("PGPASSFILE", &file).0, Some(0));
}
