//! Any text as the target of a request to Twilio: what the egress takes means one thing to every reader.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_gateway::laws;

fuzz_target!(|text: &str| laws::target(&format!("/api.twilio.com{text}")));
