//! Any bytes as what a browser answers: nothing that was not signed lets anybody in.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/laws/mod.rs"]
mod laws;

fuzz_target!(|input: laws::Answered<'_>| laws::passkey(input));
