//! Turns off ONNX Runtime's telemetry before it starts.
//!
//! Since 1.29 Microsoft's builds for Linux and macOS report each process and session over the
//! network, and keep an identifier and what is still to be sent in the user's cache folder
//! (microsoft/onnxruntime, pull request 27379). The call that turns it off needs an environment that
//! has been set up, and the first report is made by then. Only a variable that the library reads
//! before that keeps all of it from happening.

#![allow(unsafe_code)]

use std::env;

/// The variable. If it is set already, it stays.
const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Keeps ONNX Runtime from reporting anything. Loading it does this, too; a program does best to call
/// it first, before other threads run code in C that reads the environment.
pub fn disable_telemetry() {
    if env::var_os(VARIABLE).is_none() {
        // SAFETY: a race is possible only with code that reads or changes the environment past the
        // standard library's lock in another thread at this moment. This crate has none: the
        // variable is set by the thread that asks for ONNX Runtime, before the library is loaded and
        // before a thread to load it in is started, and only once.
        unsafe { env::set_var(VARIABLE, "1") };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telemetry_is_off() {
        disable_telemetry();
        assert!(env::var_os(VARIABLE).is_some());
        disable_telemetry();
    }
}
