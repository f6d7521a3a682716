//! `table.txt`, read once.

use std::collections::HashMap;
use std::sync::LazyLock;

use ringfence_twilio::wire::Price;

use super::VoiceClass;

/// The table.
#[derive(Debug)]
pub(crate) struct Prices {
    countries: HashMap<&'static str, CountryPrices>,
    others: CountryPrices,
    /// A started minute in, on a local number and on a toll-free one; the same everywhere.
    pub(crate) call_in: i64,
    pub(crate) call_in_toll_free: i64,
}

/// What a country costs, in millionths of a dollar.
#[derive(Debug, Clone)]
pub(crate) struct CountryPrices {
    /// A segment out, where the network is not known.
    pub(crate) message_out: i64,
    /// A segment in.
    pub(crate) message_in: i64,
    fixed: i64,
    mobile: i64,
    special_rate: i64,
    /// A month of a local number.
    pub(crate) rent_local: i64,
    /// A month of a toll-free number.
    pub(crate) rent_toll_free: i64,
    pub(crate) high_risk: bool,
    /// What the national part of special numbers begins with.
    pub(crate) special: Vec<String>,
    /// What the national part of numbers begins with that are known from toll fraud.
    pub(crate) toll_fraud: Vec<String>,
    pub(crate) networks: Vec<Network>,
}

/// A mobile network.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) name: &'static str,
    /// Mobile country code and network code, ITU-T E.212.
    pub(crate) mcc: &'static str,
    pub(crate) mnc: &'static str,
    /// A segment out.
    pub(crate) message_out: i64,
}

impl CountryPrices {
    /// A minute out to numbers of a class.
    pub(crate) fn call_out(&self, class: VoiceClass) -> i64 {
        match class {
            VoiceClass::Fixed => self.fixed,
            VoiceClass::Mobile => self.mobile,
            VoiceClass::Special => self.special_rate,
        }
    }
}

impl Prices {
    /// The table, which is the same for everybody.
    pub(crate) fn load() -> &'static Self {
        static PRICES: LazyLock<Prices> =
            LazyLock::new(|| read(include_str!("table.txt")).expect("a test reads the table"));
        &PRICES
    }

    /// What a country costs; of one without a row, what the others cost.
    pub(crate) fn of_country(&self, iso: &str) -> &CountryPrices {
        self.countries.get(iso).unwrap_or(&self.others)
    }
}

fn read(text: &'static str) -> Result<Prices, String> {
    let mut countries = HashMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (iso, prices) = row(line).ok_or_else(|| format!("this row cannot be read: {line}"))?;
        if countries.insert(iso, prices).is_some() {
            return Err(format!("{iso} has two rows"));
        }
    }
    let others = countries.remove("**").ok_or("there is no row **")?;
    Ok(Prices { countries, others, call_in: 8_500, call_in_toll_free: 22_000 })
}

fn row(line: &'static str) -> Option<(&'static str, CountryPrices)> {
    let columns: Vec<&str> = line.split(';').map(str::trim).collect();
    let [iso, out, into, fixed, mobile, special_rate, local, toll_free, risk, special, fraud, networks] =
        columns[..]
    else {
        return None;
    };
    let message_out = micros(out)?;
    let prices = CountryPrices {
        message_out,
        message_in: micros(into)?,
        fixed: micros(fixed)?,
        mobile: micros(mobile)?,
        special_rate: micros(special_rate)?,
        rent_local: micros(local)?,
        rent_toll_free: micros(toll_free)?,
        high_risk: match risk {
            "high" => true,
            "low" => false,
            _ => return None,
        },
        special: list(special).map(str::to_owned).collect(),
        toll_fraud: list(fraud).map(str::to_owned).collect(),
        networks: list(networks).map(|text| network(text, message_out)).collect::<Option<_>>()?,
    };
    Some((iso, prices))
}

fn network(text: &'static str, usual: i64) -> Option<Network> {
    let [name, mcc, mnc, price] = text.split('/').collect::<Vec<_>>()[..] else { return None };
    let message_out = if price == "-" { usual } else { micros(price)? };
    Some(Network { name, mcc, mnc, message_out })
}

fn list(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split(',').map(str::trim).filter(|it| *it != "-")
}

fn micros(text: &str) -> Option<i64> {
    text.parse::<Price>().ok().map(|price| price.micros).filter(|micros| *micros > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::numbering;

    #[test]
    fn every_row_can_be_read_and_is_of_a_country() {
        let prices = read(include_str!("table.txt")).unwrap();
        assert!(prices.countries.len() > 100, "{}", prices.countries.len());
        for iso in prices.countries.keys() {
            assert!(numbering::country_by_iso(iso).is_some(), "{iso}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_is_found() {
        const FEW: &str = "US; North America; 0.0079";
        const TWICE: &str =
            "**; -; 1; 1; 1; 1; 1; 1; 1; low; -; -; -\n**; -; 1; 1; 1; 1; 1; 1; 1; low; -; -; -";
        for text in [
            FEW,
            TWICE,
            "**; -; 0; 1; 1; 1; 1; 1; 1; low; -; -; -",
            "**; -; 1; 1; 1; 1; 1; 1; 1; some; -; -; -",
            "",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_special_number_never_costs_less_than_a_landline() {
        let prices = Prices::load();
        for (iso, row) in &prices.countries {
            assert!(row.special_rate >= row.fixed, "{iso}");
        }
    }
}
