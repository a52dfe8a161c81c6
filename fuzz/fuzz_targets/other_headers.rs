//! libFuzzer's way into the target `other_headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let target = scanout_fuzz::target("other_headers").expect("a name of the table");
    (target.run)(data);
});
