//! The form of a request that changes something: read once, strictly, and written anew.
//!
//! The one idea: what Twilio gets is our own writing of what we have read. A spelling that two readers could take for
//! two forms is gone after that, whatever it was; what is left is which of two values counts, so a field that decides
//! something may be there only once.

use percent_encoding::percent_decode;
use ringfence_twilio::wire::Form;

use super::refusal::Refusal;

/// Fields that decide what a request costs, whom it reaches or which TwiML runs. Each may be there once, spelled as
/// Twilio spells it.
const DECIDE: &[&str] = &[
    "AccountSid",
    "AddressRetention",
    "AddressSid",
    "Amount",
    "AnnounceMethod",
    "AnnounceUrl",
    "ApplicationSid",
    "AreaCode",
    "AsyncAmd",
    "Body",
    "CallerId",
    "Channel",
    "ChannelConfiguration",
    "Code",
    "ConferenceRecord",
    "ContentSid",
    "CustomCode",
    "CustomFriendlyName",
    "CustomMessage",
    "FallbackFrom",
    "FallbackMethod",
    "FallbackUrl",
    "ContentRetention",
    "Fields",
    "From",
    "HoldMethod",
    "HoldUrl",
    "InboundMethod",
    "InboundRequestUrl",
    "MachineDetection",
    "MessagingServiceSid",
    "Method",
    "Payee",
    "PhoneNumber",
    "Record",
    "RiskCheck",
    "ScheduleType",
    "SendAsMms",
    "SendAt",
    "ShortenUrls",
    "SmartEncoded",
    "SmsApplicationSid",
    "SmsFallbackMethod",
    "SmsFallbackUrl",
    "SmsMethod",
    "SmsUrl",
    "Status",
    "TemplateCustomSubstitutions",
    "Templates",
    "TimeLimit",
    "Timeout",
    "To",
    "Transcribe",
    "TrunkSid",
    "Twiml",
    "Url",
    "VerificationSid",
    "VoiceApplicationSid",
    "VoiceFallbackMethod",
    "VoiceFallbackUrl",
    "VoiceMethod",
    "VoiceUrl",
    "WaitMethod",
    "WaitUrl",
];

/// Fields that decide something too and may be there several times, spelled as Twilio spells them.
const REPEATED: &[&str] = &["AddOns", "MediaUrl", "Type"];

/// More fields than any operation has.
const FIELDS_MAX: usize = 1_000;

/// Fields of settings that turn on what is billed from then on, by the month or for each call that comes in: the name of the
/// caller (<https://www.twilio.com/docs/voice/api/application-resource>), an address for emergency calls
/// (<https://www.twilio.com/docs/voice/tutorials/emergency-calling-for-programmable-voice>).
const BILLED: [&str; 5] = [
    "VoiceCallerIdLookup",
    "CnamLookupEnabled",
    "EmergencyAddressSid",
    "EmergencyStatus",
    "EmergencyCallingEnabled",
];

/// What turns them off.
const NOT_BILLED: &[&str] = &["false", "Inactive"];

/// The same of a trunk's recording, which is of every call that it carries
/// (<https://www.twilio.com/docs/sip-trunking/api/trunk-resource>).
const BILLED_OF_RECORDING: (&str, &[&str]) = ("Mode", &["do-not-record"]);

/// The first field that turns on what is billed; what turns it off is none.
pub(crate) fn turns_on_what_is_billed(form: &Form, is_recording_of_trunk: bool) -> Option<&'static str> {
    let turned_on = |(name, off): &(&str, &[&str])| {
        form.pairs().any(|(field, value)| {
            is_spelled(field, name)
                && !value.is_empty()
                && !off.iter().any(|off| value.eq_ignore_ascii_case(off))
        })
    };
    let of_recording = is_recording_of_trunk.then_some(BILLED_OF_RECORDING);
    let mut names = BILLED.iter().map(|name| (*name, NOT_BILLED)).chain(of_recording);
    names.find(turned_on).map(|(name, _)| name)
}

/// Whether this is the name in some spelling: `to`, `voice_url`, `Media-Url`.
pub(crate) fn is_spelled(field: &str, name: &str) -> bool {
    let letters = field.bytes().filter(u8::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
    letters.eq(name.bytes().map(|letter| letter.to_ascii_lowercase()))
}

/// Reads a form.
pub(crate) fn read(bytes: &[u8]) -> Result<Form, Refusal> {
    let mut form = Form::new();
    let pieces = bytes.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty());
    for (number, piece) in pieces.enumerate() {
        if number == FIELDS_MAX {
            return Err(Refusal::Field(format!("a form has at most {FIELDS_MAX} fields")));
        }
        let end = memchr::memchr(b'=', piece).unwrap_or(piece.len());
        let (name, value) = (decoded(&piece[..end])?, decoded(piece.get(end + 1..).unwrap_or_default())?);
        check_name(&name, &form)?;
        form.push(&name, value);
    }
    Ok(form)
}

/// The value of a field that is there once at most, and not empty.
pub(crate) fn text<'f>(form: &'f Form, name: &str) -> Option<&'f str> {
    form.get(name).filter(|value| !value.is_empty())
}

/// Whether a query has a field that decides something, in whatever spelling: it belongs in the form, and Twilio might read
/// it here too.
pub(crate) fn decides(query: &Form) -> bool {
    query.pairs().any(|(name, _)| decided_by(name).is_some())
}

/// The field that decides something, whose name this is in some spelling.
fn decided_by(name: &str) -> Option<&'static str> {
    let letters = || name.bytes().filter(u8::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
    let is_it = |known: &&&str| is_spelled(name, known);
    // One of several may be written with its number: `MediaUrl0`, `AddOns.1`.
    let is_one_of = |known: &&&str| {
        let before = letters().take(known.len());
        before.eq(known.bytes().map(|letter| letter.to_ascii_lowercase()))
            && letters().skip(known.len()).all(|letter| letter.is_ascii_digit())
    };
    DECIDE.iter().find(is_it).or_else(|| REPEATED.iter().find(is_one_of)).copied()
}

/// The same form with a field set: in its place, or at the end.
pub(crate) fn with(form: &Form, name: &str, value: &str) -> Form {
    let mut is_set = false;
    let fields = form.pairs().map(|(field, before)| {
        let is_it = field == name;
        is_set |= is_it;
        (field.to_owned(), if is_it { value.to_owned() } else { before.to_owned() })
    });
    let mut changed: Form = fields.collect();
    if !is_set {
        changed.push(name, value);
    }
    changed
}

fn decoded(piece: &[u8]) -> Result<String, Refusal> {
    let spaced: Vec<u8> = piece.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let bytes: Vec<u8> = percent_decode(&spaced).collect();
    String::from_utf8(bytes).map_err(|_| Refusal::Field("the form is not UTF-8".to_owned()))
}

fn check_name(name: &str, before: &Form) -> Result<(), Refusal> {
    let is_plain = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if !is_plain {
        return Err(Refusal::Field("a name of the form has odd characters".to_owned()));
    }
    let Some(decides) = decided_by(name) else { return Ok(()) };
    if decides != name {
        return Err(Refusal::Field(format!("the field {decides} is spelled another way")));
    }
    if DECIDE.contains(&decides) && before.get(name).is_some() {
        return Err(Refusal::Field(format!("the field {decides} is there more than once")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(form: &[u8]) -> String {
        match read(form) {
            Err(Refusal::Field(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_form_of_which_two_readers_could_make_two_is_refused() {
        for (form, why) in [
            (&b"To=%2B1&To=%2B2"[..], "To is there more than once"),
            (b"To=%2B1&%54o=%2B2", "To is there more than once"),
            (b"to=%2B1", "To is spelled another way"),
            (b"TO=%2B1", "To is spelled another way"),
            (b"mediaurl=a", "MediaUrl is spelled another way"),
            (b"voice_url=a", "VoiceUrl is spelled another way"),
            (b"Time-Limit=1", "TimeLimit is spelled another way"),
            (b"To.=%2B1", "To is spelled another way"),
            (b"MediaUrl[]=a", "odd characters"),
            (b"MediaUrl0=a", "MediaUrl is spelled another way"),
            (b"MediaUrl.0=a", "MediaUrl is spelled another way"),
            (b"media_url_10=a", "MediaUrl is spelled another way"),
            (b"fields=caller_name", "Fields is spelled another way"),
            (b"type=carrier", "Type is spelled another way"),
            (b"To[]=%2B1", "odd characters"),
            (b"To%00=%2B1", "odd characters"),
            (b"+To=%2B1", "odd characters"),
            (b"=x", "odd characters"),
            (b"Body=%ff", "not UTF-8"),
            (b"Body=\xff", "not UTF-8"),
        ] {
            assert!(refused(form).contains(why), "{form:?}");
        }
        assert!(refused(&b"a=b&".repeat(FIELDS_MAX + 1)).contains("at most"));
    }

    #[test]
    fn order_and_repetition_are_kept_and_the_spelling_is_ours() {
        let form = read(b"&To=%2b1&MediaUrl=a&Body=a%zz;b+c&MediaUrl=b&Empty&").unwrap();
        assert_eq!(form.encode(), "To=%2B1&MediaUrl=a&Body=a%25zz%3Bb+c&MediaUrl=b&Empty=");
    }

    #[test]
    fn a_field_is_set_in_its_place_or_at_the_end() {
        let form = read(b"TimeLimit=99&To=a&To2=b").unwrap();
        assert_eq!(with(&form, "TimeLimit", "60").encode(), "TimeLimit=60&To=a&To2=b");
        assert_eq!(with(&form, "Record", "false").encode(), "TimeLimit=99&To=a&To2=b&Record=false");
    }
}
