//! Any bytes for one parser; see `src/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let target = dbxcmk::fuzzing::TARGETS.iter().find(|one| one.name == "names").expect("a target");
    let _ = (target.run)(input);
});
