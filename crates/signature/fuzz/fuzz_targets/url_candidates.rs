//! Any bytes as a URL: what is signed in one of its forms is admitted, and told in that form or in one that has
//! the same text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_signature::{
    AccountKeys, Candidate, Keyring, Policy, Port, ReceivedUrl, Request, Scratch, Signer, Userinfo, Verdict,
    verify,
};

fuzz_target!(|input: (&[u8], &[u8], bool)| {
    let (url, userinfo, websocket) = input;
    let received = ReceivedUrl::parse(url).with_userinfo(userinfo);
    assert!(received.target().len() <= url.len());
    assert!(received.query().is_none_or(|query| query.len() < url.len()));
    let request = Request {
        method: "GET",
        url: received,
        websocket,
        content_type: None,
        body: b"",
        signature: None,
        settings: None,
    };
    let keyring = Keyring::new([AccountKeys::anonymous().primary("token")]).expect("one key");
    let policy = Policy { try_userinfo: true, ..Policy::default() };
    let (signer, mut scratch) = (Signer::token("token"), Scratch::default());

    for port in [Port::AsReceived, Port::Removed, Port::DefaultAdded] {
        for is_websocket in [false, true] {
            for userinfo in [Userinfo::AsReceived, Userinfo::Removed, Userinfo::Added] {
                let candidate = Candidate { port, websocket: is_websocket, userinfo };
                let signature = signer.sign_candidate(&request, candidate);
                let signed = Request { signature: Some(signature.as_bytes()), ..request };
                let verdict = verify(&signed, &keyring, &policy, &mut scratch);
                if let Verdict::Allow(allowed) = verdict {
                    assert_eq!(signer.sign_candidate(&request, allowed.candidate), signature);
                } else if candidate == Candidate::AS_RECEIVED {
                    assert!(
                        received.query().is_some(),
                        "only bodySHA256 or too many parameters may refuse it"
                    );
                }
            }
        }
    }
});
