//! Strict mode: after a good signature, well-known parameters must look like what they are.
//!
//! What Twilio signs is `URL name value name value …` without any delimiter, so one signature fits many requests:
//! `Body=hello` and `Bodyh=ello` give the same string, and whoever chose the text of a message can have seen it
//! signed. Moving text across a boundary leaves traces: a parameter loses its shape, a name is glued to a value,
//! a parameter that always comes is gone, or the parameters stand in the URL. Those traces are refused here.
//!
//! This is not a schema. Twilio adds parameters without notice, and applications add their own, so a name that
//! nobody knows passes with any value that does not contain another parameter.
//!
//! The one idea: the signed text cannot be dropped, only moved. To forge a `From`, the genuine one has to end up
//! *inside* something else, and whatever can hold it is looked at.

mod shapes;

use std::fmt;

use shapes::{Fit, Within};

use crate::{
    Request,
    form::{Field, Fields},
    names::{self, FORM_ONLY_STEMS, Kind, Known, Role, find},
};

/// What strict mode holds against a request whose signature is good. It names a parameter that is well known,
/// and never shows a value nor a name that the sender made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// The parameter's value cannot be what its name says.
    WrongShape(&'static str),
    /// The parameter came several times with different values, and Twilio sends it once.
    Repeated(&'static str),
    /// A parameter's name has characters that Twilio does not use in names, or is empty or very long.
    OddName,
    /// The form has a `;` that is not encoded, at which some readers end a field.
    Semicolon,
    /// A parameter's name is this well-known name with something glued to it.
    ExtendedName(&'static str),
    /// A parameter's name is the beginning of this well-known name, and its value goes on with the rest of it.
    CutName(&'static str),
    /// A value has this other parameter inside it, name and value.
    Swallowed(&'static str),
    /// The parameter always comes with requests of this kind, and is missing.
    Missing(&'static str),
    /// The URL contains this parameter, name and value without a `=` between them.
    InUrl(&'static str),
}

impl Finding {
    /// A stable name of the finding for logs and metrics, without the parameter.
    ///
    /// ```
    /// use ringfence_signature::Finding;
    ///
    /// assert_eq!(Finding::Missing("From").as_str(), "missing");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WrongShape(_) => "wrong_shape",
            Self::Repeated(_) => "repeated",
            Self::OddName => "odd_name",
            Self::Semicolon => "semicolon",
            Self::ExtendedName(_) => "extended_name",
            Self::CutName(_) => "cut_name",
            Self::Swallowed(_) => "swallowed",
            Self::Missing(_) => "missing",
            Self::InUrl(_) => "in_url",
        }
    }

    /// The well-known parameter concerned; empty for [`Finding::OddName`] and [`Finding::Semicolon`].
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::WrongShape(name)
            | Self::Repeated(name)
            | Self::ExtendedName(name)
            | Self::CutName(name)
            | Self::Swallowed(name)
            | Self::Missing(name)
            | Self::InUrl(name) => name,
            Self::OddName | Self::Semicolon => "",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongShape(name) => {
                write!(formatter, "{name} does not have the shape that Twilio gives it")
            }
            Self::Repeated(name) => write!(formatter, "{name} came more than once"),
            Self::OddName => {
                formatter.write_str("a parameter's name has characters that Twilio does not use")
            }
            Self::Semicolon => formatter.write_str("the form has a `;` that is not encoded"),
            Self::ExtendedName(name) => {
                write!(formatter, "a parameter's name is {name} with text glued to it")
            }
            Self::CutName(name) => write!(formatter, "the name {name} is cut in two"),
            Self::Swallowed(name) => write!(formatter, "a value has {name} and its value inside it"),
            Self::Missing(name) => write!(formatter, "{name} is missing, which Twilio always sends here"),
            Self::InUrl(name) => write!(formatter, "the URL has {name} and its value inside it"),
        }
    }
}

/// The name as static text, if it is a well-known parameter's: fit to be shown, since no sender made it up.
pub(crate) fn known_name(name: &[u8]) -> Option<&'static str> {
    find(name).map(|known| known.name)
}

/// Looks at one request whose signature is good. `None` means that nothing speaks against it.
#[inline(never)]
pub(crate) fn check(fields: &Fields<'_>, request: &Request<'_>) -> Option<Finding> {
    let is_form = request.is_form() && !request.body.is_empty();
    // Who encodes a form writes `%3B`. Some who read one end a field at a `;`, and would read other fields than were signed.
    if is_form && memchr::memchr(b';', request.body).is_some() {
        return Some(Finding::Semicolon);
    }
    // Without a form body nothing of the request was signed without delimiters, except what may have been moved
    // into the URL. The query's own parameters are the application's business and may have any shape.
    let target = request.url.target();
    if is_form {
        check_fields(|| fields.iter(), true, target)
    } else {
        check_fields(std::iter::empty, false, target)
    }
}

fn check_fields<'a, I>(fields: impl Fn() -> I, is_form: bool, target: &[u8]) -> Option<Finding>
where
    I: Iterator<Item = Field<'a>>,
{
    let mut seen = Seen::default();
    let mut previous: Option<&'static Known> = None;
    for field in fields() {
        // Fields come sorted, so the same name twice is twice in a row.
        let repeated = matches!((previous, field.known), (Some(a), Some(b)) if std::ptr::eq(a, b));
        previous = field.known;
        if let Some(finding) = check_field(field, repeated, &mut seen) {
            return Some(finding);
        }
    }
    let in_target = || check_target(target, is_form, &seen, fields().next());
    let query_as_form = || is_form.then(|| whole_webhook_in_query(target, fields())).flatten();
    seen.missing().or_else(in_target).or_else(query_as_form)
}

/// The same for pairs that no form reader looked up.
#[cfg(test)]
fn check_parts<'a, I>(pairs: impl Fn() -> I, is_form: bool, target: &[u8]) -> Option<Finding>
where
    I: Iterator<Item = (&'a [u8], &'a [u8])>,
{
    let field = |(name, value)| Field { name, value, known: find(name) };
    check_fields(|| pairs().map(field), is_form, target)
}

/// What was seen of a request so far.
#[derive(Default)]
struct Seen<'a> {
    /// A bit for each role that a parameter had, and its value.
    roles: u16,
    values: [&'a [u8]; Role::COUNT],
}

impl<'a> Seen<'a> {
    fn note(&mut self, role: Role, value: &'a [u8]) {
        self.roles |= 1 << role as u16;
        self.values[role as usize] = value;
    }

    fn value(&self, role: Role) -> Option<&'a [u8]> {
        self.has(role).then(|| self.values[role as usize])
    }

    fn has(&self, role: Role) -> bool {
        self.roles & 1 << role as u16 != 0
    }

    /// A client of the Voice SDK places calls `From` `client:…` and chooses its parameters itself, `To` included.
    fn is_from_client(&self) -> bool {
        self.value(Role::From).is_some_and(|from| from.starts_with(b"client:"))
    }

    /// An inbound message and every request about the course of a call have both addresses. A request that has
    /// only one of them had the other moved into a value.
    fn missing(&self) -> Option<Finding> {
        let (from, to, body) = (self.has(Role::From), self.has(Role::To), self.has(Role::Body));
        // A Conversations message (`IM…`) has an author and no addresses.
        let sid = self.value(Role::MessageSid);
        let is_conversation = sid.is_some_and(|sid| sid.starts_with(b"IM"));
        let inbound_message = sid.is_some() && !is_conversation && body && !self.has(Role::MessageStatus);
        // No call sends a message's text along, and no message a call's SID: one was cut out of the other.
        if inbound_message && self.has(Role::CallSid) {
            return Some(Finding::Swallowed("CallSid"));
        }
        let one_of_two = self.has(Role::Account) && (body || self.has(Role::Direction)) && from != to;
        if !inbound_message && (!one_of_two || is_conversation || self.is_from_client()) {
            return None;
        }
        match (from, to) {
            (false, _) => Some(Finding::Missing("From")),
            (_, false) => Some(Finding::Missing("To")),
            _ => None,
        }
    }
}

#[inline]
fn check_field<'a>(field: Field<'a>, repeated: bool, seen: &mut Seen<'a>) -> Option<Finding> {
    let Field { name, value, known } = field;
    let Some(known) = known else {
        return check_unknown_name(name, value).or_else(|| shapes::swallowed(value, Within::Text));
    };
    if known.role != Role::Other {
        seen.note(known.role, value);
    }
    let fit = shapes::fit(known.kind, value);
    if fit == Fit::Tight && !repeated {
        return None;
    }
    check_roomy_field(known, value, fit, repeated, seen)
}

/// What few fields need: kept apart so that the loop over all fields stays small.
#[inline(never)]
fn check_roomy_field(
    known: &'static Known,
    value: &[u8],
    fit: Fit,
    repeated: bool,
    seen: &Seen<'_>,
) -> Option<Finding> {
    if repeated && !known.may_repeat() {
        return Some(Finding::Repeated(known.name));
    }
    let is_clients_own = known.role == Role::To && seen.is_from_client();
    if fit == Fit::Wrong && !is_clients_own {
        return Some(Finding::WrongShape(known.name));
    }
    let within = match known.kind {
        // What a person wrote or said may mention anything, also `From +1…`; a whole SID parameter it may not.
        Kind::HumanText => Within::HumanText,
        Kind::Place => Within::Place,
        _ => Within::Text,
    };
    shapes::swallowed(value, within)
}

/// Names end at 128 bytes: the longest of Twilio's is a third of that.
const NAME_BYTES_MAX: usize = 128;

fn check_unknown_name(name: &[u8], value: &[u8]) -> Option<Finding> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Some(Finding::OddName);
    }
    // A caller's SIP headers are handed on under their own names, and a token has more characters than ours.
    let is_sip_header = name.starts_with(b"SipHeader_");
    let allowed = |byte: &u8| match byte {
        b'_' | b'.' | b'-' | b'[' | b']' => true,
        b'!' | b'#' | b'$' | b'\'' | b'*' | b'^' | b'`' | b'|' | b'~' => is_sip_header,
        _ => byte.is_ascii_alphanumeric(),
    };
    if !name.iter().all(allowed) {
        return Some(Finding::OddName);
    }
    if is_sip_header {
        return None;
    }
    if let Some(stem) = names::find_numbered(name) {
        return (shapes::fit(stem.kind, value) == Fit::Wrong).then_some(Finding::WrongShape(stem.name));
    }
    let extended = extended_text(name)
        .or_else(|| extended_sid(name))
        .or_else(|| extended_address(name, value))
        .or_else(|| glued_end(name, value));
    extended.map(Finding::ExtendedName).or_else(|| cut_name(name, value).map(Finding::CutName))
}

/// `B=odyHello` and `Fro=m+14155550101`, but not `B=1`, `T=one`.
fn cut_name(name: &[u8], value: &[u8]) -> Option<&'static str> {
    const CUT: [(&str, [u8; 2]); 10] = [
        ("AccountSid", *b"AC"),
        ("CallSid", *b"CA"),
        ("MessageSid", *b"SM"),
        ("MessageSid", *b"MM"),
        ("SmsMessageSid", *b"SM"),
        ("SmsSid", *b"SM"),
        ("SmsMessageSid", *b"MM"),
        ("SmsSid", *b"MM"),
        ("UsageTriggerSid", *b"UT"),
        ("MessagingServiceSid", *b"MG"),
    ];
    // The longest of these names; what is not shorter is no beginning of any.
    if name.len() >= "UnstableSpeechResult".len() {
        return None;
    }
    let rest_of = |known: &str| value.strip_prefix(known.as_bytes().strip_prefix(name)?);
    let sid = CUT.iter().find(|(known, prefix)| {
        rest_of(known).is_some_and(|rest| shapes::sid_prefix_len(rest, *prefix) == 34)
    });
    let address = || {
        ["From", "To", "Caller", "Called"]
            .into_iter()
            .find(|known| rest_of(known).is_some_and(shapes::starts_like_address))
    };
    let text = || FORM_ONLY_STEMS.into_iter().find(|known| rest_of(known).is_some());
    sid.map(|(known, _)| *known).or_else(address).or_else(text)
}

/// `Bodyh=ello`: text that a stranger chose, cut anywhere.
fn extended_text(name: &[u8]) -> Option<&'static str> {
    FORM_ONLY_STEMS.iter().find(|stem| name.starts_with(stem.as_bytes())).copied()
}

/// `AccountSidAC0123…` and `smsAccountSid`: a SID's name with something glued to either end.
fn extended_sid(name: &[u8]) -> Option<&'static str> {
    for end in 3..=name.len() {
        if &name[end - 3..end] != b"Sid" {
            continue;
        }
        for start in 0..end - 3 {
            let Some(known) =
                find(&name[start..end]).filter(|known| matches!(known.kind, Kind::Account | Kind::Sid(_)))
            else {
                continue;
            };
            // `TransferCallSid` may be tomorrow's parameter, while `7CallSid` is the end of a URL. In front of
            // `AccountSid`, which is first of all and so next to the URL, nothing new is believed.
            let word = end == name.len() && name[0].is_ascii_uppercase() && known.name != "AccountSid";
            return (!word).then_some(known.name);
        }
    }
    // Without the name: 32 hex digits and more are in no name, but in every SID.
    let longest_hex = name.split(|byte| !byte.is_ascii_hexdigit()).map(<[u8]>::len).max();
    (longest_hex >= Some(24)).then_some("AccountSid")
}

/// `From1=4155550100` and `Calledclient=…`, but not `FromSomething`, nor `Token` and `Total`.
fn extended_address(name: &[u8], value: &[u8]) -> Option<&'static str> {
    for stem in ["From", "Caller", "Called", "To"] {
        let Some(rest) = name.strip_prefix(stem.as_bytes()) else { continue };
        let glued = match rest.first() {
            Some(b'0'..=b'9') => true,
            Some(b'a'..=b'z') => stem != "To" || shapes::starts_with_scheme(rest, value),
            _ => false,
        };
        if glued {
            return Some(stem);
        }
    }
    None
}

/// `FromAFrom=+14155550100`: whoever writes another `From` into a message's text has to leave the genuine one
/// somewhere, and the end of a name of his own making is where it fits. `DeliverTo=Jane` is nobody's address.
fn glued_end(name: &[u8], value: &[u8]) -> Option<&'static str> {
    let ends_in = |stem: &&'static str| name.ends_with(stem.as_bytes());
    // A sender may be a word, and a body anything; a recipient is an address.
    let of_any_value = ["Body", "From", "Caller"].into_iter().find(ends_in);
    let of_an_address =
        || ["To", "Called"].into_iter().find(ends_in).filter(|_| shapes::starts_like_address(value));
    of_any_value.or_else(of_an_address)
}

/// Parameters moved into the URL, wholly (`…/smsAccountSidAC0123…`) or in part (`…/smsAcc` and `ountSid=AC0123…`).
/// `AccountSid` sorts before nearly all others, so it is what a URL would have to swallow first.
fn check_target(target: &[u8], is_form: bool, seen: &Seen<'_>, first: Option<Field<'_>>) -> Option<Finding> {
    const NAME: &[u8] = b"AccountSid";
    for at in find_all(target, NAME) {
        let after = &target[at + NAME.len()..];
        let sid = shapes::sid_prefix_len(after, *b"AC");
        // Cut inside: the rest of the SID would be the first name. Only then is it missing among the fields.
        if sid == 34 || (sid == after.len() && is_form && !seen.has(Role::Account)) {
            return Some(Finding::InUrl("AccountSid"));
        }
    }
    let Field { name, value, .. } = first?;
    let cut_inside_the_name = name.len() < NAME.len()
        && NAME.ends_with(name)
        && target.ends_with(&NAME[..NAME.len() - name.len()])
        && shapes::sid_prefix_len(value, *b"AC") == 34;
    cut_inside_the_name.then_some(Finding::InUrl("AccountSid"))
}

/// The other direction: a webhook sent by GET has everything in its query, so its tail could be cut off and sent
/// as a form. An application that puts its own query into the next URL does no such thing: there the form has
/// one of the SIDs that the query has, and a forger cannot know the SID of a message that he has yet to send.
fn whole_webhook_in_query<'a>(target: &[u8], fields: impl Iterator<Item = Field<'a>>) -> Option<Finding> {
    let query = &target[memchr::memchr(b'?', target)?..];
    find_all(query, b"ApiVersion=").next()?;
    find_all(query, b"AccountSid=AC").next()?;
    let mut sids = fields.filter(|Field { name, value, .. }| {
        name.ends_with(b"Sid") && *name != b"AccountSid" && value.len() == 34
    });
    let same_thing = sids.any(|field| memchr::memmem::find(query, field.value).is_some());
    (!same_thing).then_some(Finding::InUrl("ApiVersion"))
}

/// Where a text with a rare first letter stands. For the short texts here this is several times cheaper than
/// making a searcher.
fn find_all<'a>(text: &'a [u8], wanted: &'static [u8]) -> impl Iterator<Item = usize> + use<'a> {
    memchr::memchr_iter(wanted[0], text).filter(move |at| text[*at..].starts_with(wanted))
}

#[cfg(test)]
mod tests;
