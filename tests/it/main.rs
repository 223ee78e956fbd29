//! The program as its users run it: the real binary, the real encoder, real files.

mod cases;
mod comparing;
mod contract;
mod damaged;
#[cfg(target_os = "linux")]
mod foreign;
mod forgetting;
mod golden;
mod incremental;
#[cfg(target_os = "linux")]
mod network;
mod odd;
mod pixels;
mod reencoding;
mod resuming;
mod searching;
mod support;
