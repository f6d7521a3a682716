//! What must hold of any bytes at all that somebody sends as a browser's answer about a passkey.
//!
//! The law is a function that panics where it does not hold. The tests ask it with the seeds that fuzzing has found, the
//! fuzz target (`fuzz/`) with whatever the fuzzer comes upon.

use ringfence_second_factor::passkey::{
    Assertion, Challenge, Passkey, Refusal, Registration, RelyingParty, authenticate, register,
};

/// What a browser saw when it was asked with a challenge of zeros.
const CREATE: &[u8] = br#"{"type":"webauthn.create","challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","origin":"https://a.example"}"#;
const GET: &[u8] = br#"{"type":"webauthn.get","challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","origin":"https://a.example"}"#;

/// What a browser answers: client data, attestation, authenticator data, signature.
pub(crate) type Answered<'a> = (&'a [u8], &'a [u8], &'a [u8], &'a [u8]);

/// A passkey that is taken is one that can be read again, and nothing that was not signed lets anybody in.
pub(crate) fn passkey((client, attestation, authenticator_data, signature): Answered<'_>) {
    let party = RelyingParty::new("https://a.example", "A").expect("a party");
    let challenge = Challenge::new([0; 32]);
    for client_data in [client, CREATE] {
        if let Ok(passkey) = register(&party, &challenge, &Registration { client_data, attestation }) {
            let credential = passkey.credential.clone();
            let answer = Assertion {
                credential: &credential,
                client_data: GET,
                authenticator_data,
                signature: b"",
                user_handle: None,
            };
            let refused = authenticate(&party, &challenge, b"ps_1", &passkey, &answer);
            assert!(refused.is_err_and(|why| why != Refusal::Key && why != Refusal::Algorithm));
        }
    }
    let key = attestation.to_vec();
    let passkey =
        Passkey { credential: b"c".to_vec(), key, counter: 0, backup_eligible: false, backed_up: false };
    for client_data in [client, GET] {
        let user_handle = Some(signature);
        let answer = Assertion { credential: b"c", client_data, authenticator_data, signature, user_handle };
        // No verdict is demanded: a fuzzer may bring a key of its own, and sign with it.
        let _ = authenticate(&party, &challenge, signature, &passkey, &answer);
    }
}
