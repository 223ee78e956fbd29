//! The program as its users run it: the real binary, the real encoder, real files.

mod adapting;
mod compare;
mod comparing;
mod concurrency;
mod confirming;
mod contract;
mod damaged;
mod dates;
mod duplicates;
mod duplicates_action;
mod duplicates_decided;
mod duplicates_undo;
mod folder;
#[cfg(target_os = "linux")]
mod foreign;
mod forgetting;
mod formats;
mod golden;
mod groups;
#[cfg(target_os = "linux")]
mod growing;
mod help;
mod importing;
mod incremental;
mod mapping;
mod mixtures;
#[cfg(target_os = "linux")]
mod network;
mod numbers;
mod outliers;
#[cfg(target_os = "linux")]
mod paths;
mod pictures;
mod pixels;
mod queries;
mod reencoding;
mod restoring;
mod resuming;
mod searching;
mod serving;
mod sharing;
#[cfg(target_os = "linux")]
mod signals;
mod similarity;
mod streams;
mod support;
mod upkeep;
mod walking;
mod watching;
mod words;
