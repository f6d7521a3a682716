//! Where numbers are for sale, and where some of North America's area codes are.

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
