//! Any bytes as a URL: what is signed in one of its forms is found again.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/laws/mod.rs"]
mod laws;

fuzz_target!(|input: (&[u8], &[u8], bool)| laws::url_candidates(input));
