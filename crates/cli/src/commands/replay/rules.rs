//! The limits of a replay, and its prices.

use ringfence_breaker::price_book::{Fee, Kind, Override, Overrides, Place, Prices, Rules};
use ringfence_breaker::{
    Limit, Measure, Per, PriceBook, Probe, Reset, Scope, Sign, Threshold, Unseen, Window,
};
use ringfence_model::Amount;

use super::attack::{HONEST_FEE, HONEST_TOLD};
use super::guards::Ours;
use super::incident::Incident;

/// The incident's limit for a day, and where wanted the rules for bursts that `docs/egress.md` advises; or its limit of a share
/// alone, which says what the sign would do by itself.
pub(super) fn limits(incident: &Incident, ours: Ours) -> Vec<Limit> {
    let daily = Limit {
        name: "a day".to_owned(),
        scope: Scope::All,
        per: Per::Account,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(incident.limit_amount()),
        burst: None,
        unseen: None,
        warn: Vec::new(),
        then: Vec::new(),
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    };
    let measure = match ours {
        Ours::Limit => return vec![daily],
        Ours::Bursts => None,
        Ours::Conversion => Some(Measure::Conversion),
        Ours::Delivery => Some(Measure::Delivery),
    };
    if let Some(measure) = measure {
        let share = Limit {
            name: "a share".to_owned(),
            per: Per::Prefix,
            measure,
            category: String::new(),
            window: Window::Rolling { seconds: 3_600 },
            at: Threshold::Share(Sign { percent: 20, least: 20, settle: 600 }),
            ..daily.clone()
        };
        return vec![share];
    }
    // Each beginning of a number gets a fifteenth of the day's money in any hour, of which less than a sixth passes at once: what
    // flows in is a quarter more than what the honest texts take. Where the account has sent nothing before, a fiftieth in a day.
    let part = |of: i64| Amount::from_micros(incident.limit_amount().micros() / of);
    let flow = |name: &str, seconds, at, burst| Limit {
        name: name.to_owned(),
        per: Per::Prefix,
        window: Window::Gcra { seconds },
        at: Threshold::At(at),
        burst: Some(burst),
        reset: Reset::NextWindow,
        ..daily.clone()
    };
    let unseen = Some(Unseen { within: 30 * DAY_S, known_after: 3 * DAY_S });
    vec![
        flow("an hour to one place", 3_600, part(15), part(100)),
        Limit { unseen, ..flow("a place that is new", DAY_S, part(50), part(100)) },
        daily,
    ]
}

const DAY_S: u32 = 86_400;

/// The incident's own prices.
pub(super) fn book(incident: &Incident) -> PriceBook {
    let replay = &incident.replay;
    let price = |kind, place, price| Override { kind, place, price };
    let mut destinations = Vec::new();
    for prefix in &replay.to_prefixes {
        let place = Place::Prefix(*prefix);
        destinations.extend(replay.price_each.map(|each| price(Kind::Segment, place, each)));
        destinations.extend(replay.price_per_minute.map(|each| price(Kind::Minute, place, each)));
    }
    destinations.push(price(Kind::Segment, Place::Everywhere, HONEST_TOLD));
    destinations.push(price(Kind::Minute, Place::Everywhere, Amount::from_micros(14_000)));
    // What carriers take of this account, which has no check for pumping.
    let fees = [(Fee::CarrierSmsUs, HONEST_FEE), (Fee::PumpingCheckUsCa, Amount::ZERO)].into();
    let rules = Rules { overrides: Overrides { destinations, fees }, ..Rules::default() };
    PriceBook::new(Prices::new("USD"), rules)
        .unwrap_or_else(|error| unreachable!("no price is negative: {error}"))
}
