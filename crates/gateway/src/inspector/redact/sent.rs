//! What is left of what an application sends to Twilio: the same, and of what it chooses among Twilio's own words the word.
//!
//! Paths of Twilio's API hold numbers (`/PhoneNumbers/+14155550100`) and names that an application gave (`/Entities/anna`), so a
//! piece of one passes only where it is Twilio's own.

use percent_encoding::percent_decode_str;
use ringfence_model::Sid;

use super::{Shape, form_by, json_by, kind_of, pieces, plain_name, shape_under};
use crate::egress::host::TwilioHost;
use crate::egress::is_word_of_paths;

/// The parameters of a form or a query to Twilio, as [`form`](super::form) tells those of a webhook.
pub(crate) fn sent_form(form: &[u8]) -> Option<Vec<(String, String)>> {
    form_by(shape_sent_under, form)
}

/// The values of JSON to Twilio, as [`json`](super::json) tells those of a webhook.
pub(crate) fn sent_json(text: &[u8]) -> Option<Vec<(String, String)>> {
    json_by(shape_sent_under, text)
}

/// <https://www.twilio.com/docs/messaging/api/message-resource>,
/// <https://www.twilio.com/docs/voice/api/call-resource>,
/// <https://www.twilio.com/docs/verify/api/verification>.
fn shape_sent_under(name: &str) -> Option<Shape> {
    const SWITCH: Shape = Shape::OneOf(&["true", "false"]);
    const METHOD: Shape = Shape::OneOf(&["GET", "POST"]);
    Some(match plain_name(name).as_str() {
        "contentsid" | "addresssid" | "bundlesid" | "identitysid" | "callbacksid" => Shape::Sid,
        "timelimit"
        | "timeout"
        | "validityperiod"
        | "attempt"
        | "pagesize"
        | "page"
        | "machinedetectiontimeout" => Shape::Count,
        "method"
        | "fallbackmethod"
        | "statuscallbackmethod"
        | "recordingstatuscallbackmethod"
        | "voicemethod"
        | "smsmethod" => METHOD,
        "smartencoded" | "providefeedback" | "forcedelivery" | "shortenurls" | "sendasmms" | "asyncamd" => {
            SWITCH
        }
        "record" | "conferencerecord" => {
            Shape::OneOf(&["true", "false", "record-from-start", "do-not-record"])
        }
        "channel" => Shape::OneOf(&[
            "sms", "call", "whatsapp", "email", "rcs", "push", "totp", "sna", "auto", "passkeys",
        ]),
        "status" => Shape::OneOf(&["completed", "canceled", "approved", "active", "suspended", "closed"]),
        "machinedetection" => Shape::OneOf(&["Enable", "DetectMessageEnd"]),
        "scheduletype" => Shape::OneOf(&["fixed"]),
        "riskcheck" => Shape::OneOf(&["enable", "disable"]),
        "contentretention" | "addressretention" => Shape::OneOf(&["retain", "discard", "obfuscate"]),
        "fields" => Shape::OneOf(&FIELDS),
        // What is a word of Twilio's in a webhook may be anybody's here.
        _ => return shape_under(name).filter(|shape| *shape != Shape::Word),
    })
}

/// What Lookup is asked for; of several at once no more than the length is told.
const FIELDS: [&str; 12] = [
    "validation",
    "caller_name",
    "sim_swap",
    "call_forwarding",
    "line_status",
    "line_type_intelligence",
    "identity_match",
    "reassigned_number",
    "sms_pumping_risk",
    "phone_number_quality_score",
    "pre_fill",
    "carrier",
];

/// How answers are asked for, after a dot.
const EXTENSIONS: [&str; 7] = ["", "json", "xml", "csv", "html", "mp3", "wav"];

/// A path of Twilio's API, with the host before it: hosts, versions, SIDs and the names of Twilio's own resources as they are,
/// of everything else its kind and length.
pub(crate) fn api_path(path: &str) -> String {
    pieces(path, is_of_twilio, |piece| kind_of(&percent_decode_str(piece).collect::<Vec<u8>>()))
}

fn is_of_twilio(piece: &str) -> bool {
    let (stem, extension) = piece.split_once('.').unwrap_or((piece, ""));
    let is_version = stem.len() == 2 && stem.starts_with('v') && stem.as_bytes()[1].is_ascii_digit();
    (is_version && extension.is_empty() && piece.len() == stem.len())
        || Shape::Version.fits(piece)
        || TwilioHost::parse(piece).is_some()
        || (EXTENSIONS.contains(&extension) && (Sid::parse(stem).is_ok() || is_word_of_paths(stem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_path_to_twilio_its_own_names_are_left_and_nothing_that_an_application_chose() {
        let (account, message) = (Sid::new(*b"AC", 1), Sid::new(*b"SM", 2));
        for (path, told) in [
            (format!("/api.twilio.com/2010-04-01/Accounts/{account}/Messages.json"), None),
            (
                format!("/api.dublin.ie1.twilio.com/2010-04-01/Accounts/{account}/Messages/{message}.json"),
                None,
            ),
            (format!("/api.twilio.com/2010-04-01/accounts/{account}/messages"), None),
            ("/conversations.twilio.com/v1/Conversations".to_owned(), None),
            (
                "/lookups.twilio.com/v2/PhoneNumbers/%2B4915112345678".to_owned(),
                Some("/lookups.twilio.com/v2/PhoneNumbers/+49… (13 digits)"),
            ),
            (
                "/verify.twilio.com/v2/Services/VA1/Entities/annabel/Factors".to_owned(),
                Some("/verify.twilio.com/v2/Services/(3 characters)/Entities/(7 characters)/Factors"),
            ),
            (
                "/sync.twilio.com/v1/Services/default/Documents/Messages.anna".to_owned(),
                Some("/sync.twilio.com/v1/Services/(7 characters)/Documents/(13 characters)"),
            ),
            ("/annabel.example/v9.anna/x".to_owned(), Some("/(15 characters)/(7 characters)/(1 character)")),
            ("/%ff".to_owned(), Some("/(1 byte)")),
        ] {
            assert_eq!(api_path(&path), told.unwrap_or(&path), "{path}");
        }
        assert!(api_path(&"/a".repeat(99)).ends_with("/…"));
    }

    #[test]
    fn of_what_is_chosen_among_twilio_s_words_the_word_is_left() {
        let form = b"Channel=sms&TimeLimit=600&Record=TRUE&Fields=line_type_intelligence&ContentSid=HX0000000000000000\
                     0000000000000001&Channel=Annabel&Status=4711&TimeLimit=4915112345678&Body=true&Code=123456&\
                     Method=DELETE";
        let told: Vec<_> =
            sent_form(form).unwrap().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            told,
            [
                "Channel=sms",
                "TimeLimit=600",
                "Record=TRUE",
                "Fields=line_type_intelligence",
                "ContentSid=HX00000000000000000000000000000001",
                "Channel=(7 characters)",
                "Status=(4 digits)",
                "TimeLimit=(13 digits)",
                "Body=(4 characters)",
                "Code=(6 digits)",
                "Method=(6 characters)",
            ]
        );
        let told = sent_json(br#"{"channel":"call","to":"+4915112345678","msg":"Annabel"}"#).unwrap();
        let mut told: Vec<_> = told.iter().map(|(name, value)| format!("{name}={value}")).collect();
        told.sort();
        assert_eq!(told, ["channel=call", "msg=(7 characters)", "to=+49… (13 digits)"]);
    }
}
