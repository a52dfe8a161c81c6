//! libFuzzer's way into the target `h264_headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let target = scanout_fuzz::target("h264_headers").expect("a name of the table");
    (target.run)(data);
});
