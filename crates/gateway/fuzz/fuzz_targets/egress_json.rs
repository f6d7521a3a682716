//! Any bytes as an answer of Twilio's: the secrets that a real parser sees are gone, and nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_gateway::laws;

fuzz_target!(|bytes: &[u8]| laws::json(bytes));
