//! What a message costs: <https://www.twilio.com/docs/messaging/api/message-resource>.

use std::borrow::Cow;

use ringfence_model::{Amount, Country, PhoneNumber, Segments};

use super::categories as of;
use super::{Channel, Charge, Line, Recipient, Sender, Unpriced};
use crate::price_book::{Fee, Network, PriceBook};

/// A message as it is asked for.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// `To`.
    pub to: Recipient,
    /// `From`, or what a `MessagingServiceSid` may choose.
    pub sender: Sender,
    /// Whether a Messaging Service sends it (`MessagingServiceSid`).
    pub messaging_service: bool,
    /// What is written.
    pub body: Body<'a>,
    /// How many `MediaUrl`s it has; with `SendAsMms` at least one.
    pub media: usize,
    /// Whether characters may be replaced by others (`SmartEncoded`). A Messaging Service may do it by itself.
    pub smart_encoded: bool,
    /// The recipient's network, where a lookup has told it.
    pub network: Option<&'a Network>,
    /// Whether it is checked for SMS pumping: all but `RiskCheck=disable`.
    pub risk_check: bool,
    /// Whether links are shortened (`ShortenUrls`).
    pub shorten_urls: bool,
    /// Whether it is sent later (`ScheduleType`).
    pub scheduled: bool,
    /// Whether body or number are redacted (`ContentRetention`, `AddressRetention`).
    pub redacted: bool,
}

/// What is written in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// `Body`; empty where there are media alone.
    Text(&'a str),
    /// A template of which the request does not tell the text (`ContentSid`). It may have media.
    Template,
}

/// A link that Twilio writes: to media for a phone that takes none, or a shortened one.
const LINK: u64 = 64;

impl<'a> Message<'a> {
    /// A message of nothing but a text.
    pub fn text(to: Recipient, sender: Sender, body: &'a str) -> Self {
        Self {
            to,
            sender,
            messaging_service: false,
            body: Body::Text(body),
            media: 0,
            smart_encoded: false,
            network: None,
            risk_check: true,
            shorten_urls: false,
            scheduled: false,
            redacted: false,
        }
    }

    /// The worst price.
    pub fn charge(&self, book: &PriceBook) -> Result<Charge, Unpriced> {
        let mut lines = match self.to {
            Recipient::Phone(to) => {
                let may_choose_rcs = self.messaging_service && book.assumed().services_use_rcs;
                self.to_a_phone(book, to, may_choose_rcs || self.sender == Sender::Rcs)?
            }
            // What RCS cannot deliver may go out as a text or as media.
            Recipient::Channel(Channel::Rcs, Some(to)) => self.to_a_phone(book, to, true)?,
            Recipient::Channel(Channel::Whatsapp, to) => {
                vec![Line::once(of::WHATSAPP, book.whatsapp(to)?)]
            }
            Recipient::Channel(Channel::Messenger, _) => {
                vec![Line::once(of::MESSENGER, book.fee(Fee::MessengerMessage)?)]
            }
            Recipient::Unclear => return Err(Unpriced::Recipient),
            Recipient::Channel(Channel::Rcs, None)
            | Recipient::Sip
            | Recipient::Client
            | Recipient::Emergency
            | Recipient::Other => {
                let each = book.or_unknown(None, || Unpriced::Recipient)?;
                vec![Line::each(of::SERVICE_MEDIA, each, self.segments(book))]
            }
        };
        lines.push(Line::once(of::FAILED, book.fee(Fee::FailedMessage)?));
        if self.shorten_urls || self.scheduled {
            lines.push(Line::once(of::ENGAGEMENT, book.fee(Fee::EngagementSuite)?));
        }
        if self.redacted {
            lines.push(Line::once(of::REDACTION, book.fee(Fee::MessageRedaction)?));
        }
        Ok(Charge { lines })
    }

    /// By SMS, by MMS, or by RCS where that may be: the dearest of them.
    fn to_a_phone(&self, book: &PriceBook, to: PhoneNumber, rcs: bool) -> Result<Vec<Line>, Unpriced> {
        let segments = self.segments(book);
        let sender = if self.messaging_service || rcs { Sender::Any } else { self.sender };
        let mut price = book.segment(to, sender, self.network)?.saturating_mul(segments);
        let (sms_fee, mms_fee) = book.carrier_fees(to)?;
        let mut fee = sms_fee.saturating_mul(segments);
        if self.may_have_media() {
            price = price.max(book.mms(to)?.unwrap_or(Amount::ZERO));
            fee = fee.max(mms_fee);
        }
        if rcs {
            price = price.max(book.rcs(to)?);
        }
        let categories = match (self.may_have_media(), rcs, sender) {
            (true, true, _) => of::SERVICE_MEDIA,
            (true, false, _) => of::MEDIA,
            (false, true, _) => of::SERVICE,
            (false, false, Sender::Any | Sender::Rcs) => of::SMS,
            (false, false, Sender::LongCode) => of::SMS_LONG_CODE,
            (false, false, Sender::TollFree) => of::SMS_TOLL_FREE,
            (false, false, Sender::ShortCode) => of::SMS_SHORT_CODE,
        };
        let mut lines = vec![Line::of(categories, price, segments, 1)];
        if fee > Amount::ZERO {
            lines.push(Line::of(of::CARRIER_FEES, fee, segments, 1));
        }
        if self.risk_check {
            let north = matches!(Country::of(to).as_ref().map(Country::as_str), Some("US" | "CA"));
            let (categories, fee) = if north {
                (of::PUMPING_CHECK_US_CA, Fee::PumpingCheckUsCa)
            } else {
                (of::PUMPING_CHECK, Fee::PumpingCheck)
            };
            lines.push(Line::once(categories, book.fee(fee)?));
        }
        Ok(lines)
    }

    fn may_have_media(&self) -> bool {
        self.media > 0 || self.body == Body::Template
    }

    /// How many segments it has at worst: with each media a link for a phone that takes none.
    fn segments(&self, book: &PriceBook) -> u64 {
        let body = match self.body {
            Body::Template => return u64::from(book.assumed().unknown_body_segments.max(1)),
            Body::Text(body) => body,
        };
        let media = u64::try_from(self.media).unwrap_or(u64::MAX);
        let shortened = if self.shorten_urls { body.matches("://").count() } else { 0 };
        let links = media.saturating_add(u64::try_from(shortened).unwrap_or(u64::MAX));
        let mut count = with_links(body, links);
        if self.smart_encoded || self.messaging_service {
            // Where another character of the text stays outside of GSM-7, longer text may cost a segment.
            count = count.max(with_links(&body.chars().map(at_its_longest).collect::<String>(), links));
        }
        count
    }
}

/// What smart encoding may write for a character, where that is longer: spaces, fractions, doubled marks.
fn at_its_longest(character: char) -> Cow<'static, str> {
    Cow::Borrowed(match character {
        '\t' => "       ",
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => "  ",
        '¼' => "1/4",
        '½' => "1/2",
        '¾' => "3/4",
        '‼' => "!!",
        '…' => "...",
        other => return Cow::Owned(other.to_string()),
    })
}

fn with_links(body: &str, links: u64) -> u64 {
    if links == 0 {
        return u64::from(Segments::of(body).count);
    }
    // More than ten media, or links beyond what Twilio takes in a body, cost what they would if it took them.
    let few = usize::try_from(links.min(1_000)).unwrap_or(1_000);
    let text = format!("{body}{}", "x".repeat(few * usize::try_from(LINK).unwrap_or(64)));
    u64::from(Segments::of(&text).count).saturating_add(links.saturating_sub(1_000))
}
