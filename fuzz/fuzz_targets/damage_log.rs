//! libFuzzer's way into the target `damage_log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let target = scanout_fuzz::target("damage_log").expect("a name of the table");
    (target.run)(data);
});
