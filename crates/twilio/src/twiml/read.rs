//! From elements to verbs. Attributes that are absent or cannot be meant have Twilio's defaults.

use super::verb::{
    CallCallback, Dial, DialNoun, DialTarget, Gather, GatherInput, Message, Method, Pause, Play, Record,
    RecordingCallback, Redirect, Reject, RejectReason, Say, Verb,
};
use super::{Element, Node, Response, Warning};

/// Verbs of Twilio's that are kept as they stand.
const OTHER_VERBS: &[&str] = &[
    "Connect",
    "Start",
    "Stop",
    "Enqueue",
    "Leave",
    "Pay",
    "Prompt",
    "Refer",
    "Siprec",
    "Stream",
    "Transcription",
];
/// Nouns of `Dial` that are kept as they stand.
const OTHER_TARGETS: &[&str] = &["Conference", "Queue", "Sim", "Application", "WhatsApp"];

pub(super) fn response(root: &Element) -> Response {
    let mut reader = Reader::default();
    let verbs = reader.verbs(root, |reader, element| reader.verb(element));
    Response { verbs, warnings: reader.warnings }
}

/// Collects what is odd on the way.
#[derive(Default)]
struct Reader {
    warnings: Vec<Warning>,
}

impl Reader {
    fn verbs(
        &mut self,
        parent: &Element,
        mut read: impl FnMut(&mut Self, &Element) -> Option<Verb>,
    ) -> Vec<Verb> {
        let mut verbs = Vec::new();
        for node in &parent.nodes {
            match node {
                Node::Element(element) => match read(self, element) {
                    Some(verb) => verbs.push(verb),
                    None => self.unknown(element, parent),
                },
                Node::Text(text) if text.trim().is_empty() => {}
                Node::Text(_) => self.warnings.push(Warning::StrayText),
            }
        }
        verbs
    }

    fn verb(&mut self, element: &Element) -> Option<Verb> {
        Some(match element.name.as_str() {
            "Say" | "Play" | "Pause" => return self.prompt(element),
            "Gather" => Verb::Gather(self.gather(element)),
            "Record" => Verb::Record(self.record(element)),
            "Dial" => Verb::Dial(self.dial(element)),
            // `Sms` is its name of before 2014, which is still understood.
            "Message" | "Sms" => Verb::Message(self.message(element)),
            "Redirect" => {
                Verb::Redirect(Redirect { url: element.text(), method: self.method(element, "method") })
            }
            "Reject" => Verb::Reject(Reject { reason: self.reason(element) }),
            "Hangup" => Verb::Hangup,
            name if OTHER_VERBS.contains(&name) => Verb::Other(element.clone()),
            _ => return None,
        })
    }

    /// What may also stand in a `Gather`.
    fn prompt(&mut self, element: &Element) -> Option<Verb> {
        Some(match element.name.as_str() {
            "Say" => Verb::Say(Say {
                text: element.text(),
                voice: owned(element, "voice"),
                language: owned(element, "language"),
                times: self.number(element, "loop", 1, 0, u32::MAX),
            }),
            "Play" => Verb::Play(Play {
                url: element.text(),
                digits: owned(element, "digits"),
                times: self.number(element, "loop", 1, 0, u32::MAX),
            }),
            "Pause" => Verb::Pause(Pause { length_s: self.number(element, "length", 1, 0, 86_400) }),
            _ => return None,
        })
    }

    fn gather(&mut self, element: &Element) -> Gather {
        let input = match element.attribute("input").map(|text| text.split_whitespace().collect::<Vec<_>>()) {
            None => GatherInput::Dtmf,
            Some(words) => match words.as_slice() {
                ["dtmf"] => GatherInput::Dtmf,
                ["speech"] => GatherInput::Speech,
                ["dtmf", "speech"] | ["speech", "dtmf"] => GatherInput::DtmfSpeech,
                _ => self.invalid(element, "input", GatherInput::Dtmf),
            },
        };
        let finish_on_key = match element.attribute("finishOnKey") {
            None => Some('#'),
            Some("") => None,
            Some(text) => {
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(key @ ('0'..='9' | '#' | '*')), None) => Some(key),
                    _ => self.invalid(element, "finishOnKey", Some('#')),
                }
            }
        };
        let num_digits = element
            .attribute("numDigits")
            .map(|_| self.number(element, "numDigits", 0, 1, 1000))
            .filter(|it| *it > 0);
        Gather {
            input,
            action: owned(element, "action"),
            method: self.method(element, "method"),
            timeout_s: self.seconds_or_auto(element, "timeout", 5),
            finish_on_key,
            num_digits,
            action_on_empty_result: self.flag(element, "actionOnEmptyResult", false),
            prompts: self.verbs(element, |reader, element| reader.prompt(element)),
        }
    }

    fn record(&mut self, element: &Element) -> Record {
        let finish_on_key = match element.attribute("finishOnKey") {
            None => "1234567890*#".to_owned(),
            Some(keys) if keys.chars().all(|key| matches!(key, '0'..='9' | '#' | '*')) => keys.to_owned(),
            Some(_) => self.invalid(element, "finishOnKey", "1234567890*#".to_owned()),
        };
        Record {
            action: owned(element, "action"),
            method: self.method(element, "method"),
            timeout_s: self.seconds_or_auto(element, "timeout", 5),
            finish_on_key,
            max_length_s: self.number(element, "maxLength", 3600, 1, 14_400),
            play_beep: self.flag(element, "playBeep", true),
            recording_callback: self.recording_callback(element),
        }
    }

    fn recording_callback(&mut self, element: &Element) -> Option<RecordingCallback> {
        let url = owned(element, "recordingStatusCallback")?;
        Some(RecordingCallback {
            url,
            method: self.method(element, "recordingStatusCallbackMethod"),
            events: words(element, "recordingStatusCallbackEvent"),
        })
    }

    fn call_callback(&mut self, element: &Element) -> Option<CallCallback> {
        let url = owned(element, "statusCallback")?;
        Some(CallCallback {
            url,
            method: self.method(element, "statusCallbackMethod"),
            events: words(element, "statusCallbackEvent"),
        })
    }

    fn dial(&mut self, element: &Element) -> Dial {
        let mut targets = Vec::new();
        for noun in element.elements() {
            match self.dial_target(noun) {
                Some(target) => targets.push(target),
                None => self.unknown(noun, element),
            }
        }
        let own = element.own_text();
        if targets.is_empty() && !own.is_empty() {
            targets.push(DialTarget {
                noun: DialNoun::Number(own),
                url: None,
                method: Method::Post,
                send_digits: None,
                status_callback: None,
            });
        }
        let time_limit_s = element
            .attribute("timeLimit")
            .map(|_| self.number(element, "timeLimit", 0, 1, 86_400))
            .filter(|it| *it > 0);
        Dial {
            targets,
            action: owned(element, "action"),
            method: self.method(element, "method"),
            timeout_s: self.number(element, "timeout", 30, 1, 600),
            time_limit_s,
            caller_id: owned(element, "callerId"),
            hangup_on_star: self.flag(element, "hangupOnStar", false),
            record: owned(element, "record"),
            recording_callback: self.recording_callback(element),
        }
    }

    fn dial_target(&mut self, element: &Element) -> Option<DialTarget> {
        let noun = match element.name.as_str() {
            "Number" => DialNoun::Number(element.text()),
            "Sip" => DialNoun::Sip(element.text()),
            "Client" => DialNoun::Client(match element.elements().find(|it| it.name == "Identity") {
                Some(identity) => identity.text(),
                None => element.own_text(),
            }),
            name if OTHER_TARGETS.contains(&name) => DialNoun::Other(element.clone()),
            _ => return None,
        };
        Some(DialTarget {
            noun,
            url: owned(element, "url"),
            method: self.method(element, "method"),
            send_digits: owned(element, "sendDigits"),
            status_callback: self.call_callback(element),
        })
    }

    fn message(&mut self, element: &Element) -> Message {
        let (mut body, mut media) = (String::new(), Vec::new());
        for noun in element.elements() {
            match noun.name.as_str() {
                "Body" => body.push_str(&noun.own_text()),
                "Media" => media.push(noun.text()),
                _ => self.unknown(noun, element),
            }
        }
        if body.is_empty() {
            body = element.own_text();
        }
        Message {
            to: owned(element, "to"),
            from: owned(element, "from"),
            body,
            media,
            action: owned(element, "action"),
            method: self.method(element, "method"),
            status_callback: owned(element, "statusCallback"),
        }
    }

    fn reason(&mut self, element: &Element) -> RejectReason {
        match element.attribute("reason") {
            None | Some("rejected") => RejectReason::Rejected,
            Some("busy") => RejectReason::Busy,
            Some(_) => self.invalid(element, "reason", RejectReason::Rejected),
        }
    }

    fn method(&mut self, element: &Element, attribute: &'static str) -> Method {
        match element.attribute(attribute) {
            None => Method::Post,
            Some(text) if text.eq_ignore_ascii_case("POST") => Method::Post,
            Some(text) if text.eq_ignore_ascii_case("GET") => Method::Get,
            Some(_) => self.invalid(element, attribute, Method::Post),
        }
    }

    fn flag(&mut self, element: &Element, attribute: &'static str, default: bool) -> bool {
        match element.attribute(attribute) {
            None => default,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(_) => self.invalid(element, attribute, default),
        }
    }

    /// Seconds; `auto` lets Twilio choose, which is its default here.
    fn seconds_or_auto(&mut self, element: &Element, attribute: &'static str, default: u32) -> u32 {
        match element.attribute(attribute) {
            Some("auto") => default,
            _ => self.number(element, attribute, default, 0, 86_400),
        }
    }

    fn number(
        &mut self,
        element: &Element,
        attribute: &'static str,
        default: u32,
        least: u32,
        most: u32,
    ) -> u32 {
        match element.attribute(attribute).map(|text| text.trim().parse::<u32>()) {
            None => default,
            Some(Ok(number)) if (least..=most).contains(&number) => number,
            Some(_) => self.invalid(element, attribute, default),
        }
    }

    fn invalid<T>(&mut self, element: &Element, attribute: &'static str, default: T) -> T {
        let value = element.attribute(attribute).unwrap_or_default().chars().take(64).collect();
        self.warnings.push(Warning::InvalidAttribute { element: element.name.clone(), attribute, value });
        default
    }

    fn unknown(&mut self, element: &Element, parent: &Element) {
        let (name, parent) = (element.name.clone(), parent.name.clone());
        self.warnings.push(Warning::UnknownElement { name, parent });
    }
}

fn owned(element: &Element, attribute: &str) -> Option<String> {
    element.attribute(attribute).filter(|value| !value.is_empty()).map(str::to_owned)
}

/// Words with white space between them.
fn words(element: &Element, attribute: &str) -> Vec<String> {
    element.attribute(attribute).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}
