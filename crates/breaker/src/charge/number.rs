//! What a phone number costs: <https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource>.

use ringfence_model::{Country, PhoneNumber};

use super::categories as of;
use super::{Charge, Sender, Unpriced};
use crate::price_book::{NumberType, PriceBook};

/// A number that is taken (`IncomingPhoneNumbers`). Its first month is paid at once; the later ones are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purchase {
    /// Whose number it is; none where neither `PhoneNumber` nor `AreaCode` tells it.
    pub country: Option<Country>,
    /// Its kind, where the path says it (`Local`, `Mobile`, `TollFree`).
    pub number_type: Option<NumberType>,
}

impl Purchase {
    /// Of this number (`PhoneNumber`). The path that is asked (`/Local`) proves nothing of the number that is named, so
    /// its kind is known only where it is toll-free.
    pub fn of_number(number: PhoneNumber) -> Self {
        let is_toll_free = Sender::of(Some(&number.to_string()), false) == Sender::TollFree;
        Self { country: Country::of_plan(number), number_type: is_toll_free.then_some(NumberType::TollFree) }
    }

    /// Of any number with this area code (`AreaCode`), of the United States or Canada.
    pub fn of_area(area_code: &str, number_type: Option<NumberType>) -> Self {
        let number = PhoneNumber::parse(&format!("+1{area_code}5550100"));
        let country = number.ok().filter(|_| area_code.len() == 3).and_then(Country::of_plan);
        Self { country, number_type }
    }

    /// The worst price.
    pub fn charge(&self, book: &PriceBook) -> Result<Charge, Unpriced> {
        let price = match self.country {
            Some(country) => book.number(country, self.number_type)?,
            None => book.or_unknown(None, || Unpriced::Recipient)?,
        };
        let categories = match self.number_type {
            Some(NumberType::Local) => of::NUMBER_LOCAL,
            Some(NumberType::Mobile) => of::NUMBER_MOBILE,
            Some(NumberType::TollFree) => of::NUMBER_TOLL_FREE,
            Some(NumberType::National | NumberType::ShortCode | NumberType::Other) | None => of::NUMBER,
        };
        Ok(Charge::once(categories, price))
    }
}
