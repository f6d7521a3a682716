//! A body of any bytes: what the plain reader signs, the verifier admits, and nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/laws/mod.rs"]
mod laws;

fuzz_target!(|input: (&[u8], usize, u8)| laws::form(input));
