//! Runs the scenarios with a fault at each change, and with a kill at random instants.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::scenarios::{REMAP, Sandbox, Scenario, scenarios};
use crate::state::{State, audit, leftover_files};
use crate::{actions, environment};

pub const KINDS: [&str; 4] = ["kill", "error", "full", "short"];

/// SIGKILL.
const KILLED: i32 = 9;

struct Options {
    runs: usize,
    every: usize,
    seed: u64,
    photos: Option<PathBuf>,
    wanted: String,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        runs: 20,
        every: 5,
        seed: 0,
        photos: None,
        wanted: String::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || -> Result<u64, String> {
            let text = words.next().ok_or(format!("{word} wants a number"))?;
            text.parse()
                .map_err(|_| format!("{word} wants a number, not {text:?}"))
        };
        match word.as_str() {
            "--runs" => options.runs = number()? as usize,
            "--every" => options.every = (number()? as usize).max(1),
            "--seed" => options.seed = number()?,
            "--photos" => {
                let folder = words.next().ok_or("--photos wants a folder")?;
                options.photos = Some(PathBuf::from(folder));
            }
            // Options that `cargo test` passes on to every test program.
            "--test-threads" | "--skip" | "--color" | "--format" | "--logfile" => {
                drop(words.next())
            }
            other if other.starts_with('-') => {}
            name => options.wanted = name.to_owned(),
        }
    }
    Ok(options)
}

/// How the runs of a scenario ended.
#[derive(Default)]
pub struct Tally {
    pub changes: usize,
    pub runs: usize,
    pub ended: BTreeMap<String, usize>,
    pub failures: Vec<String>,
}

impl Tally {
    fn print(&self, name: &str) {
        let ended: Vec<String> = self
            .ended
            .iter()
            .map(|(how, count)| format!("{count} {how}"))
            .collect();
        let of = match self.changes {
            0 => String::new(),
            changes => format!("{changes} changes, "),
        };
        println!("{name}: {of}{} runs ({})", self.runs, ended.join(", "));
        for failure in &self.failures {
            println!("FAILED {name}, {failure}");
        }
    }
}

pub fn main() -> i32 {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return 2;
        }
    };
    let work = tempfile::tempdir().unwrap();
    let sandbox = Sandbox {
        dir: work.path().to_owned(),
        shim: build_shim(work.path()),
    };
    let is_wanted = |name: &str| name.contains(&options.wanted);
    // The environments use some of the scenarios, whatever their names are.
    let needed = match environment::CASES.iter().any(|(name, _)| is_wanted(name)) {
        true => "",
        false => &options.wanted,
    };
    let scenarios = scenarios(&sandbox, options.photos.as_deref(), needed);
    check_the_judge(&scenarios);
    let (mut passed, mut failed) = (0, 0);
    let mut count = |tally: &Tally, name: &str| {
        tally.print(name);
        if tally.failures.is_empty() {
            passed += 1;
        } else {
            failed += 1;
        }
    };
    for scenario in scenarios.iter().filter(|scenario| is_wanted(scenario.name)) {
        count(
            &with_faults(&sandbox, scenario, options.every),
            scenario.name,
        );
    }
    if scenarios.iter().any(|scenario| is_wanted(scenario.name)) && options.runs > 0 {
        count(
            &with_kills(&sandbox, &scenarios, &options),
            "killed at random instants",
        );
    }
    for (name, case) in environment::CASES {
        if is_wanted(name) {
            let mut tally = Tally {
                runs: 1,
                ..Tally::default()
            };
            tally.failures.extend(case(&sandbox, &scenarios).err());
            count(&tally, name);
        }
    }
    for (name, way) in actions::CASES {
        if is_wanted(name) {
            count(&actions::run(&sandbox, way, options.every), name);
        }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {verdict}. {passed} passed; {failed} failed;");
    i32::from(failed > 0)
}

/// Fails unless the judge notices a lost image, and one with another content.
fn check_the_judge(scenarios: &[Scenario]) {
    for Scenario { before, after, .. } in scenarios {
        let mut paths = after.rows.keys();
        let (Some(first), Some(other)) = (paths.next(), paths.nth(2)) else {
            continue;
        };
        let mut lacking = after.clone();
        lacking.rows.remove(first);
        let lost = lacking.lies_between(before, after).is_err();
        assert_eq!(lost, before.rows.contains_key(first));
        let mut mixed = after.clone();
        mixed.rows.insert(first.clone(), after.rows[other].clone());
        assert!(mixed.lies_between(before, after).is_err());
    }
    let renewed = scenarios.iter().find(|scenario| scenario.name == REMAP);
    if let Some(Scenario { before, after, .. }) = renewed {
        assert!(before.map.is_some() && after.map.is_some() && before.map != after.map);
    }
}

fn build_shim(work: &Path) -> PathBuf {
    let shim = work.join("shim.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
    let built = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .arg(&shim)
        .arg(source)
        .arg("-ldl")
        .status()
        .expect("a C compiler, which script/setup installs");
    assert!(built.success());
    shim
}

fn with_faults(sandbox: &Sandbox, scenario: &Scenario, every: usize) -> Tally {
    let mut tally = Tally {
        changes: changes(sandbox, scenario),
        ..Tally::default()
    };
    let step = if every == 1 {
        1
    } else {
        every * scenario.stride
    };
    for (turn, at) in (1..=tally.changes).step_by(step).enumerate() {
        let kinds: &[&str] = if every == 1 {
            &KINDS
        } else {
            &[KINDS[turn % KINDS.len()]]
        };
        for &kind in kinds {
            sandbox.set(scenario.template.as_deref());
            let output = sandbox
                .disturbed(kind, at)
                .args(&scenario.arguments)
                .output()
                .unwrap();
            tally.runs += 1;
            let how = ended(&output);
            *tally.ended.entry(how.clone()).or_default() += 1;
            let judged = is_allowed(kind, &output)
                .and_then(|()| judge(sandbox, scenario, is_complete(&output)))
                .and_then(|()| complete(sandbox, scenario));
            if let Err(why) = judged {
                tally
                    .failures
                    .push(format!("{kind} at change {at} ({how}): {why}"));
            }
        }
    }
    tally
}

/// Returns the number of changes that a scenario makes undisturbed.
fn changes(sandbox: &Sandbox, scenario: &Scenario) -> usize {
    let log = sandbox.dir.join("changes.log");
    sandbox.set(scenario.template.as_deref());
    let output = sandbox
        .disturbed("none", 0)
        .env("FAULT_LOG", &log)
        .args(&scenario.arguments)
        .output()
        .unwrap();
    assert_eq!(is_allowed("none", &output), Ok(()));
    let changes = fs::read_to_string(&log).unwrap().lines().count();
    fs::remove_file(log).unwrap();
    assert!(
        changes > 0,
        "{}: the library counted nothing",
        scenario.name
    );
    changes
}

pub fn ended(output: &Output) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (output.status.code(), output.status.signal()) {
        (Some(0 | 1), _) => "completed".to_owned(),
        (Some(2), _) => "ended with an error".to_owned(),
        (Some(code), _) => format!("ended with {code}"),
        (None, Some(KILLED)) => "killed".to_owned(),
        (None, signal) => format!("ended by signal {signal:?}"),
    }
}

/// Checks that the program may end as it did.
pub fn is_allowed(kind: &str, output: &Output) -> Result<(), String> {
    let how = ended(output);
    let said = String::from_utf8_lossy(&output.stderr);
    let allowed = match kind {
        "kill" => how == "killed" || how == "completed",
        // After a short write, the program only has to write the rest.
        "short" | "none" => how == "completed",
        _ => how == "completed" || how == "ended with an error",
    };
    if !allowed || said.contains("panicked") {
        return Err(format!("it said: {said}"));
    }
    if how == "ended with an error"
        && !said.starts_with("imgsearch: ")
        && !said.contains("\nimgsearch: ")
    {
        return Err(format!("it did not say why: {said:?}"));
    }
    Ok(())
}

/// Returns whether the program did all that it was asked for. A map is shown even if its places cannot be stored, and
/// that is said.
fn is_complete(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.code().is_some_and(|code| code < 2) && !said.contains("the places are not stored")
}

/// Checks that the index is intact and holds what it may.
fn judge(sandbox: &Sandbox, scenario: &Scenario, completed: bool) -> Result<(), String> {
    let dir = sandbox.index();
    audit(&dir)?;
    let state = State::read(&dir)?;
    if completed && state != scenario.after {
        return Err("it said that it was done, and the index is not as it should be".to_owned());
    }
    if scenario.atomic && state != scenario.before && state != scenario.after {
        return Err("the index is neither as it was nor as it should come to be".to_owned());
    }
    state.lies_between(&scenario.before, &scenario.after)
}

/// Checks that the same command, undisturbed, completes the index.
fn complete(sandbox: &Sandbox, scenario: &Scenario) -> Result<(), String> {
    let output = sandbox
        .command()
        .args(&scenario.arguments)
        .output()
        .unwrap();
    is_allowed("none", &output)?;
    audit(&sandbox.index())?;
    if State::read(&sandbox.index())? != scenario.after {
        return Err("done once more, the index is not as it should be".to_owned());
    }
    leftover_files(&sandbox.index())
}

fn with_kills(sandbox: &Sandbox, scenarios: &[Scenario], options: &Options) -> Tally {
    let mut tally = Tally::default();
    let mut noise = options
        .seed
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut drawn = |below: usize| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        (noise >> 11) as usize % below
    };
    while tally.runs < options.runs {
        let scenario = &scenarios[drawn(scenarios.len())];
        if !scenario.name.contains(&options.wanted) {
            continue;
        }
        sandbox.set(scenario.template.as_deref());
        let mut instants = Vec::new();
        let mut judged = Ok(());
        for _ in 0..=drawn(3) {
            let instant =
                Duration::from_micros(drawn(1 + scenario.takes.as_micros() as usize) as u64);
            instants.push(instant);
            let output = killed_after(sandbox, scenario, instant);
            tally.runs += 1;
            *tally.ended.entry(ended(&output)).or_default() += 1;
            judged = is_allowed("kill", &output).and_then(|()| judge(sandbox, scenario, false));
            if judged.is_err() {
                break;
            }
        }
        if let Err(why) = judged.and_then(|()| complete(sandbox, scenario)) {
            tally
                .failures
                .push(format!("{} after {instants:?}: {why}", scenario.name));
        }
    }
    tally
}

fn killed_after(sandbox: &Sandbox, scenario: &Scenario, instant: Duration) -> Output {
    let mut child = sandbox
        .command()
        .args(&scenario.arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(instant);
    child.kill().unwrap();
    child.wait_with_output().unwrap()
}
