//! Prices of the account whose credentials these are: <https://www.twilio.com/docs/messaging/api/pricing> and
//! <https://www.twilio.com/docs/voice/pricing>.

use ringfence_model::PhoneNumber;

use super::super::base::Product;
use super::super::operation::{Operation, segment};
use super::super::{Client, Error, Pages};
use crate::wire::{Form, MessagingCountry, PhoneNumberCountry, PricedCountry, VoiceCountry, VoiceNumber};

/// Prices: `client.pricing()`. Countries are named by their two letters of ISO 3166.
#[derive(Debug, Clone, Copy)]
pub struct Pricing<'c> {
    client: &'c Client,
}

impl Client {
    /// Prices of the account whose credentials these are.
    pub fn pricing(&self) -> Pricing<'_> {
        Pricing { client: self }
    }
}

impl Pricing<'_> {
    /// The countries that have prices for messages.
    pub fn messaging_countries(&self) -> Pages<PricedCountry> {
        self.countries("pricing.messaging_countries", "/v1/Messaging/Countries")
    }

    /// What messages to and from a country cost, by network.
    pub async fn messaging_country(&self, country: &str) -> Result<MessagingCountry, Error> {
        let path = format!("/v1/Messaging/Countries/{}", segment(country));
        self.client
            .json(Operation::get("pricing.messaging_country", Product::Pricing, &path, &Form::new()))
            .await
    }

    /// The countries that have prices for calls.
    pub fn voice_countries(&self) -> Pages<PricedCountry> {
        self.countries("pricing.voice_countries", "/v2/Voice/Countries")
    }

    /// What calls to and from a country cost, by prefix.
    pub async fn voice_country(&self, country: &str) -> Result<VoiceCountry, Error> {
        let path = format!("/v2/Voice/Countries/{}", segment(country));
        self.client.json(Operation::get("pricing.voice_country", Product::Pricing, &path, &Form::new())).await
    }

    /// What a call to a number costs, from one number or from any.
    pub async fn voice_number(
        &self,
        to: PhoneNumber,
        from: Option<PhoneNumber>,
    ) -> Result<VoiceNumber, Error> {
        let mut query = Form::new();
        query.push_some("OriginationNumber", from.map(|number| number.to_string()));
        let path = format!("/v2/Voice/Numbers/{}", segment(&to.to_string()));
        self.client.json(Operation::get("pricing.voice_number", Product::Pricing, &path, &query)).await
    }

    /// The countries whose numbers can be rented.
    pub fn phone_number_countries(&self) -> Pages<PricedCountry> {
        self.countries("pricing.phone_number_countries", "/v1/PhoneNumbers/Countries")
    }

    /// What a number of a country costs a month.
    pub async fn phone_number_country(&self, country: &str) -> Result<PhoneNumberCountry, Error> {
        let path = format!("/v1/PhoneNumbers/Countries/{}", segment(country));
        self.client
            .json(Operation::get("pricing.phone_number_country", Product::Pricing, &path, &Form::new()))
            .await
    }

    fn countries(self, name: &'static str, path: &str) -> Pages<PricedCountry> {
        Pages::new(self.client, name, Product::Pricing, path.to_owned(), Form::new(), "countries")
    }
}
