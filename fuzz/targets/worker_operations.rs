#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(sanderling_lab::fuzz::operations(data)));
