#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    sanderling_rtc::fuzz::connected(data);
});
