//! Any text as the target of a request for a file, and as where a redirect of Twilio's leads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_gateway::laws;

fuzz_target!(|text: &str| laws::media(text));
