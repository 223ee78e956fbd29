//! A process that opens the index and asks once, with and without its files in the page cache.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use imgsearch_index::{Index, SearchParams};

use crate::asking::{K, ask};
use crate::evict::evict;
use crate::synthetic::Images;

/// Has this program open the index in `dir` in processes of their own.
pub fn print_both(dir: &Path, images: usize) {
    let again = |what: &str| {
        let program = std::env::current_exe().unwrap();
        print!("{what}: ");
        std::io::stdout().flush().unwrap();
        let mut program = Command::new(program);
        program
            .arg("--opened")
            .args(["--images", &images.to_string()]);
        assert!(program.arg("--keep").arg(dir).status().unwrap().success());
    };
    if cfg!(target_os = "linux") {
        evict(dir);
        again("read from the disk");
    }
    again("from the page cache");
}

/// What this process holds in memory of a kind that the system names, in bytes; zero elsewhere
/// than on Linux.
pub fn resident(kind: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(kind));
    let kib = line.and_then(|line| line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().ok());
    kib.map_or(0, |kib: usize| kib << 10)
}

/// How long opening an index takes until one query is answered, and what memory it takes by then
/// and after all queries.
pub fn print(dir: &Path, asked: &Images) {
    let before = resident("RssAnon") + resident("RssFile");
    let started = Instant::now();
    let index = Index::open(dir).unwrap();
    index.nearest(asked.get(0).0, K).unwrap();
    let opened = started.elapsed().as_secs_f64() * 1e3;
    let first = resident("RssAnon") + resident("RssFile") - before;
    let searcher = index.searcher().unwrap();
    ask(&searcher, asked, usize::MAX, &SearchParams::new(K));
    let all = resident("RssAnon") + resident("RssFile") - before;
    println!(
        "opened and a query answered in {opened:.1} ms, {:.1} MB resident; {:.1} MB after {} queries",
        first as f64 / 1e6,
        all as f64 / 1e6,
        asked.len()
    );
}
