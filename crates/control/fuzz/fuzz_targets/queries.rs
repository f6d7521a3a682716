//! Any text as the query of a request to the API: what is taken says each of its names once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_control::laws;

fuzz_target!(|text: &str| laws::queries(text));
