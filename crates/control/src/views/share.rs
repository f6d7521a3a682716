//! What share of what was sent was good, where that tripped a limit.

use ringfence_breaker::{Measure, Over};
use ringfence_model::Amount;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::notices::percent;

/// What share of what was sent was good, when it was too little.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Share")]
pub struct ShareView {
    /// Of messages that are delivered, or of codes that are entered.
    #[schemars(schema_with = "schema::measure")]
    pub of: Measure,
    /// How many hundredths it was.
    #[schemars(schema_with = "schema::decimal")]
    pub percent: String,
    /// Of how many.
    pub judged: u64,
    /// How many hundredths it is to be at least.
    pub least_percent: u8,
    /// The same in words: `only 3.2 % of 120 codes were entered, less than 20 %`.
    pub words: String,
}

impl ShareView {
    /// What tripped a limit of this measure, where that is a share: below `least` hundredths it is too little.
    pub(super) fn of(measure: Measure, least: Amount, over: Over) -> Option<Self> {
        let judged = over.judged.filter(|_| measure.is_a_sign())?;
        let (things, done) = match measure {
            Measure::Delivery => ("messages", "delivered"),
            _ => ("codes", "entered"),
        };
        Some(Self {
            of: measure,
            percent: over.amount.to_string(),
            judged,
            least_percent: u8::try_from(least.micros() / ONE).unwrap_or(u8::MAX),
            words: format!(
                "only {} of {judged} {things} were {done}, less than {}",
                percent(over.amount),
                percent(least)
            ),
        })
    }
}

impl ShareView {
    /// The share for people: `3.2 %`.
    pub fn shown(&self) -> String {
        self.percent.parse().map_or_else(|_| self.percent.clone(), percent)
    }

    /// What it is a share of: `120 codes`.
    pub fn of_what(&self) -> String {
        let things = if self.of == Measure::Delivery { "messages" } else { "codes" };
        format!("{} {things}", self.judged)
    }
}

/// One hundredth.
const ONE: i64 = Amount::from_units(1).micros();
