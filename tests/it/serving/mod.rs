//! `imgsearch serve`, asked over HTTP.

mod access;
mod browsing;
mod changing;
mod client;
mod files;
mod long_work;
mod questions;
mod watching;

use crate::support::{Place, sample_names};

/// A place with all samples, indexed.
fn indexed() -> Place {
    let names = sample_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let place = Place::with(&names);
    place.index();
    place
}
