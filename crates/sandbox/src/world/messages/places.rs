//! Where a number is from, for the `From…` and `To…` parameters of webhooks.
//!
//! Twilio tells city, state and postcode of North American landlines from its own tables, and nothing for most of
//! the world. Here a handful of area codes has a place and the rest has none, which applications must expect anyway.

use ringfence_model::PhoneNumber;

/// Empty where nothing is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::world) struct Place {
    pub(in crate::world) city: &'static str,
    pub(in crate::world) state: &'static str,
    pub(in crate::world) zip: &'static str,
    pub(in crate::world) country: &'static str,
}

/// ISO 3166, or empty.
pub(crate) fn country_of(number: PhoneNumber) -> &'static str {
    place_of(number).country
}

pub(in crate::world) fn place_of(number: PhoneNumber) -> Place {
    let digits = number.digits();
    if (10_000_000_000..20_000_000_000).contains(&digits) {
        return north_america(digits / 10_000_000 % 1000);
    }
    Place { country: country(digits), ..Place::default() }
}

fn north_america(area_code: u64) -> Place {
    let (city, state, zip) = match area_code {
        202 => ("WASHINGTON", "DC", "20001"),
        206 => ("SEATTLE", "WA", "98101"),
        212 | 646 | 917 => ("NEW YORK", "NY", "10001"),
        213 | 323 => ("LOS ANGELES", "CA", "90012"),
        214 | 469 => ("DALLAS", "TX", "75201"),
        303 | 720 => ("DENVER", "CO", "80202"),
        305 => ("MIAMI", "FL", "33130"),
        312 => ("CHICAGO", "IL", "60601"),
        404 => ("ATLANTA", "GA", "30303"),
        415 => ("SAN FRANCISCO", "CA", "94105"),
        503 => ("PORTLAND", "OR", "97205"),
        512 => ("AUSTIN", "TX", "78701"),
        602 => ("PHOENIX", "AZ", "85003"),
        617 => ("BOSTON", "MA", "02108"),
        713 => ("HOUSTON", "TX", "77002"),
        _ => ("", "", ""),
    };
    let country = if CANADA.contains(&area_code) { "CA" } else { "US" };
    Place { city, state, zip, country }
}

/// Area codes of Canada. The islands that share +1 count as the United States here.
const CANADA: &[u64] = &[
    204, 226, 236, 249, 250, 257, 263, 289, 306, 343, 354, 365, 367, 368, 382, 403, 416, 418, 428, 431, 437,
    438, 450, 468, 474, 506, 514, 519, 548, 579, 581, 584, 587, 604, 613, 639, 647, 672, 683, 705, 709, 742,
    753, 778, 780, 782, 807, 819, 825, 867, 873, 879, 902, 905,
];

/// The country of a calling code, the longest that fits.
fn country(digits: u64) -> &'static str {
    let text = digits.to_string();
    (1..=3.min(text.len()))
        .rev()
        .find_map(|length| COUNTRIES.binary_search_by_key(&&text[..length], |(code, _)| code).ok())
        .map_or("", |at| COUNTRIES[at].1)
}

/// Calling codes in their order as text.
const COUNTRIES: &[(&str, &str)] = &[
    ("20", "EG"),
    ("212", "MA"),
    ("213", "DZ"),
    ("216", "TN"),
    ("220", "GM"),
    ("232", "SL"),
    ("233", "GH"),
    ("234", "NG"),
    ("235", "TD"),
    ("243", "CD"),
    ("252", "SO"),
    ("254", "KE"),
    ("255", "TZ"),
    ("256", "UG"),
    ("27", "ZA"),
    ("30", "GR"),
    ("31", "NL"),
    ("32", "BE"),
    ("33", "FR"),
    ("34", "ES"),
    ("351", "PT"),
    ("352", "LU"),
    ("353", "IE"),
    ("354", "IS"),
    ("358", "FI"),
    ("359", "BG"),
    ("36", "HU"),
    ("370", "LT"),
    ("371", "LV"),
    ("372", "EE"),
    ("380", "UA"),
    ("381", "RS"),
    ("385", "HR"),
    ("386", "SI"),
    ("39", "IT"),
    ("40", "RO"),
    ("41", "CH"),
    ("420", "CZ"),
    ("421", "SK"),
    ("43", "AT"),
    ("44", "GB"),
    ("45", "DK"),
    ("46", "SE"),
    ("47", "NO"),
    ("48", "PL"),
    ("49", "DE"),
    ("51", "PE"),
    ("52", "MX"),
    ("53", "CU"),
    ("54", "AR"),
    ("55", "BR"),
    ("56", "CL"),
    ("57", "CO"),
    ("58", "VE"),
    ("60", "MY"),
    ("61", "AU"),
    ("62", "ID"),
    ("63", "PH"),
    ("64", "NZ"),
    ("65", "SG"),
    ("66", "TH"),
    ("7", "RU"),
    ("81", "JP"),
    ("82", "KR"),
    ("84", "VN"),
    ("852", "HK"),
    ("86", "CN"),
    ("880", "BD"),
    ("886", "TW"),
    ("90", "TR"),
    ("91", "IN"),
    ("92", "PK"),
    ("94", "LK"),
    ("966", "SA"),
    ("971", "AE"),
    ("972", "IL"),
    ("98", "IR"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: &str) -> Place {
        place_of(PhoneNumber::parse(number).unwrap())
    }

    #[test]
    fn the_calling_codes_are_in_order() {
        assert!(COUNTRIES.is_sorted_by(|one, other| one.0 < other.0));
    }

    #[test]
    fn a_number_has_the_country_of_the_longest_code_that_fits() {
        assert_eq!(place("+14155550100").city, "SAN FRANCISCO");
        assert_eq!(place("+16045550100"), Place { country: "CA", ..Place::default() });
        assert_eq!(place("+442071838750").country, "GB");
        assert_eq!(place("+37122000000").country, "LV");
        assert_eq!(place("+79161234567").country, "RU");
        assert_eq!(place("+9991234567").country, "");
    }
}
