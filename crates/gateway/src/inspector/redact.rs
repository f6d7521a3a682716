//! What is left of a request or an answer when it is kept: names, kinds and lengths. Pure.
//!
//! The one idea: nothing passes because it looks harmless. A value stays as it is only under a name whose values Twilio
//! chooses, and only in the shape that Twilio gives them; of every other value a kind and a length is left, so that two
//! values of one kind and length cannot be told apart. Of a telephone number the country code is left beside its length.

use ringfence_model::{PhoneNumber, Sid};
use ringfence_signature::fields;
use ringfence_twilio::twiml::{Document, Element};
use serde_json::Value;

use crate::twiml::is_known_element;

/// So many parameters are told.
pub(super) const PARAMETERS_MAX: usize = 100;
/// Of a larger body nothing is told: reading it would cost more than deciding.
pub(super) const BODY_BYTES_MAX: usize = 16 * 1024;
/// JSON in which values stand deeper is not told.
const DEPTH_MAX: usize = 16;
/// So many elements of an answer are told.
const ELEMENTS_MAX: usize = 50;
/// No name of Twilio's is longer, nor is a plain piece of a path.
const NAME_BYTES_MAX: usize = 40;
/// A longer path is cut.
const PIECES_MAX: usize = 20;

mod sent;

pub(crate) use sent::{api_path, sent_form, sent_json};

/// The shape that a value has under a name, where it may pass.
type Shapes = fn(&str) -> Option<Shape>;

/// The parameters of a form or of a query; none of one that is too large or holds none.
pub(crate) fn form(form: &[u8]) -> Option<Vec<(String, String)>> {
    form_by(shape_under, form)
}

fn form_by(shapes: Shapes, form: &[u8]) -> Option<Vec<(String, String)>> {
    if form.len() > BODY_BYTES_MAX {
        return None;
    }
    let told: Vec<_> = fields(form)
        .take(PARAMETERS_MAX)
        .map(|(name, value)| {
            let told = match str::from_utf8(&name) {
                Ok(name) => text_under(shapes, name, &value),
                Err(_) => kind_of(&value),
            };
            (name_of(&name), told)
        })
        .collect();
    (!told.is_empty()).then_some(told)
}

/// The values of a JSON text under the names that lead to them, joined by dots; none of what is no JSON, too large or too
/// deep.
pub(crate) fn json(text: &[u8]) -> Option<Vec<(String, String)>> {
    json_by(shape_under, text)
}

fn json_by(shapes: Shapes, text: &[u8]) -> Option<Vec<(String, String)>> {
    if text.len() > BODY_BYTES_MAX {
        return None;
    }
    let mut told = Vec::new();
    gather(shapes, &serde_json::from_slice(text).ok()?, ("", ""), 0, &mut told)?;
    (!told.is_empty()).then_some(told)
}

fn gather(
    shapes: Shapes,
    value: &Value,
    (path, name): (&str, &str),
    depth: usize,
    told: &mut Vec<(String, String)>,
) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    if told.len() >= PARAMETERS_MAX {
        return Some(());
    }
    let under = |piece: &str| if path.is_empty() { piece.to_owned() } else { format!("{path}.{piece}") };
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                gather(shapes, value, (&under(&name_of(name.as_bytes())), name), depth + 1, told)?;
            }
        }
        // What stands in a list is under the name of the list.
        Value::Array(values) if !values.is_empty() => {
            for (place, value) in values.iter().take(PARAMETERS_MAX).enumerate() {
                gather(shapes, value, (&under(&place.to_string()), name), depth + 1, told)?;
            }
        }
        leaf => {
            let shown = match leaf {
                Value::String(text) => text_under(shapes, name, text.as_bytes()),
                Value::Number(number) => text_under(shapes, name, number.to_string().as_bytes()),
                Value::Bool(_) => "(yes or no)".to_owned(),
                Value::Null | Value::Array(_) | Value::Object(_) => "(nothing)".to_owned(),
            };
            told.push((if path.is_empty() { "(value)".to_owned() } else { path.to_owned() }, shown));
        }
    }
    Some(())
}

/// The elements of a TwiML answer by their names, those in others in parentheses: `Gather(Say) Hangup`. None of what is no
/// TwiML, or too large.
pub(crate) fn verbs(answer: &[u8]) -> Option<String> {
    if answer.len() > BODY_BYTES_MAX {
        return None;
    }
    let document = Document::read(answer).ok()?;
    let mut left = ELEMENTS_MAX;
    Some(elements(&document.root, &mut left))
}

fn elements(parent: &Element, left: &mut usize) -> String {
    let mut told = String::new();
    for element in parent.elements() {
        if *left == 0 {
            break;
        }
        *left -= 1;
        if !told.is_empty() {
            told.push(' ');
        }
        told.push_str(if is_known_element(&element.name) { &element.name } else { "(other)" });
        let inside = elements(element, left);
        if !inside.is_empty() {
            told.push('(');
            told.push_str(&inside);
            told.push(')');
        }
    }
    told
}

/// A path without its query: each piece that is a SID or a plain word as it is, every other by its length.
pub(crate) fn path(target: &str) -> String {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let is_told = |piece: &str| is_plain(piece.as_bytes(), b"_-.") || Sid::parse(piece).is_ok();
    pieces(path, is_told, |piece| count(piece.chars().count(), "character"))
}

/// A path, with each piece as it is or in other words.
fn pieces(path: &str, is_told: impl Fn(&str) -> bool, in_words: impl Fn(&str) -> String) -> String {
    let mut told = String::new();
    for (place, piece) in path.split('/').enumerate() {
        if place > 0 {
            told.push('/');
        }
        if place > PIECES_MAX {
            told.push('…');
            break;
        }
        if piece.is_empty() || is_told(piece) {
            told.push_str(piece);
        } else {
            told.push_str(&in_words(piece));
        }
    }
    told
}

/// A text of ours in which something that a stranger chose may stand, such as the name of a field or a host: what could be a
/// number in it is gone.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |character: char| character.is_alphanumeric();
        let length = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(if length == 0 { first.len_utf8() } else { length });
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        told.push_str(if digits > DIGITS_MAX && Sid::parse(word).is_err() { "…" } else { word });
        rest = after;
    }
    told
}

/// With one more, digits could be a number or a code.
const DIGITS_MAX: usize = 4;

/// Names are Twilio's; what is longer, has more than a few digits or is no plain word is somebody's text.
fn name_of(name: &[u8]) -> String {
    match str::from_utf8(name) {
        Ok(name) if is_plain(name.as_bytes(), b"_-") => name.to_owned(),
        _ => count(name.len(), "byte"),
    }
}

fn is_plain(text: &[u8], marks: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && digits <= DIGITS_MAX
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(byte))
}

/// A value under its name.
fn text_under(shapes: Shapes, name: &str, value: &[u8]) -> String {
    let Ok(text) = str::from_utf8(value) else { return kind_of(value) };
    match shapes(name) {
        Some(shape) if shape.fits(text) => text.to_owned(),
        _ => kind_of(value),
    }
}

/// What Twilio writes under a name whose values it chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Sid,
    /// `in-progress`, `outbound-api`, `TN-Validation-Passed-A`, `participant-join`.
    Word,
    /// A number of things or of seconds; the code of an error.
    Count,
    /// `DE`.
    Country,
    /// `2010-04-01`.
    Version,
    /// `image/jpeg`.
    MediaType,
    /// One of these, whatever their case.
    OneOf(&'static [&'static str]),
}

/// <https://www.twilio.com/docs/voice/twiml#request-parameters>,
/// <https://www.twilio.com/docs/messaging/guides/webhook-request>,
/// <https://www.twilio.com/docs/usage/api/usage-trigger>: names without `_` and `-`, in lower case, since JSON spells them
/// `account_sid`.
fn shape_under(name: &str) -> Option<Shape> {
    let plain = plain_name(name);
    let without_place = plain.trim_end_matches(|it: char| it.is_ascii_digit());
    Some(match without_place {
        "accountsid"
        | "callsid"
        | "parentcallsid"
        | "dialcallsid"
        | "messagesid"
        | "smssid"
        | "smsmessagesid"
        | "originalrepliedmessagesid"
        | "messagingservicesid"
        | "conferencesid"
        | "recordingsid"
        | "transcriptionsid"
        | "queuesid"
        | "applicationsid"
        | "apisid"
        | "streamsid"
        | "sessionsid"
        | "usagetriggersid"
        | "servicesid"
        | "conversationsid"
        | "chatservicesid"
        | "participantsid"
        | "verificationsid"
        | "factorsid"
        | "channelsid"
        | "roomsid"
        | "tasksid"
        | "workspacesid"
        | "workersid"
        | "workflowsid"
        | "enqueuedcallsid"
        | "dequeuingcallsid"
        | "referredcallsid"
        | "callsidendingconference"
        | "channelinstallsid"
        | "flowsid"
        | "executionsid"
        | "trunksid"
        | "phonenumbersid"
        | "mediasid" => Shape::Sid,
        "callstatus"
        | "dialcallstatus"
        | "messagestatus"
        | "smsstatus"
        | "recordingstatus"
        | "direction"
        | "answeredby"
        | "statuscallbackevent"
        | "eventtype"
        | "recordingsource"
        | "recordingtrack"
        | "channelprefix"
        | "dialbridged"
        | "queueresult"
        | "stirstatus"
        | "stirverstat"
        | "transcriptionstatus"
        | "reasonconferenceended"
        | "reasonparticipantleft"
        | "usagecategory"
        | "recurring"
        | "triggerby"
        | "msg"
        | "calltype" => Shape::Word,
        "nummedia"
        | "numsegments"
        | "callduration"
        | "dialcallduration"
        | "duration"
        | "recordingduration"
        | "recordingchannels"
        | "sequencenumber"
        | "errorcode"
        | "queueposition"
        | "queuetime"
        | "currentqueuesize"
        | "avgqueuetime"
        | "sipresponsecode"
        | "callbackattempt"
        | "machinedetectionduration" => Shape::Count,
        "fromcountry" | "tocountry" | "callercountry" | "calledcountry" => Shape::Country,
        "apiversion" => Shape::Version,
        "mediacontenttype" => Shape::MediaType,
        _ => return None,
    })
}

/// A name however it is spelled.
fn plain_name(name: &str) -> String {
    name.chars().filter(|it| !matches!(it, '_' | '-')).map(|it| it.to_ascii_lowercase()).collect()
}

impl Shape {
    fn fits(self, text: &str) -> bool {
        let bytes = text.as_bytes();
        match self {
            Self::Sid => Sid::parse(text).is_ok(),
            Self::Word => is_plain(bytes, b"-_"),
            Self::Count => (1..=6).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit),
            Self::Country => bytes.len() == 2 && bytes.iter().all(u8::is_ascii_uppercase),
            Self::Version => {
                let form = |(place, byte): (usize, &u8)| {
                    if matches!(place, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() }
                };
                bytes.len() == 10 && bytes.iter().enumerate().all(form)
            }
            Self::MediaType => text.split_once('/').is_some_and(|(kind, rest)| {
                is_plain(kind.as_bytes(), b"-") && is_plain(rest.as_bytes(), b"-.+")
            }),
            Self::OneOf(words) => words.iter().any(|word| word.eq_ignore_ascii_case(text)),
        }
    }
}

/// How Twilio writes the address of somebody who is reached another way than by telephone.
const CHANNELS: [&str; 6] = ["whatsapp:", "messenger:", "rcs:", "sip:", "sips:", "client:"];

/// What a value is, and how long.
fn kind_of(value: &[u8]) -> String {
    let Ok(text) = str::from_utf8(value) else { return count(value.len(), "byte") };
    let channel = CHANNELS.into_iter().find(|channel| text.starts_with(channel)).unwrap_or_default();
    let address = text.strip_prefix(channel).unwrap_or(text);
    let told = match address {
        "" => String::new(),
        address if address.bytes().all(|byte| byte.is_ascii_digit()) => count(address.len(), "digit"),
        address => match PhoneNumber::parse(address) {
            Ok(number) => {
                format!("+{}… {}", number.calling_code(), count(address.len() - 1, "digit"))
            }
            Err(_) if address.starts_with("https://") || address.starts_with("http://") => {
                format!("(a URL of {})", bare_count(address.chars().count(), "character"))
            }
            Err(_) => count(address.chars().count(), "character"),
        },
    };
    format!("{channel}{told}")
}

fn count(number: usize, what: &str) -> String {
    format!("({})", bare_count(number, what))
}

fn bare_count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests;
