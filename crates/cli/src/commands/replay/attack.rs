//! An incident as requests in time, with honest ones between.

use ringfence_model::{Amount, PhoneNumber};

use super::incident::{Channel, Incident, Ramp};

/// All requests, in order.
#[derive(Debug)]
pub(super) struct Attack {
    pub(super) requests: Vec<Sent>,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// Milliseconds after the beginning.
    pub(super) at_ms: u64,
    pub(super) to: PhoneNumber,
    pub(super) is_honest: bool,
    /// What it costs, all in all.
    pub(super) price: Amount,
    /// What of it Twilio's lists tell: carrier fees are beside it.
    pub(super) told: Amount,
    /// When it is over: at once for a message, at the end of a call.
    pub(super) over_after_ms: u64,
}

/// Honest traffic: a message to the United States so often, at its list price, and with a carrier's fee.
const HONEST_EVERY_MS: u64 = 20_000;
pub(super) const HONEST_TO: &str = "+1415";
pub(super) const HONEST_TOLD: Amount = Amount::from_micros(8_300);
pub(super) const HONEST_FEE: Amount = Amount::from_micros(3_000);
const HONEST_PRICE: Amount = HONEST_TOLD.saturating_add(HONEST_FEE);

impl Attack {
    /// The requests of an incident. The numbers are made up, the same each time.
    pub(super) fn of(incident: &Incident) -> Self {
        let replay = &incident.replay;
        let (count, length_ms) = (u64::from(replay.requests), u64::from(replay.duration_s) * 1_000);
        let each_prefix = replay.to_prefixes.len();
        let mut requests: Vec<Sent> = (0..count)
            .map(|number| {
                // Where more than one place is named, one comes after the other, as it was told.
                let part = usize::try_from(number * each_prefix as u64 / count).unwrap_or(0);
                let (price, over_after_ms) = match replay.channel {
                    Channel::Sms => (replay.price_each.unwrap_or_default(), 0),
                    Channel::Call => {
                        let is_answered = number * u64::from(replay.answered) / count
                            != (number + 1) * u64::from(replay.answered) / count;
                        let minutes = i64::from(replay.minutes_each);
                        let micros =
                            replay.price_per_minute.unwrap_or_default().micros().saturating_mul(minutes);
                        if is_answered {
                            (Amount::from_micros(micros), u64::from(replay.minutes_each) * 60_000)
                        } else {
                            (Amount::ZERO, 30_000)
                        }
                    }
                };
                Sent {
                    at_ms: moment(number, count, length_ms, replay.ramp),
                    to: made_up(&replay.to_prefixes[part.min(each_prefix - 1)].to_string(), number),
                    is_honest: false,
                    price,
                    told: price,
                    over_after_ms,
                }
            })
            .collect();
        requests.extend((0..length_ms / HONEST_EVERY_MS).map(|number| Sent {
            at_ms: number * HONEST_EVERY_MS,
            to: made_up(HONEST_TO, number),
            is_honest: true,
            price: HONEST_PRICE,
            told: HONEST_TOLD,
            over_after_ms: 0,
        }));
        requests.sort_by_key(|request| (request.at_ms, !request.is_honest));
        Self { requests }
    }
}

/// When a request is sent: evenly, or so that the rate grows from nothing.
fn moment(number: u64, count: u64, length_ms: u64, ramp: Ramp) -> u64 {
    match ramp {
        Ramp::Flat => number * length_ms / count,
        // The whole of what was sent grows with the square of the time.
        Ramp::Linear => (u128::from(number) * u128::from(length_ms) * u128::from(length_ms)
            / u128::from(count))
        .isqrt()
        .try_into()
        .unwrap_or(length_ms),
    }
}

/// A number with this beginning and eleven digits.
fn made_up(prefix: &str, number: u64) -> PhoneNumber {
    let missing = 12_usize.saturating_sub(prefix.len()).max(1);
    // Neighbours are far apart.
    let rest = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 10_u64.pow(u32::try_from(missing).unwrap_or(1));
    let text = format!("{prefix}{rest:0missing$}");
    PhoneNumber::parse(&text).unwrap_or_else(|_| unreachable!("{text} is a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_has_its_length_and_its_price() {
        for (file, total) in [
            (include_str!("../../../../../bench/incidents/amar-2023.json"), 1860),
            (include_str!("../../../../../bench/incidents/bonanza-2019.json"), 4487),
            (include_str!("../../../../../bench/incidents/chasen-2023.json"), 4600),
            (include_str!("../../../../../bench/incidents/spike-2021.json"), 870),
        ] {
            let incident = Incident::parse(file).expect("an incident");
            let attack = Attack::of(&incident);
            let (honest, evil): (Vec<&Sent>, Vec<&Sent>) =
                attack.requests.iter().partition(|it| it.is_honest);
            let sum = evil.iter().fold(Amount::ZERO, |sum, it| sum.saturating_add(it.price));
            assert_eq!(sum.micros() / 1_000_000, total, "{}", incident.id);
            assert!(honest.len() > 5 && evil.len() == incident.replay.requests as usize);
            let last = attack.requests.last().expect("some").at_ms;
            assert!(last < u64::from(incident.replay.duration_s) * 1_000);
            assert!(attack.requests.is_sorted_by_key(|it| it.at_ms));
        }
    }
}
