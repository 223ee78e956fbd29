//! What happens to an index when the program is killed, or its disk fails, at any change that it makes.
//!
//!     cargo test --test faults
//!     cargo test --release --test faults -- --runs 1000 --every 1 [--seed N] [--photos FOLDER] [NAME]
//!
//! A preloaded library (`shim.c`) counts what the program changes in the folder of the index: files created,
//! written, cut, synced, renamed, removed. Each scenario first runs undisturbed, which shows what the index holds
//! before and after. Then it runs again and again, and at one of these changes the process is killed or the disk
//! fails. After that the index must be intact, hold every image as before or as after, and be completed by the same
//! command. Last, further runs are killed at random instants, some of them two or three times in a row.
//!
//! Actions on duplicates (`actions.rs`) change files outside of the index as well. There, whatever happens, every file
//! must be somewhere with its content, and undoing must bring it back.
//!
//! `--every N` takes each N-th change (1: all of them, with every kind of fault; default 5, with the kinds in
//! turns), `--runs N` kills at random instants (default 20), NAME selects scenarios whose name contains it. FOLDER
//! holds images to use instead of pieces of the samples.

#[cfg(target_os = "linux")]
mod actions;
#[cfg(target_os = "linux")]
mod environment;
#[cfg(target_os = "linux")]
mod runner;
#[cfg(target_os = "linux")]
mod scenarios;
#[cfg(target_os = "linux")]
mod state;

#[cfg(target_os = "linux")]
fn main() {
    std::process::exit(runner::main());
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("faults are injected on Linux only");
}
