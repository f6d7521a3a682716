//! `prices` in `[egress]`: what the operator knows better than the Pricing API and the built-in guesses.

use ringfence_breaker::DialPrefix;
use ringfence_breaker::price_book::{Fee, Kind, Override, Overrides, Place};
use ringfence_model::{Amount, Country};

use super::problems::Problems;
use super::raw::{Field, Section, Table};

pub(super) const SECTION: Section =
    Section { name: "[[egress.prices]]", keys: &["of", "to", "price"], later: &[] };

const FORM: &str = "a list such as [{ of = \"carrier-sms-us\", price = \"0.003\" }, \
                    { of = \"segment\", to = \"GB\", price = \"0.04\" }]";

/// What a price is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Fee(Fee),
    Kind(Kind),
}

pub(super) fn resolve(field: Option<Field<'_>>, problems: &mut Problems) -> Overrides {
    let mut overrides = Overrides::default();
    let entries = field.and_then(|field| field.list(FORM, problems)).unwrap_or_default();
    for entry in entries {
        let Some(table) = entry.table(&SECTION, super::SECTIONS, FORM, problems) else { continue };
        let Some((of, place, price)) = read(&table, problems) else { continue };
        // Carriers of many countries take nothing. All else costs something, or a limit would not be there.
        if price == Amount::ZERO && matches!(of, Of::Kind(kind) if kind != Kind::CarrierFee) {
            table.doubtful(
                "price",
                "at 0 what goes there passes every limit of money; write what it costs",
                problems,
            );
        }
        let is_new = match of {
            Of::Fee(fee) => overrides.fees.insert(fee, price).is_none(),
            Of::Kind(kind) => {
                let is_new = !overrides.destinations.iter().any(|it| (it.kind, it.place) == (kind, place));
                overrides.destinations.push(Override { kind, place, price });
                is_new
            }
        };
        if !is_new {
            table.wrong("of", "this price is there twice; remove one of them", problems);
        }
    }
    overrides
}

fn read(table: &Table<'_>, problems: &mut Problems) -> Option<(Of, Place, Amount)> {
    let of = table.required("of", "what it is of: docs/prices.md lists the names", problems);
    let of = of.and_then(|field| {
        field.parse("a name of docs/prices.md, such as \"carrier-sms-us\" or \"segment\"", problems, |text| {
            let kind = || Kind::ALL.into_iter().find(|kind| kind.name() == text).map(Of::Kind);
            Fee::parse(text).map(Of::Fee).or_else(kind).ok_or("is not the name of a price")
        })
    });
    let place = match table.find("to") {
        None => Some(Place::Everywhere),
        Some(field) => {
            field.parse("a country (\"GB\") or the beginning of numbers (\"+4477\")", problems, place)
        }
    };
    let price =
        table.required("price", "an amount such as \"0.04\", in the currency of the account", problems);
    let price = price.and_then(|field| {
        field.parse("an amount such as \"0.04\"", problems, |text| match text.parse::<Amount>() {
            Ok(amount) if amount >= Amount::ZERO => Ok(amount),
            Ok(_) => Err("is less than 0"),
            Err(_) => Err("is no amount"),
        })
    });
    if let Some(Of::Fee(_)) = of
        && table.has("to")
    {
        table.wrong("to", "this price is the same for all numbers; remove `to`", problems);
        return None;
    }
    Some((of?, place?, price?))
}

fn place(text: &str) -> Result<Place, &'static str> {
    match text.strip_prefix('+') {
        Some(digits) => DialPrefix::of_digits(digits)
            .map(Place::Prefix)
            .map_err(|_| "is not the beginning of a number: + and 1 to 15 digits"),
        None => Country::parse(text).map(Place::Country).map_err(|_| "is no country of two capital letters"),
    }
}
