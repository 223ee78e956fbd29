//! What becomes of an index when the program is killed, or the disk fails it, at any change it makes.
//!
//!     cargo test --test faults
//!     cargo test --release --test faults -- --runs 1000 --every 1 [--seed N] [--photos FOLDER] [NAME]
//!
//! The program runs with a library before it (`shim.c`) that counts what it changes in the index's
//! folder: files made, written, cut, synced, renamed, removed. Each scenario is played once
//! undisturbed, which says what the index holds before and after, and then again and again, with the
//! process killed or the disk failing at one of those changes. Afterwards the index must be sound,
//! hold of every image what was stored before or what comes after, and be completed by the same
//! command. Then as many runs are killed at random instants, twice and thrice in a row some of them.
//!
//! `--every N` takes each N-th change (1: all of them, with every kind of fault; default 5, the kinds
//! in turns), `--runs N` kills at random instants (default 20), NAME plays only scenarios whose name
//! holds it. FOLDER holds photographs to use instead of pieces of the samples.

#[cfg(target_os = "linux")]
mod odd;
#[cfg(target_os = "linux")]
mod play;
#[cfg(target_os = "linux")]
mod scenes;
#[cfg(target_os = "linux")]
mod state;

#[cfg(target_os = "linux")]
fn main() {
    std::process::exit(play::main());
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("faults are injected on Linux only");
}
