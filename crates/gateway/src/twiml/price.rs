//! What a document can lead to, each thing with its worst price, and what must be changed in it so that it costs no more.
//!
//! A function of its arguments. The one idea: an element is known with all its attributes, or it is unknown; a
//! known one costs nothing beyond the call, or becomes a typed value that the price book makes a charge of.

use http::Method;
use ringfence_breaker::charge::{Body, Dial, Media, Message, Noun, Recipient, Sender, TimeLimit, Verb};
use ringfence_breaker::{Charge, PriceBook};
use ringfence_model::PhoneNumber;
use ringfence_twilio::twiml::{Element, NewAttribute, Node};

use super::known;
use super::url::{self, Base, Leads};
use super::values::{is_on, is_recorded, seconds, whole};
use crate::egress::Refusal;
use crate::snapshot::ActiveRoute;

/// More things than a document that is meant honestly leads to.
const STEPS_MAX: usize = 100;
/// How long Twilio listens to somebody who speaks, beside the time until he begins.
const SPEECH_SECONDS: u64 = 60;

/// What is known of whoever runs the document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    /// What things cost; nothing while that is not known.
    pub(crate) book: Option<&'a PriceBook>,
    pub(crate) routes: &'a [ActiveRoute],
    /// Where the document comes from, if Twilio fetched it.
    pub(crate) base: Option<Base<'a>>,
    pub(crate) passes_foreign: bool,
    pub(crate) passes_unknown: bool,
    pub(crate) conversation: Conversation<'a>,
    /// How long a call may still take, where that is known.
    pub(crate) seconds: Option<u64>,
}

/// The call or the message that the document is for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Conversation<'a> {
    /// To whom a message goes that names nobody: who has written or called.
    pub(crate) them: Option<&'a str>,
    /// From which number.
    pub(crate) us: Option<&'a str>,
    /// The number that a `Dial` shows which names none, where that is known.
    pub(crate) caller: Option<PhoneNumber>,
    /// Whether a Messaging Service answers.
    pub(crate) service: bool,
}

/// What a document leads to.
#[derive(Debug, Default)]
pub(crate) struct Worth {
    /// Each thing that costs something.
    pub(crate) steps: Vec<Step>,
    /// What must be changed, or it could cost more.
    pub(crate) changes: Vec<NewAttribute>,
}

/// One thing that costs something.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) charge: Charge,
    /// Whom it reaches, as it stands.
    pub(crate) to: Option<String>,
    /// As whom, where that is known.
    pub(crate) from: Option<String>,
    /// The telephone that it reaches.
    pub(crate) destination: Option<PhoneNumber>,
}

/// What is made at Twilio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A call, in Twilio's list of calls.
    Call,
    /// A message, in Twilio's list of messages.
    Message,
    /// A call that `TaskRouter` makes, in the same list.
    Assigned,
    /// What only usage records tell of.
    Other,
}

impl Kind {
    /// As a reservation has it.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Call => "twiml.call",
            Self::Message => "twiml.message",
            Self::Assigned => "taskrouter.call",
            Self::Other => "twiml.other",
        }
    }
}

/// Prices a document.
pub(crate) fn of(root: &Element, around: &Around<'_>) -> Result<Worth, Refusal> {
    let mut reader = Reader::new(around);
    reader.children(root, |reader, verb| reader.verb(verb))?;
    reader.done()
}

/// Prices a text that is answered to a message: Twilio sends it.
pub(crate) fn of_text(text: &str, around: &Around<'_>) -> Result<Worth, Refusal> {
    let mut reader = Reader::new(around);
    reader.message_of(None, None, text, 0)?;
    reader.done()
}

pub(super) struct Reader<'a> {
    around: &'a Around<'a>,
    worth: Worth,
    other: Charge,
}

impl<'a> Reader<'a> {
    pub(super) fn new(around: &'a Around<'a>) -> Self {
        Self { around, worth: Worth::default(), other: Charge::default() }
    }

    pub(super) fn done(mut self) -> Result<Worth, Refusal> {
        if !self.other.lines.is_empty() {
            let charge = std::mem::take(&mut self.other);
            self.step(Step { kind: Kind::Other, charge, to: None, from: None, destination: None })?;
        }
        Ok(self.worth)
    }

    pub(super) fn step(&mut self, step: Step) -> Result<(), Refusal> {
        if self.worth.steps.len() >= STEPS_MAX {
            return Err(Refusal::UnknownTwiml(format!(
                "it leads to more than {STEPS_MAX} calls and messages"
            )));
        }
        self.worth.steps.push(step);
        Ok(())
    }

    /// Every element directly in another, which is known itself.
    fn children(
        &mut self,
        parent: &Element,
        mut read: impl FnMut(&mut Self, &Element) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.check_attributes(parent)?;
        for node in &parent.nodes {
            match node {
                Node::Element(element) => read(self, element)?,
                Node::Text(text) if text.trim().is_empty() => {}
                Node::Text(_) => self.unknown(|| format!("text directly in <{}>", parent.name))?,
            }
        }
        Ok(())
    }

    /// An element in which only text may stand.
    fn leaf(&mut self, element: &Element) -> Result<(), Refusal> {
        self.check_attributes(element)?;
        let inner = element.elements().next();
        inner.map_or(Ok(()), |inner| self.unknown(|| format!("<{}> in <{}>", inner.name, element.name)))
    }

    pub(super) fn unknown(&self, what: impl FnOnce() -> String) -> Result<(), Refusal> {
        if self.around.passes_unknown { Ok(()) } else { Err(Refusal::UnknownTwiml(what())) }
    }

    fn unknown_in(&self, element: &Element, parent: &Element) -> Result<(), Refusal> {
        self.unknown(|| format!("<{}> in <{}>", element.name, parent.name))
    }

    fn check_attributes(&self, element: &Element) -> Result<(), Refusal> {
        let is_known = |name: &str| {
            known::is_of_schema(name)
                || known::attributes(&element.name).is_some_and(|mut it| it.any(|known| known == name))
        };
        match element.attributes.iter().find(|(name, _)| !is_known(name)) {
            Some((name, _)) => self.unknown(|| format!("<{} {name}>", element.name)),
            None => Ok(()),
        }
    }

    pub(super) fn book(&self) -> Result<&'a PriceBook, Refusal> {
        self.around.book.ok_or(Refusal::NotReady("limits and prices are not known yet"))
    }

    /// How long what goes on with the call may take.
    fn seconds(&self) -> Result<u64, Refusal> {
        // A call that came in has no limit of ours.
        let most = u64::from(self.book()?.assumed().longest());
        Ok(self.around.seconds.unwrap_or(most))
    }

    /// An attribute whose URL Twilio asks for TwiML.
    fn leads_here(&self, element: &Element, attribute: &str) -> Result<(), Refusal> {
        let beside = match attribute {
            "waitUrl" if element.name == "Enqueue" => "waitUrlMethod",
            "waitUrl" => "waitMethod",
            "referUrl" => "referMethod",
            _ => "method",
        };
        let place = || format!("{} {attribute}", element.name);
        element
            .attribute(attribute)
            .map_or(Ok(()), |url| self.url_leads_here(url, element.attribute(beside), place))
    }

    /// It leads to a route that is held to the limits, with the method with which Twilio asks: POST where none is said.
    pub(super) fn url_leads_here(
        &self,
        url: &str,
        method: Option<&str>,
        place: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        let method = match method.map(str::trim) {
            None | Some("") => Some(Method::POST),
            Some(said) => {
                [Method::POST, Method::GET].into_iter().find(|it| said.eq_ignore_ascii_case(it.as_str()))
            }
        };
        let Around { base, routes, passes_foreign, .. } = *self.around;
        // An empty one is the document's own.
        let is_own = url.trim().is_empty() && base.is_none();
        let leads =
            method.is_some_and(|method| is_own || url::leads(url, &method, base, routes) == Leads::Held);
        if leads || passes_foreign { Ok(()) } else { Err(Refusal::ForeignTwiml(place())) }
    }

    fn charge(&mut self, verb: Verb) -> Result<(), Refusal> {
        let charge = verb.charge(self.book()?).map_err(|why| Refusal::UnknownPrice(why.to_string()))?;
        let before = std::mem::take(&mut self.other);
        self.other = before.and(charge);
        Ok(())
    }

    fn verb(&mut self, element: &Element) -> Result<(), Refusal> {
        match element.name.as_str() {
            "Say" | "Play" | "Pause" => self.prompt(element),
            "Echo" | "Hangup" | "Leave" => self.leaf(element),
            "Reject" => self.children(element, |reader, inner| match inner.name.as_str() {
                "Parameter" => reader.leaf(inner),
                _ => reader.unknown_in(inner, element),
            }),
            "Redirect" => {
                self.leaf(element)?;
                whole(element)?;
                self.url_leads_here(&element.text(), element.attribute("method"), || "Redirect".to_owned())
            }
            "Gather" => self.gather(element),
            "Record" => self.record(element),
            "Dial" => self.dial(element),
            "Message" | "Sms" => self.message(element),
            "Refer" => {
                self.leads_here(element, "action")?;
                self.charge(Verb::Refer)?;
                self.children(element, |reader, inner| match inner.name.as_str() {
                    "Sip" | "ReferSip" => reader.leaf(inner),
                    _ => reader.unknown_in(inner, element),
                })
            }
            "Enqueue" => self.enqueue(element),
            "Pay" => self.pay(element),
            "Connect" | "Start" => {
                self.leads_here(element, "action")?;
                self.children(element, Self::media)
            }
            "Stop" => self.children(element, |reader, inner| match inner.name.as_str() {
                "Stream" | "Siprec" | "Transcription" | "Recording" => reader.leaf(inner),
                _ => reader.unknown_in(inner, element),
            }),
            name => self.unknown(|| format!("<{name}>")),
        }
    }

    /// What may also stand in `Gather` and `Prompt`.
    fn prompt(&mut self, element: &Element) -> Result<(), Refusal> {
        match element.name.as_str() {
            "Say" => self.say(element),
            "Play" | "Pause" => self.leaf(element),
            name => self.unknown(|| format!("<{name}> as a prompt")),
        }
    }

    fn say(&mut self, element: &Element) -> Result<(), Refusal> {
        self.check_attributes(element)?;
        let mut characters = 0_u64;
        self.spoken(element, &mut characters)?;
        let is_premium = !matches!(element.attribute("voice"), None | Some("" | "man" | "woman" | "alice"));
        if !is_premium {
            return Ok(());
        }
        let times = match element.attribute("loop").map(|text| text.trim().parse::<u64>()) {
            None => 1,
            Some(Ok(times)) if times > 0 => times,
            // Until somebody hangs up, and each time takes a second at least.
            Some(_) => self.seconds()?,
        };
        self.charge(Verb::Say { characters: characters.saturating_mul(times), premium: true })
    }

    /// Counts everything that may be spoken: texts, and what SSML has in attributes.
    fn spoken(&self, element: &Element, characters: &mut u64) -> Result<(), Refusal> {
        let mut count = |text: &str| {
            *characters = characters.saturating_add(u64::try_from(text.chars().count()).unwrap_or(u64::MAX));
        };
        for node in &element.nodes {
            match node {
                Node::Text(text) => count(text),
                Node::Element(inner) => {
                    if !known::is_ssml(&inner.name) {
                        self.unknown_in(inner, element)?;
                    }
                    inner.attributes.iter().for_each(|(_, value)| count(value));
                }
            }
        }
        element.elements().try_for_each(|inner| self.spoken(inner, characters))
    }

    fn gather(&mut self, element: &Element) -> Result<(), Refusal> {
        self.leads_here(element, "action")?;
        let input = element.attribute("input").unwrap_or_default().to_ascii_lowercase();
        let words = || input.split(|char: char| !char.is_ascii_alphabetic()).filter(|it| !it.is_empty());
        if words().any(|word| word != "dtmf" && word != "speech") {
            self.unknown(|| "Gather input".to_owned())?;
        }
        if input.contains("speech") {
            let seconds =
                |name: &str| element.attribute(name).and_then(|text| text.trim().parse::<u64>().ok());
            let until_begun = seconds("timeout").unwrap_or(SPEECH_SECONDS);
            let pause = seconds("speechTimeout").unwrap_or(SPEECH_SECONDS);
            let spoken = seconds("maxSpeechTime").unwrap_or(SPEECH_SECONDS).max(SPEECH_SECONDS);
            let seconds = until_begun.saturating_add(spoken).saturating_add(pause);
            self.charge(Verb::Listen { seconds: seconds.min(self.seconds()?) })?;
        }
        self.children(element, Self::prompt)
    }

    fn record(&mut self, element: &Element) -> Result<(), Refusal> {
        self.leads_here(element, "action")?;
        self.leaf(element)?;
        let seconds = match element.attribute("maxLength").map(|text| text.trim().parse::<u64>()) {
            None => 3_600,
            Some(Ok(seconds)) if seconds > 0 => seconds,
            Some(_) => self.seconds()?,
        };
        // A callback for the text asks for it.
        let transcribe = is_on(element, "transcribe") || element.attribute("transcribeCallback").is_some();
        self.charge(Verb::Record { seconds, transcribe })
    }

    fn dial(&mut self, element: &Element) -> Result<(), Refusal> {
        self.leads_here(element, "action")?;
        self.leads_here(element, "referUrl")?;
        self.check_attributes(element)?;
        let own = whole(element)?;
        let mut targets = Vec::new();
        for noun in element.elements() {
            targets.extend(self.noun(noun, element)?);
        }
        if !own.is_empty() {
            if !targets.is_empty() {
                self.unknown(|| "text beside the nouns of <Dial>".to_owned())?;
            }
            targets.push(Target::phone(own));
        }
        if targets.is_empty() {
            return Ok(());
        }
        let shown = element.attribute("callerId").filter(|it| !it.is_empty());
        let from = shown.map_or(self.around.conversation.caller, |shown| PhoneNumber::parse(shown).ok());
        let asked = element.attribute("timeLimit");
        let mut record = is_recorded(element);
        let mut set = None;
        for target in targets {
            let dial = Dial {
                nouns: &[target.noun],
                from,
                time_limit: asked.and_then(seconds),
                before: if target.is_kept { self.seconds()? } else { 0 },
                record: std::mem::take(&mut record),
                conference_record: target.is_recorded,
                machine_detection: target.detects,
            };
            let timed = dial.charge(self.book()?).map_err(|why| Refusal::UnknownPrice(why.to_string()))?;
            if timed.charge.lines.is_empty() {
                continue;
            }
            set = Some(timed.time_limit);
            let kind = if target.to.is_some() { Kind::Call } else { Kind::Other };
            let destination = match target.noun {
                Noun::Party(to) => to.phone(),
                _ => None,
            };
            let from = shown.map(str::to_owned);
            self.step(Step { kind, charge: timed.charge, to: target.to, from, destination })?;
        }
        // In our own writing, unless it is that already.
        let is_so = |limit: &TimeLimit| asked == Some(&*limit.seconds().to_string());
        if let Some(limit) = set.filter(|limit| !is_so(limit)) {
            let (tag, value) = (element.tag.clone(), limit.seconds());
            self.worth.changes.push(NewAttribute { tag, name: "timeLimit", value });
        }
        Ok(())
    }

    fn noun(&mut self, noun: &Element, dial: &Element) -> Result<Option<Target>, Refusal> {
        let mut target = match noun.name.as_str() {
            "Number" => {
                self.leaf(noun)?;
                Target::phone(whole(noun)?)
            }
            "Sip" => {
                self.leaf(noun)?;
                Target::party(whole(noun)?, |to| to == Recipient::Sip)
            }
            "WhatsApp" => {
                self.leaf(noun)?;
                let address = whole(noun)?;
                let has_scheme = address.to_ascii_lowercase().starts_with("whatsapp:");
                Target::party(if has_scheme { address } else { format!("whatsapp:{address}") }, |to| {
                    matches!(to, Recipient::Channel(..))
                })
            }
            "Client" => {
                self.check_attributes(noun)?;
                let mut name = whole(noun)?;
                for inner in noun.elements() {
                    match inner.name.as_str() {
                        "Identity" => name = whole(inner)?,
                        "Parameter" => {}
                        _ => self.unknown_in(inner, noun)?,
                    }
                    self.leaf(inner)?;
                }
                let has_scheme = name.to_ascii_lowercase().starts_with("client:");
                Target::party(if has_scheme { name } else { format!("client:{name}") }, |to| {
                    to == Recipient::Client
                })
            }
            "Conference" => {
                self.leads_here(noun, "waitUrl")?;
                self.leaf(noun)?;
                Target { is_recorded: is_recorded(noun), ..Target::place(Noun::Conference) }
            }
            "Queue" => {
                self.leaf(noun)?;
                Target::place(Noun::Queue)
            }
            "Sim" => {
                self.leaf(noun)?;
                Target::place(Noun::Other)
            }
            "Application" => {
                // Its URLs are Twilio's, and nobody here has seen them.
                if !self.around.passes_foreign {
                    return Err(Refusal::ForeignTwiml("Dial Application".to_owned()));
                }
                Target::place(Noun::Other)
            }
            _ => return self.unknown_in(noun, dial).map(|()| None),
        };
        self.leads_here(noun, "url")?;
        target.is_kept = noun.attribute("url").is_some_and(|url| !url.trim().is_empty());
        target.detects = noun.attribute("machineDetection").is_some();
        Ok(Some(target))
    }

    fn message(&mut self, element: &Element) -> Result<(), Refusal> {
        self.leads_here(element, "action")?;
        self.check_attributes(element)?;
        let (mut text, mut media) = (element.own_text(), 0);
        for inner in element.elements() {
            match inner.name.as_str() {
                "Body" => text.push_str(&inner.own_text()),
                "Media" => media += 1,
                _ => self.unknown_in(inner, element)?,
            }
            self.leaf(inner)?;
        }
        self.message_of(element.attribute("to"), element.attribute("from"), &text, media)
    }

    fn message_of(
        &mut self,
        to: Option<&str>,
        from: Option<&str>,
        text: &str,
        media: usize,
    ) -> Result<(), Refusal> {
        crate::egress::check_length(text).map_err(Refusal::UnknownTwiml)?;
        let Conversation { them, us, service, .. } = self.around.conversation;
        let present = |text: &&str| !text.is_empty();
        let to = to.filter(present).or(them).unwrap_or_default();
        let from = from.filter(present).or(us);
        let recipient = Recipient::parse(to);
        let message = Message {
            messaging_service: service,
            media,
            body: Body::Text(text),
            ..Message::text(recipient, Sender::of(from, service), text)
        };
        let charge = message.charge(self.book()?).map_err(|why| Refusal::UnknownPrice(why.to_string()))?;
        let (to, from) = (Some(to.to_owned()), from.map(str::to_owned));
        self.step(Step { kind: Kind::Message, charge, to, from, destination: recipient.phone() })
    }

    fn enqueue(&mut self, element: &Element) -> Result<(), Refusal> {
        self.leads_here(element, "action")?;
        self.leads_here(element, "waitUrl")?;
        self.check_attributes(element)?;
        let mut task = element.attribute("workflowSid").is_some();
        for inner in element.elements() {
            match inner.name.as_str() {
                "Task" => task = true,
                _ => self.unknown_in(inner, element)?,
            }
            self.leaf(inner)?;
        }
        // The queue's name is text; who waits in it costs no more than the call.
        if task { self.charge(Verb::Enqueue { task }) } else { Ok(()) }
    }

    fn pay(&mut self, element: &Element) -> Result<(), Refusal> {
        self.leads_here(element, "action")?;
        self.charge(Verb::Pay)?;
        self.children(element, |reader, inner| match inner.name.as_str() {
            "Prompt" => reader.children(inner, Self::prompt),
            "Parameter" => reader.leaf(inner),
            _ => reader.unknown_in(inner, element),
        })
    }

    fn media(&mut self, element: &Element) -> Result<(), Refusal> {
        let media = match element.name.as_str() {
            "Stream" => Media::Stream,
            "Siprec" => Media::Siprec,
            "Transcription" => Media::Transcription,
            "ConversationRelay" => Media::ConversationRelay,
            "VirtualAgent" => Media::VirtualAgent,
            "Room" => Media::Room,
            "Recording" => Media::Recording,
            name => return self.unknown(|| format!("<{name}> of <Connect> or <Start>")),
        };
        self.check_attributes(element)?;
        for inner in element.elements() {
            match inner.name.as_str() {
                "Parameter" | "Config" | "Language" => self.leaf(inner)?,
                _ => self.unknown_in(inner, element)?,
            }
        }
        let seconds = self.seconds()?;
        self.charge(Verb::Media { media, seconds })
    }
}

/// Where a `Dial` leads.
struct Target {
    noun: Noun,
    /// Whom it calls, where that makes a call of its own.
    to: Option<String>,
    /// Whether somebody hears TwiML before he is connected.
    is_kept: bool,
    /// Whether the conference is.
    is_recorded: bool,
    /// Whether it is found out who has answered.
    detects: bool,
}

impl Target {
    fn place(noun: Noun) -> Self {
        Self { noun, to: None, is_kept: false, is_recorded: false, detects: false }
    }

    /// What Twilio dials as a number, whatever it looks like.
    fn phone(to: String) -> Self {
        Self::party(to, |to| matches!(to, Recipient::Phone(_) | Recipient::Emergency))
    }

    /// A party that is not what its noun calls has no price.
    fn party(to: String, is_so: fn(Recipient) -> bool) -> Self {
        let recipient = Some(Recipient::parse(&to)).filter(|it| is_so(*it)).unwrap_or(Recipient::Unclear);
        Self { noun: Noun::Party(recipient), to: Some(to), ..Self::place(Noun::Other) }
    }
}
