//! Checks what is no encoder file, or almost one, against the contract.
#![no_main]

use imgsearch::onnx::EncoderFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = EncoderFile::from_bytes(bytes, "a file of the fuzzer's") else {
        return;
    };
    let info = file.info();
    assert!((1..=4096).contains(&info.width) && (1..=4096).contains(&info.height));
    assert_eq!(info.is_trunk(), file.require_codes().is_err());
    if let Ok(trunk) = file.trunk_at(48, None) {
        assert!(trunk.info().is_trunk());
    }
});
