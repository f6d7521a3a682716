//! The verdict: whether Twilio sent a request, for which account, and if not, why not.
//!
//! Pure: nothing is read but the arguments, and nothing is kept but buffers. The order of the questions is the
//! order of [`judge`]; whatever a request says of itself only chooses which keys are tried, and only what a
//! matching key has signed is believed.

use std::fmt;

use crate::{
    AccountSid, Candidate, Finding, KeyKind, Keyring, Request, body_hash,
    canonical::CanonicalString,
    claims::Claims,
    form::{FormBuffer, TooManyFields},
    header::{Settings, Signature},
    strict,
    trial::Keys,
};

/// Which accounts may call.
#[derive(Clone, Copy, Debug, Default)]
pub enum Accounts<'a> {
    /// Every account that has keys in the keyring.
    #[default]
    Any,
    /// These alone.
    Listed(&'a [AccountSid]),
}

/// What is done about parameters that have not the shape Twilio gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strict {
    /// They are not looked at.
    #[default]
    Off,
    /// The request is admitted, and the finding is told with it.
    Report,
    /// The request is refused.
    Refuse,
}

/// What a route demands beyond a good signature. What later versions can demand is off by default: end a literal with
/// `..Policy::default()`, and it goes on compiling.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy<'a> {
    /// Which accounts may call.
    pub accounts: Accounts<'a>,
    /// What is done about parameters of an odd shape.
    pub strict: Strict,
    /// Whether the URL is also tried without its userinfo, or with the one given by
    /// [`ReceivedUrl::with_userinfo`](crate::ReceivedUrl::with_userinfo).
    pub try_userinfo: bool,
    /// Whether a parent's key may sign for its subaccount: for usage triggers alone.
    pub parent_may_stand_in: bool,
    /// Whether a SharedKey must have signed, and no auth token does.
    pub needs_shared_key: bool,
}

/// What is said of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Twilio sent it.
    Allow(Allowed),
    /// It is not to reach anything.
    Refuse(Refusal),
}

/// What is known of an admitted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The account whose key signed; `None` for anonymous keys.
    pub account: Option<AccountSid>,
    /// Which of its keys.
    pub key: KeyKind,
    /// In which form the URL was signed.
    pub candidate: Candidate,
    /// What the request is about.
    pub subject: Subject,
    /// Only with [`Strict::Report`]: what [`Strict::Refuse`] would have refused.
    pub finding: Option<Finding>,
}

/// What a request is about, by the SIDs it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A message: `MessageSid`, `SmsSid` or `SmsMessageSid`.
    Message,
    /// A call: `CallSid`.
    Call,
    /// A usage trigger that fired: `UsageTriggerSid`.
    UsageTrigger,
    /// Anything else.
    Other,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no signature header, or it is empty.
    #[error("the request has no signature")]
    MissingSignature,
    /// The signature header is not the base64 of 20 or 32 bytes.
    #[error("the signature is not base64 of an HMAC")]
    MalformedSignature,
    /// The settings header names a SharedKey that is not configured.
    #[error("the SharedKey that the request names is not known here")]
    UnknownSharedKey,
    /// The request names no SharedKey, where one must have signed.
    #[error("the request names no SharedKey, and an auth token is not enough here")]
    SharedKeyRequired,
    /// The signature, or the settings header, has another algorithm than the key's pinned one.
    #[error("the signature's algorithm is not the one pinned for the key")]
    AlgorithmMismatch,
    /// No key is known for the account that the request names.
    #[error("no key is known for the account that the request names")]
    UnknownAccount,
    /// No known key made this signature for this URL and these parameters.
    #[error("the signature does not match")]
    SignatureMismatch,
    /// The key that matched belongs to another account than `AccountSid` names.
    #[error("the request was signed by another account than it names")]
    AccountMismatch,
    /// The account that signed is not among those this route admits.
    #[error("the account is not admitted here")]
    AccountNotAllowed,
    /// A body that is no form came without `bodySHA256`.
    #[error("the body is not covered: the URL has no bodySHA256")]
    BodyHashMissing,
    /// `bodySHA256` came more than once.
    #[error("the URL has more than one bodySHA256")]
    BodyHashRepeated,
    /// `bodySHA256` is not 64 lower-case hexadecimal digits.
    #[error("bodySHA256 is not 64 lower-case hexadecimal digits")]
    BodyHashMalformed,
    /// The body is not the one that was signed.
    #[error("the body does not have the hash that was signed")]
    BodyHashMismatch,
    /// There are more than 10,000 parameters.
    #[error("the request has too many parameters")]
    TooManyParameters,
    /// The signature is good, but a parameter has not the shape that Twilio gives it.
    #[error("a parameter does not have its shape: {}", .0.as_str())]
    Strict(Finding),
}

impl Refusal {
    /// A short name for logs and metric labels.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::MissingSignature => "missing_signature",
            Self::MalformedSignature => "malformed_signature",
            Self::UnknownSharedKey => "unknown_shared_key",
            Self::SharedKeyRequired => "shared_key_required",
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::UnknownAccount => "unknown_account",
            Self::SignatureMismatch => "signature_mismatch",
            Self::AccountMismatch => "account_mismatch",
            Self::AccountNotAllowed => "account_not_allowed",
            Self::BodyHashMissing => "body_hash_missing",
            Self::BodyHashRepeated => "body_hash_repeated",
            Self::BodyHashMalformed => "body_hash_malformed",
            Self::BodyHashMismatch => "body_hash_mismatch",
            Self::TooManyParameters => "too_many_parameters",
            Self::Strict(_) => "strict",
        }
    }
}

/// Buffers that are used again for each request, so that a warm one allocates nothing: one a thread. They hold
/// bytes of the last request until the next; no key is in them.
#[derive(Default)]
pub struct Scratch {
    form: FormBuffer,
    canonical: CanonicalString,
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch(…)")
    }
}

/// Looks at the signature header alone, so that a server can refuse before it reads a body.
///
/// ```
/// use ringfence_signature::{Refusal, check_header};
///
/// assert_eq!(check_header(None), Err(Refusal::MissingSignature));
/// assert_eq!(check_header(Some(b"FAIL")), Err(Refusal::MalformedSignature));
/// assert_eq!(check_header(Some(b"RSOYDt4T1cUTdK1PDd93/VVr8B8=")), Ok(()));
/// ```
pub fn check_header(signature: Option<&[u8]>) -> Result<(), Refusal> {
    Signature::parse(signature).map(|_| ())
}

/// Judges one request. Total: any bytes give a verdict, in time that grows with their number and not faster
/// than sorting them.
///
/// At most [`MAX_KEYS`](crate::MAX_KEYS) keys and eight forms of the URL are tried. It stops at the first that
/// matches; each comparison takes the same time wherever the signatures differ.
pub fn verify(
    request: &Request<'_>,
    keyring: &Keyring,
    policy: &Policy<'_>,
    scratch: &mut Scratch,
) -> Verdict {
    match judge(request, keyring, policy, scratch) {
        Ok(allowed) => Verdict::Allow(allowed),
        Err(refusal) => Verdict::Refuse(refusal),
    }
}

fn judge(
    request: &Request<'_>,
    keyring: &Keyring,
    policy: &Policy<'_>,
    scratch: &mut Scratch,
) -> Result<Allowed, Refusal> {
    let Scratch { form, canonical } = scratch;

    // 1. What needs no look at the body.
    let signature = Signature::parse(request.signature)?;
    let settings = Settings::parse(request.settings);

    // 2. What the request says of itself. None of it is believed before a key has matched.
    let query = request.url.query();
    let has_form_body = !request.body.is_empty() && request.is_form();
    let read = if has_form_body { form.read(request.body) } else { form.read(query.unwrap_or_default()) };
    read.map_err(|TooManyFields| Refusal::TooManyParameters)?;
    let claims = Claims::of(form.fields(), if has_form_body { query } else { None });

    // 3. Which of the known keys made the signature, and for which form of the URL.
    let keys = Keys::choose(keyring, policy, &settings, &claims, signature)?;
    let signed_form = if has_form_body { Some(&*form) } else { None };
    let form_len = canonical.begin(&request.url, signed_form);
    let Some((account, key, candidate)) = keys.find_signer(request, policy, canonical, signature) else {
        return Err(keys.no_match);
    };

    // 4. The key that matched decides the account.
    let account = match account.sid {
        None => None,
        Some(signer) => Some(claims.admit(signer, keyring, policy)?),
    };

    // 5. A signature covers the parameters of a form, and otherwise the URL alone. A form that adds no byte to
    //    what is signed (`&&`, `=`) is a body that nothing vouches for, like any other.
    if form_len == 0 && (!request.body.is_empty() || body_hash::is_named(query)) {
        body_hash::check(query, request.body)?;
    }

    // 6. The signature is good; whether text was moved across the borders of parameters is another question.
    let finding = match policy.strict {
        Strict::Off => None,
        Strict::Report => strict::check(&form.fields(), request),
        Strict::Refuse => match strict::check(&form.fields(), request) {
            Some(finding) => return Err(Refusal::Strict(finding)),
            None => None,
        },
    };
    Ok(Allowed { account, key: key.kind, candidate, subject: claims.subject, finding })
}
