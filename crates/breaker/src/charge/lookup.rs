//! What a lookup costs: <https://www.twilio.com/docs/lookup/v2-api>.

use super::categories as of;
use super::{Charge, Line, Unpriced};
use crate::price_book::{Fee, PriceBook};

/// A lookup of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookup<'a> {
    /// Of which API.
    pub version: LookupVersion,
    /// What is asked for: the values of `Fields` (v2), or of every `Type` and `AddOns` (v1), with commas between them.
    pub packages: &'a str,
}

/// Which Lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupVersion {
    /// `/v1/PhoneNumbers`: `Type`, `AddOns`.
    V1,
    /// `/v2/PhoneNumbers`: `Fields`.
    V2,
}

impl Lookup<'_> {
    /// The worst price: of every package that is asked for, each time it is.
    pub fn charge(&self, book: &PriceBook) -> Result<Charge, Unpriced> {
        let names = self.packages.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut lines = Vec::new();
        for name in names {
            let (categories, fee) = match (self.version, name) {
                // Whether a number is well formed costs nothing.
                (LookupVersion::V2, "validation") => continue,
                (LookupVersion::V2, "caller_name") | (LookupVersion::V1, "caller-name") => {
                    (of::LOOKUP_CALLER_NAME, Fee::LookupCallerName)
                }
                (LookupVersion::V1, "carrier") => (of::LOOKUP_LINE_TYPE, Fee::LookupCarrier),
                (LookupVersion::V2, "line_type_intelligence") => (of::LOOKUP_LINE_TYPE, Fee::LookupLineType),
                (LookupVersion::V2, "sim_swap") => (of::LOOKUP_SIM_SWAP, Fee::LookupSimSwap),
                (LookupVersion::V2, "call_forwarding") => {
                    (of::LOOKUP_CALL_FORWARDING, Fee::LookupCallForwarding)
                }
                (LookupVersion::V2, "line_status" | "live_activity") => {
                    (of::LOOKUP_LINE_STATUS, Fee::LookupLineStatus)
                }
                (LookupVersion::V2, "identity_match") => {
                    (of::LOOKUP_IDENTITY_MATCH, Fee::LookupIdentityMatch)
                }
                (LookupVersion::V2, "pre_fill") => (of::LOOKUP_IDENTITY_MATCH, Fee::LookupPreFill),
                (LookupVersion::V2, "reassigned_number") => {
                    (of::LOOKUP_REASSIGNED_NUMBER, Fee::LookupReassignedNumber)
                }
                (LookupVersion::V2, "sms_pumping_risk") => (of::LOOKUP_PUMPING_RISK, Fee::LookupPumpingRisk),
                (LookupVersion::V2, "phone_number_quality_score") => {
                    (of::LOOKUP_QUALITY_SCORE, Fee::LookupQualityScore)
                }
                (_, name) => {
                    let price = book.or_unknown(None, || Unpriced::Lookup(name.to_owned()))?;
                    lines.push(Line::once(of::LOOKUP_ANY, price));
                    continue;
                }
            };
            lines.push(Line::once(categories, book.fee(fee)?));
        }
        if lines.is_empty() {
            lines.push(Line::once(of::LOOKUP, ringfence_model::Amount::ZERO));
        }
        Ok(Charge { lines })
    }
}
