//! Settings that libraries read from the environment.

#![allow(unsafe_code)]

use std::env;

/// Threads of candle for element-wise operations. By default it has one for each core, and each operation waits for
/// the slowest of them in a loop. If another program needs a core, that wait takes longer than the work:
/// training on 2,000 images took 6 s instead of 14 to 17 s on a busy machine with two cores. Products of matrices
/// have threads of their own.
const CANDLE_THREADS: &str = "CANDLE_NUM_THREADS";

/// Sets what is not set. To be called first, while there is no other thread.
pub fn prepare() {
    imgsearch::onnx::disable_telemetry();
    if env::var_os(CANDLE_THREADS).is_none() {
        // SAFETY: no other thread runs yet, as the caller promises, so nothing reads the environment meanwhile.
        unsafe { env::set_var(CANDLE_THREADS, "1") };
    }
}
