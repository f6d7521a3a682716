//! What was probably wrong with a refused request, and what to change.
//!
//! For people and off the hot path: it signs altered forms of the request with the known keys until one fits the
//! signature that came, and says what the alteration was. It admits nothing; `verify` alone does that.
//!
//! The one idea: a refusal that tells its cause to the caller would help an attacker, and one that tells nobody
//! makes people switch the check off. So the caller hears nothing, and the operator hears this. What it says
//! holds no secret, no signature and no more than scraps of what was signed.

mod cause;
mod json;
mod params;
mod rewrite;
mod trials;
mod variants;

use std::fmt;

use base64::{Engine, engine::general_purpose};

pub use cause::Cause;
use trials::{Match, Trials};

use crate::{AccountSid, KeyKind, Keyring, Policy, Refusal, Request, Scratch, Verdict, verify};

/// What else may be known of where a request came from. Everything is optional.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints<'a> {
    /// Other hosts that may have been in the URL, with a port where there is one: what the `Host` and
    /// `X-Forwarded-Host` headers said, say, or what the number's webhook is configured to.
    pub other_hosts: &'a [&'a str],
    /// Path prefixes that something in between may have cut off or put in, such as `/prod` or `/api`.
    pub other_prefixes: &'a [&'a str],
}

/// What was probably wrong with a request, and what to change. `Display` gives the whole of it in sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Why the gate refuses the request; `None` where it admits it.
    pub refusal: Option<Refusal>,
    /// What was found, the likeliest first. Empty where no trial fitted.
    pub findings: Vec<Found>,
    /// How many signatures were computed to find out. At most [`TRIALS_MAX`].
    pub trials: usize,
}

/// The most signatures that one [`explain`] computes.
pub const TRIALS_MAX: usize = 5_000;

/// One thing that was found to be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub cause: Cause,
    /// Which host, port, field or account, where that helps. Never a value that a sender chose.
    pub detail: Option<String>,
    /// Whether a trial proved it: with this put right, the signature fits.
    pub proven: bool,
}

/// Finds out what was probably wrong with a refused request.
///
/// ```
/// use ringfence_signature::{AccountKeys, Accounts, Cause, Keyring, Policy, ReceivedUrl, Request, explain};
///
/// let keyring = Keyring::new([AccountKeys::anonymous().primary("12345")])?;
/// // Behind a proxy that ends TLS: Twilio called `https`, the application sees `http`.
/// let request = Request {
///     method: "POST",
///     url: ReceivedUrl::parse(b"http://mycompany.com/myapp.php?foo=1&bar=2"),
///     websocket: false,
///     content_type: Some(b"application/x-www-form-urlencoded"),
///     body: b"CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212",
///     signature: Some(b"RSOYDt4T1cUTdK1PDd93/VVr8B8="),
///     settings: None,
/// };
/// let explanation = explain(&request, &keyring, &Policy::default());
/// assert_eq!(explanation.findings[0].cause, Cause::Scheme);
/// # Ok::<(), ringfence_signature::KeyringError>(())
/// ```
pub fn explain(request: &Request<'_>, keyring: &Keyring, policy: &Policy<'_>) -> Explanation {
    explain_with(request, keyring, policy, &Hints::default())
}

/// As [`explain`], with what else is known.
pub fn explain_with(
    request: &Request<'_>,
    keyring: &Keyring,
    policy: &Policy<'_>,
    hints: &Hints<'_>,
) -> Explanation {
    let Verdict::Refuse(refusal) = verify(request, keyring, policy, &mut Scratch::default()) else {
        return Explanation { refusal: None, findings: Vec::new(), trials: 0 };
    };
    let mut findings: Vec<Found> = direct_cause(&refusal).into_iter().collect();
    let mut spent = 0;
    if needs_trials(&refusal)
        && let Some((signature, repaired)) = decode_signature(request.signature.unwrap_or_default())
    {
        let mut trials = Trials::new(request, keyring, policy, signature);
        let found = trials.run(hints);
        spent = trials.spent();
        if let Some(found) = found {
            if repaired {
                findings.push(Found { cause: Cause::SignatureDamaged, detail: None, proven: true });
            }
            tell(found, request, &mut findings);
        }
    }
    // The vague name of a thing goes where the thing itself was found.
    if findings.iter().any(|found| found.proven) {
        findings.retain(|found| found.proven || found.cause != Cause::SignatureNotBase64);
    }
    findings.dedup_by(|left, right| left.cause == right.cause);
    Explanation { refusal: Some(refusal), findings, trials: spent }
}

fn direct_cause(refusal: &Refusal) -> Option<Found> {
    let (cause, detail) = match refusal {
        Refusal::MissingSignature => (Cause::NoSignature, None),
        Refusal::MalformedSignature => (Cause::SignatureNotBase64, None),
        Refusal::UnknownSharedKey => (Cause::UnknownSharedKey, None),
        Refusal::SharedKeyRequired => (Cause::SharedKeyRequired, None),
        Refusal::AlgorithmMismatch => (Cause::WrongAlgorithm, None),
        Refusal::UnknownAccount => (Cause::UnknownAccount, None),
        Refusal::AccountMismatch => (Cause::AccountMismatch, None),
        Refusal::AccountNotAllowed => (Cause::AccountNotAllowed, None),
        Refusal::TooManyParameters => (Cause::TooManyParameters, None),
        Refusal::Strict(finding) => (Cause::StrictMode, Some(finding.to_string())),
        // A trial tells which of several it is.
        _ => return None,
    };
    let certain = !matches!(cause, Cause::SignatureNotBase64 | Cause::UnknownAccount | Cause::WrongAlgorithm);
    Some(Found { cause, detail, proven: certain })
}

fn needs_trials(refusal: &Refusal) -> bool {
    !matches!(
        refusal,
        Refusal::MissingSignature
            | Refusal::SharedKeyRequired
            | Refusal::AccountNotAllowed
            | Refusal::TooManyParameters
            | Refusal::Strict(_)
    )
}

/// The signature's bytes, and whether something had to be mended to get them.
fn decode_signature(header: &[u8]) -> Option<(Vec<u8>, bool)> {
    let is_hmac = |bytes: &Vec<u8>| matches!(bytes.len(), 20 | 32);
    if let Some(bytes) = general_purpose::STANDARD.decode(header).ok().filter(is_hmac) {
        return Some((bytes, false));
    }
    if header.len() > 200 {
        return None;
    }
    let kept: Vec<u8> = header
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace() && !b"\"'<>,".contains(byte))
        .collect();
    let standard: Vec<u8> = kept
        .iter()
        .filter(|byte| **byte != b'=')
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        })
        .collect();
    let base64 = general_purpose::STANDARD_NO_PAD.decode(standard).ok().filter(is_hmac);
    base64.or_else(|| variants::from_hex(&kept).filter(is_hmac)).map(|bytes| (bytes, true))
}

fn tell(found: Match, request: &Request<'_>, findings: &mut Vec<Found>) {
    if let Some(owner) = found.other_owner {
        // The named account has no key, or another one; here is whose it was.
        findings.retain(|found| found.cause != Cause::UnknownAccount);
        findings.push(Found { cause: Cause::OtherKey, detail: Some(owner), proven: true });
    }
    let labelled = found.changes.iter().any(|(cause, _)| *cause == Cause::LabelledAsForm);
    findings.extend(found.changes.into_iter().map(|(cause, detail)| Found { cause, detail, proven: true }));
    let uncovered =
        if labelled { !variants::hash_holds(request) } else { !request.is_form() && !found.covers_body };
    if uncovered {
        let (cause, detail) = variants::body_hash_fault(request);
        findings.push(Found { cause, detail, proven: true });
    }
}

impl Explanation {
    /// What to look at where no trial fitted: the most common causes that no trial can find, with their remedies.
    pub const UNEXPLAINED: [Cause; 4] =
        [Cause::WrongToken, Cause::SubaccountToken, Cause::BodyAltered, Cause::ForgedRequest];
}

impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(refusal) = &self.refusal else {
            return formatter.write_str("The request is admitted; there is nothing to explain.\n");
        };
        writeln!(formatter, "Refused: {refusal}.")?;
        for found in &self.findings {
            write!(formatter, "\n{}", found.cause.problem())?;
            if let Some(detail) = &found.detail {
                write!(formatter, " ({detail})")?;
            }
            writeln!(formatter, "\n  {}", found.cause.remedy())?;
        }
        if !self.findings.iter().any(|found| found.proven) {
            writeln!(
                formatter,
                "\nNone of {} trials fits the signature. The usual causes, then:",
                self.trials
            )?;
            for cause in Self::UNEXPLAINED {
                writeln!(formatter, "\n{}\n  {}", cause.problem(), cause.remedy())?;
            }
        }
        Ok(())
    }
}

/// Names the owner of a key without showing the key.
fn owner(account: Option<AccountSid>, key: KeyKind) -> String {
    match account {
        Some(account) => format!("account {account}, {} key", key.as_str()),
        None => format!("{} key", key.as_str()),
    }
}

#[cfg(test)]
mod tests;
