//! Which of the vectors a strict gate refuses, held against `docs/strict-mode.md`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use ringfence_signature::{
    AccountKeys, Algorithm, Keyring, Policy, ReceivedUrl, Refusal, Request, SETTINGS_HEADER, Scratch, Strict,
    Verdict, verify,
};

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    category: String,
    auth_token: String,
    algorithm: String,
    method: String,
    url: String,
    content_type: Option<String>,
    headers: Option<std::collections::BTreeMap<String, String>>,
    body: String,
    signature: Option<String>,
    expect: bool,
    #[serde(default)]
    tags: Vec<String>,
}

fn vectors() -> Vec<Vector> {
    include_str!("vectors/signature.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn judge(vector: &Vector, strict: Strict) -> Option<Verdict> {
    if vector.auth_token.is_empty() {
        return None;
    }
    let keys = AccountKeys::anonymous();
    let settings =
        vector.headers.iter().flatten().find(|(name, _)| name.eq_ignore_ascii_case(SETTINGS_HEADER));
    let settings = settings.map(|(_, value)| value.as_bytes());
    let id = settings
        .and_then(|it| str::from_utf8(it).ok()?.split(',').find_map(|part| part.trim().strip_prefix("key=")));
    let keys = match (id, Algorithm::parse(&vector.algorithm)?) {
        (None, Algorithm::HmacSha1) => keys.primary(&vector.auth_token),
        (id, algorithm) => keys.shared_key(id.unwrap_or("key"), &vector.auth_token, algorithm),
    };
    let keyring = Keyring::new([keys]).unwrap();
    let request = Request {
        method: &vector.method,
        url: ReceivedUrl::parse(vector.url.as_bytes()),
        websocket: vector.category == "ws",
        content_type: vector.content_type.as_deref().map(str::as_bytes),
        body: vector.body.as_bytes(),
        signature: vector.signature.as_deref().map(str::as_bytes),
        settings,
    };
    let policy = Policy { strict, ..Policy::default() };
    Some(verify(&request, &keyring, &policy, &mut Scratch::default()))
}

/// The ids in backticks under the heading of the document.
fn documented(heading: &str) -> BTreeSet<String> {
    let text = include_str!("../../../docs/strict-mode.md");
    let section = text
        .split("\n## ")
        .find(|section| section.starts_with(heading))
        .unwrap_or_else(|| panic!("no {heading}"));
    section
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_document_lists_exactly_the_vectors_that_a_strict_gate_refuses() {
    let mut refused = BTreeSet::new();
    let mut rows = Vec::new();
    for vector in vectors() {
        let Some(Verdict::Allow(_)) = judge(&vector, Strict::Off) else { continue };
        if let Some(Verdict::Refuse(refusal)) = judge(&vector, Strict::Refuse) {
            let Refusal::Strict(finding) = refusal else { panic!("{}: {refusal}", vector.id) };
            rows.push((format!("{} {}", finding.as_str(), finding.parameter()), vector.id.clone()));
            refused.insert(vector.id);
        }
    }
    rows.sort();
    for rows in rows.chunk_by(|left, right| left.0 == right.0) {
        println!(
            "| {} | {} |",
            rows[0].0,
            rows.iter().map(|(_, id)| format!("`{id}`")).collect::<Vec<_>>().join(" ")
        );
    }
    assert_eq!(documented("Vectors that a strict gate refuses"), refused);
}

#[test]
fn of_the_ambiguous_vectors_only_those_without_a_known_name_pass() {
    let ambiguous = vectors()
        .into_iter()
        .filter(|vector| vector.expect && vector.tags.iter().any(|tag| tag == "ambiguity"));
    let mut passed = BTreeSet::new();
    for vector in ambiguous {
        if matches!(judge(&vector, Strict::Refuse), Some(Verdict::Allow(_))) {
            passed.insert(vector.id);
        }
    }
    assert_eq!(passed, documented("What strict mode cannot see"));
}

#[test]
fn strict_report_admits_and_tells() {
    let vector = vectors().into_iter().find(|vector| vector.id == "tamper-011").unwrap();
    let Some(Verdict::Allow(allowed)) = judge(&vector, Strict::Report) else { panic!("not admitted") };
    assert_eq!(allowed.finding.map(|finding| finding.parameter()), Some("Body"));
}

#[test]
fn a_usage_trigger_passes_strict_mode() {
    #[derive(serde::Deserialize)]
    struct Trigger {
        token: String,
        url: String,
        params: std::collections::BTreeMap<String, String>,
        signature: String,
    }
    let trigger: Trigger = serde_json::from_str(include_str!("vectors/usage-trigger.json")).unwrap();
    let signed = ringfence_signature::Signer::token(&trigger.token).form(&trigger.url, &trigger.params);
    let request = Request { signature: Some(trigger.signature.as_bytes()), ..signed.request() };
    let keyring = Keyring::new([AccountKeys::anonymous().primary(&trigger.token)]).unwrap();
    let policy = Policy { strict: Strict::Refuse, ..Policy::default() };
    let verdict = verify(&request, &keyring, &policy, &mut Scratch::default());
    assert!(matches!(verdict, Verdict::Allow(_)), "{verdict:?}");
}
