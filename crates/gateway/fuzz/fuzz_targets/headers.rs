//! What comes before a webhook is looked at: the PROXY protocol, forwarding headers, credentials.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_gateway::laws;

fuzz_target!(|input: (u8, [u8; 4], &[u8], &[u8])| {
    let (which, peer, one, two) = input;
    match which % 3 {
        0 => laws::forwarded(peer.into(), one, two),
        1 => laws::basic(one),
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(laws::proxy_header(one));
        }
    }
});
