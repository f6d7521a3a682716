//! The shapes of well-known values, and the search for one parameter inside another's value.

use super::Finding;
use crate::names::Kind;

/// How a value goes with what its name says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It cannot be of this kind.
    Wrong,
    /// It is of this kind, and nothing else is in it.
    Tight,
    /// It is of this kind, and may still have another parameter inside it. A plain number cannot, while the address
    /// of a channel can; nor can the name of a city without a digit.
    Roomy,
}

/// Whether a value can be of this kind.
#[inline]
pub(super) fn fit(kind: Kind, value: &[u8]) -> Fit {
    let tight = |fits: bool| if fits { Fit::Tight } else { Fit::Wrong };
    match kind {
        Kind::HumanText | Kind::Text => Fit::Roomy,
        Kind::Account => tight(is_sid(value, &[*b"AC"])),
        Kind::Sid(prefixes) => tight(value.is_empty() || is_sid(value, prefixes)),
        Kind::Address => fit_address(value, 6),
        // What a caller's network passes off as his number may be very short, and carries names as well.
        Kind::Party => match fit_address(value, 2) {
            Fit::Wrong if is_sender_name(value) => Fit::Roomy,
            fit => fit,
        },
        Kind::Number => tight(is_number(value)),
        Kind::Version => tight(is_version(value)),
        Kind::Url => tight(is_url(value)),
        Kind::MediaType => tight(is_all(value, 128, TEXT)),
        Kind::Word => tight(is_all(value, 64, WORD)),
        Kind::Digits => tight(is_all(value, 128, KEYED)),
        Kind::Place if value.len() >= 5 && is_all(value, 64, PLACE) && !is_all(value, 64, NO_DIGIT) => {
            Fit::Roomy
        }
        Kind::Place => tight(is_all(value, 64, PLACE)),
        Kind::Code => tight(is_all(value, 16, CODE)),
    }
}

const WORD: u8 = 1;
const KEYED: u8 = 2;
const PLACE: u8 = 4;
const CODE: u8 = 8;
const TEXT: u8 = 16;
const DIGIT: u8 = 32;
const NO_DIGIT: u8 = 64;
const NUMERIC: u8 = 128;

/// The sets to which each byte belongs.
static SETS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    loop {
        let mut sets = 0;
        if !byte.is_ascii_control() {
            sets |= TEXT;
            if !matches!(byte, b'+' | b':' | b'=' | b'@') {
                sets |= PLACE;
            }
        }
        sets |= if byte.is_ascii_digit() { DIGIT | NUMERIC } else { NO_DIGIT };
        if byte.is_ascii_alphanumeric() {
            sets |= WORD | KEYED | CODE;
        }
        sets |= match byte {
            b'-' => WORD | CODE | NUMERIC,
            b' ' => WORD | CODE,
            b'.' => WORD | NUMERIC,
            b'_' => WORD,
            b'*' | b'#' | b',' => KEYED,
            b'e' | b'E' => NUMERIC,
            _ => 0,
        };
        table[byte as usize] = sets;
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

fn is_all(value: &[u8], len_max: usize, set: u8) -> bool {
    value.len() <= len_max && sets_of(value) & set != 0
}

/// The sets to which all bytes belong. Short values are looked at as two blocks of a fixed length that overlap,
/// since the end of a loop that runs a few times is the dearest thing in it: no processor foresees it.
fn sets_of(value: &[u8]) -> u8 {
    match value.len() {
        0 => u8::MAX,
        1..4 => sets_of_all(&[value[0], value[value.len() / 2], value[value.len() - 1]]),
        4..8 => sets_of_ends::<4>(value),
        8..=16 => sets_of_ends::<8>(value),
        _ => sets_of_all(value),
    }
}

#[inline]
fn sets_of_ends<const BLOCK: usize>(value: &[u8]) -> u8 {
    match (value.first_chunk::<BLOCK>(), value.last_chunk::<BLOCK>()) {
        (Some(start), Some(end)) => sets_of_all(start) & sets_of_all(end),
        _ => sets_of_all(value),
    }
}

#[inline]
fn sets_of_all(bytes: &[u8]) -> u8 {
    bytes.iter().fold(u8::MAX, |sets, byte| sets & SETS[usize::from(*byte)])
}

/// Two letters and 32 hex digits. No prefixes given means any two capitals.
fn is_sid(value: &[u8], prefixes: &[[u8; 2]]) -> bool {
    let Ok(sid) = <&[u8; 34]>::try_from(value) else { return false };
    let prefix = [sid[0], sid[1]];
    let prefix_fits = if prefixes.is_empty() {
        prefix[0].is_ascii_uppercase() && prefix[1].is_ascii_uppercase()
    } else {
        prefixes.contains(&prefix)
    };
    // Without a branch a byte, so that the compiler may look at sixteen at once.
    prefix_fits && sid[2..].iter().fold(true, |all, byte| all & is_hex(*byte))
}

const fn is_hex(byte: u8) -> bool {
    byte.wrapping_sub(b'0') < 10 || (byte | 0x20).wrapping_sub(b'a') < 6
}

/// How many bytes of the text agree with the SID that could start here: 34 for a whole one.
pub(super) fn sid_prefix_len(text: &[u8], prefix: [u8; 2]) -> usize {
    let letters = text.iter().zip(prefix).take_while(|(byte, letter)| *byte == letter).count();
    if letters < 2 {
        return letters;
    }
    2 + text[2..].iter().take(32).take_while(|byte| is_hex(**byte)).count()
}

/// The channels whose addresses are written `channel:address`.
const SCHEMES: [&[u8]; 18] = [
    b"whatsapp",
    b"client",
    b"sip",
    b"sips",
    b"messenger",
    b"rcs",
    b"sim",
    b"instagram",
    b"viber",
    b"line",
    b"telegram",
    b"googlebm",
    b"chat",
    b"email",
    b"tel",
    b"wireless",
    b"fb",
    b"conference",
];

fn fit_address(value: &[u8], digits_min: usize) -> Fit {
    match value {
        [] => Fit::Tight,
        [b'+', digits @ ..] if is_digits(digits, digits_min, 15) => Fit::Tight,
        [b'0'..=b'9', ..] if is_digits(value, 3, 15) => Fit::Tight,
        _ if !is_channel_address(value) => Fit::Wrong,
        _ => Fit::Roomy,
    }
}

fn is_digits(value: &[u8], min: usize, max: usize) -> bool {
    value.len() >= min && is_all(value, max, DIGIT)
}

/// `client:alice`, `sip:bob@example.com:5060;transport=udp`, `whatsapp:+34600000000`, and channels yet to come.
fn is_channel_address(value: &[u8]) -> bool {
    if value.len() > 512 || value.iter().any(u8::is_ascii_control) {
        return false;
    }
    let Some(colon) = memchr::memchr(b':', value) else { return false };
    let (scheme, address) = (&value[..colon], &value[colon + 1..]);
    let is_scheme = (2..=20).contains(&scheme.len())
        && scheme[0].is_ascii_lowercase()
        && scheme
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(byte));
    match address {
        [] => false,
        // The user of a SIP URI may be a number with a host behind it, and an identity of the Voice SDK is any text.
        [b'+', digits @ ..] if !matches!(scheme, b"client" | b"sip" | b"sips") => {
            is_scheme && is_digits(digits, 6, 15)
        }
        _ => is_scheme,
    }
}

/// An alphanumeric sender of at most eleven characters, a word for a withheld number (`Anonymous`, `Restricted`,
/// `unavailable`), or the bare `user@host` of a SIP caller.
fn is_sender_name(value: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" &+_-.'!".contains(byte);
    let short_name =
        value.len() <= 11 && value.iter().all(plain) && value.iter().any(u8::is_ascii_alphabetic);
    let user_at_host = || {
        value.len() <= 256
            && value.iter().all(u8::is_ascii_graphic)
            && memchr::memchr_iter(b'@', value).count() == 1
    };
    short_name || user_at_host()
}

/// `12`, `-1` (a recording that has no length), `0.9128386`; empty where there is none.
fn is_number(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    value.len() <= 24
        && (value.is_empty() || digits.first().is_some_and(u8::is_ascii_digit))
        && is_all(digits, 24, NUMERIC)
}

/// `2010-04-01`, and `v2` of the newer products.
fn is_version(value: &[u8]) -> bool {
    match value {
        [b'v', digits @ ..] => is_digits(digits, 1, 3),
        [year @ .., b'-', m1, m2, b'-', d1, d2] => {
            is_digits(year, 4, 4) && [m1, m2, d1, d2].into_iter().all(u8::is_ascii_digit)
        }
        _ => value.is_empty(),
    }
}

fn is_url(value: &[u8]) -> bool {
    let host_on = value.strip_prefix(b"https://").or_else(|| value.strip_prefix(b"http://"));
    value.is_empty()
        || (value.len() <= 8192
            && host_on.is_some_and(|rest| !rest.is_empty())
            && value.iter().all(|byte| *byte > b' ' && *byte != 0x7f))
}

/// Where another parameter is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// What a person wrote, who may mention addresses.
    HumanText,
    /// A city.
    Place,
    /// Anything else.
    Text,
}

/// Another parameter inside a value. Always: a SID's name with a SID glued to it (37 bytes that nobody writes by
/// chance). Outside of what people wrote also `From`, `To`, `Caller`, `Called` with an address glued to it.
pub(super) fn swallowed(value: &[u8], within: Within) -> Option<Finding> {
    if value.len() >= 37
        && let Some(finding) = swallowed_sid(value)
    {
        return Some(finding);
    }
    if within == Within::HumanText || value.len() < 5 {
        return None;
    }
    swallowed_address(value, within == Within::Place)
}

fn swallowed_sid(value: &[u8]) -> Option<Finding> {
    const NAMES: [&str; 8] = [
        "AccountSid",
        "SmsMessageSid",
        "MessageSid",
        "SmsSid",
        "CallSid",
        "MessagingServiceSid",
        "RecordingSid",
        "ConferenceSid",
    ];
    // The last place where it could begin leaves room for `Sid` and the SID.
    for at in memchr::memchr_iter(b'S', &value[..value.len() - 36]) {
        let is_glued = &value[at..at + 3] == b"Sid" && is_sid(&value[at + 3..at + 37], &[]);
        if is_glued && at > 0 && value[at - 1].is_ascii_alphabetic() {
            let name = NAMES.iter().find(|name| value[..at + 3].ends_with(name.as_bytes()));
            return Some(Finding::Swallowed(name.copied().unwrap_or("Sid")));
        }
    }
    None
}

const ADDRESS_NAMES: [&[u8]; 4] = [b"From", b"Caller", b"Called", b"To"];

/// `From+14155550101`, `Towhatsapp:+34600000000`, `Caller22395`. Two letters and digits stand in many a token by
/// chance, so `To` needs more than digits after it, except in the name of a city.
fn swallowed_address(value: &[u8], is_place: bool) -> Option<Finding> {
    for at in memchr::memchr3_iter(b'F', b'C', b'T', value) {
        let Some((name, after)) =
            ADDRESS_NAMES.iter().find_map(|name| Some((*name, value[at..].strip_prefix(*name)?)))
        else {
            continue;
        };
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_address = match after.first() {
            Some(b'+') => digits(&after[1..]) >= 6,
            Some(b'0'..=b'9') if is_place => digits(after) >= 3,
            Some(b'0'..=b'9') => name != b"To" && digits(after) >= 5,
            Some(b'a'..=b'z') => starts_with_scheme(b"", after),
            _ => false,
        };
        if is_address {
            return str::from_utf8(name).ok().map(Finding::Swallowed);
        }
    }
    None
}

/// Whether text begins with an address that cannot be a word: `+`, a digit, or a channel.
pub(super) fn starts_like_address(text: &[u8]) -> bool {
    matches!(text, [b'+' | b'0'..=b'9', ..]) || starts_with_scheme(b"", text)
}

/// Whether `rest` and `value` together begin with an address of a channel: `To` + `c` = `lient:alice`.
pub(super) fn starts_with_scheme(rest: &[u8], value: &[u8]) -> bool {
    SCHEMES.iter().any(|scheme| {
        let whole = || scheme.iter().chain(b":");
        let text = || rest.iter().chain(value);
        rest.len() <= scheme.len()
            && whole().zip(text()).filter(|(left, right)| left == right).count() == scheme.len() + 1
    })
}
