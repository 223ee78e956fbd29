//! What people type, on the command line and into the page: filters, dates, sizes.

pub mod dates;
pub mod filter;

/// The result of reading what was typed.
pub type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
