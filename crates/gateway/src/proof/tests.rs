use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_795_449_600;

#[test]
fn a_short_secret_makes_no_key() {
    assert_eq!(ProofKey::new(&Secret::new("")).unwrap_err(), ProofKeyError::TooShort { bytes: 0 });
    assert_eq!(
        ProofKey::new(&Secret::new("x".repeat(31))).unwrap_err(),
        ProofKeyError::TooShort { bytes: 31 }
    );
}

#[test]
fn a_request_without_a_well_formed_proof_is_refused() {
    let good = proof(NOW);
    assert_eq!(check(None, NOW), Err(ProofError::Missing));
    let digest = good.split_once("v1=").unwrap().1;
    for malformed in [
        String::new(),
        format!("t=,v1={digest}"),
        format!("t=+{NOW},v1={digest}"),
        format!("t={NOW}, v1={digest}"),
        format!("t={NOW},v2={digest}"),
        format!("t={NOW},v1={}", digest.to_uppercase()),
        format!("t={NOW},v1={}", &digest[1..]),
        format!("{good}0"),
        format!("{good}, {good}"),
        format!("v1={digest},t={NOW}"),
        format!("t=000000000000000000000,v1={digest}"),
    ] {
        assert_eq!(check(Some(&malformed), NOW), Err(ProofError::Malformed), "{malformed}");
    }
}

#[test]
fn a_proof_of_anything_else_is_refused() {
    let good = proof(NOW);
    let account = account();
    let other = AccountSid::parse(b"AC00000000000000000000000000000002").unwrap();
    let (body, other_body) = (sha256(BODY), sha256(b"Body=other"));
    let real = request(&body, Some(&account));
    for (what, changed) in [
        ("method", Proven { method: "PUT", ..real }),
        ("target", Proven { target: "/twilio/sms?a=2", ..real }),
        ("query dropped", Proven { target: "/twilio/sms", ..real }),
        ("body", Proven { body_sha256: &other_body, ..real }),
        ("account", Proven { account: Some(&other), ..real }),
        ("no account", Proven { account: None, ..real }),
    ] {
        let refused = key().check(Some(good.as_bytes()), &changed, NOW, PROOF_MAX_AGE);
        assert_eq!(refused, Err(ProofError::Mismatch), "{what}");
    }
    let other_key = ProofKey::new(&Secret::new(SECRET.replace('0', "1"))).unwrap();
    let refused = other_key.check(Some(good.as_bytes()), &real, NOW, PROOF_MAX_AGE);
    assert_eq!(refused, Err(ProofError::Mismatch));
}

#[test]
fn the_time_cannot_be_changed_to_make_it_young() {
    let old = proof(NOW - 1000).replace(&(NOW - 1000).to_string(), &NOW.to_string());
    assert_eq!(check(Some(&old), NOW), Err(ProofError::Mismatch));
    let padded = proof(NOW).replace("t=", "t=0");
    assert_eq!(check(Some(&padded), NOW), Err(ProofError::Mismatch));
}

#[test]
fn a_proof_holds_for_its_minute_either_way() {
    let good = proof(NOW);
    for (now, expected) in [
        (NOW + 61, Err(ProofError::TooOld)),
        (NOW - 61, Err(ProofError::FromTheFuture)),
        (0, Err(ProofError::FromTheFuture)),
        (u64::MAX, Err(ProofError::TooOld)),
        (NOW, Ok(())),
        (NOW + 60, Ok(())),
        (NOW - 60, Ok(())),
    ] {
        assert_eq!(check(Some(&good), now), expected, "{now}");
    }
    for time in [0, 9, 10, u64::MAX] {
        assert_eq!(check(Some(&proof(time)), time), Ok(()), "{time}");
    }
}

#[test]
fn the_header_has_the_form_that_the_page_promises() {
    // The HMAC was made with `openssl dgst -sha256 -hmac`, so that no code of ours vouches for itself.
    let expected = "t=1795449600,v1=beb0876ea986092ecd616f253f2cf86a8b8060eac3cf7a124748dac67269b80e";
    assert_eq!(proof(NOW), expected);
}

#[test]
fn a_key_does_not_show_itself() {
    assert_eq!(format!("{:?}", key()), "ProofKey(…)");
}

#[test]
fn the_check_in_node_decides_as_ours_does() {
    examples_agree("node", &["-e", NODE], NODE_FILE);
}

#[test]
fn the_check_in_python_decides_as_ours_does() {
    examples_agree("python3", &["-B", "-c", PYTHON], PYTHON_FILE);
}

#[test]
fn the_page_shows_the_very_lines_that_these_tests_run() {
    let page = std::fs::read_to_string(docs().join("upstream-proof.md")).unwrap();
    for (language, file) in [("js", NODE_FILE), ("python", PYTHON_FILE)] {
        let code = std::fs::read_to_string(docs().join(file)).unwrap();
        assert!(page.contains(&format!("```{language}\n{code}```\n")), "{file} and the page differ");
    }
}

const NODE_FILE: &str = "examples/verify_proof.js";
const PYTHON_FILE: &str = "examples/verify_proof.py";

/// Each reads one case a line from its standard input and writes `true` or `false`.
const NODE: &str = r"
const { verifyProof } = require(process.argv[1]);
for (const line of require('node:fs').readFileSync(0, 'utf8').trim().split('\n')) {
  const c = JSON.parse(line);
  const request = { ...c, body: Buffer.from(c.body, 'latin1'), account: c.account ?? undefined, proof: c.proof ?? undefined };
  console.log(verifyProof(c.secret, request, c.now));
}";
const PYTHON: &str = r"
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location('verify_proof', sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for line in sys.stdin:
    c = json.loads(line)
    ok = module.verify_proof(c['secret'], c['method'], c['target'], c['body'].encode('latin1'), c['account'], c['proof'], c['now'])
    print('true' if ok else 'false')
";

/// Where the interpreter is not installed there is nothing to compare; CI has both.
fn examples_agree(interpreter: &str, arguments: &[&str], file: &str) {
    let cases = cases();
    let spawned = Command::new(interpreter)
        .args(arguments)
        .arg(docs().join(file).canonicalize().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("{interpreter} is not installed; its example was not run");
            return;
        }
        other => other.unwrap(),
    };
    let mut input = child.stdin.take().unwrap();
    for (_, case, _) in &cases {
        writeln!(input, "{case}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = answers.lines().map(str::trim).collect();
    let expected: Vec<_> = cases.iter().map(|(_, _, holds)| if *holds { "true" } else { "false" }).collect();
    for ((name, _, _), (answer, expected)) in cases.iter().zip(answers.iter().zip(&expected)) {
        assert_eq!(answer, expected, "{interpreter}: {name}");
    }
    assert_eq!(answers.len(), cases.len());
}

/// Requests as JSON, with whether the proof holds.
fn cases() -> Vec<(&'static str, serde_json::Value, bool)> {
    let account = account();
    let good = proof(NOW);
    let base = serde_json::json!({
        "secret": SECRET, "method": "POST", "target": TARGET, "account": account.as_str(), "proof": good, "now": NOW,
        "body": String::from_utf8(BODY.to_vec()).unwrap(),
    });
    let changed = |field: &str, value: serde_json::Value| {
        let mut case = base.clone();
        case[field] = value;
        case
    };
    let without = key().make(NOW, "GET", "/", &sha256(b""), None);
    let binary = key().make(NOW, "POST", TARGET, &sha256(b"\x00\xff\r\n"), Some(&account));
    vec![
        ("genuine", base.clone(), true),
        ("60 seconds old", changed("now", (NOW + 60).into()), true),
        ("60 seconds ahead", changed("now", (NOW - 60).into()), true),
        (
            "no account, no body",
            serde_json::json!({ "secret": SECRET, "method": "GET", "target": "/", "account": null, "body": "",
                "proof": without.to_str().unwrap(), "now": NOW }),
            true,
        ),
        (
            "a body that is no text",
            {
                let mut case = changed("body", "\u{0}\u{ff}\r\n".into());
                case["proof"] = binary.to_str().unwrap().into();
                case
            },
            true,
        ),
        ("61 seconds old", changed("now", (NOW + 61).into()), false),
        ("61 seconds ahead", changed("now", (NOW - 61).into()), false),
        ("another key", changed("secret", SECRET.replace('0', "1").into()), false),
        ("another method", changed("method", "PUT".into()), false),
        ("another target", changed("target", "/twilio/sms?a=2".into()), false),
        ("another body", changed("body", "Body=other".into()), false),
        ("another account", changed("account", "AC00000000000000000000000000000002".into()), false),
        ("the account left out", changed("account", serde_json::Value::Null), false),
        ("no proof", changed("proof", serde_json::Value::Null), false),
        ("an empty proof", changed("proof", "".into()), false),
        ("a proof with a line feed", changed("proof", format!("{good}\n").into()), false),
        ("two proofs", changed("proof", format!("{good}, {good}").into()), false),
        ("another time", changed("proof", good.replace("t=1795449600", "t=1795449601").into()), false),
        ("upper-case digits", changed("proof", good.to_uppercase().into()), false),
        ("digits of another script", changed("proof", good.replace("t=1", "t=\u{661}").into()), false),
    ]
}

const TARGET: &str = "/twilio/sms?a=1";
const BODY: &[u8] = b"Body=hello&From=%2B15550001111";

fn key() -> ProofKey {
    ProofKey::new(&Secret::new(SECRET)).unwrap()
}

fn account() -> AccountSid {
    AccountSid::parse(b"AC00000000000000000000000000000001").unwrap()
}

fn proof(now: u64) -> String {
    key().make(now, "POST", TARGET, &sha256(BODY), Some(&account())).to_str().unwrap().to_owned()
}

fn request<'a>(body_sha256: &'a [u8; 32], account: Option<&'a AccountSid>) -> Proven<'a> {
    Proven { method: "POST", target: TARGET, body_sha256, account }
}

fn check(proof: Option<&str>, now: u64) -> Result<(), ProofError> {
    key().check(proof.map(str::as_bytes), &request(&sha256(BODY), Some(&account())), now, PROOF_MAX_AGE)
}

fn sha256(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}
