//! Calls: <https://www.twilio.com/docs/voice/api/call-resource>.

use std::fmt;

use jiff::Timestamp;
use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::{Operation, in_account};
use super::super::{Client, Error, Pages};
use super::{WebhookMethod, push_span};
use crate::wire::{Call, CallStatus, Form};

/// The calls of an account: `client.calls(account)`.
#[derive(Debug, Clone, Copy)]
pub struct Calls<'c> {
    client: &'c Client,
    account: Sid,
}

/// What happens in a call.
#[derive(Clone, PartialEq, Eq)]
pub enum Instructions {
    /// The TwiML that this URL answers.
    Url(String),
    /// This TwiML, at most 4,000 characters.
    Twiml(String),
    /// What the voice URL of an application answers: `AP…`.
    Application(Sid),
}

/// A call to be made. Its `Debug` shows which fields are given, and neither numbers nor what is said.
#[derive(Clone)]
pub struct NewCall {
    /// Who is called.
    pub to: String,
    /// Who calls: a number of the account, or one that it verified.
    pub from: String,
    /// What happens when somebody answers.
    pub instructions: Instructions,
    /// How the URL is asked; without it `POST`.
    pub method: Option<WebhookMethod>,
    /// Asked when the URL fails.
    pub fallback_url: Option<String>,
    /// How it is asked.
    pub fallback_method: Option<WebhookMethod>,
    /// Who is told what becomes of the call.
    pub status_callback: Option<String>,
    /// How they are told.
    pub status_callback_method: Option<WebhookMethod>,
    /// Of what: `initiated`, `ringing`, `answered`, `completed`; none is `completed`.
    pub status_callback_events: Vec<String>,
    /// How long it may ring, in seconds: at most 600; without it 60.
    pub timeout_s: Option<u32>,
    /// How long it may last, in seconds; without it four hours. It bounds what the call can cost.
    pub time_limit_s: Option<u32>,
    /// Keys pressed after somebody answered; `w` is half a second.
    pub send_digits: Option<String>,
    /// Whether it finds out if a machine answered: `Enable`, `DetectMessageEnd`.
    pub machine_detection: Option<String>,
    /// Whether it is recorded.
    pub record: Option<bool>,
    /// Who is told that the recording is there.
    pub recording_status_callback: Option<String>,
    /// Who appears as the caller, where it is passed on.
    pub caller_id: Option<String>,
    /// Why it is made, for the phone to show.
    pub call_reason: Option<String>,
}

/// Which calls a list has.
#[derive(Debug, Clone, Default)]
pub struct CallFilter {
    /// Those to this number.
    pub to: Option<String>,
    /// Those from this number.
    pub from: Option<String>,
    /// Those that this call made.
    pub parent_call_sid: Option<Sid>,
    /// Those that stand so.
    pub status: Option<CallStatus>,
    /// Those begun at this time or later.
    pub started_since: Option<Timestamp>,
    /// Those begun at this time or before.
    pub started_until: Option<Timestamp>,
    /// Those ended at this time or later.
    pub ended_since: Option<Timestamp>,
    /// Those ended at this time or before.
    pub ended_until: Option<Timestamp>,
}

/// What happens in a call from now on.
#[derive(Clone, Default)]
pub struct CallUpdate {
    /// It goes on with the TwiML that this URL answers.
    pub url: Option<String>,
    /// It goes on with this TwiML, at most 4,000 characters; a URL goes before it.
    pub twiml: Option<String>,
    /// How the URL is asked.
    pub method: Option<WebhookMethod>,
    /// Asked when the URL fails.
    pub fallback_url: Option<String>,
    /// How it is asked.
    pub fallback_method: Option<WebhookMethod>,
    /// Who is told what becomes of the call.
    pub status_callback: Option<String>,
    /// How they are told.
    pub status_callback_method: Option<WebhookMethod>,
    /// How long it may last, in seconds.
    pub time_limit_s: Option<u32>,
}

impl Client {
    /// The calls of an account.
    pub fn calls(&self, account: Sid) -> Calls<'_> {
        Calls { client: self, account }
    }
}

impl Calls<'_> {
    /// Calls somebody. It never calls twice: where the answer is lost, the error says so, and the call may be found
    /// in the list.
    pub async fn create(&self, new: &NewCall) -> Result<Call, Error> {
        let path = in_account(self.account, "Calls");
        self.client.json(Operation::once("calls.create", Api, path, new.form())).await
    }

    /// One of them.
    pub async fn fetch(&self, call: Sid) -> Result<Call, Error> {
        self.client.json(Operation::get("calls.fetch", Api, &self.path(call), &Form::new())).await
    }

    /// All of them, the newest first.
    pub fn list(&self, filter: &CallFilter) -> Pages<Call> {
        let mut query = Form::new();
        query.push_some("To", filter.to.as_deref());
        query.push_some("From", filter.from.as_deref());
        query.push_some("ParentCallSid", filter.parent_call_sid.map(|sid| sid.to_string()));
        query.push_some("Status", filter.status.as_ref().map(CallStatus::as_str));
        push_span(&mut query, "StartTime", filter.started_since, filter.started_until);
        push_span(&mut query, "EndTime", filter.ended_since, filter.ended_until);
        let path = in_account(self.account, "Calls");
        Pages::new(self.client, "calls.list", Api, path, query, "calls")
    }

    /// Ends a call, wherever it stands.
    pub async fn end(&self, call: Sid) -> Result<Call, Error> {
        self.set_status("calls.end", call, "completed").await
    }

    /// Takes a call back that nobody answered yet; one that somebody answered goes on.
    pub async fn cancel(&self, call: Sid) -> Result<Call, Error> {
        self.set_status("calls.cancel", call, "canceled").await
    }

    /// Leads a call elsewhere. It is asked for once only: a second time would begin the new TwiML anew.
    pub async fn update(&self, call: Sid, update: &CallUpdate) -> Result<Call, Error> {
        let operation = Operation::once("calls.update", Api, self.path(call), update.form());
        self.client.json(operation).await
    }

    /// Removes the record of a call.
    pub async fn delete(&self, call: Sid) -> Result<(), Error> {
        self.client.empty(Operation::delete("calls.delete", Api, self.path(call))).await
    }

    async fn set_status(&self, name: &'static str, call: Sid, status: &str) -> Result<Call, Error> {
        let form = [("Status", status)].into_iter().collect();
        self.client.json(Operation::set(name, Api, self.path(call), form)).await
    }

    fn path(&self, call: Sid) -> String {
        in_account(self.account, &format!("Calls/{call}"))
    }
}

impl fmt::Debug for Instructions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Url(_) => "Url(…)",
            Self::Twiml(_) => "Twiml(…)",
            Self::Application(_) => "Application(…)",
        })
    }
}

impl NewCall {
    /// A call with Twilio's defaults.
    pub fn new(to: impl Into<String>, from: impl Into<String>, instructions: Instructions) -> Self {
        Self {
            to: to.into(),
            from: from.into(),
            instructions,
            method: None,
            fallback_url: None,
            fallback_method: None,
            status_callback: None,
            status_callback_method: None,
            status_callback_events: Vec::new(),
            timeout_s: None,
            time_limit_s: None,
            send_digits: None,
            machine_detection: None,
            record: None,
            recording_status_callback: None,
            caller_id: None,
            call_reason: None,
        }
    }

    fn form(&self) -> Form {
        let mut form = Form::new();
        form.push("To", &self.to);
        form.push("From", &self.from);
        match &self.instructions {
            Instructions::Url(url) => form.push("Url", url),
            Instructions::Twiml(twiml) => form.push("Twiml", twiml),
            Instructions::Application(sid) => form.push("ApplicationSid", sid.to_string()),
        }
        form.push_some("Method", self.method.map(WebhookMethod::as_str));
        form.push_some("FallbackUrl", self.fallback_url.as_deref());
        form.push_some("FallbackMethod", self.fallback_method.map(WebhookMethod::as_str));
        form.push_some("StatusCallback", self.status_callback.as_deref());
        form.push_some("StatusCallbackMethod", self.status_callback_method.map(WebhookMethod::as_str));
        for event in &self.status_callback_events {
            form.push("StatusCallbackEvent", event);
        }
        form.push_some("Timeout", self.timeout_s.map(|it| it.to_string()));
        form.push_some("TimeLimit", self.time_limit_s.map(|it| it.to_string()));
        form.push_some("SendDigits", self.send_digits.as_deref());
        form.push_some("MachineDetection", self.machine_detection.as_deref());
        form.push_some("Record", self.record.map(|it| it.to_string()));
        form.push_some("RecordingStatusCallback", self.recording_status_callback.as_deref());
        form.push_some("CallerId", self.caller_id.as_deref());
        form.push_some("CallReason", self.call_reason.as_deref());
        form
    }
}

impl fmt::Debug for NewCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("NewCall").field(&self.form()).finish()
    }
}

impl CallUpdate {
    fn form(&self) -> Form {
        let mut form = Form::new();
        form.push_some("Url", self.url.as_deref());
        form.push_some("Twiml", self.twiml.as_deref());
        form.push_some("Method", self.method.map(WebhookMethod::as_str));
        form.push_some("FallbackUrl", self.fallback_url.as_deref());
        form.push_some("FallbackMethod", self.fallback_method.map(WebhookMethod::as_str));
        form.push_some("StatusCallback", self.status_callback.as_deref());
        form.push_some("StatusCallbackMethod", self.status_callback_method.map(WebhookMethod::as_str));
        form.push_some("TimeLimit", self.time_limit_s.map(|it| it.to_string()));
        form
    }
}

impl fmt::Debug for CallUpdate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("CallUpdate").field(&self.form()).finish()
    }
}
