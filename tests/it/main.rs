//! The program as its users run it: the real binary, the real encoder, real files.

mod cases;
mod comparing;
mod contract;
mod damaged;
mod dates;
mod folder;
mod golden;
mod incremental;
mod numbers;
mod odd;
#[cfg(target_os = "linux")]
mod paths;
mod pixels;
mod reencoding;
mod searching;
#[cfg(target_os = "linux")]
mod signals;
mod streams;
mod support;
