//! libFuzzer's way into the target `recording`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let target = scanout_fuzz::target("recording").expect("a name of the table");
    (target.run)(data);
});
