//! Opens, searches and verifies what is no segment, or almost one.
#![no_main]

use imgsearch_index::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // As it is, and with the checksums that belong to it, for no fuzzer guesses those.
    let as_it_is = fuzzing::search(bytes);
    let mut sealed = bytes.to_vec();
    fuzzing::reseal(&mut sealed, true);
    let sealed = fuzzing::search(&sealed);
    assert!(as_it_is.is_err() || sealed.is_ok());
});
