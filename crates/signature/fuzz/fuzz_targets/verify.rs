//! Any bytes as a whole request. Nobody who has not the key is admitted, whatever the buffers held before.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_signature::{
    AccountKeys, Algorithm, Keyring, Policy, ReceivedUrl, Request, Scratch, Signer, Strict, Verdict, verify,
};

fuzz_target!(|input: (&[u8], &[u8], Option<&[u8]>, &[u8], Option<&[u8]>, bool)| {
    let (url, body, content_type, signature, settings, websocket) = input;
    let account = "AC00000000000000000000000000000001".parse().expect("a SID");
    let keys = AccountKeys::new(account).primary("token").shared_key("k", "secret", Algorithm::HmacSha256);
    let keyring = Keyring::new([keys]).expect("two keys");
    let policy =
        Policy { strict: Strict::Refuse, try_userinfo: true, parent_may_stand_in: true, ..Policy::default() };
    let request = Request {
        method: "POST",
        url: ReceivedUrl::parse(url),
        websocket,
        content_type,
        body,
        signature: Some(signature),
        settings,
    };
    let mut used = Scratch::default();
    assert!(matches!(verify(&request, &keyring, &policy, &mut used), Verdict::Refuse(_)));

    // What holds the key may be admitted or not, but the same both times.
    let signature = Signer::token("token").sign_request(&request);
    let signed = Request { signature: Some(signature.as_bytes()), ..request };
    let again = verify(&signed, &keyring, &policy, &mut used);
    assert_eq!(verify(&signed, &keyring, &policy, &mut Scratch::default()), again);
});
