//! Every vector gets the verdict it deserves. The files are data: see `vectors/README.md`.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail like tests")]

use std::collections::BTreeMap;

use ringfence_signature::{
    AccountKeys, AccountSid, Algorithm, Keyring, Policy, ReceivedUrl, Refusal, Request, SETTINGS_HEADER,
    Scratch, Subject, Verdict, verify,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    id: String,
    description: String,
    auth_token: String,
    algorithm: String,
    method: String,
    url: String,
    content_type: Option<String>,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    signature: Option<String>,
    expect: bool,
    #[serde(default)]
    optional: bool,
    match_variant: Option<String>,
}

impl Vector {
    fn all() -> Vec<Self> {
        let lines = include_str!("vectors/signature.jsonl").lines();
        lines.map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    fn settings(&self) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(SETTINGS_HEADER))?;
        Some(value)
    }

    fn verify(&self, scratch: &mut Scratch) -> Verdict {
        let algorithm = Algorithm::parse(&self.algorithm).unwrap();
        let id =
            self.settings().and_then(|it| it.split(',').find_map(|piece| piece.trim().strip_prefix("key")));
        let keys = match id {
            Some(id) => {
                let id = id.trim_start_matches([' ', '=']);
                AccountKeys::anonymous().shared_key(id, &self.auth_token, algorithm)
            }
            None if algorithm == Algorithm::HmacSha256 => {
                AccountKeys::anonymous().shared_key("-", &self.auth_token, algorithm)
            }
            None => AccountKeys::anonymous().primary(&self.auth_token),
        };
        let is_handshake = self.headers.get("Upgrade").is_some_and(|it| it == "websocket");
        let request = Request {
            method: &self.method,
            url: ReceivedUrl::parse(self.url.as_bytes()),
            websocket: is_handshake,
            content_type: self.content_type.as_deref().map(str::as_bytes),
            body: self.body.as_deref().unwrap_or_default().as_bytes(),
            signature: self.signature.as_deref().map(str::as_bytes),
            settings: self.settings().map(str::as_bytes),
        };
        verify(&request, &Keyring::new([keys]).unwrap(), &Policy::default(), scratch)
    }
}

#[test]
fn every_vector_that_is_no_question_of_policy_gets_its_verdict() {
    let mut scratch = Scratch::default();
    let mut wrong = Vec::new();
    let mut counted = 0;
    for vector in Vector::all().iter().filter(|vector| !vector.optional) {
        counted += 1;
        let verdict = vector.verify(&mut scratch);
        let matched = match &verdict {
            Verdict::Allow(allowed) => Some(allowed.candidate.as_str()),
            Verdict::Refuse(_) => None,
        };
        // Where a request is refused for its body, `match_variant` is what the URL alone would have matched.
        let expected = if vector.expect { vector.match_variant.as_deref() } else { None };
        if matched.is_some() != vector.expect || matched != expected {
            wrong.push(format!("{} ({}): {verdict:?}", vector.id, vector.description));
        }
    }
    assert!(wrong.is_empty(), "{} of {counted} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(counted, 265, "a line is missing from the vectors");
}

#[test]
fn where_the_url_matched_it_is_the_body_that_is_refused() {
    let mut scratch = Scratch::default();
    for vector in Vector::all().iter().filter(|vector| !vector.expect && !vector.optional) {
        let Verdict::Refuse(refusal) = vector.verify(&mut scratch) else {
            panic!("{} is admitted", vector.id)
        };
        let is_of_the_body = matches!(
            refusal,
            Refusal::BodyHashMissing
                | Refusal::BodyHashRepeated
                | Refusal::BodyHashMalformed
                | Refusal::BodyHashMismatch
        );
        assert_eq!(is_of_the_body, vector.match_variant.is_some(), "{}: {refusal:?}", vector.id);
    }
}

#[derive(Deserialize)]
struct UsageTrigger {
    token: String,
    url: String,
    params: BTreeMap<String, String>,
    signature: String,
}

#[test]
fn a_usage_trigger_that_fired_is_admitted_for_its_account() {
    let trigger: UsageTrigger = serde_json::from_str(include_str!("vectors/usage-trigger.json")).unwrap();
    let account: AccountSid = trigger.params["AccountSid"].parse().unwrap();
    let keyring = Keyring::new([AccountKeys::new(account).primary(&trigger.token)]).unwrap();
    let body = trigger.params.iter().map(|(name, value)| format!("{name}={}", escape(value)));
    let body = body.collect::<Vec<_>>().join("&");
    let request = Request {
        method: "POST",
        url: ReceivedUrl::parse(trigger.url.as_bytes()),
        websocket: false,
        content_type: Some(b"application/x-www-form-urlencoded"),
        body: body.as_bytes(),
        signature: Some(trigger.signature.as_bytes()),
        settings: None,
    };
    match verify(&request, &keyring, &Policy::default(), &mut Scratch::default()) {
        Verdict::Allow(allowed) => {
            assert_eq!((allowed.account, allowed.subject), (Some(account), Subject::UsageTrigger));
        }
        Verdict::Refuse(refusal) => panic!("{refusal}"),
    }
}

fn escape(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}
