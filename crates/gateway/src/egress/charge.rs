//! What a priced request can cost at most, and the form that keeps it so.

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::charge::{
    Approval, Body, Call, Lookup, LookupVersion, Message, Purchase, Recipient, Sender, Unpriced,
    Verification, VerificationChannel,
};
use ringfence_breaker::price_book::NumberType;
use ringfence_breaker::{Charge, PriceBook};
use ringfence_model::{Amount, PhoneNumber};
use ringfence_twilio::wire::Form;

use super::form::{self, text};
use super::operation::Priced;
use super::refusal::Refusal;
use super::target::Target;
use super::twiml::{self, Rules};
use crate::twiml::{Conversation, Step};

/// Characters of a message, however they are counted
/// (<https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource>, `Body`).
const TEXT_MAX: usize = 1_600;
/// What Twilio says of a longer one (<https://www.twilio.com/docs/api/errors/21617>).
const TEXT_TOO_LONG: u32 = 21617;
/// Files of a message (the same, `MediaUrl`).
const MEDIA_MAX: usize = 10;
/// What Twilio says of more (<https://www.twilio.com/docs/api/errors/21623>).
const TOO_MANY_FILES: u32 = 21623;

/// Whether Twilio would send a text of this length; if not, why.
pub(crate) fn check_length(text: &str) -> Result<(), String> {
    let is_sent = text.len() <= TEXT_MAX || text.chars().count() <= TEXT_MAX;
    if is_sent {
        Ok(())
    } else {
        Err(format!("a text has more than {TEXT_MAX} characters, and Twilio does not send it"))
    }
}

/// A priced request, understood.
#[derive(Debug)]
pub(crate) struct Worth {
    /// What it can cost at most, without what its own TwiML leads to.
    pub(crate) charge: Charge,
    /// What its own TwiML leads to.
    pub(crate) beside: Vec<Step>,
    /// What is sent in the place of the form that came.
    pub(crate) form: Form,
    /// Whom it reaches, as it was typed.
    pub(crate) to: Option<String>,
    /// As whom.
    pub(crate) from: Option<String>,
    /// The telephone that it reaches.
    pub(crate) destination: Option<PhoneNumber>,
    /// When it goes out, where that is later.
    pub(crate) send_at: Option<Timestamp>,
    /// How long what is billed beside it may go on, whenever it is over itself.
    pub(crate) goes_on: SignedDuration,
}

impl Worth {
    /// Of something that reaches nobody.
    fn alone(charge: Charge, form: Form) -> Self {
        Self {
            charge,
            beside: Vec::new(),
            form,
            to: None,
            from: None,
            destination: None,
            send_at: None,
            goes_on: SignedDuration::ZERO,
        }
    }

    /// All of it together.
    pub(crate) fn worst(&self) -> Amount {
        let beside = self.beside.iter().map(|step| step.charge.price());
        beside.fold(self.charge.price(), Amount::saturating_add)
    }
}

/// Understands a request. `fields` are its form, or its query where it has no form.
pub(crate) fn of(
    priced: Priced,
    target: &Target<'_>,
    fields: Form,
    book: &PriceBook,
    inline: Rules<'_>,
) -> Result<Worth, Refusal> {
    match priced {
        Priced::MessageCreate => message(fields, book),
        Priced::CallCreate => call(&fields, book, inline, false),
        Priced::ParticipantCreate => call(&fields, book, inline, true),
        Priced::CallUpdate => call_update(fields, book, inline),
        Priced::VerificationStart => verification(fields, book),
        Priced::VerificationCheck => {
            let charge = Approval.charge(book).map_err(|why| unpriced(&why))?;
            Ok(Worth::alone(charge, fields))
        }
        Priced::LookupFetch => lookup(target, fields, book),
        Priced::NumberPurchase => purchase(target, fields, book),
    }
}

fn message(fields: Form, book: &PriceBook) -> Result<Worth, Refusal> {
    let (to, from) = (required(&fields, "To")?, text(&fields, "From"));
    let (service, fallback) = (text(&fields, "MessagingServiceSid"), text(&fields, "FallbackFrom"));
    let send_at = match text(&fields, "SendAt") {
        Some(time) => {
            let time =
                time.parse().map_err(|_| Refusal::Field("SendAt is no time of ISO 8601".to_owned()))?;
            Some(time)
        }
        None => None,
    };
    let recipient = Recipient::parse(to);
    let body = if text(&fields, "ContentSid").is_some() {
        Body::Template
    } else {
        Body::Text(fields.get("Body").unwrap_or_default())
    };
    let media = fields.all("MediaUrl").filter(|url| !url.is_empty()).count();
    // What Twilio is known to refuse would set aside what nobody spends, and could fill a limit by one long text.
    if let Body::Text(text) = body {
        check_length(text).map_err(|why| Refusal::AsTwilio(TEXT_TOO_LONG, why))?;
    }
    if media > MEDIA_MAX {
        let why = format!("there are more than {MEDIA_MAX} MediaUrl, which Twilio refuses");
        return Err(Refusal::AsTwilio(TOO_MANY_FILES, why));
    }
    let message = Message {
        to: recipient,
        sender: sender(from, fallback, service.is_some()),
        messaging_service: service.is_some(),
        body,
        // `SendAsMms` makes a message of media even of a text alone.
        media: media.max(usize::from(is_asked_for(&fields, "SendAsMms"))),
        smart_encoded: is_asked_for(&fields, "SmartEncoded"),
        network: None,
        risk_check: !text(&fields, "RiskCheck").is_some_and(|value| value.eq_ignore_ascii_case("disable")),
        shorten_urls: is_asked_for(&fields, "ShortenUrls"),
        scheduled: text(&fields, "ScheduleType").is_some() || send_at.is_some(),
        redacted: text(&fields, "ContentRetention").is_some() || text(&fields, "AddressRetention").is_some(),
    };
    let charge = message.charge(book).map_err(|why| unpriced(&why))?;
    let destination = recipient.phone();
    // Twilio lists it with the sender that was chosen and with the service, and only the service is known before.
    let (to, from) = (Some(to.to_owned()), from.or(service).map(str::to_owned));
    Ok(Worth { to, from, destination, send_at, ..Worth::alone(charge, fields) })
}

/// As what a message may go out: with another sender to fall back to, as anything.
fn sender(from: Option<&str>, fallback: Option<&str>, service: bool) -> Sender {
    let (sender, other) = (Sender::of(from, service), fallback.map(|it| Sender::of(Some(it), service)));
    match other {
        None => sender,
        Some(Sender::Rcs) => Sender::Rcs,
        Some(_) if sender == Sender::Rcs => Sender::Rcs,
        Some(_) => Sender::Any,
    }
}

fn call(fields: &Form, book: &PriceBook, inline: Rules<'_>, conference: bool) -> Result<Worth, Refusal> {
    let (to, from) = (required(fields, "To")?, required(fields, "From")?);
    let shown = text(fields, "CallerId");
    let recipient = Recipient::parse(to);
    let time_limit = match text(fields, "TimeLimit") {
        Some(text) => {
            Some(text.parse().map_err(|_| Refusal::Field("TimeLimit is no number of seconds".to_owned()))?)
        }
        None => None,
    };
    // A conference is recorded with `record-from-start`, and not with `do-not-record`.
    let records = |name: &str| {
        text(fields, name)
            .is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "do-not-record"))
    };
    let call = Call {
        to: recipient,
        // Whose price holds for a call that shows another number than it comes from is not known: the dearest's.
        from: PhoneNumber::parse(from).ok().filter(|_| shown.is_none()),
        time_limit,
        record: records("Record"),
        conference_record: records("ConferenceRecord"),
        machine_detection: text(fields, "MachineDetection").is_some() || is_asked_for(fields, "AsyncAmd"),
        conference,
    };
    let timed = call.charge(book).map_err(|why| unpriced(&why))?;
    // Always in our own writing: what was priced is what is sent, however it was typed.
    let seconds = timed.time_limit.seconds();
    let form = form::with(fields, "TimeLimit", &seconds.to_string());
    let conversation = Conversation { them: Some(to), us: Some(from), ..Conversation::default() };
    let (form, beside) = twiml::price(form, Some(book), inline, conversation, Some(seconds.into()))?;
    // Twilio lists it with the number that it shows.
    let (to, from) = (Some(to.to_owned()), Some(shown.unwrap_or(from).to_owned()));
    let destination = recipient.phone();
    // A conference that is recorded may go on without whoever is called into it, by the request or by its TwiML.
    let longest = SignedDuration::from_secs(book.assumed().longest().into());
    let leads_into_one = text(&form, "Twiml").is_some_and(|twiml| twiml.contains("Conference"));
    let goes_on = if call.conference_record || leads_into_one { longest } else { SignedDuration::ZERO };
    Ok(Worth { beside, to, from, destination, goes_on, ..Worth::alone(timed.charge, form) })
}

/// A call was charged for its whole time when it was made; that time may not be changed afterwards. What it is told to do
/// from now on may lead to more.
fn call_update(fields: Form, book: &PriceBook, inline: Rules<'_>) -> Result<Worth, Refusal> {
    if text(&fields, "TimeLimit").is_some() {
        return Err(Refusal::Field(
            "TimeLimit is part of what was set aside when the call was made, and cannot be changed"
                .to_owned(),
        ));
    }
    let (fields, beside) = twiml::price(fields, Some(book), inline, Conversation::default(), None)?;
    Ok(Worth { beside, ..Worth::alone(Charge::default(), fields) })
}

/// Whether an update does nothing but end a call, which must be possible whatever has tripped.
pub(crate) fn ends_a_call(fields: &Form) -> bool {
    let ends = text(fields, "Status").is_some_and(|status| matches!(status, "completed" | "canceled"));
    ends && fields.pairs().all(|(name, _)| name == "Status")
}

fn verification(fields: Form, book: &PriceBook) -> Result<Worth, Refusal> {
    let (to, channel) = (required(&fields, "To")?, required(&fields, "Channel")?);
    let number = PhoneNumber::parse(to).ok();
    let channel = match VerificationChannel::parse(channel) {
        it @ (VerificationChannel::Email | VerificationChannel::Other(_)) => it,
        // It names channels to fall back to, whichever is dearest.
        _ if text(&fields, "ChannelConfiguration").is_some() => VerificationChannel::Auto,
        it => it,
    };
    let inserted = ["TemplateCustomSubstitutions", "Templates", "Payee", "Amount", "CustomFriendlyName"];
    let inserted: Vec<_> = inserted.iter().filter_map(|name| text(&fields, name)).collect();
    let custom_message = text(&fields, "CustomMessage");
    for text in inserted.iter().chain(&custom_message) {
        check_length(text).map_err(Refusal::Field)?;
    }
    let charge = Verification { to: number, channel, custom_message, inserted: &inserted }
        .charge(book)
        .map_err(|why| unpriced(&why))?;
    let to = Some(to.to_owned());
    Ok(Worth { to, destination: number, ..Worth::alone(charge, fields) })
}

fn lookup(target: &Target<'_>, fields: Form, book: &PriceBook) -> Result<Worth, Refusal> {
    let joined = |names: &[&str]| {
        let all = fields.pairs().filter(|(name, value)| names.contains(name) && !value.is_empty());
        all.map(|(_, value)| value).collect::<Vec<_>>().join(",")
    };
    let (version, packages) = match target.segments().next() {
        Some("v1") => (LookupVersion::V1, joined(&["Type", "AddOns"])),
        _ => (LookupVersion::V2, joined(&["Fields"])),
    };
    let charge = Lookup { version, packages: &packages }.charge(book).map_err(|why| unpriced(&why))?;
    Ok(Worth::alone(charge, fields))
}

fn purchase(target: &Target<'_>, fields: Form, book: &PriceBook) -> Result<Worth, Refusal> {
    let number_type = match target.segments().last() {
        Some("Local.json") => Some(NumberType::Local),
        Some("Mobile.json") => Some(NumberType::Mobile),
        Some("TollFree.json") => Some(NumberType::TollFree),
        _ => None,
    };
    let charge = match (text(&fields, "PhoneNumber"), text(&fields, "AreaCode")) {
        (Some(number), None) => {
            let number = PhoneNumber::parse(number)
                .map_err(|_| Refusal::Field("PhoneNumber is no number in E.164".to_owned()))?;
            Purchase::of_number(number).charge(book)
        }
        (None, Some(area)) => Purchase::of_area(area, number_type).charge(book),
        _ => return Err(Refusal::Field("give either PhoneNumber or AreaCode".to_owned())),
    };
    let charge = charge.map_err(|why| unpriced(&why))?;
    Ok(Worth::alone(charge, fields))
}

fn required<'f>(fields: &'f Form, name: &str) -> Result<&'f str, Refusal> {
    text(fields, name).ok_or_else(|| Refusal::Field(format!("the field {name} is missing")))
}

/// Whether a switch is on, or written in a way that Twilio may take for that.
fn is_asked_for(fields: &Form, name: &str) -> bool {
    text(fields, name).is_some_and(|value| !value.eq_ignore_ascii_case("false"))
}

fn unpriced(why: &Unpriced) -> Refusal {
    Refusal::UnknownPrice(why.to_string())
}
