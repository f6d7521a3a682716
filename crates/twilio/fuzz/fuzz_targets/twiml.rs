//! Any bytes as TwiML: what is read can be written with other time limits and is the same else.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/laws/mod.rs"]
mod laws;

fuzz_target!(|input: &[u8]| laws::twiml(input));
