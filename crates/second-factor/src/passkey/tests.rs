use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const CHALLENGE: Challenge = Challenge::new([7; 32]);
const ORIGIN: &str = "https://console.example";
const UP: u8 = 1;
const UV: u8 = 4;
const BE: u8 = 8;
const BS: u8 = 16;
const AT: u8 = 64;
const ED: u8 = 128;

/// Whose passkeys they are.
const USER: &[u8] = b"ps_1";

fn party() -> RelyingParty {
    RelyingParty::new("https://console.example/", "Ringfence").expect("an address of the test")
}

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

/// An authenticator that does what it is told.
struct Authenticator {
    pair: Pair,
    rp_id: &'static str,
    flags: u8,
    counter: u32,
}

impl Authenticator {
    fn new(algorithm: Algorithm) -> Self {
        let pair = match algorithm {
            Algorithm::Es256 => {
                Pair::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"))
            }
            Algorithm::EdDsa => Pair::EdDsa(Ed25519KeyPair::generate().expect("a key")),
            Algorithm::Rs256 => Pair::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")),
        };
        Self { pair, rp_id: "console.example", flags: UP | UV, counter: 1 }
    }

    fn key(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let parts: [&[u8]; 4] = [
                    b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20",
                    &point[1..33],
                    b"\x22\x58\x20",
                    &point[33..],
                ];
                parts.concat()
            }
            Pair::EdDsa(pair) => {
                [b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20", pair.public_key().as_ref()].concat()
            }
            Pair::Rs256(pair) => {
                // RSAPublicKey in DER (RFC 8017, A.1.1): 2048 bits after nine bytes, and 65537.
                let der = pair.public_key().as_ref();
                let n = &der[9..265];
                [b"\xa4\x01\x03\x03\x39\x01\x00\x20\x59\x01\x00", n, b"\x21\x43\x01\x00\x01"].concat()
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
                signature
            }
        }
    }

    fn data(&self, more: u8, rest: &[u8]) -> Vec<u8> {
        let hash = digest(&SHA256, self.rp_id.as_bytes());
        [hash.as_ref(), &[self.flags | more], &self.counter.to_be_bytes(), rest].concat()
    }

    /// The attested data: no model, the id `cred`, the key.
    fn attested(&self) -> Vec<u8> {
        [&[0; 16], b"\x00\x04cred".as_slice(), &self.key()].concat()
    }

    fn registers(&self, client: &[u8]) -> Result<Passkey, Refusal> {
        registers(client, &object(&self.data(AT, &self.attested())))
    }

    fn asserts(&self, passkey: &Passkey, client: &[u8]) -> Result<Passkey, Refusal> {
        let data = self.data(0, &[]);
        let signature = self.sign(&[data.as_slice(), digest(&SHA256, client).as_ref()].concat());
        asserts(passkey, client, &data, &signature)
    }
}

fn registers(client: &[u8], attestation: &[u8]) -> Result<Passkey, Refusal> {
    register(&party(), &CHALLENGE, &Registration { client_data: client, attestation })
}

fn asserts(passkey: &Passkey, client: &[u8], data: &[u8], signature: &[u8]) -> Result<Passkey, Refusal> {
    let answer = Assertion {
        credential: b"cred",
        client_data: client,
        authenticator_data: data,
        signature,
        user_handle: None,
    };
    authenticate(&party(), &CHALLENGE, USER, passkey, &answer)
}

fn object(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("a short one");
    let head: &[u8] = if length < 256 {
        &[0x58, length.to_be_bytes()[1]]
    } else {
        &[&[0x59][..], &length.to_be_bytes()].concat()
    };
    [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData", head, data].concat()
}

fn client(kind: &str) -> Value {
    let challenge = URL_SAFE_NO_PAD.encode(CHALLENGE.bytes());
    json!({ "type": kind, "challenge": challenge, "origin": ORIGIN, "crossOrigin": false })
}

fn create() -> Vec<u8> {
    client("webauthn.create").to_string().into_bytes()
}

fn get() -> Vec<u8> {
    client("webauthn.get").to_string().into_bytes()
}

/// What the browser saw, with one member changed, and how that is refused.
fn mutations() -> Vec<(&'static str, Value, Refusal)> {
    let other = URL_SAFE_NO_PAD.encode([8; 32]);
    let padded = format!("{}=", URL_SAFE_NO_PAD.encode(CHALLENGE.bytes()));
    vec![
        ("type", json!("webauthn.other"), Refusal::Type),
        ("challenge", json!(other), Refusal::Challenge),
        ("challenge", json!(padded), Refusal::Challenge),
        ("challenge", json!(""), Refusal::Challenge),
        ("origin", json!("https://console.example.evil.example"), Refusal::Origin),
        ("origin", json!("http://console.example"), Refusal::Origin),
        ("origin", json!("https://console.example:8443"), Refusal::Origin),
        ("origin", json!("https://console.example/"), Refusal::Origin),
        ("crossOrigin", json!(true), Refusal::CrossOrigin),
        ("topOrigin", json!("https://evil.example"), Refusal::CrossOrigin),
        ("origin", json!(null), Refusal::Malformed),
        ("crossOrigin", json!("no"), Refusal::Malformed),
    ]
}

#[test]
fn another_type_challenge_or_origin_is_refused_each_by_itself() {
    let authenticator = Authenticator::new(Algorithm::Es256);
    let passkey = authenticator.registers(&create()).expect("a good one");
    let authenticator = Authenticator { counter: 2, ..authenticator };
    for (member, value, refusal) in mutations() {
        for kind in ["webauthn.create", "webauthn.get"] {
            let mut client = client(kind);
            client[member] = value.clone();
            let client = client.to_string().into_bytes();
            let answer = if kind == "webauthn.create" {
                authenticator.registers(&client)
            } else {
                authenticator.asserts(&passkey, &client)
            };
            assert_eq!(answer, Err(refusal), "{member} {value}");
        }
    }
    assert_eq!(authenticator.registers(&get()), Err(Refusal::Type), "an answer to sign in binds nothing");
    assert_eq!(authenticator.asserts(&passkey, &create()), Err(Refusal::Type));
    let long = format!("{}{}", String::from_utf8(get()).expect("text"), " ".repeat(MAX_CLIENT_DATA));
    assert_eq!(authenticator.asserts(&passkey, long.as_bytes()), Err(Refusal::Malformed));
    assert!(authenticator.asserts(&passkey, &long.as_bytes()[..MAX_CLIENT_DATA]).is_ok());
    assert!(authenticator.asserts(&passkey, &long.as_bytes()[..=MAX_CLIENT_DATA]).is_err());
}

#[test]
fn what_was_seen_last_is_kept() {
    let authenticator = Authenticator::new(Algorithm::Es256);
    let authenticator = Authenticator { flags: UP | UV | BE, ..authenticator };
    let made = authenticator.registers(&create()).expect("a good one");
    assert_eq!((made.counter, made.backup_eligible, made.backed_up), (1, true, false));
    let authenticator = Authenticator { flags: UP | UV | BE | BS, counter: 5, ..authenticator };
    let kept = authenticator.asserts(&made, &get()).expect("it goes on");
    assert_eq!(kept, Passkey { counter: 5, backed_up: true, ..made.clone() });
    assert_eq!(authenticator.asserts(&kept, &get()), Err(Refusal::Cloned), "a copy with the same count");
    let authenticator = Authenticator { flags: UP | UV | BE, counter: 6, ..authenticator };
    let kept = authenticator.asserts(&kept, &get()).expect("it goes on");
    assert_eq!(kept, Passkey { counter: 6, ..made });
    assert_eq!(format!("{CHALLENGE:?}"), "Challenge(…)", "what a browser must sign is not logged");
}

#[test]
fn what_the_authenticator_saw_is_demanded() {
    let cases = [
        (UV, "console.example", Refusal::UserNotPresent),
        (UP, "console.example", Refusal::UserNotVerified),
        (UP | UV | BS, "console.example", Refusal::Backup),
        (UP | UV, "evil.example", Refusal::RelyingParty),
    ];
    for (flags, rp_id, refusal) in cases {
        let good = Authenticator::new(Algorithm::EdDsa);
        let passkey = good.registers(&create()).expect("a good one");
        let authenticator = Authenticator { flags, rp_id, counter: 2, ..good };
        assert_eq!(authenticator.registers(&create()), Err(refusal));
        assert_eq!(authenticator.asserts(&passkey, &get()), Err(refusal));
    }
}

#[test]
fn each_algorithm_binds_and_signs_in() {
    for algorithm in Algorithm::ALL {
        let mut authenticator = Authenticator::new(algorithm);
        authenticator.flags |= BE;
        let passkey = authenticator.registers(&create()).expect("a good one");
        assert_eq!(passkey.credential, b"cred");
        assert_eq!((passkey.counter, passkey.backup_eligible, passkey.backed_up), (1, true, false));
        authenticator.flags |= BS;
        authenticator.counter = 2;
        let used = authenticator.asserts(&passkey, &get()).expect("a good one");
        assert_eq!((used.counter, used.backed_up), (2, true), "{algorithm:?}");
        let other = Authenticator { counter: 2, flags: UP | UV | BE, ..Authenticator::new(algorithm) };
        assert_eq!(other.asserts(&passkey, &get()), Err(Refusal::Signature), "{algorithm:?}");
    }
}

#[test]
fn a_counter_that_does_not_move_on_is_a_copy_and_none_at_all_is_fine() {
    let mut authenticator = Authenticator::new(Algorithm::EdDsa);
    authenticator.counter = 5;
    let passkey = authenticator.registers(&create()).expect("a good one");
    for (counter, answer) in [(0, false), (4, false), (5, false), (6, true), (u32::MAX, true)] {
        authenticator.counter = counter;
        let answered = authenticator.asserts(&passkey, &get());
        assert_eq!(answered.is_ok(), answer, "{counter}");
        assert!(answer || answered == Err(Refusal::Cloned));
    }
    authenticator.counter = 0;
    let without = Passkey { counter: 0, ..passkey };
    assert_eq!(authenticator.asserts(&without, &get()), Ok(without.clone()));
}

#[test]
fn another_credential_or_another_word_of_its_backup_is_refused() {
    let mut authenticator = Authenticator::new(Algorithm::EdDsa);
    let passkey = authenticator.registers(&create()).expect("a good one");
    authenticator.counter = 2;
    let another = Passkey { credential: b"other".to_vec(), ..passkey.clone() };
    assert_eq!(authenticator.asserts(&another, &get()), Err(Refusal::Credential));
    authenticator.flags |= BE;
    assert_eq!(authenticator.asserts(&passkey, &get()), Err(Refusal::Backup));
}

#[test]
fn an_authenticator_that_names_another_user_is_refused() {
    let mut authenticator = Authenticator::new(Algorithm::EdDsa);
    let passkey = authenticator.registers(&create()).expect("a good one");
    authenticator.counter = 2;
    let data = authenticator.data(0, &[]);
    let client = get();
    let signature = authenticator.sign(&[data.as_slice(), digest(&SHA256, &client).as_ref()].concat());
    for (user_handle, refused) in
        [(Some(&b"ps_2"[..]), true), (Some(b""), true), (Some(USER), false), (None, false)]
    {
        let answer = Assertion {
            credential: b"cred",
            client_data: &client,
            authenticator_data: &data,
            signature: &signature,
            user_handle,
        };
        let answered = authenticate(&party(), &CHALLENGE, USER, &passkey, &answer);
        assert_eq!(answered.err(), refused.then_some(Refusal::User), "{user_handle:?}");
    }
}

#[test]
fn what_was_signed_cannot_be_changed() {
    let mut authenticator = Authenticator::new(Algorithm::Es256);
    let passkey = authenticator.registers(&create()).expect("a good one");
    authenticator.counter = 2;
    let data = authenticator.data(0, &[]);
    let signature = authenticator.sign(&[data.as_slice(), digest(&SHA256, &get()).as_ref()].concat());
    assert!(asserts(&passkey, &get(), &data, &signature).is_ok());
    let mut later = data.clone();
    later[36] = 9;
    assert_eq!(asserts(&passkey, &get(), &later, &signature), Err(Refusal::Signature), "the counter");
    let spaced = [get().as_slice(), b" "].concat();
    assert_eq!(
        asserts(&passkey, &spaced, &data, &signature),
        Err(Refusal::Signature),
        "what the browser saw"
    );
    assert_eq!(asserts(&passkey, &get(), &data, &[]), Err(Refusal::Signature));
}

#[test]
fn extensions_are_read_over_and_nothing_may_follow() {
    let authenticator = Authenticator::new(Algorithm::EdDsa);
    let with = |more: u8, end: &[u8]| {
        let rest = [authenticator.attested().as_slice(), end].concat();
        registers(&create(), &object(&authenticator.data(more, &rest))).map(|_| ())
    };
    assert_eq!(with(AT | ED, b"\xa1\x61x\xf5"), Ok(()));
    for (flags, end) in
        [(AT, &b"\x00"[..]), (AT | ED, b""), (AT | ED, b"\x00"), (AT | ED, b"\xa0\x00"), (0, b"")]
    {
        assert_eq!(with(flags, end), Err(Refusal::Malformed), "{flags} {end:?}");
    }
    let nothing_made = object(&authenticator.data(0, &[]));
    assert_eq!(registers(&create(), &nothing_made), Err(Refusal::Malformed));
}

#[test]
fn an_id_has_a_byte_at_least_and_1023_at_most() {
    let authenticator = Authenticator::new(Algorithm::EdDsa);
    for (length, is_one) in [(0_u16, false), (1, true), (1_023, true), (1_024, false)] {
        let id = vec![b'i'; length.into()];
        let attested = [&[0; 16], &length.to_be_bytes()[..], &id, &authenticator.key()].concat();
        let made = registers(&create(), &object(&authenticator.data(AT, &attested)));
        let expected = if is_one { Ok(id) } else { Err(Refusal::Malformed) };
        assert_eq!(made.map(|passkey| passkey.credential), expected, "{length}");
    }
}

#[test]
fn keys_that_were_not_asked_for_or_are_none_are_refused() {
    let with = |key: &[u8]| {
        let authenticator = Authenticator::new(Algorithm::EdDsa);
        let attested = [&[0; 16], b"\x00\x04cred".as_slice(), key].concat();
        registers(&create(), &object(&authenticator.data(AT, &attested))).map(|_| ())
    };
    let zeros = [0; 32];
    let off_the_curve: [&[u8]; 4] =
        [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", &zeros, b"\x22\x58\x20", &zeros];
    assert_eq!(with(&off_the_curve.concat()), Err(Refusal::Key));
    let es384: [&[u8]; 4] =
        [b"\xa5\x01\x02\x03\x38\x22\x20\x01\x21\x58\x20", &zeros, b"\x22\x58\x20", &zeros];
    assert_eq!(with(&es384.concat()), Err(Refusal::Algorithm));
    let good = Authenticator::new(Algorithm::Es256).key();
    assert_eq!(with(&good), Ok(()));
    let named_p384 = [&good[..6], b"\x02", &good[7..]].concat();
    assert_eq!(with(&named_p384), Err(Refusal::Key), "a point of one curve that names another");
    let other_curve: [&[u8]; 2] = [b"\xa4\x01\x01\x03\x27\x20\x07\x21\x58\x20", &zeros];
    assert_eq!(with(&other_curve.concat()), Err(Refusal::Key));
    let small_rsa: [&[u8]; 3] =
        [b"\xa4\x01\x03\x03\x39\x01\x00\x20\x58\x80", &[0xff; 128], b"\x21\x43\x01\x00\x01"];
    assert_eq!(with(&small_rsa.concat()), Err(Refusal::Key));
    assert_eq!(with(b"\xa0"), Err(Refusal::Key));
}

#[test]
fn the_statement_of_an_attestation_is_not_believed_nor_does_it_hurt() {
    let authenticator = Authenticator::new(Algorithm::Es256);
    let data = authenticator.data(AT, &authenticator.attested());
    let head = [0x58, u8::try_from(data.len()).expect("a short one")];
    let packed: [&[u8]; 3] = [b"\xa3\x63fmt\x66packed\x67attStmt\xa1\x63sig\x41x\x68authData", &head, &data];
    assert!(registers(&create(), &packed.concat()).is_ok());
    let without: [&[u8]; 3] = [b"\xa2\x63fmt\x64none\x68authData", &head, &data];
    assert_eq!(registers(&create(), &without.concat()), Err(Refusal::Malformed));
}

#[test]
fn only_a_name_over_https_or_localhost_is_a_party() {
    for (url, id, origin) in [
        ("https://Console.example", "console.example", "https://console.example"),
        ("https://console.example:443/a", "console.example", "https://console.example"),
        ("https://console.example:8443", "console.example", "https://console.example:8443"),
        ("http://localhost:8080/", "localhost", "http://localhost:8080"),
    ] {
        let party = RelyingParty::new(url, "R").expect("a party");
        assert_eq!((party.id(), party.origin()), (id, origin));
    }
    for url in [
        "http://console.example",
        "https://127.0.0.1",
        "https://[::1]",
        "https://",
        "localhost",
        "https://a@b",
        "https://a:x",
    ] {
        assert_eq!(RelyingParty::new(url, "R"), Err(NotAParty), "{url}");
    }
}

#[test]
fn the_browser_is_asked_to_verify_and_not_to_attest() {
    let user = User { id: USER, login: "a@b.example", name: "A" };
    let known = [Descriptor { credential: b"cred".to_vec(), transports: vec!["internal".to_owned()] }];
    let options = party().creation_options(&CHALLENGE, &user, &known);
    assert_eq!(options["attestation"], "none");
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(options["rp"]["id"], "console.example");
    assert_eq!(options["excludeCredentials"][0]["id"], "Y3JlZA");
    let options = party().request_options(&CHALLENGE, &known);
    assert_eq!(options["userVerification"], "required");
    assert_eq!(options["allowCredentials"][0]["id"], "Y3JlZA");
    assert_eq!(options["allowCredentials"][0]["transports"], json!(["internal"]));
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |place| u8::from_str_radix(&text[place..place + 2], 16).expect("a vector");
    (0..text.len()).step_by(2).map(digit).collect()
}

#[test]
fn the_vector_of_the_standard_for_es256() {
    // Level 3, 16: "none.ES256" of https://example.org. Its authenticator verifies nobody, so that alone is refused here.
    let attestation = unhex(concat!(
        "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd4",
        "6592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70189cba3fb63f579b",
        "a6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f",
        "26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220"
    ));
    let client = unhex(concat!(
        "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a22414d4d507434557878475453746e6364",
        "7134313759447742466938767049612d7077386f4f755657345441222c226f726967696e223a2268747470733a2f2f6578616d706c652e",
        "6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d61",
        "7920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c20737563",
        "6820617320746869733a20426b5165446a646354427258426941774a544c453551227d"
    ));
    let challenge = unhex("00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130");
    let challenge = Challenge::new(challenge.try_into().expect("the vector"));
    let org = RelyingParty::new("https://example.org", "R").expect("a party");
    let answer = Registration { client_data: &client, attestation: &attestation };
    assert_eq!(register(&org, &challenge, &answer), Err(Refusal::UserNotVerified));

    let object = cbor::read(&attestation).expect("the vector");
    let data = object.named("authData").and_then(Item::bytes).expect("the vector");
    let read = AuthenticatorData::read(data).expect("the vector");
    let key = PublicKey::read(read.attested.expect("the vector").key).expect("the vector");

    let data = unhex("bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000");
    let client = unhex(concat!(
        "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a",
        "5558543049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d70",
        "6c652e6f7267222c2263726f73734f726967696e223a66616c73657d"
    ));
    let signature = unhex(concat!(
        "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf",
        "11a1dd5d78c6e486013f937295ea13653e331e87"
    ));
    let challenge = unhex("39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408");
    let challenge = Challenge::new(challenge.try_into().expect("the vector"));
    assert_eq!(check_client_data(&org, &challenge, "webauthn.get", &client), Ok(()));
    assert!(key.signed(&[data.as_slice(), digest(&SHA256, &client).as_ref()].concat(), &signature));
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic_or_lets_a_stranger_in(
        object in proptest::collection::vec(any::<u8>(), 0..300),
        data in proptest::collection::vec(any::<u8>(), 0..300),
        signature in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        prop_assert!(registers(&create(), &object).is_err());
        let passkey = Passkey {
            credential: b"cred".to_vec(),
            key: object,
            counter: 0,
            backup_eligible: false,
            backed_up: false,
        };
        prop_assert!(asserts(&passkey, &get(), &data, &signature).is_err());
    }

    #[test]
    fn a_byte_that_is_changed_or_missing_never_panics(at in 0_usize..250, byte: u8) {
        let authenticator = Authenticator::new(Algorithm::EdDsa);
        let mut object = object(&authenticator.data(AT, &authenticator.attested()));
        let at = at % object.len();
        prop_assert!(registers(&create(), &object[..at]).is_err());
        object[at] = byte;
        // Whatever is taken is a key that can be read again.
        if let Ok(passkey) = registers(&create(), &object) {
            prop_assert!(PublicKey::read(&passkey.key).is_ok());
        }
    }
}
