//! Any bytes as two headers of cookies: one of ours is found where there is one and no second.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_console::laws;

fuzz_target!(|input: (&[u8], &[u8])| laws::cookies(input.0, input.1));
