//! The command line of imgsearch.
fn main() {}
