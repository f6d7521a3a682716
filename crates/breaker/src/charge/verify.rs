//! What Verify costs: <https://www.twilio.com/docs/verify/api/verification>.

use ringfence_model::{Amount, PhoneNumber, Segments};

use super::categories as of;
use super::{Charge, Line, Sender, Unpriced, minutes};
use crate::price_book::{Fee, PriceBook};

/// A verification that is started, or whose code is sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verification<'a> {
    /// `To`, where it is a phone number.
    pub to: Option<PhoneNumber>,
    /// `Channel`.
    pub channel: VerificationChannel<'a>,
    /// What is written beside the code (`CustomMessage`), where that is in the request.
    pub custom_message: Option<&'a str>,
    /// What the request puts into the text beside (`TemplateCustomSubstitutions`, `Payee`, `Amount`,
    /// `CustomFriendlyName`).
    pub inserted: &'a [&'a str],
}

/// How a code gets to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerificationChannel<'a> {
    /// `sms`.
    Sms,
    /// `call`.
    Call,
    /// `whatsapp`.
    Whatsapp,
    /// `email`.
    Email,
    /// `sna`: without a code, by the mobile network.
    Sna,
    /// `rcs`.
    Rcs,
    /// `auto`: whichever Verify chooses.
    Auto,
    /// One that is not known.
    Other(&'a str),
}

/// A verification that may succeed: `VerificationCheck`, and `Status=approved`. Each is one, since which of the checks
/// succeeds is not known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval;

impl<'a> VerificationChannel<'a> {
    /// Reads what stands in `Channel`.
    pub fn parse(channel: &'a str) -> Self {
        match channel {
            "sms" => Self::Sms,
            "call" => Self::Call,
            "whatsapp" => Self::Whatsapp,
            "email" => Self::Email,
            "sna" => Self::Sna,
            "rcs" => Self::Rcs,
            "auto" => Self::Auto,
            other => Self::Other(other),
        }
    }
}

impl Verification<'_> {
    /// The worst price: of starting it, and of its channel.
    pub fn charge(&self, book: &PriceBook) -> Result<Charge, Unpriced> {
        // A number in another spelling would be reached, and no limit of its place would count it.
        if self.to.is_none() && self.channel != VerificationChannel::Email {
            return Err(Unpriced::Recipient);
        }
        let mut lines = vec![Line::once(of::VERIFICATION, book.fee(Fee::VerificationStarted)?)];
        if self.to.is_some() && book.assumed().verify_looks_up {
            lines.push(Line::once(of::LOOKUP_LINE_TYPE, book.fee(Fee::LookupLineType)?));
        }
        match self.channel {
            VerificationChannel::Sms => {
                lines.push(self.text(book, of::VERIFICATION_SMS)?);
                lines.extend(self.carrier_fee(book)?);
            }
            VerificationChannel::Rcs => {
                let all = [self.text(book, of::VERIFICATION_SMS)?, self.rcs(book)?];
                lines.push(dearest(of::VERIFICATION_RCS, &all));
                lines.extend(self.carrier_fee(book)?);
            }
            VerificationChannel::Call => lines.push(self.call(book)?),
            VerificationChannel::Whatsapp => lines.push(self.whatsapp(book)?),
            VerificationChannel::Email => {
                lines.push(Line::once(of::VERIFICATION_EMAIL, book.fee(Fee::VerificationEmail)?));
            }
            VerificationChannel::Sna => lines.push(sna(book)?),
            VerificationChannel::Auto => {
                let text = self.text(book, of::VERIFICATION_SMS)?;
                let all = [text, self.rcs(book)?, self.call(book)?, self.whatsapp(book)?, sna(book)?];
                lines.push(dearest(of::VERIFICATION_AUTO, &all));
                lines.extend(self.carrier_fee(book)?);
            }
            VerificationChannel::Other(channel) => {
                let unknown = || Unpriced::VerificationChannel(channel.to_owned());
                lines.push(Line::once(of::VERIFICATION_AUTO, book.or_unknown(None, unknown)?));
            }
        }
        Ok(Charge { lines })
    }

    fn text(&self, book: &PriceBook, categories: &'static [&'static str]) -> Result<Line, Unpriced> {
        let segments = self.segments(book);
        let each = match self.to {
            Some(to) => book.segment(to, Sender::Any, None)?,
            None => return Err(Unpriced::Recipient),
        };
        Ok(Line::each(categories, each, segments))
    }

    /// Of Verify's own text, or of the custom one with room for the code; and of all that is put in.
    fn segments(&self, book: &PriceBook) -> u64 {
        let own = book.assumed().verification_segments.max(1);
        let custom = self.custom_message.map_or(0, |text| Segments::of(text).count.saturating_add(1));
        let inserted = self.inserted.iter().map(|text| u64::from(Segments::of(text).count));
        inserted.fold(u64::from(own.max(custom)), u64::saturating_add)
    }

    fn carrier_fee(&self, book: &PriceBook) -> Result<Option<Line>, Unpriced> {
        let segments = self.segments(book);
        let each = self.to.map_or(Ok(Amount::ZERO), |to| book.carrier_fees(to).map(|(sms, _)| sms))?;
        Ok((each > Amount::ZERO).then(|| Line::each(of::CARRIER_FEES, each, segments)))
    }

    fn rcs(&self, book: &PriceBook) -> Result<Line, Unpriced> {
        let price = match self.to {
            Some(to) => book.rcs(to)?,
            None => return Err(Unpriced::Recipient),
        };
        Ok(Line::once(of::VERIFICATION_RCS, price))
    }

    fn call(&self, book: &PriceBook) -> Result<Line, Unpriced> {
        let minutes = minutes(u64::from(book.assumed().verification_call_seconds));
        let each = match self.to {
            Some(to) => book.minute(to, None)?,
            None => return Err(Unpriced::Recipient),
        };
        Ok(Line::each(of::VERIFICATION_CALL, each, minutes))
    }

    fn whatsapp(&self, book: &PriceBook) -> Result<Line, Unpriced> {
        Ok(Line::once(of::VERIFICATION_WHATSAPP, book.whatsapp(self.to)?))
    }
}

impl Approval {
    /// What a verification that succeeds costs.
    pub fn charge(self, book: &PriceBook) -> Result<Charge, Unpriced> {
        Ok(Charge::once(of::VERIFICATION, book.fee(Fee::VerificationApproved)?))
    }
}

fn sna(book: &PriceBook) -> Result<Line, Unpriced> {
    Ok(Line::once(of::VERIFICATION_SNA, book.fee(Fee::VerificationSna)?))
}

/// One of them is billed: as much as the dearest.
fn dearest(categories: &'static [&'static str], lines: &[Line]) -> Line {
    let most = |of: fn(&Line) -> Amount| lines.iter().map(of).max().unwrap_or(Amount::ZERO);
    Line { categories, price: most(|it| it.price), usage: most(|it| it.usage), count: most(|it| it.count) }
}
