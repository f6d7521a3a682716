//! The verdict: whether Twilio sent a request, for which account, and if not, why not.
//!
//! Pure: nothing is read but the arguments, and nothing is kept but buffers. The order of the questions is the
//! order of [`judge`]; whatever a request says of itself only chooses which keys are tried, and only what a
//! matching key has signed is believed.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use crate::{
    AccountSid, Candidate, Finding, KeyKind, Keyring, MAX_KEYS, Request, body_hash,
    canonical::CanonicalString,
    form::{Fields, FormBuffer, TooManyFields},
    key::{Account, Key},
    strict,
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

/// What a route demands beyond a good signature.
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
        f.write_str("Scratch")
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
pub fn verify(request: &Request<'_>, keyring: &Keyring, policy: &Policy<'_>, scratch: &mut Scratch) -> Verdict {
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

/// The signature header, decoded: the canonical base64 of 20 or 32 bytes and nothing else.
#[derive(Clone, Copy)]
pub(crate) struct Signature {
    bytes: [u8; 33],
    len: usize,
}

impl Signature {
    pub(crate) fn parse(header: Option<&[u8]>) -> Result<Self, Refusal> {
        let header = header.unwrap_or_default();
        if header.is_empty() {
            return Err(Refusal::MissingSignature);
        }
        if !matches!(header.len(), 28 | 44) {
            return Err(Refusal::MalformedSignature);
        }
        let mut bytes = [0; 33];
        let len = BASE64.decode_slice(header, &mut bytes).map_err(|_| Refusal::MalformedSignature)?;
        if matches!(len, 20 | 32) { Ok(Self { bytes, len }) } else { Err(Refusal::MalformedSignature) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn fits(&self, key: &Key) -> bool {
        self.len == key.algorithm().signature_len()
    }
}

/// The settings header, `key=ID,algorithm=NAME`. It is not signed: it can select a key, never how the key signs.
struct Settings<'a> {
    key: Option<&'a [u8]>,
    algorithm: Option<&'a [u8]>,
}

impl<'a> Settings<'a> {
    fn parse(header: Option<&'a [u8]>) -> Self {
        let mut settings = Self { key: None, algorithm: None };
        for piece in header.unwrap_or_default().split(|&byte| byte == b',') {
            let Some(at) = memchr::memchr(b'=', piece) else { continue };
            let (name, value) = (piece[..at].trim_ascii(), piece[at + 1..].trim_ascii());
            let slot = if name.eq_ignore_ascii_case(b"key") {
                &mut settings.key
            } else if name.eq_ignore_ascii_case(b"algorithm") {
                &mut settings.algorithm
            } else {
                continue;
            };
            if !value.is_empty() && slot.is_none() {
                *slot = Some(value);
            }
        }
        settings
    }

    /// Whether the stated algorithm, if one is stated, is the key's own.
    fn agrees_with(&self, key: &Key) -> bool {
        self.algorithm.is_none_or(|stated| stated.eq_ignore_ascii_case(key.algorithm().as_str().as_bytes()))
    }
}

/// What the parameters say of the request: hints until a key has matched, demands afterwards.
struct Claims {
    /// The first account SID that is one.
    account: Option<AccountSid>,
    /// Whether `AccountSid` is there at all.
    names_account: bool,
    /// Whether some `AccountSid` is no account SID, or several are there that differ.
    is_torn: bool,
    subject: Subject,
}

impl Claims {
    /// `fields` are the form's, or the query's where there is no form; `other_query` is the query beside a form.
    fn of(fields: Fields<'_>, other_query: Option<&[u8]>) -> Self {
        let mut claims =
            Self { account: None, names_account: false, is_torn: false, subject: Subject::Other };
        for (name, value) in fields.iter() {
            match name {
                b"AccountSid" => claims.name_account(value),
                b"MessageSid" | b"SmsSid" | b"SmsMessageSid" => claims.subject = Subject::Message,
                b"CallSid" if claims.subject == Subject::Other => claims.subject = Subject::Call,
                b"UsageTriggerSid" if claims.subject == Subject::Other => claims.subject = Subject::UsageTrigger,
                _ => {}
            }
        }
        if let Some(query) = other_query {
            for (name, value) in crate::fields(query) {
                if *name == *b"AccountSid" {
                    claims.name_account(&value);
                }
            }
        }
        claims
    }

    fn name_account(&mut self, value: &[u8]) {
        self.names_account = true;
        let account = AccountSid::parse(value);
        match self.account {
            None => self.account = account,
            Some(_) if self.account != account => self.is_torn = true,
            Some(_) => {}
        }
        self.is_torn |= account.is_none();
    }

    /// Which account the request speaks for, now that `signer` has signed it.
    fn admit(&self, signer: AccountSid, keyring: &Keyring, policy: &Policy<'_>) -> Result<AccountSid, Refusal> {
        let account = self.account.unwrap_or(signer);
        let may_speak_for_it = account == signer
            || (policy.parent_may_stand_in && keyring.parent_of(&account) == Some(signer));
        if self.is_torn || !may_speak_for_it {
            return Err(Refusal::AccountMismatch);
        }
        match policy.accounts {
            Accounts::Listed(listed) if !listed.contains(&account) => Err(Refusal::AccountNotAllowed),
            _ => Ok(account),
        }
    }
}

/// The keys to try, the likeliest first.
struct Keys<'k> {
    keys: [Option<(&'k Account, &'k Key)>; MAX_KEYS],
    /// What to say if none of them signed.
    no_match: Refusal,
}

impl<'k> Keys<'k> {
    fn choose(
        keyring: &'k Keyring,
        policy: &Policy<'_>,
        settings: &Settings<'_>,
        claims: &Claims,
        signature: Signature,
    ) -> Result<Self, Refusal> {
        let mut chosen = Chosen { keys: [None; MAX_KEYS], count: 0, was_any_passed_over: false };
        let mut no_match = Refusal::SignatureMismatch;
        let fits = |key: &Key| signature.fits(key);
        match settings.key {
            Some(id) => match keyring.find_shared_key(id) {
                Some((account, key)) => {
                    chosen.add(account, key, fits(key) && settings.agrees_with(key));
                }
                // Keys without an account come from a hand that need not know the id.
                None => match keyring.anonymous() {
                    Some(account) => {
                        chosen.add_all(account, |key| fits(key) && settings.agrees_with(key));
                    }
                    None => return Err(Refusal::UnknownSharedKey),
                },
            },
            None => {
                if let Some(named) = claims.account.as_ref().and_then(|sid| keyring.find(sid)) {
                    chosen.add_all(named, fits);
                    // The parent of a named child comes next, since it may stand in for it.
                    if let Some(parent) = named.parent.as_ref().and_then(|sid| keyring.find(sid)) {
                        chosen.add_all(parent, fits);
                    }
                } else if claims.names_account {
                    no_match = Refusal::UnknownAccount;
                }
                // Where an account is named, a match of another's key only tells the reason for the refusal.
                match policy.accounts {
                    Accounts::Listed(listed) => {
                        let listed = listed.iter().filter_map(|sid| keyring.find(sid));
                        for account in keyring.anonymous().into_iter().chain(listed).take(MAX_KEYS) {
                            chosen.add_all(account, fits);
                        }
                    }
                    Accounts::Any => {
                        for account in keyring.parents().take(MAX_KEYS) {
                            chosen.add_all(account, fits);
                        }
                    }
                }
            }
        }
        match (chosen.count, chosen.was_any_passed_over) {
            (0, true) => Err(Refusal::AlgorithmMismatch),
            (0, false) => Err(Refusal::UnknownAccount),
            _ => Ok(Self { keys: chosen.keys, no_match }),
        }
    }

    fn find_signer(
        &self,
        request: &Request<'_>,
        policy: &Policy<'_>,
        canonical: &mut CanonicalString,
        signature: Signature,
    ) -> Option<(&'k Account, &'k Key, Candidate)> {
        for candidate in request.url.candidates(request.websocket, policy.try_userinfo) {
            let message = canonical.of(&request.url, candidate);
            for (account, key) in self.keys.iter().flatten() {
                if key.signed(message, signature.as_bytes()) {
                    return Some((account, key, candidate));
                }
            }
        }
        None
    }
}

struct Chosen<'k> {
    keys: [Option<(&'k Account, &'k Key)>; MAX_KEYS],
    count: usize,
    /// Whether a key was left out because it signs by another algorithm.
    was_any_passed_over: bool,
}

impl<'k> Chosen<'k> {
    fn add_all(&mut self, account: &'k Account, fits: impl Fn(&Key) -> bool) {
        let is_there = self.keys.iter().flatten().any(|(other, _)| std::ptr::eq(*other, account));
        if !is_there {
            for key in &account.keys {
                self.add(account, key, fits(key));
            }
        }
    }

    fn add(&mut self, account: &'k Account, key: &'k Key, fits: bool) {
        if !fits {
            self.was_any_passed_over = true;
        } else if let Some(slot) = self.keys.get_mut(self.count) {
            *slot = Some((account, key));
            self.count += 1;
        }
    }
}
