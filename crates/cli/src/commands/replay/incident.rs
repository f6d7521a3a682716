//! An incident as its file tells it.

use ringfence_breaker::DialPrefix;
use ringfence_model::Amount;
use serde::{Deserialize, Deserializer, de::Error as _};

/// A recorded attack.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Incident {
    pub(super) id: String,
    pub(super) title: String,
    limit: DailyLimit,
    pub(super) replay: Replay,
}

#[derive(Debug, Clone, Deserialize)]
struct DailyLimit {
    every: Every,
    #[serde(deserialize_with = "amount")]
    at: Amount,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Every {
    Daily,
}

/// What is sent.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Replay {
    pub(super) channel: Channel,
    pub(super) requests: u32,
    /// Of calls: how many somebody answers. The others cost nothing.
    pub(super) answered: u32,
    pub(super) duration_s: u32,
    pub(super) ramp: Ramp,
    #[serde(default, deserialize_with = "maybe_amount")]
    pub(super) price_each: Option<Amount>,
    #[serde(default, deserialize_with = "maybe_amount")]
    pub(super) price_per_minute: Option<Amount>,
    #[serde(default)]
    pub(super) minutes_each: u32,
    pub(super) to_prefixes: Vec<DialPrefix>,
}

/// How it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Channel {
    Sms,
    Call,
}

/// How the requests lie in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ramp {
    /// Evenly.
    Flat,
    /// More and more.
    Linear,
}

/// Requests of one incident that are replayed at most.
const REQUESTS_MAX: u32 = 1_000_000;

impl Incident {
    /// Reads one, and says what is wrong with one that cannot be replayed.
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let incident: Self = serde_json::from_str(text)?;
        let wrong = |what| Err(serde_json::Error::custom(what));
        let replay = &incident.replay;
        match replay.channel {
            Channel::Sms if replay.price_each.is_none() => {
                return wrong("replay.price_each is missing: what a message costs");
            }
            Channel::Call if replay.price_per_minute.is_none() || replay.minutes_each == 0 => {
                return wrong("replay.price_per_minute and replay.minutes_each tell what a call costs");
            }
            Channel::Sms | Channel::Call => {}
        }
        if replay.requests == 0 || replay.requests > REQUESTS_MAX || replay.answered > replay.requests {
            return wrong("replay.requests is from 1 to 1,000,000, and replay.answered no more than that");
        }
        if replay.duration_s == 0 || replay.duration_s > 86_400 {
            return wrong("replay.duration_s is from 1 to 86,400, so that all of it is in one day");
        }
        if replay.to_prefixes.is_empty() {
            return wrong("replay.to_prefixes is empty: what the numbers begin with");
        }
        if incident.limit.at <= Amount::ZERO {
            return wrong("limit.at must be more than 0");
        }
        Ok(incident)
    }

    /// The limit, for a day.
    pub(super) fn limit_amount(&self) -> Amount {
        let DailyLimit { every: Every::Daily, at } = self.limit;
        at
    }

    /// How long it took, for people.
    pub(super) fn duration(&self) -> String {
        match self.replay.duration_s {
            seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
            seconds => format!("{seconds} s"),
        }
    }
}

fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom(format!("\"{text}\" is no amount, such as \"50.00\"")))
}

fn maybe_amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Amount>, D::Error> {
    amount(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = r#"{"id":"x","title":"X","limit":{"every":"daily","at":"50.00"},"replay":{"channel":"sms",
        "requests":10,"answered":10,"duration_s":60,"ramp":"flat","price_each":"0.20","to_prefixes":["+959"]}}"#;

    #[test]
    fn an_incident_that_cannot_be_replayed_says_what_is_wrong() {
        assert!(Incident::parse(SOUND).is_ok());
        for (from, to, expected) in [
            ("\"price_each\":\"0.20\",", "", "price_each is missing"),
            ("\"sms\"", "\"call\"", "tell what a call costs"),
            ("\"requests\":10", "\"requests\":0", "replay.requests is from 1"),
            ("\"duration_s\":60", "\"duration_s\":86401", "all of it is in one day"),
            ("[\"+959\"]", "[]", "to_prefixes is empty"),
            ("[\"+959\"]", "[\"959\"]", "a prefix is +"),
            ("\"50.00\"", "\"0\"", "more than 0"),
            ("\"50.00\"", "\"fifty\"", "is no amount"),
            ("daily", "hourly", "unknown variant"),
        ] {
            let error = Incident::parse(&SOUND.replace(from, to)).expect_err(to).to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
