//! What has led to an error: how commits fell together does not come again with the seed.

use super::truth::Stage;
use super::{Simulation, day};

/// So many events are told.
const TOLD: usize = 60;

impl Simulation {
    pub(super) fn note(&mut self, event: &str) {
        if self.events.len() == TOLD {
            self.events.pop_front();
        }
        self.events.push_back(format!("  {} {:>8} s: {event}", self.now, self.passed));
    }

    /// What memory and clock went through, what is true, and what the ledger says.
    pub(super) async fn story(&self) -> String {
        let mut lines: Vec<String> = self.events.iter().cloned().collect();
        let mut made: Vec<(i64, String)> = Vec::new();
        for (id, truth) in &self.truth {
            if let Stage::Made { at, price, fee, counted_at, .. } = truth.stage
                && day(at) == day(self.now)
            {
                made.push((
                    counted_at,
                    format!("  {id}: made at {at} for {price} + {fee}, counted at {counted_at} s"),
                ));
            } else if let Stage::Waiting = truth.stage {
                made.push((i64::MAX, format!("  {id}: on its way for {}", truth.worst)));
            }
        }
        made.sort_unstable();
        lines.extend(made.into_iter().map(|(_, line)| line));
        let Some(store) = self.nodes.first() else { return lines.join("\n") };
        match store.ledger().await {
            Ok(rows) => lines.extend(rows.iter().map(|row| format!("  {row:?}"))),
            Err(error) => lines.push(format!("  {error}")),
        }
        match store.open_reservations(None, 1_000).await {
            Ok(open) => {
                lines.extend(open.iter().map(|it| {
                    format!("  {} {:?} {} admitted at {}", it.id, it.state, it.worst, it.admitted_at)
                }));
            }
            Err(error) => lines.push(format!("  {error}")),
        }
        lines.join("\n")
    }
}
