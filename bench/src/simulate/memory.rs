//! What nodes and the store forget.

use ringfence_model::Actor;
use ringfence_store::{Over, restore};

use super::{NODES, Simulation};
use crate::Outcome;
use crate::database::Database;

impl Simulation {
    /// A node dies. Of what it held Twilio got some.
    pub(super) async fn kill(&mut self) -> Outcome {
        (self.tally.killed, self.tally.steps) = (self.tally.killed + 1, self.tally.steps + 1);
        let node = self.index(NODES);
        for held in std::mem::take(&mut self.held) {
            if held.node == node {
                let is_made = self.dice.below(2) == 0;
                self.decide(held.reservation.id(), is_made);
            } else {
                self.held.push(held);
            }
        }
        self.nodes[node] = self.database.open(self.now).await?;
        self.note(&format!("node {node} was killed"));
        Ok(())
    }

    pub(super) async fn back_up(&mut self) -> Outcome {
        let Some(file) = self.database.file() else { return Ok(()) };
        self.tally.steps += 1;
        let to = file.with_file_name(format!("backup-{}", self.tally.steps));
        self.nodes[0].backup(&Actor::job("simulate"), &to, self.now).await?;
        if let Some(before) = self.backup.replace(to) {
            std::fs::remove_file(before)?;
        }
        self.note("a backup was made");
        Ok(())
    }

    /// Everything stops, and what was requested since the backup is only known to Twilio. On PostgreSQL an operator says
    /// that something was lost, though nothing was.
    pub(super) async fn restore(&mut self) -> Outcome {
        self.tally.steps += 1;
        let by = Actor::job("simulate");
        let (Some(backup), Some(file)) = (self.backup.clone(), self.database.file()) else {
            self.nodes[0].new_epoch(&by, "to be sure", self.now).await?;
            self.note("a new epoch was begun");
            return Ok(());
        };
        self.tally.restored += 1;
        self.note("the backup is restored");
        for held in std::mem::take(&mut self.held) {
            let is_made = self.dice.below(2) == 0;
            self.decide(held.reservation.id(), is_made);
        }
        // What Twilio may still do is what an operator allows for; here it has done it, or will not.
        self.nothing_comes_of_answers(50);
        self.memory.restored();
        for node in self.nodes.drain(..) {
            node.close().await;
        }
        if let Some(replaced) = restore(&backup, &file, Over::Anything, &Database::keys(), self.now).await? {
            std::fs::remove_file(replaced)?;
        }
        while self.nodes.len() < NODES {
            self.nodes.push(self.database.open(self.now).await?);
        }
        Ok(())
    }
}
