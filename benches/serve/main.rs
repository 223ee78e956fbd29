//! What `imgsearch serve` answers per second, over loopback:
//!
//!     cargo bench --bench serve -- PHOTOS [SECONDS]
//!
//! Questions by id are asked of 100,000 drawn images, ten answers each, by 1, 8 and 64 clients that keep their
//! connections, and by 8 while PHOTOS are indexed beside it. With 200 SECONDS, the memory is that of ten minutes. Pictures and thumbnails are those of PHOTOS. Clients run on the same cores as the server, so that
//! what they take is missing to it.

#[path = "../synthetic.rs"]
#[allow(dead_code)]
mod synthetic;

mod client;

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use imgsearch::index::{EncoderRecord, FoldOptions, Writer};
use imgsearch::onnx::EncoderFile;

use client::{Client, Server};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// Drawn images.
const IMAGES: usize = 100_000;

/// Clients that ask at once.
const CLIENTS: [usize; 3] = [1, 8, 64];

/// Pictures of PHOTOS that are used.
const PICTURES: usize = 1000;

/// Thumbnails of one page.
const PAGE: usize = 100;

fn main() -> Result {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let Some(photos) = words.next() else {
        // `cargo test --benches` runs this without a folder.
        eprintln!("name a folder of photographs: cargo bench --bench serve -- PHOTOS [SECONDS]");
        return Ok(());
    };
    let seconds = words.next().map_or(Ok(5.0), |text| text.parse())?;
    let work = tempfile::tempdir()?;
    let drawn = work.path().join("drawn");
    draw(&drawn)?;
    by_id(&drawn, Path::new(&photos), seconds)?;
    let index = work.path().join("index");
    pictures(Path::new(&photos), &index, seconds)
}

/// Makes an index of drawn images.
fn draw(dir: &Path) -> Result {
    let encoder = EncoderFile::default_encoder()?;
    let info = encoder.info().clone();
    // As `index` leaves it, so that answers have similarities.
    std::fs::create_dir_all(dir)?;
    let copy = dir.join(format!("encoder-{}.onnx", info.fingerprint));
    std::fs::write(copy, encoder.bytes())?;
    let record = EncoderRecord {
        fingerprint: info.fingerprint,
        name: info.name,
        code_len: info.code_len,
        bits: info.bits,
        hash_weight: info.hash_weight,
        metadata: "{}".to_owned(),
    };
    let images = synthetic::draw(IMAGES, IMAGES, 1);
    synthetic::fill(dir, &record, &images, 0);
    Writer::open_existing(dir)?
        .fold(&FoldOptions::default(), &mut |_| ControlFlow::Continue(()))?;
    Ok(())
}

/// Asks for images by id, at last while photographs are indexed.
fn by_id(index: &Path, photos: &Path, seconds: f64) -> Result {
    let begun = Instant::now();
    let server = Server::start(index)?;
    Client::new(server.port)?.get("/api/v1/status")?;
    println!(
        "{IMAGES} drawn images: {:.0} ms from the start to the first answer",
        begun.elapsed().as_secs_f64() * 1000.0
    );
    println!(
        "\nsearches by id, ten answers each\nclients   a second   median ms   99th percentile ms   resident MB"
    );
    for clients in CLIENTS {
        let times = search(server.port, clients, seconds)?;
        print(clients, &times, seconds, &server);
    }
    indexing_beside(&server, index, photos)
}

/// Asks for drawn images by id.
fn search(port: u16, clients: usize, seconds: f64) -> Result<Vec<Duration>> {
    let asked = AtomicUsize::new(0);
    load(port, clients, seconds, &|client| {
        let n = asked.fetch_add(1, Ordering::Relaxed) as u64;
        let id = synthetic::Random(n).next() % IMAGES as u64 + 1;
        client.get(&format!("/api/v1/search?id={id}&limit=10"))?;
        Ok(())
    })
}

/// Asks while another process indexes photographs into the same index.
fn indexing_beside(server: &Server, index: &Path, photos: &Path) -> Result {
    const CLIENTS: usize = 8;
    // Shorter than the indexer takes, so that it works all the time.
    const SECONDS: f64 = 1.0;
    let alone = search(server.port, CLIENTS, SECONDS)?;
    let mut indexer = Command::new(env!("CARGO_BIN_EXE_imgsearch"))
        .args(["--quiet", "index", "--no-adapt"])
        .arg(photos)
        .env("IMGSEARCH_INDEX", index)
        .spawn()?;
    // Past its start.
    std::thread::sleep(Duration::from_millis(300));
    let beside = search(server.port, CLIENTS, SECONDS)?;
    let was_at_work = indexer.try_wait()?.is_none();
    if !indexer.wait()?.success() {
        return Err("the photographs could not be indexed beside the server".into());
    }
    print(CLIENTS, &beside, SECONDS, server);
    println!(
        "          that is with `index` beside it{}: {:.0} % of the searches without",
        if was_at_work {
            ""
        } else {
            ", which ended before: name a larger folder"
        },
        100.0 * beside.len() as f64 / alone.len().max(1) as f64
    );
    Ok(())
}

/// Uploads pictures and asks for thumbnails.
fn pictures(photos: &Path, index: &Path, seconds: f64) -> Result {
    let files = files(photos)?;
    let program = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imgsearch"));
        command.args(arguments).env("IMGSEARCH_INDEX", index);
        command
    };
    let indexed = program(&["--quiet", "index", "--no-adapt"])
        .arg(photos)
        .output()?;
    if !indexed.status.success() {
        return Err(String::from_utf8_lossy(&indexed.stderr).into());
    }
    let server = Server::start(index)?;
    let bytes = files
        .iter()
        .map(std::fs::read)
        .collect::<Result<Vec<_>, _>>()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // What encoding alone allows: the same files by the indexer, on as many cores.
    let (alone, count) = encode_alone(&files)?;
    println!(
        "\nuploads of {count} pictures of {}\nclients   a second   median ms   99th percentile ms   resident MB",
        photos.display()
    );
    for clients in CLIENTS {
        let asked = AtomicUsize::new(0);
        let before = server.processor_time();
        let times = load(server.port, clients, seconds, &|client| {
            let n = asked.fetch_add(1, Ordering::Relaxed);
            client.post("/api/v1/search?limit=10", &bytes[n % bytes.len()])?;
            Ok(())
        })?;
        print(clients, &times, seconds, &server);
        let rate = times.len() as f64 / seconds;
        println!(
            "          {:.0} % of {alone:.0} a second that `index` encodes on {cores} cores",
            100.0 * rate / alone
        );
        if let (Some(before), Some(after)) = (before, server.processor_time()) {
            println!(
                "          {:.1} ms of processor time each; the server had {:.0} % of the cores",
                1000.0 * (after - before) / times.len().max(1) as f64,
                100.0 * (after - before) / (seconds * cores as f64)
            );
        }
    }
    thumbnails(&server, index)
}

/// Returns the images a second that the indexer encodes, and their number.
fn encode_alone(files: &[PathBuf]) -> Result<(f64, usize)> {
    let work = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgsearch"));
    command
        .args(["--quiet", "index", "--no-adapt", "--json"])
        .args(files);
    let output = command
        .env("IMGSEARCH_INDEX", work.path().join("index"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    let summary: serde_json::Value = serde_json::from_str(last)?;
    let rate = summary["summary"]["images_per_second"]
        .as_f64()
        .ok_or("the indexer printed no rate")?;
    Ok((rate, files.len()))
}

/// Asks for the thumbnails of a page, as a browser does: over six connections.
fn thumbnails(server: &Server, index: &Path) -> Result {
    let mut client = Client::new(server.port)?;
    let page = client.get(&format!("/api/v1/images?limit={PAGE}"))?;
    let page: serde_json::Value = serde_json::from_slice(&page)?;
    let images = page["images"]
        .as_array()
        .ok_or("there is no list of images")?;
    let ids: Vec<i64> = images
        .iter()
        .filter_map(|image| image["id"].as_i64())
        .collect();
    println!(
        "\nthumbnails of 256 pixels for a page of {} images\n          whole page ms   95th percentile ms",
        ids.len()
    );
    for name in ["cold", "warm"] {
        let next = AtomicUsize::new(0);
        let begun = Instant::now();
        let times = clients(server.port, 6, &|client, times| {
            while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                let begun = Instant::now();
                client.get(&format!("/api/v1/images/{id}/thumbnail?size=256"))?;
                times.push(begun.elapsed());
            }
            Ok(())
        })?;
        let whole = begun.elapsed();
        println!(
            "{name:<9} {:>13.0}   {:>18.1}",
            ms(whole),
            ms(percentile(&times, 0.95))
        );
    }
    // One after the other, so that none waits for another.
    std::fs::remove_dir_all(index.join("thumbnails"))?;
    let mut times = Vec::new();
    for id in &ids {
        let begun = Instant::now();
        client.get(&format!("/api/v1/images/{id}/thumbnail?size=256"))?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    println!(
        "one cold  {:>13}   {:>18.1}",
        "",
        ms(percentile(&times, 0.95))
    );
    Ok(())
}

/// Returns image files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let walked = imgsearch::walk(&[folder.to_owned()], &imgsearch::WalkOptions::default())?;
    let mut files: Vec<PathBuf> = walked.candidates.into_iter().map(|one| one.path).collect();
    files.truncate(PICTURES);
    if files.is_empty() {
        return Err(format!("there is no picture in {}", folder.display()).into());
    }
    Ok(files)
}

/// Asks again and again for some seconds; returns how long each took, sorted.
fn load(
    port: u16,
    number: usize,
    seconds: f64,
    ask: &(dyn Fn(&mut Client) -> Result + Sync),
) -> Result<Vec<Duration>> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    clients(port, number, &|client, times| {
        loop {
            let begun = Instant::now();
            if begun >= until {
                return Ok(());
            }
            ask(client)?;
            times.push(begun.elapsed());
        }
    })
}

/// Runs clients at once; returns the times that they noted, sorted.
fn clients(
    port: u16,
    number: usize,
    run: &(dyn Fn(&mut Client, &mut Vec<Duration>) -> Result + Sync),
) -> Result<Vec<Duration>> {
    let one = || -> Result<Vec<Duration>, String> {
        let mut times = Vec::new();
        let mut client = Client::new(port).map_err(|error| error.to_string())?;
        run(&mut client, &mut times).map_err(|error| error.to_string())?;
        Ok(times)
    };
    let noted = std::thread::scope(|scope| {
        let started: Vec<_> = (0..number).map(|_| scope.spawn(one)).collect();
        let ended = started.into_iter().map(|client| {
            client
                .join()
                .unwrap_or_else(|_| Err("a client panicked".to_owned()))
        });
        ended.collect::<Result<Vec<_>, String>>()
    })?;
    let mut times: Vec<Duration> = noted.into_iter().flatten().collect();
    times.sort_unstable();
    Ok(times)
}

fn print(clients: usize, times: &[Duration], seconds: f64, server: &Server) {
    println!(
        "{clients:>7}   {:>8.0}   {:>9.2}   {:>18.2}   {:>11}",
        times.len() as f64 / seconds,
        ms(percentile(times, 0.5)),
        ms(percentile(times, 0.99)),
        server
            .memory()
            .map_or_else(String::new, |megabytes| format!("{megabytes:.0}"))
    );
}

fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let place = (sorted.len() as f64 * share) as usize;
    sorted
        .get(place.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
