//! Each reason for a refusal, by its variant, and then what is admitted beside it.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail like tests")]

use ringfence_signature::{
    AccountKeys, AccountSid, Accounts, Algorithm, Allowed, KeyKind, Keyring, Policy, ReceivedUrl, Refusal,
    Request, Scratch, Signer, Strict, Subject, Verdict, check_header, verify,
};

const URL: &str = "https://hooks.example.com/sms";
const TOKEN: &str = "token of the first";
const NEIGHBOURS_TOKEN: &str = "token of the neighbour";
const PARENTS_TOKEN: &str = "token of the parent";
const SECRET: &str = "secret of a SharedKey";

fn account() -> AccountSid {
    "AC00000000000000000000000000000001".parse().unwrap()
}

fn neighbour() -> AccountSid {
    "AC00000000000000000000000000000002".parse().unwrap()
}

fn parent() -> AccountSid {
    "AC000000000000000000000000000000aa".parse().unwrap()
}

fn stranger() -> AccountSid {
    "AC000000000000000000000000000000ff".parse().unwrap()
}

/// A parent with two subaccounts; the first also has a SharedKey.
fn keyring() -> Keyring {
    let keys = [
        AccountKeys::new(parent()).primary(PARENTS_TOKEN),
        AccountKeys::new(account())
            .child_of(parent())
            .primary(TOKEN)
            .secondary("second token")
            .previous("previous token")
            .shared_key("key1", SECRET, Algorithm::HmacSha256),
        AccountKeys::new(neighbour()).child_of(parent()).primary(NEIGHBOURS_TOKEN),
    ];
    Keyring::new(keys).unwrap()
}

fn judge_by(request: &Request<'_>, policy: &Policy<'_>) -> Result<Allowed, Refusal> {
    match verify(request, &keyring(), policy, &mut Scratch::default()) {
        Verdict::Allow(allowed) => Ok(allowed),
        Verdict::Refuse(refusal) => Err(refusal),
    }
}

fn judge(request: &Request<'_>) -> Result<Allowed, Refusal> {
    judge_by(request, &Policy::default())
}

/// A form that names these accounts, signed with this token.
fn form(token: &str, named: &[AccountSid]) -> ringfence_signature::Signed {
    let params = named.iter().map(|sid| ("AccountSid", sid.as_str())).chain([("Body", "hello")]);
    Signer::token(token).form(URL, params)
}

#[test]
fn a_request_without_a_signature_is_refused() {
    let signed = form(TOKEN, &[account()]);
    assert_eq!(judge(&Request { signature: None, ..signed.request() }), Err(Refusal::MissingSignature));
    assert_eq!(judge(&Request { signature: Some(b""), ..signed.request() }), Err(Refusal::MissingSignature));
}

#[test]
fn a_signature_that_is_not_canonical_base64_of_an_hmac_is_refused() {
    let good = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    assert_eq!(check_header(Some(good.as_bytes())), Ok(()));
    let odd = [
        " RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        "RSOYDt4T1cUTdK1PDd93/VVr8B8= ",
        "RSOYDt4T1cUTdK1PDd93/VVr8B8",
        "RSOYDt4T1cUTdK1PDd93/VVr8B9=",
        "RSOYDt4T1cUTdK1PDd93_VVr8B8=",
        "RSOYDt4T1cUTdK1PDd93/VVr8A==",
        "RSOYDt4T1cUTdK1PDd93/VVr8B8A",
        "====",
        "\0",
    ];
    for signature in odd {
        assert_eq!(
            check_header(Some(signature.as_bytes())),
            Err(Refusal::MalformedSignature),
            "{signature:?}"
        );
    }
    let signed = form(TOKEN, &[account()]);
    assert_eq!(
        judge(&Request { signature: Some(b"FAIL"), ..signed.request() }),
        Err(Refusal::MalformedSignature)
    );
}

#[test]
fn a_shared_key_that_is_not_configured_is_refused() {
    let signed = Signer::shared_key("key2", SECRET, Algorithm::HmacSha256).get(URL);
    assert_eq!(judge(&signed.request()), Err(Refusal::UnknownSharedKey));
}

#[test]
fn the_settings_header_cannot_choose_another_algorithm_than_the_pinned_one() {
    let weaker = Signer::shared_key("key1", SECRET, Algorithm::HmacSha1).get(URL);
    assert_eq!(judge(&weaker.request()), Err(Refusal::AlgorithmMismatch));
    let genuine = Signer::shared_key("key1", SECRET, Algorithm::HmacSha256).get(URL);
    for (settings, expected) in [
        ("key=key1,algorithm=HMAC_SHA256", Ok(KeyKind::Shared)),
        (" KEY = key1 , Algorithm = hmac_sha256 ", Ok(KeyKind::Shared)),
        ("key=key1", Ok(KeyKind::Shared)),
        ("key=key1,algorithm=", Ok(KeyKind::Shared)),
        ("", Ok(KeyKind::Shared)), // Nobody is named: parents' keys are tried, then children's, each by its own algorithm.
        ("key=key1,algorithm=HMAC_SHA1", Err(Refusal::AlgorithmMismatch)),
        ("key=key1,algorithm=HMAC_MD5", Err(Refusal::AlgorithmMismatch)),
        ("key=KEY1", Err(Refusal::UnknownSharedKey)),
    ] {
        let request = Request { settings: Some(settings.as_bytes()), ..genuine.request() };
        assert_eq!(judge(&request).map(|allowed| allowed.key), expected, "{settings:?}");
    }
}

#[test]
fn a_token_never_signs_by_sha256_nor_in_the_name_of_a_shared_key() {
    let by_sha256 = Signer::shared_key("-", TOKEN, Algorithm::HmacSha256)
        .form(URL, [("AccountSid", account())].map(text));
    assert_eq!(judge(&Request { settings: None, ..by_sha256.request() }), Err(Refusal::SignatureMismatch));
    let tokens_only = Keyring::new([AccountKeys::new(account()).primary(TOKEN)]).unwrap();
    let request = Request { settings: None, ..by_sha256.request() };
    let verdict = verify(&request, &tokens_only, &Policy::default(), &mut Scratch::default());
    assert_eq!(verdict, Verdict::Refuse(Refusal::AlgorithmMismatch));
    let settings = Some(&b"key=key1"[..]);
    let by_token = form(TOKEN, &[account()]);
    assert_eq!(judge(&Request { settings, ..by_token.request() }), Err(Refusal::AlgorithmMismatch));
}

fn text((name, sid): (&'static str, AccountSid)) -> (&'static str, String) {
    (name, sid.to_string())
}

#[test]
fn an_account_without_keys_is_unknown() {
    assert_eq!(judge(&form("any", &[stranger()]).request()), Err(Refusal::UnknownAccount));
    let policy = Policy { accounts: Accounts::Listed(&[]), ..Policy::default() };
    assert_eq!(judge_by(&form("any", &[]).request(), &policy), Err(Refusal::UnknownAccount));
}

#[test]
fn a_signature_of_no_known_key_is_refused() {
    assert_eq!(judge(&form("guessed", &[account()]).request()), Err(Refusal::SignatureMismatch));
    assert_eq!(judge(&form("guessed", &[]).request()), Err(Refusal::SignatureMismatch));
}

#[test]
fn an_account_cannot_sign_for_another() {
    assert_eq!(judge(&form(PARENTS_TOKEN, &[account()]).request()), Err(Refusal::AccountMismatch));
    assert_eq!(judge(&form(PARENTS_TOKEN, &[stranger()]).request()), Err(Refusal::AccountMismatch));
    let accounts = [account(), neighbour()];
    let policy = Policy { accounts: Accounts::Listed(&accounts), ..Policy::default() };
    assert_eq!(
        judge_by(&form(NEIGHBOURS_TOKEN, &[account()]).request(), &policy),
        Err(Refusal::AccountMismatch)
    );
    // Not even with a SharedKey of its own that it names.
    let signed = Signer::shared_key("key1", SECRET, Algorithm::HmacSha256)
        .form(URL, [("AccountSid", neighbour())].map(text));
    assert_eq!(judge(&signed.request()), Err(Refusal::AccountMismatch));
}

#[test]
fn every_account_sid_of_a_request_counts() {
    assert_eq!(judge(&form(TOKEN, &[account(), neighbour()]).request()), Err(Refusal::AccountMismatch));
    assert_eq!(judge(&form(TOKEN, &[neighbour(), account()]).request()), Err(Refusal::AccountMismatch));
    let blank = Signer::token(TOKEN).form(URL, [("AccountSid", ""), ("AccountSid", account().as_str())]);
    assert_eq!(judge(&blank.request()), Err(Refusal::AccountMismatch));
    let in_query = format!("{URL}?Account%53id={}", neighbour());
    let signed = Signer::token(TOKEN).form(&in_query, [("AccountSid", account())].map(text));
    assert_eq!(judge(&signed.request()), Err(Refusal::AccountMismatch));
    let the_same = format!("{URL}?AccountSid={}&AccountSid={}", account(), account());
    let signed = Signer::token(TOKEN).form(&the_same, [("AccountSid", account())].map(text));
    assert_eq!(
        judge(&signed.request()).map(|allowed| allowed.account),
        Ok(Some(account())),
        "said three times"
    );
    let by_get =
        Signer::token(TOKEN).get(&format!("{URL}?AccountSid={}&AccountSid={}", account(), neighbour()));
    assert_eq!(judge(&by_get.request()), Err(Refusal::AccountMismatch));
}

#[test]
fn a_parent_stands_in_for_its_own_child_where_the_route_says_so() {
    let policy = Policy { parent_may_stand_in: true, ..Policy::default() };
    let allowed = judge_by(&form(PARENTS_TOKEN, &[account()]).request(), &policy).unwrap();
    assert_eq!((allowed.account, allowed.key), (Some(account()), KeyKind::Primary));
    assert_eq!(
        judge_by(&form(PARENTS_TOKEN, &[stranger()]).request(), &policy),
        Err(Refusal::AccountMismatch)
    );
    assert_eq!(
        judge_by(&form(NEIGHBOURS_TOKEN, &[parent()]).request(), &policy),
        Err(Refusal::AccountMismatch)
    );
    assert_eq!(
        judge_by(&form(PARENTS_TOKEN, &[account(), neighbour()]).request(), &policy),
        Err(Refusal::AccountMismatch)
    );
    let accounts = [neighbour()];
    let policy = Policy { accounts: Accounts::Listed(&accounts), ..policy };
    assert_eq!(
        judge_by(&form(PARENTS_TOKEN, &[account()]).request(), &policy),
        Err(Refusal::AccountNotAllowed)
    );
}

#[test]
fn an_auth_token_is_not_enough_where_a_shared_key_must_have_signed() {
    let policy = Policy { needs_shared_key: true, ..Policy::default() };
    let by_token = form(TOKEN, &[account()]);
    assert_eq!(judge_by(&by_token.request(), &policy), Err(Refusal::SharedKeyRequired));
    // Naming a key does not help: it has to be the one that signed.
    for settings in ["key=key1,algorithm=HMAC_SHA1", "key=key1"] {
        let named = Request { settings: Some(settings.as_bytes()), ..by_token.request() };
        assert_eq!(judge_by(&named, &policy), Err(Refusal::AlgorithmMismatch), "{settings}");
    }
    assert!(judge_by(&by_token.request(), &Policy::default()).is_ok());
}

#[test]
fn an_account_that_is_not_listed_is_refused() {
    let accounts = [neighbour()];
    let policy = Policy { accounts: Accounts::Listed(&accounts), ..Policy::default() };
    assert_eq!(judge_by(&form(TOKEN, &[account()]).request(), &policy), Err(Refusal::AccountNotAllowed));
    assert!(judge_by(&form(NEIGHBOURS_TOKEN, &[neighbour()]).request(), &policy).is_ok());
    // Where none is named, the listed ones are tried and the parents are not.
    assert_eq!(judge_by(&form(NEIGHBOURS_TOKEN, &[]).request(), &policy).unwrap().account, Some(neighbour()));
    assert_eq!(judge_by(&form(PARENTS_TOKEN, &[]).request(), &policy), Err(Refusal::SignatureMismatch));
}

#[test]
fn a_signature_of_the_url_alone_blesses_no_body() {
    let signed = Signer::token(PARENTS_TOKEN).get(URL);
    let with_body =
        |method, content_type, body| judge(&Request { method, content_type, body, ..signed.request() });
    for method in ["POST", "PUT", "GET", "DELETE"] {
        for content_type in [None, Some(&b"application/json"[..]), Some(b"text/plain"), Some(b"")] {
            assert_eq!(with_body(method, content_type, b"{}"), Err(Refusal::BodyHashMissing));
        }
    }
    // A form whose fields add nothing to what is signed is such a body too.
    for body in [&b"&"[..], b"=", b"&&=&"] {
        let form = Some(&b"application/x-www-form-urlencoded"[..]);
        assert_eq!(with_body("POST", form, body), Err(Refusal::BodyHashMissing));
    }
    assert!(with_body("POST", None, b"").is_ok());
}

#[test]
fn a_body_hash_must_be_there_once_well_formed_and_right() {
    let good = Signer::token(PARENTS_TOKEN).json(URL, "{}");
    let hash = good.url.rsplit_once('=').unwrap().1;
    let with_query = |query: &str, body| {
        let signed = Signer::token(PARENTS_TOKEN).get(&format!("{URL}?{query}"));
        judge(&Request { body, ..signed.request() }).map(|_| ())
    };
    assert_eq!(with_query(&format!("bodySHA256={hash}"), b"{}"), Ok(()));
    assert_eq!(with_query("x", b"{}"), Err(Refusal::BodyHashMissing));
    assert_eq!(
        with_query(&format!("bodySHA256={hash}&bodySHA256={hash}"), b"{}"),
        Err(Refusal::BodyHashRepeated)
    );
    assert_eq!(
        with_query(&format!("bodySHA256={}", hash.to_uppercase()), b"{}"),
        Err(Refusal::BodyHashMalformed)
    );
    assert_eq!(with_query("bodySHA256", b"{}"), Err(Refusal::BodyHashMalformed));
    assert_eq!(with_query(&format!("bodySHA256={hash}"), b"{ }"), Err(Refusal::BodyHashMismatch));
    // A body that was taken away is not the body that was signed, whatever it is called.
    assert_eq!(with_query(&format!("bodySHA256={hash}"), b""), Err(Refusal::BodyHashMismatch));
    let signed = Signer::token(PARENTS_TOKEN).get(&format!("{URL}?bodySHA256={hash}"));
    let emptied = Request { content_type: Some(b"application/x-www-form-urlencoded"), ..signed.request() };
    assert_eq!(judge(&emptied), Err(Refusal::BodyHashMismatch));
}

#[test]
fn a_forged_signature_is_told_before_a_wrong_body() {
    let signed = Signer::token("guessed").json(URL, "{}");
    assert_eq!(judge(&Request { body: b"[]", ..signed.request() }), Err(Refusal::SignatureMismatch));
}

#[test]
fn a_form_is_signed_by_its_fields_even_where_the_url_names_a_body_hash() {
    let signed = Signer::token(PARENTS_TOKEN).form(&format!("{URL}?bodySHA256=0"), [("Body", "x")]);
    assert!(judge(&signed.request()).is_ok());
    let other = Request { body: b"Body=y", ..signed.request() };
    assert_eq!(judge(&other), Err(Refusal::SignatureMismatch));
}

#[test]
fn more_than_ten_thousand_parameters_are_refused() {
    let body = "a=1&".repeat(10_001);
    assert_eq!(
        judge(&Signer::token(PARENTS_TOKEN).form_body(URL, body).request()),
        Err(Refusal::TooManyParameters)
    );
    let url = format!("{URL}?{}", "a&".repeat(10_001));
    assert_eq!(judge(&Signer::token(PARENTS_TOKEN).get(&url).request()), Err(Refusal::TooManyParameters));
    let body = "a=1&".repeat(10_000);
    assert!(judge(&Signer::token(PARENTS_TOKEN).form_body(URL, body).request()).is_ok());
}

#[test]
fn an_odd_shape_is_refused_reported_or_let_pass_as_the_route_says() {
    let signed = Signer::token(PARENTS_TOKEN).form(URL, [("From", "no address at all!")]);
    let by = |strict| judge_by(&signed.request(), &Policy { strict, ..Policy::default() });
    assert!(matches!(by(Strict::Refuse), Err(Refusal::Strict(_))));
    assert!(by(Strict::Report).unwrap().finding.is_some());
    assert!(by(Strict::Off).unwrap().finding.is_none());
}

#[test]
fn each_key_of_the_named_account_is_admitted_and_told() {
    for (token, kind) in [
        (TOKEN, KeyKind::Primary),
        ("second token", KeyKind::Secondary),
        ("previous token", KeyKind::Previous),
    ] {
        let allowed = judge(&form(token, &[account()]).request()).unwrap();
        assert_eq!((allowed.account, allowed.key), (Some(account()), kind));
    }
    let signed = Signer::shared_key("key1", SECRET, Algorithm::HmacSha256)
        .form(URL, [("AccountSid", account())].map(text));
    for settings in [signed.request().settings, None, Some(&b""[..])] {
        let allowed = judge(&Request { settings, ..signed.request() }).unwrap();
        assert_eq!((allowed.account, allowed.key), (Some(account()), KeyKind::Shared));
    }
}

#[test]
fn the_subject_is_told_from_the_sids() {
    let subject_of = |names: &[&str]| {
        let params = names.iter().map(|name| (*name, "x")).chain([("Body", "x")]);
        judge(&Signer::token(PARENTS_TOKEN).form(URL, params).request()).unwrap().subject
    };
    let subject = |name: &str| subject_of(&[name]);
    assert_eq!(subject("MessageSid"), Subject::Message);
    assert_eq!(subject("SmsSid"), Subject::Message);
    assert_eq!(subject("SmsMessageSid"), Subject::Message);
    assert_eq!(subject("CallSid"), Subject::Call);
    assert_eq!(subject("UsageTriggerSid"), Subject::UsageTrigger);
    assert_eq!(subject("Sid"), Subject::Other);
    // A message that a call led to is a message, whichever comes first; a trigger is told by nothing else.
    assert_eq!(subject_of(&["UsageTriggerSid", "MessageSid", "CallSid"]), Subject::Message);
    assert_eq!(subject_of(&["UsageTriggerSid", "CallSid"]), Subject::Call);
    let by_get = Signer::token(PARENTS_TOKEN).get(&format!("{URL}?CallSid=CA1"));
    assert_eq!(judge(&by_get.request()).unwrap().subject, Subject::Call);
}

#[test]
fn userinfo_is_tried_in_and_out_only_where_the_policy_says_so() {
    let open = Policy { try_userinfo: true, ..Policy::default() };
    let signed = Signer::token(PARENTS_TOKEN).get("https://u:p@hooks.example.com/");
    let seen = ReceivedUrl::parse(b"https://hooks.example.com/").with_userinfo(b"u:p");
    let request = Request { url: seen, ..signed.request() };
    assert_eq!(judge(&request), Err(Refusal::SignatureMismatch));
    assert_eq!(judge_by(&request, &open).unwrap().candidate.as_str(), "as-received+userinfo-added");

    let signed = Signer::token(PARENTS_TOKEN).get("https://hooks.example.com/");
    let request = Request { url: ReceivedUrl::parse(b"https://u:p@hooks.example.com/"), ..signed.request() };
    assert_eq!(judge(&request), Err(Refusal::SignatureMismatch));
    assert_eq!(judge_by(&request, &open).unwrap().candidate.as_str(), "as-received+userinfo-removed");
}

#[test]
fn a_handshake_seen_as_https_was_signed_as_wss() {
    let signed = Signer::token(PARENTS_TOKEN).websocket("https://hooks.example.com/media");
    let url = ReceivedUrl::parse(b"https://hooks.example.com/media");
    let request = Request { url, websocket: true, ..signed.request() };
    assert_eq!(judge(&request).unwrap().candidate.as_str(), "as-received+wss");
    assert_eq!(judge(&Request { websocket: false, ..request }), Err(Refusal::SignatureMismatch));
}

#[test]
fn at_most_eight_keys_are_tried_where_no_account_is_named() {
    let sid = |n: u32| format!("AC{n:032x}").parse::<AccountSid>().unwrap();
    let keys = (0..9).map(|n| AccountKeys::new(sid(n)).primary(&format!("token {n}")));
    let keyring = Keyring::new(keys).unwrap();
    let is_admitted = |n: u32| {
        let signed = Signer::token(&format!("token {n}")).get(URL);
        let verdict = verify(&signed.request(), &keyring, &Policy::default(), &mut Scratch::default());
        matches!(verdict, Verdict::Allow(allowed) if allowed.account == Some(sid(n)))
    };
    assert!(is_admitted(7));
    assert!(!is_admitted(8));
}

#[test]
fn buffers_print_nothing_of_what_they_hold() {
    let mut scratch = Scratch::default();
    let _ = verify(&form(TOKEN, &[account()]).request(), &keyring(), &Policy::default(), &mut scratch);
    assert_eq!(format!("{scratch:?}"), "Scratch(…)");
}
