#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sanderling_load::fuzz::control(data));
