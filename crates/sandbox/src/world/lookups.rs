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
        LineKind::Mobile => Some(mobile_carrier(number)),
        LineKind::Landline => Some(LANDLINE),
        LineKind::FixedVoip => Some(FIXED_VOIP),
        LineKind::NonFixedVoip => Some(TWILIO),
        LineKind::TollFree | LineKind::Premium | LineKind::Personal => None,
    };
    Line { kind, carrier }
}

/// How risky it is to text a number: numbers that end in `96` are known for pumping, premium lines and countries
/// that pumping comes from are suspect, the rest is not.
pub(crate) fn pumping_risk(number: PhoneNumber) -> PumpingRisk {
    /// Where Twilio's guide to fraud sees most of it: <https://www.twilio.com/docs/usage/anti-fraud-developer-guide>.
    const SUSPECT: &[&str] = &["LV", "LT", "RS", "SO", "CG", "CD", "TD", "GM", "SL", "GN"];
    let iso = numbering::country_of(number).map_or("", |country| country.iso);
    let spread = u8::try_from(mix(number.digits()) % 10).unwrap_or(0);
    match number.digits() % 100 {
        96 => PumpingRisk { carrier_risk: "high", score: 90 + spread, blocked: true },
        _ if SUSPECT.contains(&iso) => {
            PumpingRisk { carrier_risk: "moderate", score: 60 + spread, blocked: false }
        }
        _ if numbering::line_kind(number) != LineKind::Mobile => {
            PumpingRisk { carrier_risk: "mild", score: 25 + spread, blocked: false }
        }
        _ => PumpingRisk { carrier_risk: "low", score: spread, blocked: false },
    }
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

/// Networks by country, by the codes of ITU-T E.212.
fn mobile_carrier(number: PhoneNumber) -> Carrier {
    let networks: &[(&'static str, &'static str, &'static str)] =
        match numbering::country_of(number).map_or("", |country| country.iso) {
            "US" => &[
                ("T-Mobile USA, Inc.", "310", "260"),
                ("AT&T Wireless", "310", "410"),
                ("Verizon Wireless", "311", "480"),
            ],
            "CA" => &[("Rogers Wireless", "302", "720"), ("Bell Mobility", "302", "610")],
            "GB" => &[("O2 UK", "234", "10"), ("Vodafone UK", "234", "15"), ("EE", "234", "30")],
            "DE" => &[("Telekom Deutschland", "262", "01"), ("Vodafone Germany", "262", "02")],
            "FR" => &[("Orange France", "208", "01"), ("SFR", "208", "10")],
            "ES" => &[("Movistar", "214", "07"), ("Vodafone Spain", "214", "01")],
            "IT" => &[("TIM", "222", "01"), ("Vodafone Italy", "222", "10")],
            "NL" => &[("KPN", "204", "08"), ("Vodafone Netherlands", "204", "04")],
            "AU" => &[("Telstra", "505", "01"), ("Optus", "505", "02")],
            "IN" => &[("Airtel", "404", "45"), ("Vodafone Idea", "404", "20")],
            "BR" => &[("Vivo", "724", "06"), ("Claro Brasil", "724", "05")],
            "MX" => &[("Telcel", "334", "020")],
            "CO" => &[("Colombia Movil (Tigo)", "732", "103")],
            "LV" => &[("LMT", "247", "01"), ("Tele2 Latvia", "247", "02")],
            "LT" => &[("Telia Lietuva", "246", "01")],
            "RS" => &[("Yettel Serbia", "220", "01")],
            "SO" => &[("Hormuud", "637", "25")],
            _ => &[],
        };
    let position = mix(number.digits()) % (networks.len().max(1) as u64);
    match usize::try_from(position).ok().and_then(|position| networks.get(position)) {
        Some((name, country, network)) => Carrier {
            name,
            mobile_country_code: Some(country),
            mobile_network_code: Some(network),
        },
        None => Carrier { name: "Sandbox Mobile", mobile_country_code: None, mobile_network_code: None },
    }
}

const TWILIO: Carrier = Carrier {
    name: "Twilio - SMS/MMS-SVR",
    mobile_country_code: None,
    mobile_network_code: None,
};
const LANDLINE: Carrier =
    Carrier { name: "Sandbox Telephone", mobile_country_code: None, mobile_network_code: None };
const FIXED_VOIP: Carrier =
    Carrier { name: "Sandbox Cable", mobile_country_code: None, mobile_network_code: None };
