//! libFuzzer's way into the target `png`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let target = scanout_fuzz::target("png").expect("a name of the table");
    (target.run)(data);
});
