//! What must hold of any bytes at all that somebody sends as a request with a signature.
//!
//! Each law is one function that panics where it does not hold. The tests ask them with the seeds that fuzzing has found,
//! the fuzz targets (`fuzz/`) with whatever the fuzzer comes upon.

use ringfence_signature::{
    AccountKeys, Algorithm, Candidate, Keyring, Policy, Port, ReceivedUrl, Refusal, Request, Scratch, Signer,
    Strict, Userinfo, Verdict, fields, verify,
};

/// A body of any bytes, signed by the plain reader, must be admitted by the verifier's own reader; with one byte
/// changed, only if the plain reader sees the same text to sign.
pub(crate) fn form((body, at, byte): (&[u8], usize, u8)) {
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
        Verdict::Refuse(refusal) => unreachable!("refused: {refusal:?}"),
    }

    let mut other = body.to_vec();
    if let Some(changed) = other.get_mut(at) {
        *changed = byte;
    }
    let forged = Request { body: &other, ..signed.request() };
    if signer.sign_request(&forged).as_bytes() != signed.request().signature.unwrap_or_default() {
        assert!(matches!(judge(&forged), Verdict::Refuse(_)));
    }
}

/// Any bytes as a URL: what is signed in one of its forms is admitted, and told in that form or in one that has
/// the same text.
pub(crate) fn url_candidates((url, userinfo, websocket): (&[u8], &[u8], bool)) {
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
}

/// A whole request: URL, body, content type, signature, settings of the connection, and whether it is a WebSocket's.
pub(crate) type Whole<'a> = (&'a [u8], &'a [u8], Option<&'a [u8]>, &'a [u8], Option<&'a [u8]>, bool);

/// Any bytes as a whole request. Nobody who has not the key is admitted, whatever the buffers held before.
pub(crate) fn whole((url, body, content_type, signature, settings, websocket): Whole<'_>) {
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
}
