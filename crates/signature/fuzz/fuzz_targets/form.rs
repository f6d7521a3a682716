//! A body of any bytes, signed by the plain reader, must be admitted by the verifier's own reader; with one byte
//! changed, only if the plain reader sees the same text to sign.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_signature::{
    AccountKeys, Keyring, Policy, Refusal, Request, Scratch, Signer, Verdict, fields, verify,
};

fuzz_target!(|input: (&[u8], usize, u8)| {
    let (body, at, byte) = input;
    let keyring = Keyring::new([AccountKeys::anonymous().primary("token")]).expect("one key");
    let mut scratch = Scratch::default();
    let mut judge = |request: &Request<'_>| verify(request, &keyring, &Policy::default(), &mut scratch);
    let signer = Signer::token("token");

    let signed = signer.form_body("https://h.example/p", body);
    let adds_nothing = fields(body).all(|(name, value)| name.is_empty() && value.is_empty());
    match judge(&signed.request()) {
        Verdict::Allow(_) => assert!(!adds_nothing || body.is_empty()),
        Verdict::Refuse(Refusal::BodyHashMissing) => assert!(adds_nothing && !body.is_empty()),
        Verdict::Refuse(Refusal::TooManyParameters) => assert!(fields(body).count() > 10_000),
        Verdict::Refuse(refusal) => panic!("{refusal:?}"),
    }

    let mut other = body.to_vec();
    if let Some(changed) = other.get_mut(at) {
        *changed = byte;
    }
    let forged = Request { body: &other, ..signed.request() };
    if signer.sign_request(&forged).as_bytes() != signed.request().signature.unwrap_or_default() {
        assert!(matches!(judge(&forged), Verdict::Refuse(_)));
    }
});
