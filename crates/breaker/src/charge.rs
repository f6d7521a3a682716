//! What one outgoing request can cost at most.

use ringfence_model::Amount;

use crate::Measure;

/// The worst price of one request, known before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Charge {
    /// Its parts.
    pub lines: Vec<Line>,
}

/// One part of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Every usage category in which Twilio may count it: leaves, what they lie in, and `totalprice`.
    pub categories: &'static [&'static str],
    /// Its worst price.
    pub price: Amount,
    /// Its worst usage, in the unit of the category: segments, minutes.
    pub usage: Amount,
    /// How many: messages, calls.
    pub count: Amount,
}

impl Charge {
    /// What it adds at most to what is counted so.
    pub fn amount(&self, measure: Measure, category: &str) -> Amount {
        let of = |line: &Line| match measure {
            Measure::Price => line.price,
            Measure::Usage => line.usage,
            Measure::Count => line.count,
        };
        let counted = self.lines.iter().filter(|line| line.categories.contains(&category));
        counted.fold(Amount::ZERO, |sum, line| sum.saturating_add(of(line)))
    }

    /// Its worst price.
    pub fn price(&self) -> Amount {
        self.lines.iter().fold(Amount::ZERO, |sum, line| sum.saturating_add(line.price))
    }
}
