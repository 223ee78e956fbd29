//! The program as its users run it: the real binary, the real encoder, real files.

mod cases;
mod comparing;
mod contract;
mod damaged;
mod golden;
mod incremental;
mod odd;
mod pixels;
mod reencoding;
mod searching;
mod support;
mod upkeep;
