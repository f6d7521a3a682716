//! `ringfence verify --vectors`: a file of signed requests with the verdicts that a right verifier gives.
//!
//! The format is that of `vectors/README.md` beside the file: one JSON object a line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use ringfence_signature::{
    AccountKeys, Algorithm, Keyring, Policy, ReceivedUrl, Request, SETTINGS_HEADER, Scratch, Verdict, verify,
};
use serde::Deserialize;
use serde_json::json;

use super::input;
use crate::exit::{Answer, Failure};

/// One line. What says how other libraries answered is not needed here.
#[derive(Debug, Deserialize)]
struct Vector {
    id: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    kind: String,
    auth_token: String,
    #[serde(default = "hmac_sha1")]
    algorithm: String,
    method: String,
    url: String,
    content_type: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    signature: Option<String>,
    expect: bool,
    #[serde(default)]
    optional: bool,
}

/// Judges the whole file. Nothing is judged before every line could be read.
pub(super) fn run(path: &Path, as_json: bool) -> Result<Answer, Failure> {
    let text = input::read_file(path)?;
    let mut vectors = Vec::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        if !line.trim_ascii().is_empty() {
            vectors.push(Vector::read(line).map_err(|what| unreadable(path, number, &what))?);
        }
    }
    if vectors.is_empty() {
        return Err(Failure::usage(format!("{} holds no requests", path.display())));
    }
    Ok(judge(&vectors, as_json))
}

fn unreadable(path: &Path, line: usize, what: &str) -> Failure {
    Failure::usage(format!("{}:{line}: this line cannot be read: {what}", path.display())).hint(
        "each line is one JSON object with id, auth_token, algorithm, method, url, body, signature, expect",
    )
}

fn judge(vectors: &[(Vector, Keyring)], as_json: bool) -> Answer {
    let mut answer = Answer::default();
    let mut output = String::new();
    let mut scratch = Scratch::default();
    let (mut passed, mut failed, mut optional) = (0, 0, 0);
    for (vector, keyring) in vectors {
        let verdict = verify(&vector.request(), keyring, &Policy::default(), &mut scratch);
        let (word, reason, matched) = match &verdict {
            Verdict::Allow(allowed) => ("allow", None, Some(allowed.candidate.as_str())),
            Verdict::Refuse(refusal) => ("refuse", Some(refusal.as_str()), None),
        };
        let is_right = (word == "allow") == vector.expect;
        match (vector.optional, is_right) {
            (true, _) => optional += 1,
            (false, true) => passed += 1,
            (false, false) => failed += 1,
        }
        if as_json {
            _ = writeln!(
                output,
                "{}",
                json!({ "id": vector.id, "verdict": word, "reason": reason, "matched": matched })
            );
        } else if !is_right {
            let expected = if vector.expect { "allow" } else { "refuse" };
            let why = reason.or(matched).unwrap_or_default();
            let line = format!("{}: {word} ({why}) where {expected} is expected", vector.id);
            if vector.optional {
                answer.notes.push(format!("optional, not counted: {line}"));
            } else {
                _ = writeln!(output, "{line}");
            }
        }
    }
    let summary = format!("{passed} passed, {failed} failed");
    if as_json {
        answer.notes.push(summary);
    } else {
        if optional > 0 {
            answer.notes.push(format!("{optional} are questions of policy (optional) and not counted"));
        }
        _ = writeln!(output, "{summary}");
    }
    answer.output = output.into_bytes();
    answer.is_no = failed > 0;
    answer
}

impl Vector {
    /// Reads a line, and the key that it says to use.
    fn read(line: &[u8]) -> Result<(Self, Keyring), String> {
        let vector: Self = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let Some(algorithm) = Algorithm::parse(&vector.algorithm) else {
            return Err(format!("the algorithm {:?} is neither HMAC_SHA1 nor HMAC_SHA256", vector.algorithm));
        };
        let keys = AccountKeys::anonymous();
        let keys = match vector.shared_key_id() {
            Some(id) => keys.shared_key(id, &vector.auth_token, algorithm),
            // SHA-256 is for SharedKeys alone; the request just does not name this one.
            None if algorithm == Algorithm::HmacSha256 => keys.shared_key("-", &vector.auth_token, algorithm),
            None => keys.primary(&vector.auth_token),
        };
        let keyring = Keyring::new([keys]).map_err(|error| error.to_string())?;
        Ok((vector, keyring))
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            url: ReceivedUrl::parse(self.url.as_bytes()),
            websocket: self.is_handshake(),
            content_type: self.content_type.as_deref().map(str::as_bytes),
            body: self.body.as_deref().unwrap_or_default().as_bytes(),
            signature: self.signature.as_deref().map(str::as_bytes),
            settings: self.header(SETTINGS_HEADER).map(str::as_bytes),
        }
    }

    fn is_handshake(&self) -> bool {
        let upgrades = self.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
        upgrades || self.kind == "ws" || self.category == "ws"
    }

    /// The id in `key=ID,algorithm=…`, with odd spaces.
    fn shared_key_id(&self) -> Option<&str> {
        let pieces = self.header(SETTINGS_HEADER)?.split(',');
        let mut values = pieces.filter_map(|piece| piece.split_once('='));
        values.find(|(name, _)| name.trim() == "key").map(|(_, id)| id.trim())
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn hmac_sha1() -> String {
    "HMAC_SHA1".to_owned()
}
