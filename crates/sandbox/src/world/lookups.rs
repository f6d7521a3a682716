//! What Lookup knows of a number: who carries it, what kind of line it is, how risky it is. All of it follows from
//! the digits, so a test can choose: [`super::numbering`] says how.

use ringfence_model::PhoneNumber;

use super::numbering::{self, LineKind};
use super::{World, numbers};
use crate::ids::mix;

/// A line and its carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) kind: LineKind,
    pub(crate) carrier: Option<Carrier>,
}

/// Who carries a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carrier {
    pub(crate) name: &'static str,
    pub(crate) mobile_country_code: Option<&'static str>,
    pub(crate) mobile_network_code: Option<&'static str>,
}

/// How likely a number is used for SMS pumping, as Twilio's package tells it:
/// <https://www.twilio.com/docs/lookup/v2-api/sms-pumping-risk>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PumpingRisk {
    /// `low`, `mild`, `moderate`, `high`.
    pub(crate) carrier_risk: &'static str,
    /// 0 to 100.
    pub(crate) score: u8,
    pub(crate) blocked: bool,
}

/// The line behind a number. Numbers of the sandbox's own accounts are Twilio's.
pub(crate) fn line(world: &World, number: PhoneNumber) -> Line {
    if numbers::find_by_number(world, number).is_some() {
        return Line { kind: LineKind::NonFixedVoip, carrier: Some(TWILIO) };
    }
    let kind = numbering::line_kind(number);
    let carrier = match kind {
        LineKind::Mobile => Some(mobile_carrier(world, number)),
        LineKind::Landline => Some(LANDLINE),
        LineKind::FixedVoip => Some(FIXED_VOIP),
        LineKind::NonFixedVoip => Some(TWILIO),
        LineKind::TollFree | LineKind::Premium | LineKind::Personal => None,
    };
    Line { kind, carrier }
}

/// How risky it is to text a number: numbers that end in `96` are known for pumping, countries that pumping comes from
/// and lines that are no mobile phones are suspect, the rest is not.
pub(crate) fn pumping_risk(world: &World, number: PhoneNumber) -> PumpingRisk {
    let iso = numbering::country_of(number).map_or("", |country| country.iso);
    let spread = u8::try_from(mix(number.digits()) % 10).unwrap_or(0);
    let (carrier_risk, least) = match number.digits() % 100 {
        96 => return PumpingRisk { carrier_risk: "high", score: 90 + spread, blocked: true },
        _ if world.prices.is_high_risk(iso) => ("moderate", 60),
        _ if numbering::line_kind(number) != LineKind::Mobile => ("mild", 25),
        _ => ("low", 0),
    };
    PumpingRisk { carrier_risk, score: least + spread, blocked: false }
}

/// The name behind a number, made up, where Lookup has one: in North America.
pub(crate) fn caller_name(number: PhoneNumber) -> Option<(String, &'static str)> {
    const FIRST: [&str; 8] = ["ADA", "GRACE", "ALAN", "EDSGER", "BARBARA", "DONALD", "FRAN", "NIKLAUS"];
    const LAST: [&str; 8] = ["MILLER", "GARCIA", "SMITH", "NGUYEN", "BROWN", "JONES", "DAVIS", "LEE"];
    numbering::country_of(number).filter(|country| country.calling_code() == 1)?;
    let random = mix(number.digits());
    let pick = |names: [&'static str; 8], bits: u64| names[usize::try_from(bits % 8).unwrap_or(0)];
    match numbering::line_kind(number) {
        LineKind::TollFree | LineKind::FixedVoip => {
            Some((format!("{} AND SONS", pick(LAST, random)), "BUSINESS"))
        }
        _ => Some((format!("{}, {}", pick(LAST, random), pick(FIRST, random >> 3)), "CONSUMER")),
    }
}

/// The network that its price is of, or one that is nobody's.
fn mobile_carrier(world: &World, number: PhoneNumber) -> Carrier {
    world.prices.network(number).map_or(
        Carrier { name: "Sandbox Mobile", mobile_country_code: None, mobile_network_code: None },
        |network| Carrier {
            name: network.name,
            mobile_country_code: Some(network.mcc),
            mobile_network_code: Some(network.mnc),
        },
    )
}

const TWILIO: Carrier =
    Carrier { name: "Twilio - SMS/MMS-SVR", mobile_country_code: None, mobile_network_code: None };
const LANDLINE: Carrier =
    Carrier { name: "Sandbox Telephone", mobile_country_code: None, mobile_network_code: None };
const FIXED_VOIP: Carrier =
    Carrier { name: "Sandbox Cable", mobile_country_code: None, mobile_network_code: None };
