//! An answer of an application on a route with `twiml = "limits"`, on its way to Twilio.
//!
//! What Twilio carries out, or may, is read whole: XML by its content type or its first byte, text, which is sent or spoken,
//! and whatever is of a type of which Twilio does not say what it does with it. Files of sound and pictures alone stream
//! through. What cannot be read in one way alone is refused, and whoever hears the refusal is Twilio: so it is TwiML that ends
//! the call kindly.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, LAST_MODIFIED,
    LOCATION,
};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use ringfence_model::Sid;
use ringfence_twilio::twiml::{Document, NewAttribute};
use tokio::time::{Instant, timeout_at};

use super::admit::{Asker, Taken, admit, tripped_limit};
use super::assignment::{self, Assignment};
use super::price::{self, Around, Worth};
use super::url::{self, Base, Leads};
use super::webhook::{Webhook, received};
use crate::admission::VerifiedWebhook;
use crate::egress::{EgressRules, KnownAccount, Refusal};
use crate::http_rules;
use crate::settings::Twiml;
use crate::snapshot::{ActiveRoute, Snapshot};
use crate::upstream::{Answer, AnswerBody, Stage, UpstreamError};
use crate::worker::Worker;

/// Twilio takes no longer documents: <https://www.twilio.com/docs/api/errors/11750>.
const BYTES_MAX: usize = 64 * 1024;
/// The same on every repeat of one webhook: <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>.
pub(crate) const IDEMPOTENCY_TOKEN: &str = "i-twilio-idempotency-token";

/// Whether an answer leads to something that costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Costs {
    Nothing,
    Something,
}

/// One webhook whose answer is held.
#[derive(Clone, Copy)]
pub(crate) struct Holding<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) active: &'a ActiveRoute,
    pub(crate) webhook: &'a VerifiedWebhook,
    pub(crate) parts: &'a Parts,
    pub(crate) deadline: Instant,
}

/// Why an answer is not passed on as it is.
enum Trouble {
    Refused(Refusal),
    Upstream(UpstreamError),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What is answered without asking the application: a call that comes in for an account of which nothing may pass any
/// more is rejected.
pub(crate) async fn before(holding: &Holding<'_>) -> Option<Answer> {
    if holding.active.route.twiml != Twiml::Limits {
        return None;
    }
    let webhook = holding.webhook();
    if !webhook.is_ringing_here() {
        return None;
    }
    let (account, known) = holding.account().ok()?;
    let end = &holding.worker.shared.egress;
    let rules = end.rules.load_full()?;
    let limit = tripped_limit(end, &rules, account, known, holding.deadline).await?;
    let refusal = Refusal::Tripped { limit, until: None };
    Some(holding.refuse(&webhook, &refusal))
}

/// Holds an answer to the limits of its route.
pub(crate) async fn hold(holding: &Holding<'_>, answer: Answer) -> Result<(Answer, Costs), UpstreamError> {
    let is_carried_out = !answer.status.is_client_error() && !answer.status.is_server_error();
    let is_held = holding.active.route.twiml == Twiml::Limits && holding.parts.method != Method::HEAD;
    if !is_held || !is_carried_out {
        return Ok((answer, Costs::Nothing));
    }
    let webhook = holding.webhook();
    match holding.held(&webhook, answer).await {
        Ok((answer, outcome)) => {
            holding.active.metrics.twiml(outcome);
            let costs = if outcome == "free" { Costs::Nothing } else { Costs::Something };
            Ok((answer, costs))
        }
        Err(Trouble::Refused(refusal)) => Ok((holding.refuse(&webhook, &refusal), Costs::Nothing)),
        Err(Trouble::Upstream(error)) => Err(error),
    }
}

impl<'a> Holding<'a> {
    fn webhook(&self) -> Webhook {
        Webhook::read(&self.active.route, &received(self.parts, self.webhook))
    }

    /// The account whose key signed.
    fn account(&self) -> Result<(Sid, &'a KnownAccount), Refusal> {
        let account = self.webhook.account().and_then(|account| Sid::parse(account.as_str()).ok());
        let accounts = self.snapshot.egress.as_ref().map(|egress| &egress.accounts);
        account
            .and_then(|account| Some((account, accounts?.get(&account)?)))
            .ok_or(Refusal::NotReady("nothing is known of the account of this webhook"))
    }

    async fn held(&self, webhook: &Webhook, answer: Answer) -> Result<(Answer, &'static str), Trouble> {
        let Answer { status, headers, body } = answer;
        let (authority, target) = self.asked_at();
        let base =
            Base { scheme: self.active.route.public_url.scheme(), authority: &authority, target: &target };
        if status.is_redirection() {
            return self.redirected(Answer { status, headers, body }, base);
        }
        let content = Content::of(&headers)?;
        // TaskRouter reads its instruction whatever that is called.
        let is_passed = content == Content::File && webhook.assignment().is_none();
        if is_passed && body.as_whole().is_none_or(|whole| !looks_like_xml(whole)) {
            return Ok((Answer { status, headers, body }, "free"));
        }
        if headers.get(CONTENT_ENCODING).is_some_and(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(unreadable("it is encoded, although nobody said that it may be"));
        }
        let bytes = self.whole(body).await?;
        let rules = self.worker.shared.egress.rules.load_full();
        let account = self.account();
        let book = match (&rules, &account) {
            (Some(rules), Ok((account, _))) => rules.book(*account).map(Arc::as_ref),
            _ => None,
        };
        let passes = self.snapshot.egress.as_ref().map(|egress| &egress.settings);
        let around = Around {
            book,
            routes: &self.snapshot.routes,
            base: Some(base),
            passes_foreign: passes.is_some_and(|it| it.passes_foreign_twiml),
            passes_unknown: passes.is_some_and(|it| it.passes_unknown_twiml),
            conversation: webhook.conversation(),
            seconds: None,
        };
        // TaskRouter takes no XML, and nothing else takes JSON.
        let read = match webhook.assignment().filter(|_| !looks_like_xml(&bytes)) {
            Some(assignment) => instructed(&bytes, &headers, assignment, &around).map(|worth| (None, worth)),
            None => priced(webhook, content, &bytes, &headers, &around),
        };
        let (document, worth) = read.map_err(|trouble| match (trouble, &rules, &account) {
            (Trouble::Refused(refusal), Some(rules), Ok((account, _))) => {
                Trouble::Refused(rules.refusal(*account, refusal))
            }
            (trouble, ..) => trouble,
        })?;
        if worth.steps.is_empty() {
            return Ok((Answer { status, headers, body: AnswerBody::whole(bytes) }, "free"));
        }
        let taken = self.take(webhook, rules.as_deref(), account, &worth).await?;
        let answer = costly(status, headers, bytes, document.as_ref(), &worth.changes);
        Ok((answer, if taken == Taken::Now { "taken" } else { "taken_before" }))
    }

    /// Twilio follows redirects to wherever they lead.
    fn redirected(&self, answer: Answer, base: Base<'_>) -> Result<(Answer, &'static str), Trouble> {
        let mut places = answer.headers.get_all(LOCATION).iter();
        let leads = match (places.next(), places.next()) {
            (Some(place), None) => place.to_str().is_ok_and(|place| {
                // Some statuses keep the method and others make it GET: wherever either leads, it must be held.
                let routes = &self.snapshot.routes;
                let either =
                    [Method::POST, Method::GET].map(|method| url::leads(place, &method, Some(base), routes));
                either.contains(&Leads::Held) && !either.contains(&Leads::Passed)
            }),
            _ => false,
        };
        let passes = self.snapshot.egress.as_ref().is_some_and(|egress| egress.settings.passes_foreign_twiml);
        if leads || passes {
            Ok((answer, "free"))
        } else {
            Err(Refusal::ForeignTwiml("Location".to_owned()).into())
        }
    }

    /// Host, and path and query, of the URL under which Twilio asked: relative URLs lead there.
    fn asked_at(&self) -> (String, String) {
        let public = &self.active.route.public_url;
        let (authority, shown) = (public.authority(), public.to_string());
        let prefix = shown.get(public.scheme().len() + "://".len() + authority.len()..).unwrap_or_default();
        let target = format!("{prefix}{}", http_rules::target(self.parts));
        (authority, target)
    }

    async fn whole(&self, mut body: AnswerBody) -> Result<Bytes, Trouble> {
        if let Some(whole) = body.as_whole() {
            let whole = whole.clone();
            return if whole.len() > BYTES_MAX { Err(too_large()) } else { Ok(whole) };
        }
        let mut read = BytesMut::new();
        loop {
            let frame = timeout_at(self.deadline, Pin::new(&mut body).frame()).await;
            match frame.map_err(|_| Trouble::Upstream(UpstreamError::TimedOut(Stage::Body)))? {
                None => return Ok(read.freeze()),
                Some(Err(error)) => return Err(Trouble::Upstream(error)),
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    if read.len() + data.len() > BYTES_MAX {
                        return Err(too_large());
                    }
                    read.extend_from_slice(&data);
                }
            }
        }
    }

    async fn take(
        &self,
        webhook: &Webhook,
        rules: Option<&EgressRules>,
        account: Result<(Sid, &KnownAccount), Refusal>,
        worth: &Worth,
    ) -> Result<Taken, Refusal> {
        let (account, known) = account?;
        let rules = rules.ok_or(Refusal::NotReady("limits and prices are not known yet"))?;
        let subject =
            webhook.subject().ok_or(Refusal::NotReady("the webhook is about no call and no message"))?;
        // A repeat has the token of the first. Without one nothing tells a repeat from a loop that asks the same again.
        // A reservation of a task is asked about once.
        let of_task = webhook.assignment().map(|_| &b"assignment"[..]);
        let occasion = self.parts.headers.get(IDEMPOTENCY_TOKEN).map(HeaderValue::as_bytes).or(of_task);
        let asker = Asker { account, known, subject, occasion };
        admit(&self.worker.shared.egress, rules, &asker, &worth.steps, self.deadline).await
    }

    /// Says no in a way that Twilio carries out: the caller hears that the call is over, nothing is sent.
    fn refuse(&self, webhook: &Webhook, refusal: &Refusal) -> Answer {
        const REJECT: &str = "<Response><Reject reason=\"busy\"/></Response>";
        const OVER: &str =
            "<Response><Say>We are sorry, this call cannot go on. Goodbye.</Say><Hangup/></Response>";
        const NOTHING: &str = "<Response/>";
        // The reservation is left as it is, until it is accepted in another way or its time is over.
        const NO_INSTRUCTION: &str = "{}";
        self.active.metrics.twiml(refusal.as_str());
        tracing::info!(
            route = &*self.active.route.label,
            reason = refusal.as_str(),
            limit = refusal.limit(),
            about = refusal.about(),
            account = self.webhook.account().map(tracing::field::display),
            answers = webhook.subject().map(tracing::field::display),
            "an application's answer was not passed on to Twilio"
        );
        let is_instruction = webhook.assignment().is_some();
        let twiml = match webhook {
            _ if is_instruction => NO_INSTRUCTION,
            _ if webhook.is_ringing_here() => REJECT,
            _ if webhook.is_call() => OVER,
            _ => NOTHING,
        };
        let mut headers = HeaderMap::new();
        let kind = if is_instruction { "application/json" } else { "text/xml; charset=utf-8" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONTENT_LENGTH, twiml.len().into());
        let body = AnswerBody::whole(Bytes::from_static(twiml.as_bytes()));
        Answer { status: StatusCode::OK, headers, body }
    }
}

/// What a body leads to, and the document that it is, where it is one.
fn priced(
    webhook: &Webhook,
    content: Content,
    bytes: &Bytes,
    headers: &HeaderMap,
    around: &Around<'_>,
) -> Result<(Option<Document>, Worth), Trouble> {
    if bytes.trim_ascii().is_empty() {
        return Ok((None, Worth::default()));
    }
    // Many an application says "OK" to a status callback, of which Twilio takes no notice.
    let is_document = content == Content::Document && !(webhook.is_status() && is_short_word(bytes));
    if is_document || looks_like_xml(bytes) {
        let document = Document::read(bytes).map_err(|error| Refusal::UnreadableTwiml(error.to_string()))?;
        if charset(headers).is_some_and(|name| !document.is_also(&name)) {
            return Err(unreadable("it is in another encoding than its content type says"));
        }
        let worth = price::of(&document.root, around)?;
        return Ok((Some(document), worth));
    }
    // A text is spoken in a call, and sent to whoever has written.
    if content == Content::Json || !(webhook.is_message() || webhook.is_torn()) {
        return Ok((None, Worth::default()));
    }
    if webhook.is_torn() {
        return Err(unreadable(
            "its webhook can be read in two ways, and nobody can say whether its text is sent",
        ));
    }
    let text = plain_text(bytes, charset(headers).as_deref())?;
    Ok((None, price::of_text(text.trim_matches([' ', '\t', '\r', '\n']), around)?))
}

/// What an instruction to `TaskRouter` leads to.
fn instructed(
    bytes: &[u8],
    headers: &HeaderMap,
    assignment: &Assignment,
    around: &Around<'_>,
) -> Result<Worth, Trouble> {
    // JSON is UTF-8 where nothing else is said, and is not read by another name for it.
    let charset = charset(headers).unwrap_or_else(|| "utf-8".to_owned());
    plain_text(bytes, Some(&charset))
        .map_err(|_| unreadable("it is an instruction in another encoding than UTF-8"))?;
    // It is no document, against whose URL one could be read that is not whole.
    Ok(assignment::of(bytes, assignment, &Around { base: None, ..*around })?)
}

/// A text whose length every reader takes for the same: ASCII, or UTF-8 that is called so.
fn plain_text<'b>(bytes: &'b [u8], charset: Option<&str>) -> Result<&'b str, Trouble> {
    let is_known = match charset {
        Some("utf-8" | "utf8") => true,
        None | Some("us-ascii" | "ascii" | "iso-8859-1" | "latin1" | "windows-1252") => bytes.is_ascii(),
        Some(_) => false,
    };
    let text = std::str::from_utf8(bytes).ok().filter(|_| is_known);
    text.ok_or_else(|| unreadable("nobody can say how long its text is: send it as UTF-8, and say so"))
}

/// An answer that costs something: with what must be changed in it, and never kept by Twilio, which would carry it out
/// again without asking.
fn costly(
    status: StatusCode,
    mut headers: HeaderMap,
    bytes: Bytes,
    document: Option<&Document>,
    changes: &[NewAttribute],
) -> Answer {
    for name in [ETAG, EXPIRES, LAST_MODIFIED] {
        headers.remove(name);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let bytes = match document.filter(|_| !changes.is_empty()) {
        Some(document) => Bytes::from(document.with(changes)),
        None => bytes,
    };
    if headers.contains_key(CONTENT_LENGTH) {
        headers.insert(CONTENT_LENGTH, bytes.len().into());
    }
    Answer { status, headers, body: AnswerBody::whole(bytes) }
}

/// What Twilio does with a body of this type: <https://www.twilio.com/docs/voice/twiml#twilio-understands-mime-types>,
/// and of others than those <https://www.twilio.com/docs/api/errors/12300>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Carries it out.
    Document,
    /// Speaks or sends it, or does something that it does not say: carries it out, for all that anybody knows, where it
    /// is XML.
    Text,
    /// Takes it for no answer to a call or a message.
    Json,
    /// Plays it, or fetches it for a message.
    File,
}

impl Content {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        let (Some(first), None) = (types.next(), types.next()) else {
            return if headers.contains_key(CONTENT_TYPE) {
                Err(Refusal::UnreadableTwiml("it has two content types".to_owned()))
            } else {
                Ok(Self::Text)
            };
        };
        let text = String::from_utf8_lossy(first.as_bytes()).to_ascii_lowercase();
        if text.contains("xml") || text.contains("html") {
            return Ok(Self::Document);
        }
        // What is no type as RFC 9110, section 8.3.1, writes one is one that nobody knows.
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+._".contains(&byte))
        };
        let named = text.split(';').next().unwrap_or_default().trim();
        Ok(match named.split_once('/') {
            Some(("audio" | "video" | "image", kind)) if is_name(kind) => Self::File,
            Some(("application", kind)) if kind == "json" || is_name(kind) && kind.ends_with("+json") => {
                Self::Json
            }
            _ => Self::Text,
        })
    }
}

/// The encoding that a content type names, or all of them where it names several, which is none that anybody knows.
fn charset(headers: &HeaderMap) -> Option<String> {
    let text = String::from_utf8_lossy(headers.get(CONTENT_TYPE)?.as_bytes()).to_ascii_lowercase();
    let named: Vec<&str> = text
        .split(';')
        .skip(1)
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.trim() == "charset")
        .map(|(_, value)| value.trim().trim_matches(['"', '\'']))
        .collect();
    (!named.is_empty()).then(|| named.join(";"))
}

/// Whether it begins as XML does, in whatever encoding.
fn looks_like_xml(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    matches!(bytes, [b'<', ..] | [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, b'<', ..])
}

/// Whether it is a word or two that no encoding makes a document of, as `OK` and `{"ok":true}` are.
fn is_short_word(bytes: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" \t\r\n.,:!_-\"{}".contains(byte);
    bytes.len() <= 100 && bytes.iter().all(is_plain)
}

fn too_large() -> Trouble {
    unreadable("it is longer than Twilio takes")
}

fn unreadable(why: &str) -> Trouble {
    Trouble::Refused(Refusal::UnreadableTwiml(why.to_owned()))
}
