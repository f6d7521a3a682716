//! What comes before a webhook is looked at: the PROXY protocol, forwarding headers, credentials.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_gateway::laws;

fuzz_target!(|input: (u8, [u8; 4], &[u8], &[u8])| laws::headers(input));
