//! What is said to the ledger, in batches.

use super::batch::{self, Did, Op, part_id};
use super::{Now, Sent};
use crate::queue::Batched;
use crate::sql::Transaction;
use crate::write::Outcome;

impl Batched for (Op, Now) {
    type Did = Did;

    fn carry_out<'a>(acts: &'a [Self], transaction: &'a mut Transaction) -> Outcome<'a, Vec<Did>> {
        batch::run(acts, transaction)
    }

    /// Who asked for money and waits no longer shall get none; what else was asked for is carried out.
    fn is_for_who_waits(&self) -> bool {
        matches!(self.0, Op::Admit { .. } | Op::Answer(_))
    }

    /// Of an admission that nobody heard of nothing can have been sent, so what was set aside comes back.
    fn taken_back(&self, did: &Did, all: &[Self]) -> Vec<Self> {
        let (op, now) = self;
        if !matches!(did, Did::Admitted(_)) {
            return Vec::new();
        }
        let ids = match op {
            Op::Admit { id, .. } => vec![id.clone()],
            // An answer that came twice at once may have been given to whoever still waits.
            Op::Answer(new) => {
                let same = |(other, _): &&Self| matches!(other, Op::Answer(it) if it.key == new.key);
                let is_only = all.iter().filter(same).count() == 1;
                if is_only {
                    (0..new.parts.len()).map(|number| part_id(new, number)).collect()
                } else {
                    Vec::new()
                }
            }
            _ => Vec::new(),
        };
        ids.into_iter().map(|id| (Op::Sent { id, sent: Sent::Nothing }, *now)).collect()
    }
}
