//! Mutants of intact files, by the hundred thousand. None may crash the program, keep it busy for long, take more
//! memory than the limits allow, or pass for something else.
//!
//! ```text
//! cargo test --release --test mutations -- --mutants 1000000 --seed 7
//! cargo test --release --test mutations -- --part images --seed 7 --only 4711
//! ```
//!
//! `--mutants N` makes N mutants of each part: images, segments and encoders; `--part` selects one part. The same
//! seed makes the same mutants. `--write-seeds FOLDER` writes the intact files for a fuzzer. A mutant that fails is
//! written to `target/tmp/mutants` and reported with the command that makes it again.
//!
//! A child process does the work, so that the parent can report what a crash interrupted.

mod mutate;
mod parts;
mod seeds;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, exit};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parts::Part;

/// Default number of mutants of each part.
const MUTANTS: u64 = 100_000;

/// Time in which every file must be done, or the run ends with its name.
const LONGEST: Duration = Duration::from_secs(20);

/// Number of failures after which a run ends.
const MAX_FAILURES: usize = 10;

struct Options {
    mutants: u64,
    seed: u64,
    part: Option<String>,
    only: Option<u64>,
    child: bool,
    seeds: Option<PathBuf>,
}

fn options() -> Options {
    let mut options = Options {
        mutants: MUTANTS,
        seed: 1,
        part: None,
        only: None,
        child: false,
        seeds: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let text = arguments.next().unwrap_or_default();
            text.parse().unwrap_or_else(|_| {
                eprintln!("{argument} takes a number, not {text:?}");
                exit(2)
            })
        };
        match argument.as_str() {
            "--mutants" => options.mutants = number(),
            "--seed" => options.seed = number(),
            "--only" => options.only = Some(number()),
            "--part" => options.part = arguments.next(),
            "--write-seeds" => options.seeds = arguments.next().map(PathBuf::from),
            "--child" => options.child = true,
            // Options that `cargo test` passes on to every test program.
            "--list" => exit(0),
            filter if !filter.starts_with('-') && !"mutations".contains(filter) => exit(0),
            _ => {}
        }
    }
    options
}

/// The folder for mutants that fail.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mutants")
}

fn main() {
    let options = options();
    if let Some(folder) = &options.seeds {
        for part in parts::all() {
            part.write_seeds(folder).unwrap();
        }
        return;
    }
    if options.child {
        run(&options);
        return;
    }
    fs::create_dir_all(folder()).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(std::env::args().skip(1)).arg("--child");
    let status = command.status().unwrap();
    if status.code().is_none() {
        eprintln!("the process died ({status}); it was at one of these:");
        let mut parts = parts::all();
        for record in fs::read(folder().join("underway"))
            .unwrap_or_default()
            .chunks_exact(16)
        {
            let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
            if let Some(part) = parts.get_mut(word(&record[..8]) as usize) {
                keep(part, options.seed, word(&record[8..]));
            }
        }
    }
    exit(status.code().unwrap_or(101));
}

/// Saves a mutant, and returns how to make it again.
fn keep(part: &Part, seed: u64, number: u64) {
    let path = folder().join(format!("{}-{seed}-{number}", part.name));
    let mutant = part.mutant(seed, number);
    let written = match fs::write(&path, &mutant.bytes) {
        Ok(()) => format!("written to {}", path.display()),
        Err(error) => format!("not written: {error}"),
    };
    eprintln!(
        "  mutant {number} of seed {seed}, of {} ({} bytes): {written}; again with\n  cargo test --test mutations \
         -- --part {} --seed {seed} --only {number}",
        mutant.of,
        mutant.bytes.len(),
        part.name
    );
}

/// Resets the peak memory if the system can, so that the peak of one part does not hide that of another.
fn forget_peak() {
    if cfg!(target_os = "linux")
        && let Err(error) = fs::write("/proc/self/clear_refs", "5")
    {
        eprintln!(
            "the peak of memory cannot be forgotten ({error}): it is that of all parts so far"
        );
    }
}

/// What a thread works on: the mutant, and since when in milliseconds of the run; 0 if idle.
#[derive(Default)]
struct Desk {
    number: AtomicU64,
    since: AtomicU64,
}

/// The results of the mutants of a part.
#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<String, u64>,
    slowest: (Duration, u64),
    failures: Vec<(u64, String)>,
}

/// Where panics happened, and how often.
static PANICS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

fn run(options: &Options) {
    // Decoders may panic; such panics are counted by place.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |location| {
            let file = location.file().rsplit("registry/src/").next();
            let file = file.unwrap_or_default();
            format!("{}:{}", file, location.line())
        });
        let message = info.payload_as_str().unwrap_or("no message");
        if std::thread::current().name() == Some("main") {
            eprintln!("{place}: {message}");
        }
        let short: String = message.chars().take(60).collect();
        *PANICS
            .lock()
            .unwrap()
            .entry(format!("{place} ({short})"))
            .or_default() += 1;
    }));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut failed = 0;
    for (index, part) in parts::all().iter().enumerate() {
        if options.part.as_ref().is_some_and(|name| name != part.name) {
            continue;
        }
        forget_peak();
        let before = peak_memory();
        let started = Instant::now();
        let mut tally = mutants(part, index, threads, options);
        if options.only.is_none() {
            let (cuts, wrong) = (part.cuts)();
            if cuts > 0 {
                let outcome = "cut, and not taken for whole".to_owned();
                tally.outcomes.insert(outcome, cuts);
            }
            let wrong = part.spoiled_seeds().into_iter().chain(wrong);
            tally.failures.extend(wrong.map(|text| (0, text)));
        }
        let grown = peak_memory()
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before));
        report(part, &tally, started.elapsed(), grown);
        for (number, text) in &tally.failures {
            eprintln!("  FAILED: {text}");
            if *number > 0 {
                keep(part, options.seed, *number);
            }
        }
        let bound = part.memory_a_thread * threads as u64;
        let too_much = grown.is_some_and(|grown| grown > bound);
        if too_much {
            eprintln!("  FAILED: memory may grow by {} MiB", bound >> 20);
        }
        let good = tally.failures.is_empty() && !too_much;
        failed += usize::from(!good);
        // In the format of other test programs, for whoever counts them.
        println!(
            "test result: {}. {} passed; {} failed; 0 ignored; 0 measured; 0 filtered out",
            if good { "ok" } else { "FAILED" },
            usize::from(good),
            usize::from(!good)
        );
    }
    exit(if failed > 0 { 101 } else { 0 });
}

fn report(part: &Part, tally: &Tally, took: Duration, grown: Option<u64>) {
    let total: u64 = tally.outcomes.values().sum();
    println!(
        "{}: {total} files in {:.1} s",
        part.name,
        took.as_secs_f64()
    );
    for (outcome, count) in &tally.outcomes {
        println!("  {count:>9}  {outcome}");
    }
    for (place, count) in std::mem::take(&mut *PANICS.lock().unwrap()) {
        println!("  {count:>9}  panics at {place}");
    }
    let (time, number) = tally.slowest;
    println!(
        "  slowest: mutant {number}, {:.1} ms",
        time.as_secs_f64() * 1e3
    );
    if let Some(grown) = grown {
        println!(
            "  memory grew by {:.1} MiB at most",
            grown as f64 / (1 << 20) as f64
        );
    }
}

/// Makes all mutants of a part and processes them.
fn mutants(part: &Part, index: usize, threads: usize, options: &Options) -> Tally {
    let numbers = match options.only {
        Some(number) => number..number + 1,
        None => 1..options.mutants + 1,
    };
    let next = AtomicU64::new(numbers.start);
    let started = Instant::now();
    // Never 0, which means idle.
    let now = || started.elapsed().as_millis() as u64 + 1;
    let desks: Vec<Desk> = (0..threads).map(|_| Desk::default()).collect();
    let underway = File::create(folder().join("underway")).unwrap();
    let done = AtomicBool::new(false);
    let all = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                for desk in &desks {
                    let since = desk.since.load(Ordering::Acquire);
                    if since > 0 && now() - since > LONGEST.as_millis() as u64 {
                        eprintln!("{}: a file takes more than {LONGEST:?}", part.name);
                        keep(part, options.seed, desk.number.load(Ordering::Relaxed));
                        exit(101);
                    }
                }
            }
        });
        let workers: Vec<_> = desks
            .iter()
            .enumerate()
            .map(|(thread, desk)| {
                let (next, numbers, all, underway) = (&next, &numbers, &all, &underway);
                scope.spawn(move || {
                    let mut tally = Tally::default();
                    let mut judge = (part.judge)();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= numbers.end || tally.failures.len() >= MAX_FAILURES {
                            break;
                        }
                        let mutant = part.mutant(options.seed, number);
                        note(underway, thread, index as u64, number);
                        desk.number.store(number, Ordering::Relaxed);
                        desk.since.store(now(), Ordering::Release);
                        let start = Instant::now();
                        let judged = catch_unwind(AssertUnwindSafe(|| judge(&mutant.bytes)));
                        let took = start.elapsed();
                        desk.since.store(0, Ordering::Release);
                        tally.slowest = tally.slowest.max((took, number));
                        match judged {
                            Ok(Ok(outcome)) => *tally.outcomes.entry(outcome).or_default() += 1,
                            Ok(Err(wrong)) => tally.failures.push((number, wrong)),
                            Err(_) => {
                                // A panic may leave any state behind.
                                judge = (part.judge)();
                                tally.failures.push((number, "a panic escaped".to_owned()));
                            }
                        }
                    }
                    let mut all = all.lock().unwrap();
                    for (outcome, count) in tally.outcomes {
                        *all.outcomes.entry(outcome).or_default() += count;
                    }
                    all.slowest = all.slowest.max(tally.slowest);
                    all.failures.extend(tally.failures);
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    all.into_inner().unwrap()
}

/// Records what a thread works on, where it outlives the process.
fn note(underway: &File, thread: usize, part: u64, number: u64) {
    let mut record = [0; 16];
    record[..8].copy_from_slice(&part.to_le_bytes());
    record[8..].copy_from_slice(&number.to_le_bytes());
    #[cfg(unix)]
    std::os::unix::fs::FileExt::write_all_at(underway, &record, 16 * thread as u64).unwrap();
    #[cfg(not(unix))]
    let _ = (underway, thread, record);
}

/// Returns the peak memory of this process in bytes, or `None` if the system does not say.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}
