use super::*;
use crate::{AccountKeys, Algorithm, Candidate, ReceivedUrl, Signer, Strict};

const TOKEN: &str = "f0e1d2c3b4a5968778695a4b3c2d1e0f";
const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const OTHER: &str = "AC00000000000000000000000000000009";
const FORM: &[u8] = b"application/x-www-form-urlencoded";
const URL: &str = "https://hooks.example.com/twilio/sms?tenant=7&name=a%20b";
const BODY: &str =
    "AccountSid=AC0123456789abcdef0123456789abcdef&Body=Hi+there&From=%2B14155550101&To=%2B14155550100";

fn keyring() -> Keyring {
    let account = AccountKeys::new(ACCOUNT.parse().unwrap()).primary(TOKEN);
    let other =
        AccountKeys::new(OTHER.parse().unwrap()).primary("another token").secondary("a secondary token");
    Keyring::new([account, other]).unwrap()
}

/// What is said of a form request that was signed with one URL and body and came with others.
fn explain_form(signed: (&str, &str), received: (&str, &str), hints: &Hints<'_>) -> Explanation {
    let signed = Signer::token(TOKEN).form_body(signed.0, signed.1);
    let signature = signed.header(crate::SIGNATURE_HEADER).unwrap();
    let request = Request {
        method: "POST",
        url: ReceivedUrl::parse(received.0.as_bytes()),
        websocket: false,
        content_type: Some(FORM),
        body: received.1.as_bytes(),
        signature: Some(signature.as_bytes()),
        settings: None,
    };
    explain_with(&request, &keyring(), &Policy::default(), hints)
}

#[track_caller]
fn found(explanation: &Explanation, expected: &[Cause]) {
    let causes: Vec<Cause> = explanation.findings.iter().map(|found| found.cause).collect();
    assert_eq!(causes, expected, "{explanation}");
    assert!(explanation.trials <= TRIALS_MAX);
}

#[track_caller]
fn url_cause(signed: &str, received: &str, expected: &[Cause]) {
    found(&explain_form((signed, BODY), (received, BODY), &Hints::default()), expected);
}

#[track_caller]
fn body_cause(signed: &str, received: &str, expected: &[Cause]) {
    found(&explain_form((URL, signed), (URL, received), &Hints::default()), expected);
}

#[test]
fn an_admitted_request_has_nothing_to_explain() {
    let explanation = explain_form((URL, BODY), (URL, BODY), &Hints::default());
    assert_eq!(explanation, Explanation { refusal: None, findings: Vec::new(), trials: 0 });
}

#[test]
fn a_changed_origin_is_found() {
    url_cause(URL, &URL.replace("https", "http"), &[Cause::Scheme]);
    url_cause(&URL.replace(".com", ".com:8443"), URL, &[Cause::Port]);
    url_cause(URL, &URL.replace("https", "http").replace(".com", ".com:3000"), &[Cause::Scheme]);
    url_cause(&URL.replace("hooks", "HOOKS"), URL, &[]);
    url_cause(URL, &URL.replace("hooks.", "HOOKS."), &[Cause::Host]);
    url_cause(URL, &URL.replace("https://", "https://www."), &[Cause::Host]);
    url_cause(
        &URL.replace("https://", "https://u:p@"),
        &URL.replace("https://", "https://u:p@").replace("sms", "sms/"),
        &[Cause::TrailingSlash],
    );
    url_cause(URL, &URL.replace("https://", "https://u:p@"), &[Cause::Userinfo]);
    url_cause(URL, &format!("{URL}#rc=2&rp=all"), &[Cause::Fragment]);
}

#[test]
fn what_the_proxy_was_called_is_found_with_hints() {
    let hints = Hints {
        other_hosts: &["app.internal", "hooks.example.com", "hooks.example.com:8443"],
        other_prefixes: &["/prod"],
    };
    let behind = "http://localhost:3000/twilio/sms?tenant=7&name=a%20b";
    found(&explain_form((URL, BODY), (behind, BODY), &hints), &[Cause::Host, Cause::Scheme]);
    let with_port = URL.replace(".com", ".com:8443");
    let explanation =
        explain_form((&with_port, BODY), ("https://app:80/twilio/sms?tenant=7&name=a%20b", BODY), &hints);
    found(&explanation, &[Cause::Host]);
    assert_eq!(explanation.findings[0].detail.as_deref(), Some("signed for hooks.example.com"));
    // What the caller named, where another port is configured.
    for host in ["hooks.example.com", "[2001:db8::1]"] {
        let url = |port: &str| URL.replace("hooks.example.com", &format!("{host}:{port}"));
        let other_hosts = &[&*format!("{host}:4801")];
        let hints = Hints { other_hosts, other_prefixes: &[] };
        let explanation = explain_form((&url("4801"), BODY), (&url("4802"), BODY), &hints);
        found(&explanation, &[Cause::Port]);
        assert_eq!(explanation.findings[0].detail.as_deref(), Some("signed for 4801"));
    }
    let prefixed = URL.replace(".com/", ".com/prod/");
    found(&explain_form((&prefixed, BODY), (URL, BODY), &hints), &[Cause::PathPrefix]);
    found(
        &explain_form((URL, BODY), ("/twilio/sms?tenant=7&name=a%20b", BODY), &hints),
        &[Cause::Host, Cause::Scheme],
    );
}

#[test]
fn a_changed_path_is_found() {
    url_cause(&URL.replace("sms", "sms/"), URL, &[Cause::TrailingSlash]);
    url_cause(URL, &URL.replace("sms", "sms/"), &[Cause::TrailingSlash]);
    url_cause(URL, &URL.replace("/twilio", "/api/twilio"), &[Cause::PathPrefix]);
    url_cause(&URL.replace("sms", "a%2fb//c"), &URL.replace("sms", "a%2Fb//c"), &[Cause::PathRewritten]);
    url_cause(&URL.replace("/sms", "//sms"), URL, &[]);
    url_cause(URL, &URL.replace("/sms", "//sms"), &[Cause::PathRewritten]);
}

#[test]
fn a_changed_query_is_found() {
    let with = |query: &str| format!("https://hooks.example.com/sms{query}");
    url_cause(&with("?b=1&a=2"), &with("?a=2&b=1"), &[Cause::QueryOrder]);
    url_cause(&with("?a=%c3%a9"), &with("?a=%C3%A9"), &[Cause::QueryHexCase]);
    url_cause(&with("?a=x+y"), &with("?a=x%20y"), &[Cause::PlusOrPercent20]);
    url_cause(&with("?a=x%20y"), &with("?a=x+y"), &[Cause::PlusOrPercent20]);
    url_cause(&with("?a=x'y@z"), &with("?a=x%27y%40z"), &[Cause::QueryEncoding]);
    url_cause(&with("?a=x%3Ay"), &with("?a=x:y"), &[Cause::QueryEncoding]);
    url_cause(&with("?"), &with(""), &[Cause::EmptyQuery]);
    url_cause(&with(""), &with("?"), &[Cause::EmptyQuery]);
    url_cause(&with(""), &with("?a=1"), &[Cause::QueryDropped]);
    url_cause(&with("?b=1&a=2"), &with("/?a=2&b=1"), &[Cause::TrailingSlash, Cause::QueryOrder]);
}

#[test]
fn what_a_framework_does_to_fields_is_found() {
    body_cause("Body=Hi+", "Body=Hi", &[Cause::FieldTrimmed]);
    body_cause(
        "Body=Hi&FromCity=&FromZip=&ToState=&From=%2B1",
        "Body=Hi&From=%2B1",
        &[Cause::BlankFieldsDropped],
    );
    body_cause(
        "CallSid=CA1&FromCity=&CallerCity=&Digits=1&ToZip=&CalledZip=",
        "CallSid=CA1&Digits=1",
        &[Cause::BlankFieldsDropped],
    );
    body_cause("Body=a%0D%0Ab", "Body=a%0Ab", &[Cause::LineEndings]);
    body_cause("From=%2B14155550101&Body=a+b", "From=+14155550101&Body=a+b", &[Cause::PlusInField]);
    body_cause("Body=%C3%A9", "Body=%E9", &[Cause::FieldEncoding]);
    body_cause("Body=50%2541", "Body=50%252541", &[Cause::FieldEncoding]);
    body_cause("Body=%26", "Body=%26amp%3B", &[Cause::FieldEncoding]);
    let explanation = explain_form((URL, "Body=Hi&FromCity="), (URL, "Body=Hi"), &Hints::default());
    assert_eq!(explanation.findings[0].detail.as_deref(), Some("FromCity"));
}

#[test]
fn what_home_made_senders_do_is_found() {
    // Signed over text that no reader of forms makes, so the text goes into the URL of a GET.
    let signs = |text: &str, received: &str, expected| {
        let signed = Signer::token(TOKEN).get(&format!("https://h.example/{text}"));
        let request = Request {
            method: "POST",
            url: ReceivedUrl::parse(b"https://h.example/"),
            websocket: false,
            content_type: Some(FORM),
            body: received.as_bytes(),
            signature: signed.header(crate::SIGNATURE_HEADER).map(str::as_bytes),
            settings: None,
        };
        found(&explain(&request, &keyring_without_account(), &Policy::default()), &[expected]);
    };
    signs("b1a2", "b=1&a=2", Cause::Unsorted);
    signs("a1B2", "B=2&a=1", Cause::Unsorted);
    signs("a2", "a=1&a=2", Cause::Duplicates);
    signs("a1,2", "a=1&a=2", Cause::Duplicates);
    signs("b=1&a=2", "b=1&a=2", Cause::RawBodySigned);
    signs("", "b=1&a=2", Cause::FormNotSigned);
}

fn keyring_without_account() -> Keyring {
    Keyring::new([AccountKeys::anonymous().primary(TOKEN)]).unwrap()
}

fn other_body(url: &str, content_type: Option<&[u8]>, body: &[u8], signature: &str) -> Explanation {
    let request = Request {
        method: "POST",
        url: ReceivedUrl::parse(url.as_bytes()),
        websocket: false,
        content_type,
        body,
        signature: Some(signature.as_bytes()),
        settings: None,
    };
    explain(&request, &keyring_without_account(), &Policy::default())
}

fn signature_of(signed: &crate::Signed) -> &str {
    signed.header(crate::SIGNATURE_HEADER).unwrap()
}

#[test]
fn a_wrong_body_hash_is_named_by_its_kind() {
    let json = Some(&b"application/json"[..]);
    let body = br#"{"a":1}"#;
    let kind = |query: &str, cause| {
        let url = format!("https://h.example/j{query}");
        let signed = Signer::token(TOKEN).get(&url);
        found(&other_body(&url, json, body, signature_of(&signed)), &[cause]);
    };
    kind("", Cause::BodyHashMissing);
    kind(
        "?bodySHA256=015ABD7F5CC57A2DD94B7590F04AD8084273905EE33EC5CEBEAE62276A97F862",
        Cause::BodyHashUpperCase,
    );
    kind("?bodySHA256=AVq9f1zFei3ZS3WQ8ErYCEJzkF7jPsXOvq5iJ2qX-GI=", Cause::BodyHashBase64);
    kind(
        "?bodySHA256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        Cause::BodyHashWrong,
    );
    kind("?bodySHA256=1&bodySHA256=2", Cause::BodyHashRepeated);

    let signed = Signer::token(TOKEN).json("https://h.example/j?x=1", *body);
    found(
        &other_body("https://h.example/j?x=1", json, body, signature_of(&signed)),
        &[Cause::BodyHashDropped],
    );
    let explanation = other_body(&signed.url, json, b"{\"a\":1}\n", signature_of(&signed));
    found(&explanation, &[Cause::BodyHashWrong]);
    assert!(explanation.findings[0].detail.is_some(), "{explanation}");
}

#[test]
fn a_form_that_came_as_something_else_is_found() {
    let signed =
        Signer::token(TOKEN).form_body("https://h.example/j", "property=value&boolean=true&note=a%22b%C3%A9");
    let json = br#"{"property": "value", "boolean": true, "note":"a\"b\u00e9"}"#;
    found(
        &other_body("https://h.example/j", Some(b"application/json"), json, signature_of(&signed)),
        &[Cause::JsonAsForm],
    );
    let explanation =
        other_body("https://h.example/j", Some(b"text/plain"), &signed.body, signature_of(&signed));
    found(&explanation, &[Cause::ContentType]);
    let explanation = other_body(
        "https://h.example/j?property=value&boolean=true&note=a%22b%C3%A9",
        None,
        b"",
        signature_of(&signed),
    );
    found(&explanation, &[Cause::QueryAsForm]);
}

#[test]
fn json_that_came_labelled_as_a_form_is_told_from_a_form_that_nobody_signed() {
    let body = br#"[{"type":"com.twilio.x","data":{"a":"b=c&d"}}]"#;
    let signed = Signer::token(TOKEN).json("https://h.example/j?x=1", *body);
    let explanation = other_body(&signed.url, Some(FORM), body, signature_of(&signed));
    found(&explanation, &[Cause::LabelledAsForm]);
    assert_eq!(explanation.findings[0].detail.as_deref(), Some("the hash in the URL fits the body"));
    let behind = signed.url.replace("https", "http");
    found(
        &other_body(&behind, Some(FORM), body, signature_of(&signed)),
        &[Cause::Scheme, Cause::LabelledAsForm],
    );
    let other = other_body(&signed.url, Some(FORM), br#"[{"type":1}]"#, signature_of(&signed));
    found(&other, &[Cause::LabelledAsForm, Cause::BodyHashWrong]);
    // A large one is not taken apart, and is told all the same.
    let large = format!("[\"{}\"]", "x&y=".repeat(9_000));
    let signed = Signer::token(TOKEN).json("https://h.example/j", large.clone());
    found(
        &other_body(&signed.url, Some(FORM), large.as_bytes(), signature_of(&signed)),
        &[Cause::LabelledAsForm],
    );

    // A hash that is not the body's does not make a form into something else.
    let signed = Signer::token(TOKEN).json("https://h.example/j", *b"");
    found(&other_body(&signed.url, Some(FORM), b"a=1&b=2", signature_of(&signed)), &[Cause::FormNotSigned]);
}

#[test]
fn a_form_that_came_labelled_as_json_is_found_whoever_it_names() {
    let accounts = (10..40).map(|n| AccountKeys::new(format!("AC{n:032}").parse().unwrap()).primary("x"));
    let account = AccountKeys::new(ACCOUNT.parse().unwrap()).primary(TOKEN);
    let keyring = Keyring::new(accounts.chain([account])).unwrap();
    let signed = Signer::token(TOKEN).form_body(URL, BODY);
    let request = Request { content_type: Some(b"application/json"), ..signed.request() };
    found(&explain(&request, &keyring, &Policy::default()), &[Cause::ContentType]);
}

#[test]
fn blank_fields_that_were_put_in_are_found() {
    let added = |signed: &str, received: &str, detail: Option<&str>| {
        let explanation = explain_form((URL, signed), (URL, received), &Hints::default());
        found(&explanation, &[Cause::BlankFieldsAdded]);
        assert_eq!(explanation.findings[0].detail.as_deref(), detail);
    };
    added("Body=Hi&From=%2B1", "Body=Hi&From=%2B1&FromZip=", Some("FromZip"));
    added("Body=Hi", "Body=Hi&FromZip=&ToZip=&ToCity=", Some("FromZip, ToZip, ToCity"));
    added("Body=Hi&FromCity=&ToCity=", "Body=Hi&FromCity=&FromZip=&ToCity=", Some("FromZip"));
    added("Body=Hi&ToCity=", "Body=Hi&FromCity=&FromZip=&ToCity=", Some("FromCity, FromZip"));
    // A name that no Twilio request has may be a secret that somebody mistyped.
    added("Body=Hi", "Body=Hi&hunter2=", None);
}

#[test]
fn white_space_trimmed_from_two_fields_is_found() {
    let explanation = explain_form(
        (URL, "Body=Hi+&FromCity=&ProfileName=Ann%0A&From=%2B1"),
        (URL, "Body=Hi&FromCity=&ProfileName=Ann&From=%2B1"),
        &Hints::default(),
    );
    found(&explanation, &[Cause::FieldTrimmed]);
    assert_eq!(explanation.findings[0].detail.as_deref(), Some("Body, ProfileName"));
}

/// A message as Twilio sends it, so that what is tried first has everything to find it among.
const SMS: &str = "ToCountry=US&ToState=NY&SmsMessageSid=SM0123456789abcdef0123456789abcdef&NumMedia=0&ToCity=NEW+YORK\
    &FromZip=94105&SmsSid=SM0123456789abcdef0123456789abcdef&FromState=CA&SmsStatus=received&FromCity=SAN+FRANCISCO\
    &Body=Hello+there+%F0%9F%91%8B&FromCountry=US&To=%2B14155550100&ToZip=&NumSegments=1\
    &MessageSid=SM0123456789abcdef0123456789abcdef&AccountSid=AC0123456789abcdef0123456789abcdef\
    &From=%2B14155550101&ApiVersion=2010-04-01";

#[test]
fn the_typical_mistakes_with_a_whole_message_are_each_named_first() {
    const URL: &str = "https://hooks.example.com/twilio/sms?tenant=7&name=a%20b&area=x";
    #[track_caller]
    fn first(signed: (&str, &str), received: (&str, &str), expected: Cause) {
        let hints = Hints { other_hosts: &["hooks.example.com"], other_prefixes: &[] };
        let explanation = explain_form(signed, received, &hints);
        assert_eq!(explanation.findings.first().map(|it| it.cause), Some(expected), "{explanation}");
        assert!(explanation.findings[0].proven && explanation.trials <= TRIALS_MAX, "{}", explanation.trials);
    }
    let url = |from: &str, to: &str, cause| first((URL, SMS), (&URL.replace(from, to), SMS), cause);
    url("https", "http", Cause::Scheme);
    url("hooks.example.com", "app.internal", Cause::Host);
    url("example.com", "example.com.", Cause::Host);
    url("/sms", "/sms/", Cause::TrailingSlash);
    url("/twilio", "/api/twilio", Cause::PathPrefix);
    url("%20", "+", Cause::PlusOrPercent20);
    url("tenant=7&name=a%20b&area=x", "area=x&name=a%20b&tenant=7", Cause::QueryOrder);
    first((&URL.replace(".com", ".com:8443"), SMS), (URL, SMS), Cause::Port);
    first((&URL.replace("=x", "=x%3A%2F"), SMS), (&URL.replace("=x", "=x:/"), SMS), Cause::QueryEncoding);

    let body = |from: &str, to: &str, cause| {
        assert!(SMS.contains(from));
        first((URL, SMS), (URL, &SMS.replace(from, to)), cause);
        // Behind a proxy that ends TLS, the proxy is named first, and then what the framework did.
        if cause != Cause::BlankFieldsDropped {
            first((URL, SMS), (&URL.replace("https", "http"), &SMS.replace(from, to)), Cause::Scheme);
        }
    };
    body("&ToZip=", "", Cause::BlankFieldsDropped);
    body("&ApiVersion", "&ErrorCode=&ApiVersion", Cause::BlankFieldsAdded);
    body("=%2B1", "=+1", Cause::PlusInField);
    let spaced = SMS.replace("%8B&", "%8B+&");
    first((URL, &spaced), (URL, SMS), Cause::FieldTrimmed);
    let spaced = spaced.replace("SAN+FRANCISCO", "SAN+FRANCISCO+");
    first((URL, &spaced), (URL, SMS), Cause::FieldTrimmed);
    let repeated = format!("{SMS}&MediaUrl0=a&MediaUrl0=b");
    first((URL, &repeated), (URL, &format!("{SMS}&MediaUrl0=a,b")), Cause::Duplicates);
    first((URL, &format!("{SMS}&Tag=b")), (URL, &format!("{SMS}&Tag=a&Tag=b")), Cause::Duplicates);

    // Two at once are still within the bounds.
    let twice = URL.replace("/sms", "/sms/").replace("%20", "+");
    first((URL, SMS), (&twice, SMS), Cause::TrailingSlash);
    first((URL, SMS), (&URL.replace("/sms", "/sms/"), &format!("{SMS}&ErrorCode=")), Cause::TrailingSlash);

    // The form came as a GET, and the reverse.
    let signed = Signer::token(TOKEN).form_body("https://h.example/sms", SMS);
    let as_query = format!("https://h.example/sms?{SMS}");
    let request = Request {
        method: "GET",
        url: ReceivedUrl::parse(as_query.as_bytes()),
        content_type: None,
        body: b"",
        ..signed.request()
    };
    assert_eq!(explain(&request, &keyring(), &Policy::default()).findings[0].cause, Cause::QueryAsForm);
    let signed = Signer::token(TOKEN).get(URL);
    let request = Request { content_type: Some(FORM), body: SMS.as_bytes(), ..signed.request() };
    assert_eq!(explain(&request, &keyring(), &Policy::default()).findings[0].cause, Cause::FormNotSigned);

    // Tokens: another account's, and a secondary one that is not the one Twilio signs with yet.
    for token in ["another token", "a secondary token"] {
        let signed = Signer::token(token).form_body(URL, SMS);
        let explanation = explain(&signed.request(), &keyring(), &Policy::default());
        assert!(
            explanation.to_string().contains("account AC00000000000000000000000000000009"),
            "{explanation}"
        );
    }
    let keys = AccountKeys::new(ACCOUNT.parse().unwrap()).primary("not promoted yet");
    let signed = Signer::token(TOKEN).form_body(URL, SMS);
    let explanation = explain(&signed.request(), &Keyring::new([keys]).unwrap(), &Policy::default());
    assert!(explanation.findings.is_empty());
    let usual = explanation.to_string();
    let token = usual.find(Cause::WrongToken.problem()).unwrap();
    assert!(
        token < usual.find(Cause::BodyAltered.problem()).unwrap() && usual.contains("secondary"),
        "{usual}"
    );
}

#[test]
fn a_damaged_signature_is_mended_to_look_further() {
    let signed = Signer::token(TOKEN).form_body(URL, "a=1");
    let signature = signature_of(&signed);
    let quoted = format!("\"{signature}\"");
    let hex = variants::hex(&general_purpose::STANDARD.decode(signature).unwrap());
    for damaged in [
        quoted,
        signature.trim_end_matches('=').to_owned(),
        signature.replace('+', "-").replace('/', "_") + " ",
        hex,
    ] {
        found(&other_body(URL, Some(FORM), b"a=1", &damaged), &[Cause::SignatureDamaged]);
    }
    found(&other_body(URL, Some(FORM), b"a=1", "hello"), &[Cause::SignatureNotBase64]);
    // Nothing longer is mended.
    let padded = |len: usize| format!("{signature}{}", " ".repeat(len - signature.len()));
    found(&other_body(URL, Some(FORM), b"a=1", &padded(200)), &[Cause::SignatureDamaged]);
    found(&other_body(URL, Some(FORM), b"a=1", &padded(201)), &[Cause::SignatureNotBase64]);
    found(&other_body(URL, Some(FORM), b"a=1", ""), &[Cause::NoSignature]);
}

#[test]
fn somebody_elses_key_is_named_by_its_account() {
    let signed = Signer::token("another token").form_body(URL, BODY);
    let explanation = explain(&signed.request(), &keyring(), &Policy::default());
    found(&explanation, &[Cause::AccountMismatch, Cause::OtherKey]);
    assert_eq!(
        explanation.findings[1].detail.as_deref(),
        Some("account AC00000000000000000000000000000009, primary key")
    );

    // With the wrong scheme as well, and with a secondary token.
    let signed = Signer::token("a secondary token").form_body(URL, BODY);
    let url = URL.replace("https", "http");
    let request = Request { url: ReceivedUrl::parse(url.as_bytes()), ..signed.request() };
    found(&explain(&request, &keyring(), &Policy::default()), &[Cause::OtherKey, Cause::Scheme]);
}

#[test]
fn reasons_that_need_no_trial_are_said_at_once() {
    let signed = Signer::token(TOKEN).form_body(URL, BODY.replace("Body=Hi", "Bodyh="));
    let policy = Policy { strict: Strict::Refuse, ..Policy::default() };
    let explanation = explain(&signed.request(), &keyring(), &policy);
    found(&explanation, &[Cause::StrictMode]);
    assert!(explanation.to_string().contains("Body"), "{explanation}");

    let signed = Signer::shared_key("k1", TOKEN, Algorithm::HmacSha256).form_body(URL, BODY);
    let explanation = explain(&signed.request(), &keyring(), &Policy::default());
    assert_eq!(explanation.findings[0].cause, Cause::UnknownSharedKey);
}

#[test]
fn each_refusal_that_says_enough_by_itself_is_told_and_costs_no_trial() {
    let signed = Signer::token(TOKEN).form_body(URL, BODY);
    let many = Signer::token(TOKEN).form_body(URL, "a=1&".repeat(10_001));
    let other = [OTHER.parse().unwrap()];
    let plain = Policy::default;
    let (needs_key, listed) = (
        Policy { needs_shared_key: true, ..plain() },
        Policy { accounts: crate::Accounts::Listed(&other), ..plain() },
    );
    for (signed, policy, cause) in [
        (&signed, needs_key, Cause::SharedKeyRequired),
        (&signed, listed, Cause::AccountNotAllowed),
        (&many, plain(), Cause::TooManyParameters),
    ] {
        let explanation = explain(&signed.request(), &keyring(), &policy);
        assert_eq!((explanation.findings[0].cause, explanation.findings.len()), (cause, 1));
        assert!(explanation.findings[0].proven && explanation.trials == 0, "{cause:?}");
    }
    // What may have another cause behind it is told too, and not as proven.
    let by_sha256 = Signer::shared_key("-", "no key of anybody", Algorithm::HmacSha256).form_body(URL, BODY);
    let by_sha256 = Request { settings: None, ..by_sha256.request() };
    let stranger = Signer::token("nobody's").form(URL, [("AccountSid", format!("AC{}", "7".repeat(32)))]);
    for (request, cause) in [(by_sha256, Cause::WrongAlgorithm), (stranger.request(), Cause::UnknownAccount)]
    {
        let explanation = explain(&request, &keyring(), &plain());
        found(&explanation, &[cause]);
        assert!(!explanation.findings[0].proven);
    }
}

#[test]
fn where_nothing_fits_the_usual_causes_are_listed() {
    let signed = Signer::token("not in the keyring").form_body(URL, BODY);
    let explanation = explain(&signed.request(), &keyring(), &Policy::default());
    found(&explanation, &[]);
    assert!(explanation.trials > 500, "{}", explanation.trials);
    for cause in Explanation::UNEXPLAINED {
        assert!(explanation.to_string().contains(cause.remedy()));
    }
}

#[test]
fn a_large_keyring_and_a_large_body_stay_within_the_bounds() {
    let accounts = (0..3_000)
        .map(|n| AccountKeys::new(format!("AC{n:032}").parse().unwrap()).primary(&format!("token {n}")));
    let keyring = Keyring::new(accounts).unwrap();
    let signed = Signer::token(TOKEN).form_body(URL, BODY);
    assert!(explain(&signed.request(), &keyring, &Policy::default()).trials <= TRIALS_MAX);

    let signed = Signer::token(TOKEN).form_body(URL, format!("Body={}", "x".repeat(1024 * 1024)));
    let explanation = explain(&signed.request(), &keyring, &Policy::default());
    assert!(explanation.trials < 200, "{}", explanation.trials);
}

/// No secret, signature or whole canonical string leaves an explanation, whatever is explained.
#[test]
fn nothing_secret_is_ever_said() {
    #[derive(serde::Deserialize)]
    struct Vector {
        auth_token: String,
        method: String,
        url: String,
        content_type: Option<String>,
        body: String,
        signature: Option<String>,
    }
    let mut told = 0;
    for line in include_str!("../../tests/vectors/signature.jsonl").lines().step_by(4) {
        let vector: Vector = serde_json::from_str(line).unwrap();
        if vector.auth_token.is_empty() {
            continue;
        }
        let signature = vector.signature.unwrap_or_default();
        // With another token as well, so that admitted ones are explained too.
        for token in [vector.auth_token.clone(), format!("{}x", vector.auth_token)] {
            let request = Request {
                method: &vector.method,
                url: ReceivedUrl::parse(vector.url.as_bytes()),
                websocket: false,
                content_type: vector.content_type.as_deref().map(str::as_bytes),
                body: vector.body.as_bytes(),
                signature: Some(signature.as_bytes()),
                settings: None,
            };
            let keys = Keyring::new([AccountKeys::anonymous().primary(&token)]).unwrap();
            let hints = Hints { other_hosts: &["hooks.example.com"], other_prefixes: &["/api"] };
            let explanation = explain_with(
                &request,
                &keys,
                &Policy { strict: Strict::Refuse, ..Policy::default() },
                &hints,
            );
            let said = format!("{explanation}{explanation:?}{:?}", explanation.refusal);
            // The suite's token `12345` is short enough to be part of a number.
            assert!(!said.contains(&token), "{said}");
            assert!(signature.len() < 8 || !said.contains(&signature), "{said}");
            let canonical = crate::canonical::canonical_string(
                &request.url,
                Candidate::AS_RECEIVED,
                if request.is_form() { request.body } else { b"" },
            );
            for window in canonical.windows(41) {
                assert!(
                    memchr::memmem::find(said.as_bytes(), window).is_none(),
                    "{}",
                    String::from_utf8_lossy(window)
                );
            }
            told += usize::from(explanation.refusal.is_some());
        }
    }
    assert!(told > 75, "{told}");
}

#[test]
fn every_cause_has_its_own_name_and_whole_sentences() {
    let names: std::collections::HashSet<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
    assert_eq!(names.len(), Cause::ALL.len());
    for cause in Cause::ALL {
        for sentence in [cause.problem(), cause.remedy()] {
            assert!(
                sentence.ends_with('.') && sentence.starts_with(char::is_uppercase)
                    || sentence.starts_with("bodySHA256"),
                "{sentence}"
            );
        }
    }
}
