//! Where numbers are for sale, where some of North America's area codes are, and which of them a search means.

use ringfence_model::PhoneNumber;
use ringfence_twilio::wire::Form;

use crate::api::{Refusal, params, shortened};
use crate::world::numbering::Country;

/// What a country has for sale: what its national numbers begin with. Empty: it has none of that kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    pub(super) iso: &'static str,
    pub(super) local: &'static [&'static str],
    pub(super) mobile: &'static [&'static str],
    pub(super) toll_free: &'static [&'static str],
}

/// A place that an area code belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) iso: &'static str,
    pub(super) area_code: &'static str,
    pub(super) locality: &'static str,
    pub(super) region: &'static str,
    pub(super) postal_code: &'static str,
    pub(super) lata: &'static str,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
}

impl Place {
    pub(super) fn rate_center(&self) -> String {
        self.locality.to_ascii_uppercase()
    }

    /// How far it is from a point, in miles, on a sphere.
    fn miles_from(&self, (latitude, longitude): (f64, f64)) -> f64 {
        const RADIUS: f64 = 3958.8;
        let half = |one: f64, other: f64| ((one - other).to_radians() / 2.0).sin().powi(2);
        let shrink = latitude.to_radians().cos() * self.latitude.to_radians().cos();
        let chord = half(latitude, self.latitude) + shrink * half(longitude, self.longitude);
        2.0 * RADIUS * chord.sqrt().min(1.0).asin()
    }
}

/// One thing that is known of a place.
type Part = fn(&Place) -> String;

/// The filters that name a place, or a number that is in it.
const PARTS: [(&str, Part); 5] = [
    ("InRegion", |it| it.region.to_owned()),
    ("InLocality", |it| it.locality.to_owned()),
    ("InPostalCode", |it| it.postal_code.to_owned()),
    ("InLata", |it| it.lata.to_owned()),
    ("InRateCenter", Place::rate_center),
];

/// What a national number that is looked for may begin with: all that is offered, unless the search names an area code
/// or where the number should be. Nothing where nothing fits.
///
/// # Errors
/// What is no area code, number, point or distance.
pub(super) fn beginnings(query: &Form, country: &Country, offered: &[&str]) -> Result<Vec<String>, Refusal> {
    if let Some(area) = params::some(query, "AreaCode") {
        let area = area_code(area, country)?;
        // Any area code has numbers, but toll-free ones are among the toll-free numbers only.
        let fits = TOLL_FREE.contains(&area) == offered.iter().any(|it| TOLL_FREE.contains(it));
        return Ok(if fits { vec![area.to_owned()] } else { Vec::new() });
    }
    let near = near(query)?;
    let wanted: Vec<_> =
        PARTS.iter().filter_map(|(name, is)| Some((params::some(query, name)?, is))).collect();
    if near.is_none() && wanted.is_empty() {
        return Ok(offered.iter().map(|&it| it.to_owned()).collect());
    }
    if let Some(Near::Area(area)) = near {
        let is_local = country.calling_code() == 1 && !offered.iter().any(|it| TOLL_FREE.contains(it));
        let has_numbers = is_local && wanted.is_empty() && !TOLL_FREE.contains(&area.as_str());
        return Ok(if has_numbers { vec![area] } else { Vec::new() });
    }
    let is_wanted = |place: &Place| {
        wanted.iter().all(|(text, is)| {
            // Given a number, the same region (and so on) as that number's.
            let same = PhoneNumber::parse(text).ok().map(|number| of(number).map(is));
            match same {
                Some(other) => other == Some(is(place)),
                None => text.eq_ignore_ascii_case(&is(place)),
            }
        })
    };
    let is_near = |place: &Place| match near {
        Some(Near::Point { point, miles }) => place.miles_from(point) <= miles,
        Some(Near::Abroad) => false,
        _ => true,
    };
    let fits = |place: &&Place| {
        place.iso == country.iso && offered.contains(&place.area_code) && is_wanted(place) && is_near(place)
    };
    Ok(PLACES.iter().filter(fits).map(|place| place.area_code.to_owned()).collect())
}

/// Where a number of North America is, if the table knows.
pub(super) fn of(number: PhoneNumber) -> Option<&'static Place> {
    let digits = number.digits().to_string();
    let area = digits.strip_prefix('1')?.get(..3)?;
    PLACES.iter().find(|place| place.area_code == area)
}

/// What a number should be near to.
enum Near {
    Point {
        point: (f64, f64),
        miles: f64,
    },
    /// An area code of North America of which nobody knows where it is, so only its own numbers are near.
    Area(String),
    /// Somewhere else.
    Abroad,
}

fn near(query: &Form) -> Result<Option<Near>, Refusal> {
    let miles = params::number(query, "Distance", 0, 500)?.and_then(|miles| u16::try_from(miles).ok());
    let miles = f64::from(miles.unwrap_or(25));
    if let Some(text) = params::some(query, "NearLatLong") {
        let point = text.split_once(',').and_then(|(latitude, longitude)| {
            let read = |text: &str, most: f64| text.trim().parse().ok().filter(|it: &f64| it.abs() <= most);
            Some((read(latitude, 90.0)?, read(longitude, 180.0)?))
        });
        let point = point.ok_or_else(|| Refusal::invalid("NearLatLong", text))?;
        return Ok(Some(Near::Point { point, miles }));
    }
    let Some(text) = params::some(query, "NearNumber") else { return Ok(None) };
    let number = PhoneNumber::parse(text).map_err(|_| Refusal::invalid("NearNumber", text))?;
    let digits = number.digits().to_string();
    let area = digits.strip_prefix('1').and_then(|national| national.get(..3));
    Ok(Some(match (of(number), area) {
        (Some(place), _) => Near::Point { point: (place.latitude, place.longitude), miles },
        (None, Some(area)) => Near::Area(area.to_owned()),
        (None, None) => Near::Abroad,
    }))
}

/// An area code of North America.
fn area_code<'a>(area: &'a str, country: &Country) -> Result<&'a str, Refusal> {
    let is_one = area.len() == 3 && area.bytes().all(|byte| byte.is_ascii_digit());
    if is_one && !area.starts_with(['0', '1']) && country.calling_code() == 1 {
        Ok(area)
    } else {
        Err(Refusal::bad_request(21451, format!("The AreaCode provided, {}, is not valid.", shortened(area))))
    }
}

/// The beginnings of North America's toll-free numbers.
const TOLL_FREE: &[&str] = &["800", "833", "844", "855", "866", "877", "888"];

/// Countries in Twilio's order, more or less: by what people ask for.
#[rustfmt::skip]
pub(super) const OFFERS: &[Offer] = &[
    offer("US", &["415", "212", "808", "312", "213", "617", "512", "206", "305", "404", "702", "510"], &[], TOLL_FREE),
    offer("CA", &["416", "604", "514", "403", "613"], &[], TOLL_FREE),
    offer("GB", &["20", "113", "121", "161"], &["74", "75"], &["800"]),
    offer("AU", &["2", "3", "7", "8"], &["4"], &["1800"]),
    offer("AT", &["1", "720"], &["676"], &["800"]),
    offer("BE", &["2", "3"], &["46"], &["800"]),
    offer("BR", &["11", "21"], &[], &[]),
    offer("CH", &["43", "44"], &["76"], &["800"]),
    offer("DE", &["30", "40", "89"], &["1521"], &["800"]),
    offer("DK", &["32", "78"], &[], &[]),
    offer("ES", &["91", "93"], &["6"], &[]),
    offer("FI", &["9"], &["45"], &["800"]),
    offer("FR", &["1", "4"], &["6", "7"], &[]),
    offer("HK", &["3"], &["5", "6"], &["800"]),
    offer("IE", &["1"], &["8"], &["1800"]),
    offer("IL", &["3"], &["5"], &[]),
    offer("IT", &["02", "06"], &["3"], &["800"]),
    offer("JP", &["3", "50"], &[], &[]),
    offer("LT", &["5"], &["6"], &[]),
    offer("MX", &["55", "81"], &[], &["800"]),
    offer("NL", &["20", "10"], &["6"], &["800"]),
    offer("NO", &["2"], &["4", "9"], &["800"]),
    offer("NZ", &["9"], &["2"], &["800"]),
    offer("PL", &["22"], &["5", "6", "78"], &["800"]),
    offer("PT", &["21"], &["9"], &["800"]),
    offer("SE", &["8", "10"], &["7"], &[]),
    offer("SG", &["3"], &["8", "9"], &["800"]),
    offer("ZA", &["10", "21"], &["6", "7"], &[]),
];

/// Some of North America's area codes, each with its largest city.
#[rustfmt::skip]
pub(super) const PLACES: &[Place] = &[
    place("US", "206", "Seattle", "WA", "98101", "674", (47.61, -122.33)),
    place("US", "212", "New York", "NY", "10001", "132", (40.75, -73.99)),
    place("US", "213", "Los Angeles", "CA", "90012", "730", (34.06, -118.24)),
    place("US", "305", "Miami", "FL", "33101", "460", (25.78, -80.20)),
    place("US", "312", "Chicago", "IL", "60601", "358", (41.89, -87.62)),
    place("US", "404", "Atlanta", "GA", "30303", "438", (33.75, -84.39)),
    place("US", "415", "San Francisco", "CA", "94103", "722", (37.77, -122.41)),
    place("US", "510", "Oakland", "CA", "94607", "722", (37.80, -122.27)),
    place("US", "512", "Austin", "TX", "78701", "558", (30.27, -97.74)),
    place("US", "617", "Boston", "MA", "02108", "128", (42.36, -71.06)),
    place("US", "702", "Las Vegas", "NV", "89101", "721", (36.17, -115.13)),
    place("US", "808", "Hilo", "HI", "96720", "834", (19.72, -155.09)),
    place("CA", "403", "Calgary", "AB", "T2P", "888", (51.05, -114.07)),
    place("CA", "416", "Toronto", "ON", "M5H", "888", (43.65, -79.38)),
    place("CA", "514", "Montreal", "QC", "H3B", "888", (45.50, -73.57)),
    place("CA", "604", "Vancouver", "BC", "V6B", "888", (49.28, -123.12)),
    place("CA", "613", "Ottawa", "ON", "K1P", "888", (45.42, -75.70)),
];

const fn offer(
    iso: &'static str,
    local: &'static [&'static str],
    mobile: &'static [&'static str],
    toll_free: &'static [&'static str],
) -> Offer {
    Offer { iso, local, mobile, toll_free }
}

const fn place(
    iso: &'static str,
    area_code: &'static str,
    locality: &'static str,
    region: &'static str,
    postal_code: &'static str,
    lata: &'static str,
    (latitude, longitude): (f64, f64),
) -> Place {
    Place { iso, area_code, locality, region, postal_code, lata, latitude, longitude }
}
