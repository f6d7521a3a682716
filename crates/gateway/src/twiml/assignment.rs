//! What an application answers when `TaskRouter` asks what to do with a task: an instruction in JSON, which may have somebody
//! called, or lead a call elsewhere. It is read whole and priced like TwiML:
//! <https://www.twilio.com/docs/taskrouter/handle-assignment-callbacks>.
//!
//! A function of its arguments. What is no instruction costs nothing; what might be one and cannot be read in one way alone is
//! refused.

#[cfg(test)]
mod tests;

use std::fmt;

use http::Method;
use ringfence_breaker::charge::{AssignedCall, Recipient};
use ringfence_model::PhoneNumber;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::price::{Around, Kind, Reader, Step, Worth};
use super::url::{self, Leads};
use crate::egress::Refusal;
use crate::snapshot::ActiveRoute;

/// What an assignment callback says of the task and of the worker.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// Where the worker is called if an instruction does not say it (`contact_uri` of `WorkerAttributes`).
    pub(crate) worker: Option<String>,
    /// Whom `conference` calls besides, of a task that goes out (`outbound_to` of `TaskAttributes`).
    pub(crate) customer: Option<String>,
    /// As whom the worker is called if an instruction does not say it: the number that was called (`to`).
    pub(crate) called: Option<String>,
}

impl Assignment {
    /// By the two fields of an assignment callback that are JSON. What cannot be read says nothing.
    pub(crate) fn of(worker_attributes: Option<&str>, task_attributes: Option<&str>) -> Self {
        let read = |text: Option<&str>| text.and_then(|text| serde_json::from_str::<Value>(text).ok());
        let (worker, task) = (read(worker_attributes), read(task_attributes));
        let text = |of: Option<&Value>, name: &str| {
            let text = of?.get(name)?.as_str()?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        let (worker, task) = (worker.as_ref(), task.as_ref());
        Self {
            worker: text(worker, "contact_uri"),
            customer: text(task, "outbound_to"),
            called: text(task, "to").or_else(|| text(task, "called")),
        }
    }
}

/// What each instruction may say besides.
const KNOWN: [(&str, &[&str]); 6] = [
    ("accept", &[]),
    ("reject", &["activity_sid"]),
    ("call", &["accept", "from", "record", "status_callback_url", "timeout", "to", "url"]),
    (
        "dequeue",
        &[
            "from",
            "post_work_activity_sid",
            "record",
            "status_callback_event",
            "status_callback_events",
            "status_callback_url",
            "timeout",
            "to",
        ],
    ),
    ("redirect", &["accept", "call_sid", "url"]),
    (
        "conference",
        &[
            "beep",
            "beep_on_customer_entrance",
            "conference_record",
            "conference_recording_status_callback",
            "conference_recording_status_callback_method",
            "conference_status_callback",
            "conference_status_callback_event",
            "conference_status_callback_method",
            "conference_trim",
            "early_media",
            "end_conference_on_customer_exit",
            "end_conference_on_exit",
            "from",
            "max_participants",
            "muted",
            "post_work_activity_sid",
            "record",
            "recording_channels",
            "recording_status_callback",
            "recording_status_callback_method",
            "region",
            "room_name",
            "sip_auth_password",
            "sip_auth_username",
            "start_conference_on_enter",
            "status_callback",
            "status_callback_event",
            "status_callback_method",
            "timeout",
            "to",
            "wait_method",
            "wait_url",
        ],
    ),
];

/// Prices an answer to an assignment callback.
pub(super) fn of(bytes: &[u8], assignment: &Assignment, around: &Around<'_>) -> Result<Worth, Refusal> {
    let Ok(Said(fields)) = serde_json::from_slice(bytes.trim_ascii()) else {
        return if may_instruct(bytes) {
            Err(Refusal::UnreadableTwiml("it is no JSON object".to_owned()))
        } else {
            Ok(Worth::default())
        };
    };
    let is_twice = |(number, (name, _)): (usize, &(String, Value))| {
        fields.iter().take(number).any(|(before, _)| before.eq_ignore_ascii_case(name))
    };
    if fields.iter().enumerate().any(is_twice) {
        return Err(Refusal::UnreadableTwiml("a name of its JSON object stands there twice".to_owned()));
    }
    let Some((_, named)) = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("instruction")) else {
        return Ok(Worth::default());
    };
    let instruction = Instruction { fields: &fields, assignment, routes: around.routes };
    let mut reader = Reader::new(around);
    let named = named.as_str().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((name, known)) = KNOWN.iter().find(|(name, _)| **name == named) else {
        reader.unknown(|| "instruction".to_owned())?;
        return reader.done();
    };
    let is_unknown = |field: &str| field != "instruction" && !known.contains(&field);
    if let Some((field, _)) = fields.iter().find(|(field, _)| is_unknown(field)) {
        // Whatever it is called, no more of it is told than fits a line of a log.
        let field: String = field.chars().filter(char::is_ascii_graphic).take(40).collect();
        reader.unknown(|| format!("instruction {name} {field}"))?;
    }
    match *name {
        "call" => {
            instruction.leads_here(&reader, "call", "url")?;
            instruction.dials(&mut reader, 0)?;
        }
        "dequeue" => instruction.dials(&mut reader, 0)?,
        "conference" => {
            instruction.leads_here(&reader, "conference", "wait_url")?;
            instruction.dials(&mut reader, 2)?;
            if let Some(customer) = &assignment.customer {
                instruction.dial(&mut reader, customer, false, 1)?;
            }
        }
        "redirect" => instruction.leads_here(&reader, "redirect", "url")?,
        _ => {}
    }
    reader.done()
}

struct Instruction<'a> {
    fields: &'a [(String, Value)],
    assignment: &'a Assignment,
    routes: &'a [ActiveRoute],
}

impl Instruction<'_> {
    /// A field that is a text; none where it is empty or not there.
    fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)) {
            None | Some((_, Value::Null)) => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
            Some(_) => Err(Refusal::UnreadableTwiml(format!("`{name}` of its instruction is no text"))),
        }
    }

    /// Whether a recording is asked for, in any way that Twilio may take for that.
    fn is_recorded(&self, name: &str) -> bool {
        match self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)) {
            None | Some((_, Value::Null | Value::Bool(false))) => false,
            Some((_, Value::String(text))) => {
                !matches!(&*text.trim().to_ascii_lowercase(), "" | "false" | "do-not-record")
            }
            Some(_) => true,
        }
    }

    /// A URL that Twilio asks for TwiML: as ever with POST, but the documents do not say so.
    fn leads_here(&self, reader: &Reader<'_>, name: &str, field: &str) -> Result<(), Refusal> {
        let Some(url) = self.text(field)? else { return Ok(()) };
        let place = || format!("instruction {name} {field}");
        if url::leads(url, &Method::GET, None, self.routes) == Leads::Passed {
            return Err(Refusal::ForeignTwiml(place()));
        }
        reader.url_leads_here(url, Some("POST"), place)
    }

    /// The worker is called.
    fn dials(&self, reader: &mut Reader<'_>, participants: u32) -> Result<(), Refusal> {
        let to = self.text("to")?.or(self.assignment.worker.as_deref()).unwrap_or_default().to_owned();
        let is_recorded = self.is_recorded("record");
        self.dial(reader, &to, is_recorded, participants)
    }

    fn dial(
        &self,
        reader: &mut Reader<'_>,
        to: &str,
        record: bool,
        participants: u32,
    ) -> Result<(), Refusal> {
        let from = self.text("from")?.or(self.assignment.called.as_deref());
        let recipient = Recipient::parse(to);
        let call = AssignedCall {
            to: recipient,
            from: from.and_then(|from| PhoneNumber::parse(from).ok()),
            record,
            participants,
            conference_record: participants == 2 && self.is_recorded("conference_record"),
        };
        let charge = call.charge(reader.book()?).map_err(|why| Refusal::UnknownPrice(why.to_string()))?;
        reader.step(Step {
            kind: Kind::Assigned,
            charge,
            to: Some(to.to_owned()),
            from: from.map(str::to_owned),
            destination: recipient.phone(),
        })
    }
}

/// Whether something that is no JSON object might be taken for an instruction by a reader that is kinder, or that finds out by
/// itself how it is encoded.
fn may_instruct(bytes: &[u8]) -> bool {
    const WORD: &[u8] = b"instruction";
    bytes.contains(&0)
        || bytes.contains(&b'\\')
        || bytes.windows(WORD.len()).any(|part| part.eq_ignore_ascii_case(WORD))
}

/// An object, with all its names as they stand there.
struct Said(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Said;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Said, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Said(fields))
            }
        }

        deserializer.deserialize_map(Names)
    }
}
