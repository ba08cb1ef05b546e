//! Any line, answered as `policy evaluate` answers it: a decision or an error, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    let _ = dbxcmk::cli::policy::decide(line);
});
