//! What holds for any request: what is signed is admitted, and what was changed after signing is not.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail like tests")]

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*};
use ringfence_signature::{
    AccountKeys, AccountSid, Algorithm, Candidate, Keyring, Policy, Port, PublicUrl, ReceivedUrl, Refusal,
    Request, Scratch, Signed, Signer, Verdict, check_header, fields, verify,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const URL: &str = "https://hooks.example.com/sms?tenant=7";

fn keyring() -> Keyring {
    Keyring::new([AccountKeys::anonymous().primary(TOKEN)]).unwrap()
}

fn judge(request: &Request<'_>) -> Verdict {
    verify(request, &keyring(), &Policy::default(), &mut Scratch::default())
}

fn is_admitted(request: &Request<'_>) -> bool {
    matches!(judge(request), Verdict::Allow(_))
}

type Params = Vec<(Vec<u8>, Vec<u8>)>;

/// Names and values of any bytes, with many duplicates and many that begin alike.
fn params() -> impl Strategy<Value = Params> {
    let odd = vec(any::<u8>(), 0..12);
    let usual = "[A-Za-z&=%+; ]{0,3}(City|Sid|MediaContentType)?[0-9]{0,2}".prop_map(String::into_bytes);
    vec((prop_oneof![odd.clone(), usual.clone()], prop_oneof![odd, usual]), 0..24)
}

/// What two forms must have in common to have the same signature; the scheme has no borders between the names
/// and values, so this is the joined text and not the fields.
fn signed_text(url: &str, params: &Params) -> Vec<u8> {
    let pairs: BTreeSet<_> = params.iter().collect();
    let pairs = pairs.into_iter().flat_map(|(name, value)| [&name[..], &value[..]]);
    std::iter::once(url.as_bytes()).chain(pairs).collect::<Vec<_>>().concat()
}

/// Whether the body is one that a signature of the parameters says anything about.
fn adds_nothing(params: &Params) -> bool {
    params.iter().all(|(name, value)| name.is_empty() && value.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_signed_form_is_admitted(params in params()) {
        let signed = Signer::token(TOKEN).form(URL, params.clone());
        if adds_nothing(&params) && !signed.body.is_empty() {
            prop_assert_eq!(judge(&signed.request()), Verdict::Refuse(Refusal::BodyHashMissing));
        } else {
            prop_assert!(is_admitted(&signed.request()));
        }
    }

    #[test]
    fn a_signed_form_is_admitted_in_any_order_of_its_fields(params in params().prop_shuffle()) {
        let mut reversed = params.clone();
        reversed.reverse();
        let signature = Signer::token(TOKEN).form(URL, params.clone()).request().signature.map(<[u8]>::to_vec);
        let other = Signer::token(TOKEN).form(URL, reversed);
        prop_assume!(!adds_nothing(&params));
        let replayed = Request { signature: signature.as_deref(), ..other.request() };
        prop_assert!(is_admitted(&replayed));
    }

    #[test]
    fn a_changed_name_or_value_is_refused(
        params in params().prop_filter("needs a field", |params| !params.is_empty()),
        at in any::<prop::sample::Index>(), in_name in any::<bool>(), new in vec(any::<u8>(), 0..6),
    ) {
        let signed = Signer::token(TOKEN).form(URL, params.clone());
        let mut changed = params.clone();
        let field = &mut changed[at.index(params.len())];
        *(if in_name { &mut field.0 } else { &mut field.1 }) = new;
        prop_assume!(signed_text(URL, &changed) != signed_text(URL, &params));
        let forged = Signer::token("unknown").form(URL, changed);
        let forged = Request { signature: signed.request().signature, ..forged.request() };
        prop_assert!(!is_admitted(&forged));
    }

    #[test]
    fn a_changed_byte_of_the_url_is_refused(params in params(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let signed = Signer::token(TOKEN).form(URL, params.clone());
        let mut url = URL.as_bytes().to_vec();
        let at = at.index(url.len());
        prop_assume!(url[at] != byte);
        url[at] = byte;
        let forged = Request { url: ReceivedUrl::parse(&url), ..signed.request() };
        prop_assert!(!is_admitted(&forged));
    }

    #[test]
    fn a_changed_signature_is_refused(params in params(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let signed = Signer::token(TOKEN).form(URL, params.clone());
        let mut signature = signed.request().signature.unwrap().to_vec();
        let at = at.index(signature.len());
        prop_assume!(signature[at] != byte);
        signature[at] = byte;
        let forged = Request { signature: Some(&signature), ..signed.request() };
        prop_assert!(!is_admitted(&forged));
    }

    #[test]
    fn a_signed_body_of_any_kind_is_admitted_and_any_other_body_is_not(
        body in vec(any::<u8>(), 0..300), other in vec(any::<u8>(), 0..300),
        url in prop_oneof![Just("https://h/j"), Just("https://h/j?"), Just("https://h/j?a=1&b"), Just("https://h:8080/?a&")],
    ) {
        let signed = Signer::token(TOKEN).json(url, body.clone());
        prop_assert!(is_admitted(&signed.request()));
        if body != other {
            let forged = Request { body: &other, ..signed.request() };
            prop_assert_eq!(judge(&forged), Verdict::Refuse(Refusal::BodyHashMismatch));
        }
    }

    #[test]
    fn a_signature_of_the_url_alone_blesses_no_body(
        body in vec(any::<u8>(), 1..40), content_type in prop_oneof![
            Just(None), Just(Some("")), Just(Some("text/plain")), Just(Some("application/json")),
            Just(Some("application/x-www-form-urlencoded")), Just(Some("multipart/form-data; boundary=x")),
        ],
        method in prop_oneof![Just("GET"), Just("POST"), Just("PUT"), Just("DELETE"), Just("HEAD")],
    ) {
        let signed = Signer::token(TOKEN).get(URL);
        let content_type = content_type.map(str::as_bytes);
        let forged = Request { method, body: &body, content_type, ..signed.request() };
        prop_assert!(!is_admitted(&forged));
    }

    #[test]
    fn shared_keys_sign_and_verify_with_their_own_algorithm_only(params in params(), is_sha256 in any::<bool>()) {
        prop_assume!(!adds_nothing(&params));
        let algorithms = [Algorithm::HmacSha1, Algorithm::HmacSha256];
        let (algorithm, other) = (algorithms[usize::from(is_sha256)], algorithms[usize::from(!is_sha256)]);
        let keyring = Keyring::new([AccountKeys::anonymous().shared_key("k", "secret", algorithm)]).unwrap();
        let verdict = |signed: &Signed| {
            verify(&signed.request(), &keyring, &Policy::default(), &mut Scratch::default())
        };
        let genuine = Signer::shared_key("k", "secret", algorithm).form(URL, params.clone());
        prop_assert!(matches!(verdict(&genuine), Verdict::Allow(_)));
        let downgraded = Signer::shared_key("k", "secret", other).form(URL, params);
        prop_assert_eq!(verdict(&downgraded), Verdict::Refuse(Refusal::AlgorithmMismatch));
    }

    #[test]
    fn any_bytes_get_a_verdict_and_the_same_one_from_used_buffers(
        url in vec(any::<u8>(), 0..80), content_type in vec(any::<u8>(), 0..20), is_form in any::<bool>(),
        body in "([&=%+;]|Account[Ss]id|AC0{32}|%[0-9a-f]{2}|x){0,40}".prop_map(String::into_bytes),
        signature in vec(any::<u8>(), 0..50), settings in vec(any::<u8>(), 0..50), websocket in any::<bool>(),
        userinfo in vec(any::<u8>(), 0..10),
    ) {
        let form = b"application/x-www-form-urlencoded";
        let request = Request {
            method: "POST", url: ReceivedUrl::parse(&url).with_userinfo(&userinfo), websocket,
            content_type: Some(if is_form { form } else { &content_type }), body: &body,
            signature: Some(b"RSOYDt4T1cUTdK1PDd93/VVr8B8="), settings: Some(&settings),
        };
        let policy = Policy { try_userinfo: true, ..Policy::default() };
        let mut used = Scratch::default();
        let _ = verify(&Signer::token(TOKEN).form(URL, [("a", "b"); 40]).request(), &keyring(), &policy, &mut used);
        prop_assert!(matches!(verify(&request, &keyring(), &policy, &mut used), Verdict::Refuse(_)));
        let with_any_signature = Request { signature: Some(&signature), ..request };
        prop_assert!(matches!(judge(&with_any_signature), Verdict::Refuse(_)));
        let _ = check_header(Some(&signature));
        let signature = Signer::token(TOKEN).sign_request(&request);
        let signed = Request { signature: Some(signature.as_bytes()), ..request };
        let fresh = verify(&signed, &keyring(), &policy, &mut Scratch::default());
        prop_assert_eq!(verify(&signed, &keyring(), &policy, &mut used), fresh);
    }

    #[test]
    fn a_configured_base_receives_the_url_byte_for_byte(target in vec(any::<u8>(), 0..60)) {
        let base = PublicUrl::parse("https://hooks.example.com:8443/twilio").unwrap();
        let whole = [b"https://hooks.example.com:8443/twilio", &target[..]].concat();
        let mut request = Request {
            method: "GET", url: base.receive(&target), websocket: false, content_type: None, body: b"",
            signature: None, settings: None,
        };
        let from_pieces = Signer::token(TOKEN).sign_request(&request);
        request.url = ReceivedUrl::parse(&whole);
        prop_assert_eq!(Signer::token(TOKEN).sign_request(&request), from_pieces);
    }
}

#[test]
fn of_a_hundred_thousand_mutated_requests_none_is_admitted() {
    const MUTATIONS: usize = 100_000;
    let genuine = [
        Signer::token(TOKEN)
            .form(URL, [("AccountSid", "AC1"), ("Body", "50% off & more; caf\u{e9}"), ("From", "+1")]),
        Signer::token(TOKEN).form(URL, [("Digits", "2"), ("Digits", "1"), ("a[b]", ""), ("", "x")]),
        Signer::token(TOKEN).json(URL, r#"{"specversion":"1.0","type":"com.twilio.test"}"#),
        Signer::token(TOKEN).get("https://hooks.example.com/call?CallSid=CA1&x=a%20b"),
        Signer::token(TOKEN).websocket("https://hooks.example.com/media"),
    ];
    // Any sequence will do, as long as it is the same on every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let (keyring, signer, mut scratch) = (keyring(), Signer::token(TOKEN), Scratch::default());
    let mut refused = 0;
    while refused < MUTATIONS {
        let original = genuine[random(genuine.len())].request();
        let (mut url, mut body) = (original.url.to_string().into_bytes(), original.body.to_vec());
        let mut content_type = original.content_type.unwrap_or_default().to_vec();
        let mut signature = original.signature.unwrap().to_vec();
        for _ in 0..=random(3) {
            let part =
                [&mut url, &mut body, &mut content_type, &mut signature].into_iter().nth(random(4)).unwrap();
            let (at, other) = (random(part.len() + 1), random(part.len() + 1));
            let odd = b"&=%+;?#/:@.\0 aA0\xff"[random(17)];
            match random(4) {
                0 => part.insert(at, odd),
                1 => part.truncate(at),
                2 => part.extend_from_within(at.min(other)..at.max(other)),
                _ => part.get_mut(at).into_iter().for_each(|byte| *byte = odd),
            }
        }
        let mutated = Request {
            url: ReceivedUrl::parse(&url),
            body: &body,
            content_type: Some(&content_type),
            signature: Some(&signature),
            ..original
        };
        // What was signed may be the same after all: `%2b` for `%2B`, an empty piece, a port that may be left out.
        let is_same = [Port::AsReceived, Port::Removed, Port::DefaultAdded].into_iter().any(|port| {
            let candidate = Candidate { port, ..Candidate::AS_RECEIVED };
            signer.sign_candidate(&mutated, candidate).as_bytes() == signature
        });
        if is_same && (mutated.is_form() || mutated.body == original.body) {
            continue;
        }
        let verdict = verify(&mutated, &keyring, &Policy::default(), &mut scratch);
        assert!(matches!(verdict, Verdict::Refuse(_)), "{mutated:?}: {verdict:?}");
        refused += 1;
    }
}

#[test]
fn no_account_is_admitted_as_another() {
    const ACCOUNTS: usize = 300;
    let sid = |n: usize| format!("AC{n:032x}").parse::<AccountSid>().unwrap();
    let token = |n: usize| format!("{n:032x}");
    let keys = |n| {
        // One parent with ninety-nine subaccounts, and two hundred accounts for themselves.
        let keys = AccountKeys::new(sid(n)).primary(&token(n));
        if (1..100).contains(&n) { keys.child_of(sid(0)) } else { keys }
    };
    let keyring = Keyring::new((0..ACCOUNTS).map(keys)).unwrap();
    let mut scratch = Scratch::default();
    let mut mismatches = 0;
    for signer in 0..ACCOUNTS {
        let signer_of_all = Signer::token(&token(signer));
        for named in 0..ACCOUNTS {
            let signed = signer_of_all.form(URL, [("AccountSid", sid(named).as_str()), ("Body", "x")]);
            match verify(&signed.request(), &keyring, &Policy::default(), &mut scratch) {
                Verdict::Allow(allowed) => {
                    assert_eq!((allowed.account, signer), (Some(sid(named)), named));
                }
                Verdict::Refuse(refusal) => {
                    assert_ne!(signer, named, "{refusal:?}");
                    let is_right = matches!(refusal, Refusal::AccountMismatch | Refusal::SignatureMismatch);
                    assert!(is_right, "{refusal:?}");
                    mismatches += usize::from(refusal == Refusal::AccountMismatch);
                }
            }
        }
    }
    assert!(mismatches > 300, "a parent signing for its child is told as such: {mismatches}");
}

#[test]
fn a_hostile_body_costs_little_more_than_reading_it() {
    const SIZE: usize = 1 << 20;
    let many_names = (0..10_000)
        .map(|n| format!("MediaContentType{n:05}={}&", "x".repeat(80)))
        .collect::<Vec<_>>()
        .concat();
    let one_name = (0..10_000).map(|n| format!("a={}{n}&", "x".repeat(90))).collect::<Vec<_>>().concat();
    let many_accounts = (0..10_000).map(|n| format!("AccountSid=AC{n:032x}&")).collect::<Vec<_>>().concat();
    let bodies = [
        ("ampersands", "&".repeat(SIZE)),
        ("equals signs", "=".repeat(SIZE)),
        ("percent signs", "%".repeat(SIZE)),
        ("escapes", "%41".repeat(SIZE / 3)),
        ("pluses", "+".repeat(SIZE)),
        ("tiny fields", "a&".repeat(SIZE / 2)),
        ("one long name", "a".repeat(SIZE)),
        ("names that begin alike", many_names),
        ("values of one name", one_name),
        ("one field ten thousand times", format!("{}=1&", "a".repeat(100)).repeat(9_999)),
        ("AccountSid ten thousand times", many_accounts),
    ];
    let mut scratch = Scratch::default();
    for (name, body) in &bodies {
        let signed = Signer::token("unknown").form_body(URL, body.as_bytes());
        let start = std::time::Instant::now();
        let verdict = verify(&signed.request(), &keyring(), &Policy::default(), &mut scratch);
        assert!(matches!(verdict, Verdict::Refuse(_)), "{name}: {verdict:?}");
        // Quadratic work over a megabyte would take minutes; this leaves room for any machine and any profile.
        assert!(start.elapsed().as_secs() < 5, "{name} took {:?}", start.elapsed());
    }
}

#[test]
fn the_plain_reader_gives_every_field_of_a_signed_form_back() {
    let params = [("Body", "a & b = c + d % e ; \u{e9}"), ("Empty", ""), ("", "v"), ("Body", "again")];
    let signed = Signer::token(TOKEN).form(URL, params);
    let read: Vec<_> =
        fields(&signed.body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let sent: Vec<_> =
        params.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    assert_eq!(read, sent);
}
