//! The program as its users run it: the real binary, the real encoder, real files.

mod adapting;
mod arrays;
#[cfg(target_os = "linux")]
mod collections;
mod colours;
mod compare;
mod comparing;
mod concurrency;
mod confirming;
mod contract;
mod damaged;
mod dates;
#[cfg(unix)]
mod documented;
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
mod lists;
mod logging;
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
mod repairing;
mod restoring;
mod resuming;
mod sandbox;
mod searching;
mod serving;
mod settings;
mod sharing;
#[cfg(target_os = "linux")]
mod signals;
mod similarity;
#[cfg(target_os = "linux")]
mod stopping;
mod streams;
mod support;
mod topics;
mod upkeep;
mod version;
mod walking;
mod watching;
mod words;
