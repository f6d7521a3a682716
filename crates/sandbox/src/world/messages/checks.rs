//! Whether a message may be sent, asked in Twilio's order and refused in Twilio's words.

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};

use super::address::{is_sender_name, is_short_code};
use super::opt_out::Sender;
use super::{Address, Direction, codes, parse_phone};
use crate::world::{World, geo, messaging_services, numbers};

/// A message as somebody asked for it.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) account: Sid,
    pub(crate) direction: Direction,
    pub(crate) from: Option<String>,
    pub(crate) service: Option<Sid>,
    pub(crate) to: String,
    pub(crate) body: String,
    /// URLs.
    pub(crate) media: Vec<String>,
    /// Goes as one MMS even without media.
    pub(crate) as_mms: bool,
    pub(crate) status_callback: Option<String>,
    /// `None`: as its Messaging Service says.
    pub(crate) smart_encoded: Option<bool>,
    pub(crate) validity_s: Option<u16>,
    pub(crate) send_at: Option<Timestamp>,
    /// Of a reply: how many answers to answers led to it.
    pub(crate) answers: u8,
}

/// Why a message is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsendable {
    pub(crate) code: u16,
    pub(crate) message: String,
}

/// A draft whose parties are known and may write to each other.
#[derive(Debug)]
pub(super) struct Parties {
    /// `None`: a Messaging Service chooses.
    pub(super) from: Option<Address>,
    pub(super) service: Option<Sid>,
    pub(super) to: PhoneNumber,
}

/// The most characters of a text, whatever the number of segments.
const BODY_MAX: usize = 1600;
/// The most files of a message.
const MEDIA_MAX: usize = 10;
/// The area code and exchange of Twilio's magic numbers; the last four digits say what happens.
const MAGIC: u64 = 15_005_550_000;

impl Draft {
    /// A message without anything special.
    pub(crate) fn new(account: Sid, direction: Direction, to: impl Into<String>) -> Self {
        Self {
            account,
            direction,
            from: None,
            service: None,
            to: to.into(),
            body: String::new(),
            media: Vec::new(),
            as_mms: false,
            status_callback: None,
            smart_encoded: None,
            validity_s: None,
            send_at: None,
            answers: 0,
        }
    }
}

impl Unsendable {
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// With the words of Twilio's list of codes.
    pub(super) fn code(code: u16) -> Self {
        Self::new(code, codes::description(code))
    }
}

pub(super) fn check(world: &World, draft: &Draft) -> Result<Parties, Unsendable> {
    check_content(draft)?;
    let to = recipient(&draft.to)?;
    let (from, service) = match (&draft.from, draft.service) {
        (Some(from), service) => (Some(sender(world, draft.account, from, service, to)?), service),
        (None, Some(service)) => {
            messaging_services::choose_sender(world, draft.account, service, to).map_err(Unsendable::code)?;
            (None, Some(service))
        }
        (None, None) => return Err(Unsendable::new(21603, "A 'From' phone number is required.")),
    };
    if !geo::may_text(world, draft.account, to) {
        return Err(no_permission(to));
    }
    may_write(world, from.as_ref(), service, to)?;
    Ok(Parties { from, service, to })
}

/// Whether the recipient still wants to hear from this sender.
pub(super) fn may_write(
    world: &World,
    from: Option<&Address>,
    service: Option<Sid>,
    to: PhoneNumber,
) -> Result<(), Unsendable> {
    if world.messages.opt_outs.is_empty() {
        return Ok(());
    }
    let number = from.and_then(Address::number);
    let sender = match (service, number) {
        (Some(service), _) => Sender::Service(service),
        (None, Some(number)) => sender_of(world, number),
        (None, None) => return Ok(()),
    };
    if world.messages.opt_outs.holds(sender, to) { Err(Unsendable::code(21610)) } else { Ok(()) }
}

/// Whom somebody opts out of who writes to this number.
pub(super) fn sender_of(world: &World, number: PhoneNumber) -> Sender {
    numbers::find_by_number(world, number)
        .and_then(|row| messaging_services::of_number(world, row.account, row.sid))
        .map_or(Sender::Number(number), |service| Sender::Service(service.sid))
}

fn check_content(draft: &Draft) -> Result<(), Unsendable> {
    if draft.to.is_empty() {
        return Err(Unsendable::new(21604, "A 'To' phone number is required."));
    }
    if draft.from.is_none() && draft.service.is_none() {
        return Err(Unsendable::new(21603, "A 'From' phone number is required."));
    }
    if draft.body.is_empty() && draft.media.is_empty() {
        return Err(match draft.service {
            None => Unsendable::new(21602, "Message body is required."),
            Some(_) => Unsendable::new(21619, "A text message body or media urls must be specified."),
        });
    }
    // No character has fewer bytes than one, so short texts need not be counted.
    if draft.body.len() > BODY_MAX && draft.body.chars().count() > BODY_MAX {
        return Err(Unsendable::code(21617));
    }
    if draft.media.len() > MEDIA_MAX {
        return Err(Unsendable::code(21623));
    }
    Ok(())
}

fn recipient(text: &str) -> Result<PhoneNumber, Unsendable> {
    let invalid =
        || Unsendable::new(21211, format!("The 'To' number {} is not a valid phone number.", cut(text)));
    if channel(text).is_some() {
        // Only SMS and MMS are here, so the sender never is one of the same channel.
        let message = "Invalid 'From' and 'To' pair. 'From' and 'To' should be of the same channel";
        return Err(Unsendable::new(21910, message));
    }
    let to = parse_phone(text).ok_or_else(invalid)?;
    match to.digits().checked_sub(MAGIC) {
        Some(1) => Err(invalid()),
        Some(2) => Err(not_routable(text, "")),
        Some(3) => Err(no_permission(to)),
        Some(4) => Err(Unsendable::code(21610)),
        Some(9) => Err(Unsendable::new(21614, format!("To number: {to}, is not a mobile number"))),
        _ => Ok(to),
    }
}

fn sender(
    world: &World,
    account: Sid,
    text: &str,
    service: Option<Sid>,
    to: PhoneNumber,
) -> Result<Address, Unsendable> {
    if channel(text).is_some() {
        return Err(Unsendable::new(
            63007,
            "Twilio could not find a Channel with the specified From address",
        ));
    }
    let from = match parse_phone(text) {
        Some(number) => Address::Number(number),
        None if is_short_code(text) || is_sender_name(text) => Address::Name(text.into()),
        None => return Err(invalid_sender(text)),
    };
    match from.number().and_then(|number| number.digits().checked_sub(MAGIC)) {
        Some(1) => return Err(invalid_sender(text)),
        Some(8) => return Err(queue_full()),
        // The one that may be used is among the numbers that everybody owns.
        Some(0..=9) if !owns(world, account, &from) => return Err(not_capable(text)),
        _ => {}
    }
    if let Some(service) = service {
        let service =
            messaging_services::find(world, account, service).ok_or_else(|| Unsendable::code(21701))?;
        if !messaging_services::has_sender(world, service, &from) {
            return Err(Unsendable::code(21711));
        }
    }
    if !owns(world, account, &from) {
        return Err(not_owned(world, account, &from));
    }
    if from.number() == Some(to) {
        return Err(Unsendable::new(21266, format!("'To' and 'From' number cannot be the same: {to}")));
    }
    if matches!(from, Address::Name(_)) && is_north_american(to) {
        return Err(not_routable(&to.to_string(), text));
    }
    Ok(from)
}

fn owns(world: &World, account: Sid, from: &Address) -> bool {
    match from {
        Address::Number(number) => numbers::owns(world, account, *number),
        // Short codes are leased, which is not to be had here; names need no registration in most countries.
        Address::Name(name) => !is_short_code(name),
    }
}

/// A number of Twilio's that is another account's, or none of Twilio's at all.
fn not_owned(world: &World, account: Sid, from: &Address) -> Unsendable {
    if from.number().is_some_and(|number| numbers::find_by_number(world, number).is_some()) {
        let message = format!("Mismatch between the 'From' number {from} and the account {account}");
        return Unsendable::new(21660, message);
    }
    let message = format!("'From' {from} is not a Twilio phone number or Short Code country mismatch");
    Unsendable::new(21659, message)
}

/// What Twilio's test credentials say of a number that is theirs and cannot text.
fn not_capable(text: &str) -> Unsendable {
    let message = format!(
        "The 'From' phone number {text} is not a valid message-capable Twilio phone number for this \
         destination/account"
    );
    Unsendable::new(21606, message)
}

pub(super) fn queue_full() -> Unsendable {
    Unsendable::new(21611, "This 'From' number has exceeded the maximum number of queued messages")
}

fn invalid_sender(text: &str) -> Unsendable {
    let message = format!(
        "The 'From' number {text} is not a valid phone number, shortcode, or alphanumeric sender ID."
    );
    Unsendable::new(21212, message)
}

fn not_routable(to: &str, from: &str) -> Unsendable {
    let message = format!(
        "Message cannot be sent with the current combination of 'To' ({to}) and/or 'From' ({from}) parameters"
    );
    Unsendable::new(21612, message)
}

fn no_permission(to: PhoneNumber) -> Unsendable {
    let message = format!(
        "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}."
    );
    Unsendable::new(21408, message)
}

/// What a sender wrote, short enough to be repeated to it.
fn cut(text: &str) -> &str {
    const ENOUGH: usize = 64;
    text.char_indices().nth(ENOUGH).map_or(text, |(at, _)| &text[..at])
}

/// The channel of an address that is not one of SMS.
fn channel(text: &str) -> Option<&'static str> {
    ["whatsapp:", "messenger:", "rcs:"].into_iter().find(|prefix| text.starts_with(prefix))
}

/// Names are not delivered to the United States and Canada.
pub(super) fn is_north_american(number: PhoneNumber) -> bool {
    (10_000_000_000..20_000_000_000).contains(&number.digits())
}
