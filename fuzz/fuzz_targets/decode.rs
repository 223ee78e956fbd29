//! Decodes and resizes what is no image, or almost one.
#![no_main]

use std::cell::RefCell;
use std::panic::set_hook;
use std::sync::Once;
use std::time::Duration;

use imgsearch::decode::{Decoder, Geometry, Limits, Resize};
use libfuzzer_sys::fuzz_target;

const GEOMETRY: Geometry = Geometry {
    width: 32,
    height: 32,
    resize: Resize::ShortSideCrop { short: 36 },
};

thread_local! {
    static DECODER: RefCell<Decoder> = RefCell::new(Decoder::new(limits()));
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_memory = 64 << 20;
    limits.max_pixels = 16_000_000;
    // The fuzzer has a clock of its own.
    limits.max_time = Duration::from_hours(1);
    limits
}

fuzz_target!(|bytes: &[u8]| {
    // A decoder's panic costs its image and nothing else, so the fuzzer's hook, which aborts, must
    // not see it. One that escapes aborts all the same.
    static QUIET: Once = Once::new();
    QUIET.call_once(|| set_hook(Box::new(|_| {})));
    let mut out = [0; 32 * 32 * 3];
    DECODER.with_borrow_mut(|decoder| {
        if let Ok(decoded) = decoder.decode_into(bytes, &GEOMETRY, &mut out) {
            assert!(decoded.width > 0 && decoded.height > 0);
        }
    });
});
