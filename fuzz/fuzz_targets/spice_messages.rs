//! libFuzzer's way into the target `spice_messages`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let target = scanout_fuzz::target("spice_messages").expect("a name of the table");
    (target.run)(data);
});
