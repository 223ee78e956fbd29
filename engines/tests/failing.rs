//! What goes wrong with a server: it goes, comes back, lets nobody in, or has not what it takes.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use imgsearch_engines::{Options, create, open};
use imgsearch_index::collection::Entry;
use imgsearch_index::{Error, Filter, Query, SearchParams};

use super::engine::{Engine, of_each_alone, of_each_server};
use super::milvus::Milvus;
use super::server::{PASSWORD, Server};
use super::{drawn, encoder, entry, fill};

fn hurried() -> Options {
    let mut options = Options::default();
    options.connect = Duration::from_secs(2);
    options.answer = Duration::from_secs(5);
    options.reconnect = Duration::from_millis(300);
    options
}

#[test]
fn a_server_that_is_killed_and_brought_back_loses_and_doubles_nothing() {
    of_each_alone(is_killed_and_brought_back);
}

fn is_killed_and_brought_back(mut server: Engine) {
    let url = server.url("killed");
    let options = server.patient();
    let collection = create(&url, &encoder(), &options).unwrap();
    let images = drawn(4000, 1);
    let entries: Vec<Entry> = images
        .iter()
        .enumerate()
        .map(|(i, image)| entry(i, image))
        .collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Two machines store the same images from both ends, in batches.
        let forwards = scope.spawn(|| {
            for batch in entries.chunks(50) {
                collection.upsert(batch).unwrap();
            }
        });
        let backwards = scope.spawn(|| {
            let other = open(&url, &options).unwrap();
            for batch in entries.rchunks(70) {
                other.upsert(batch).unwrap();
            }
        });
        scope.spawn(|| {
            for _ in 0..3 {
                std::thread::sleep(Duration::from_millis(150));
                if done.load(Ordering::Relaxed) {
                    break;
                }
                server.kill();
                server.bring_back();
            }
        });
        forwards.join().unwrap();
        backwards.join().unwrap();
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(collection.count(&Filter::default()).unwrap(), 4000);
    collection.flush().unwrap();
    let (found, _) = collection
        .search(&Query::new(&images[9].code), &SearchParams::new(1))
        .unwrap();
    assert_eq!(found[0].distance, 0.0);
}

#[test]
fn a_server_that_is_gone_is_a_clear_error_and_nothing_is_half_stored() {
    of_each_alone(is_gone);
}

fn is_gone(mut server: Engine) {
    let url = server.url("gone");
    let collection = create(&url, &encoder(), &hurried()).unwrap();
    let images = drawn(40, 1);
    fill(&*collection, &images[..20]);
    server.kill();
    let rest: Vec<Entry> = (20..40).map(|i| entry(i, &images[i])).collect();
    for error in [
        collection.upsert(&rest).unwrap_err(),
        collection.count(&Filter::default()).unwrap_err(),
        open(&url, &hurried()).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&server.port().to_string()) && !text.contains(&server.secret()),
            "{text}"
        );
    }
    server.bring_back();
    let mut patient = hurried();
    patient.reconnect = server.patient().reconnect;
    let collection = loop {
        // A server that starts refuses for a moment.
        match open(&url, &patient) {
            Ok(collection) => break collection,
            Err(Error::Unreachable { .. }) => std::thread::sleep(Duration::from_millis(50)),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(collection.count(&Filter::default()).unwrap(), 20);
    collection.upsert(&rest).unwrap();
    assert_eq!(collection.count(&Filter::default()).unwrap(), 40);
}

#[test]
fn a_network_that_stalls_ends_at_a_time_limit() {
    // It accepts connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut options = hurried();
    options.connect = Duration::from_millis(200);
    let urls = [
        format!("postgres://me:{PASSWORD}@127.0.0.1:{port}/db?collection=a"),
        format!("milvus://me:{PASSWORD}@127.0.0.1:{port}/a"),
        format!("milvuss://{PASSWORD}@127.0.0.1:{port}/a"),
    ];
    for url in &urls {
        let error = open(url, &options).unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    }
    drop(listener);
    for url in &urls {
        let error = open(url, &options).unwrap_err().to_string();
        assert!(
            error.contains("refused") && !error.contains(PASSWORD),
            "{error}"
        );
    }
}

#[test]
fn wrong_credentials_and_databases_are_told_without_the_password() {
    let Some(server) = Server::start() else {
        return;
    };
    let wrong = server.url_with("wr0ng-w0rd", "a");
    let no_database = server.url("a").replace("/postgres?", "/nothing?");
    server.sql("CREATE ROLE guest LOGIN PASSWORD 'guest'");
    server.sql("CREATE DATABASE plain");
    let may_not = server
        .url("a")
        .replace(&format!("postgres:{PASSWORD}@"), "guest:guest@");
    for url in [wrong, no_database] {
        let error = create(&url, &encoder(), &hurried()).unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
        let text = error.to_string();
        assert!(
            !text.contains("wr0ng-w0rd") && !text.contains(PASSWORD),
            "{text}"
        );
    }
    // Who may not install pgvector is told so.
    let url = may_not.replace("/postgres?", "/plain?");
    let error = create(&url, &encoder(), &hurried()).unwrap_err();
    assert!(matches!(error, Error::NoVectors { .. }), "{error}");
    let error = create(
        &format!("{}&sslmode=require", server.url("a")),
        &encoder(),
        &hurried(),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .to_lowercase()
            .contains("tls")
    );
}

#[test]
fn a_wrong_password_of_milvus_is_told_without_it() {
    let Some(server) = Milvus::shared() else {
        return;
    };
    let url = server.url_with("wr0ng-w0rd", "a");
    let nobody = url.replace("root:wr0ng-w0rd@", "");
    for url in [url, nobody] {
        let error = create(&url, &encoder(), &hurried()).unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
        assert!(!error.to_string().contains("wr0ng-w0rd"), "{error}");
    }
    // It speaks no TLS.
    let url = server.url("a").replace("milvus:", "milvuss:");
    let error = open(&url, &hurried()).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[test]
fn two_programs_make_one_collection_at_once() {
    of_each_server(made_at_once);
}

fn made_at_once(server: &Engine) {
    let url = server.url("twice");
    let images = drawn(30, 1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let collection = create(&url, &encoder(), &Options::default()).unwrap();
                fill(&*collection, &images);
            });
        }
    });
    let collection = open(&url, &Options::default()).unwrap();
    assert_eq!(collection.count(&Filter::default()).unwrap(), 30);
}
