//! libFuzzer's way into the target `y4m`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let target = scanout_fuzz::target("y4m").expect("a name of the table");
    (target.run)(data);
});
