//! libFuzzer's way into the target `raw_layout`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let target = scanout_fuzz::target("raw_layout").expect("a name of the table");
    (target.run)(data);
});
