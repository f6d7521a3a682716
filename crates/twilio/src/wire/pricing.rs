//! Prices of one account: <https://www.twilio.com/docs/messaging/api/pricing> and
//! <https://www.twilio.com/docs/voice/pricing>.

use serde::{Deserialize, Serialize};

use super::Price;

/// A country in a list: its prices are behind `url`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedCountry {
    /// For people.
    pub country: Option<String>,
    /// ISO 3166: `US`.
    pub iso_country: String,
    /// Where its prices are.
    pub url: String,
}

/// What messages to and from one country cost: `/v1/Messaging/Countries/{IsoCountry}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagingCountry {
    /// For people.
    pub country: Option<String>,
    /// ISO 3166: `US`.
    pub iso_country: String,
    /// A segment out, by network.
    pub outbound_sms_prices: Vec<CarrierPrices>,
    /// A segment in, by kind of number.
    pub inbound_sms_prices: Vec<NumberTypePrice>,
    /// `USD`.
    pub price_unit: String,
    /// Where it is.
    pub url: String,
}

/// What a segment to one network costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrierPrices {
    /// For people.
    pub carrier: Option<String>,
    /// Mobile country code.
    pub mcc: Option<String>,
    /// Mobile network code.
    pub mnc: Option<String>,
    /// By the kind of number that it is sent from.
    pub prices: Vec<NumberTypePrice>,
}

/// A price for one kind of number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberTypePrice {
    /// `local`, `mobile`, `shortcode`, `toll free`.
    pub number_type: Option<String>,
    /// The list price.
    #[serde(serialize_with = "super::price::plain")]
    pub base_price: Option<Price>,
    /// This account's price.
    #[serde(serialize_with = "super::price::plain")]
    pub current_price: Option<Price>,
}

/// What calls to and from one country cost: `/v2/Voice/Countries/{IsoCountry}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoiceCountry {
    /// For people.
    pub country: Option<String>,
    /// ISO 3166: `US`.
    pub iso_country: String,
    /// A minute out, by prefix.
    pub outbound_prefix_prices: Vec<PrefixPrice>,
    /// A minute in, by kind of number.
    pub inbound_call_prices: Vec<NumberTypePrice>,
    /// `USD`.
    pub price_unit: String,
    /// Where it is.
    pub url: String,
}

/// What a minute to one set of prefixes costs. `/v1` calls the prefixes `prefixes` and has no origination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixPrice {
    /// Who calls: `["ALL"]`, or prefixes.
    #[serde(default)]
    pub origination_prefixes: Vec<String>,
    /// Who is called.
    #[serde(alias = "prefixes")]
    pub destination_prefixes: Vec<String>,
    /// The list price.
    #[serde(serialize_with = "super::price::plain")]
    pub base_price: Option<Price>,
    /// This account's price.
    #[serde(serialize_with = "super::price::plain")]
    pub current_price: Option<Price>,
    /// For people.
    pub friendly_name: Option<String>,
}

/// What calls to and from one country cost in the older API: `/v1/Voice/Countries/{IsoCountry}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoiceCountryV1 {
    /// For people.
    pub country: Option<String>,
    /// ISO 3166: `US`.
    pub iso_country: String,
    /// A minute out, by prefix.
    pub outbound_prefix_prices: Vec<PrefixPriceV1>,
    /// A minute in, by kind of number.
    pub inbound_call_prices: Vec<NumberTypePrice>,
    /// `USD`.
    pub price_unit: String,
    /// Where it is.
    pub url: String,
}

/// What a minute to one set of prefixes costs, whoever calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixPriceV1 {
    /// Who is called.
    pub prefixes: Vec<String>,
    /// The list price.
    #[serde(serialize_with = "super::price::plain")]
    pub base_price: Option<Price>,
    /// This account's price.
    #[serde(serialize_with = "super::price::plain")]
    pub current_price: Option<Price>,
    /// For people.
    pub friendly_name: Option<String>,
}

/// What calls to one number cost in the older API: `/v1/Voice/Numbers/{Number}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoiceNumberV1 {
    /// The number that was asked for.
    pub number: String,
    /// For people.
    pub country: Option<String>,
    /// ISO 3166: `US`.
    pub iso_country: Option<String>,
    /// A minute out.
    pub outbound_call_price: Option<BasePrice>,
    /// A minute in, if it is a number of Twilio's.
    pub inbound_call_price: Option<NumberTypePrice>,
    /// `USD`.
    pub price_unit: String,
    /// Where it is.
    pub url: String,
}

/// A price by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasePrice {
    /// The list price.
    #[serde(serialize_with = "super::price::plain")]
    pub base_price: Option<Price>,
    /// This account's price.
    #[serde(serialize_with = "super::price::plain")]
    pub current_price: Option<Price>,
}

/// What calls to one number cost: `/v2/Voice/Numbers/{DestinationNumber}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoiceNumber {
    /// The number that was asked for.
    pub destination_number: String,
    /// Who would call.
    pub origination_number: Option<String>,
    /// For people.
    pub country: Option<String>,
    /// ISO 3166: `US`.
    pub iso_country: Option<String>,
    /// A minute out.
    pub outbound_call_prices: Vec<CallPrice>,
    /// A minute in, if it is a number of Twilio's.
    pub inbound_call_price: Option<NumberTypePrice>,
    /// `USD`.
    pub price_unit: String,
    /// Where it is.
    pub url: String,
}

/// What a minute costs, by who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPrice {
    /// Who calls: `["ALL"]`, or prefixes.
    #[serde(default)]
    pub origination_prefixes: Vec<String>,
    /// The list price.
    #[serde(serialize_with = "super::price::plain")]
    pub base_price: Option<Price>,
    /// This account's price.
    #[serde(serialize_with = "super::price::plain")]
    pub current_price: Option<Price>,
}

/// What renting a number costs a month: `/v1/PhoneNumbers/Countries/{IsoCountry}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneNumberCountry {
    /// For people.
    pub country: Option<String>,
    /// ISO 3166: `US`.
    pub iso_country: String,
    /// A month, by kind of number.
    pub phone_number_prices: Vec<NumberTypePrice>,
    /// `USD`.
    pub price_unit: String,
    /// Where it is.
    pub url: String,
}
