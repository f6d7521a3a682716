//! Any bytes as a form: what the egress takes is, written anew, the same to every reader.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_gateway::laws;

fuzz_target!(|bytes: &[u8]| laws::form(bytes));
