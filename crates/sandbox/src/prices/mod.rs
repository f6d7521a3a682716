//! What things cost: a table of realistic prices, as data with its date.

use ringfence_model::PhoneNumber;

/// The table.
#[derive(Debug)]
pub(crate) struct Prices;

impl Prices {
    pub(crate) fn load() -> &'static Self {
        &Prices
    }

    /// One segment out to this number, in millionths of a dollar.
    pub(crate) fn message_out_micros(&self, _to: PhoneNumber) -> i64 {
        7_900
    }

    /// One segment in to this number of ours.
    pub(crate) fn message_in_micros(&self, _to: PhoneNumber) -> i64 {
        7_900
    }

    /// One message with media out to this number.
    pub(crate) fn media_out_micros(&self, _to: PhoneNumber) -> i64 {
        20_000
    }

    /// A started minute of a call out to this number.
    pub(crate) fn call_out_micros(&self, _to: PhoneNumber) -> i64 {
        14_000
    }

    /// A started minute of a call in to this number of ours.
    pub(crate) fn call_in_micros(&self, _to: PhoneNumber) -> i64 {
        8_500
    }
}
