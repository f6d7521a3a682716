//! Any bytes as the body of a request to a JSON API: what is taken is one object to every reader, and what is refused is
//! told without repeating a code.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_control::laws;

fuzz_target!(|bytes: &[u8]| laws::bodies(bytes));
