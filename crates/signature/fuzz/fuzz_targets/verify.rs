//! Any bytes as a whole request: nobody who has not the key is admitted.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/laws/mod.rs"]
mod laws;

fuzz_target!(|input: laws::Whole<'_>| laws::whole(input));
