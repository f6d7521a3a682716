//! Answers of applications that lead to something: they come again, and Twilio does what they say late, or never.

use jiff::SignedDuration;
use ringfence_model::{Amount, Sid};
use ringfence_store::{AnswerAdmission, AnswerPart, NewAnswer};

use super::truth::Stage;
use super::{ACCOUNTS, Simulation, WORST, account_of};
use crate::Outcome;

/// So many seconds may pass until Twilio does what an answer says.
const DIALS_WITHIN: i64 = 900;
/// So many seconds later the same webhook may come once more.
const COMES_AGAIN_WITHIN: i64 = 1_800;

/// An answer that was given.
pub(super) struct Given {
    new: NewAnswer,
    account: usize,
    /// What its parts cost at most, and when each is done or comes to nothing.
    parts: Vec<(i64, i64)>,
    since: i64,
}

impl Given {
    fn part_id(&self, number: usize) -> String {
        format!("{}-{number}", self.new.key)
    }
}

impl Simulation {
    /// A webhook is answered, or comes again and is answered in the same way.
    pub(super) async fn give_answer(&mut self) -> Outcome {
        self.tally.steps += 1;
        let (passed, node) = (self.passed, self.index(super::NODES));
        self.given.retain(|given| {
            given.since + COMES_AGAIN_WITHIN > passed || given.parts.iter().any(|(_, until)| *until > passed)
        });
        if !self.given.is_empty() && self.dice.below(3) == 0 {
            let index = self.index(self.given.len());
            if let Some(given) = self.given.get(index).filter(|it| it.since + COMES_AGAIN_WITHIN > passed) {
                let again = self.nodes[node].admit_answer(given.new.clone(), self.at()).await?;
                self.is_given_again(index, &again);
            }
            return self.check_truth();
        }
        let account = self.index(ACCOUNTS);
        let parts: Vec<(i64, i64)> = (0..=self.dice.below(3))
            .map(|_| (1 + self.dice.below(WORST), passed + self.dice.below(DIALS_WITHIN)))
            .collect();
        let part = |worst: i64| AnswerPart {
            operation: "twiml.call".to_owned(),
            worst: Amount::from_micros(worst),
            holds: self.limits.holds(account, worst, 0),
            party: None,
            beginning: None,
            patience: SignedDuration::from_secs(DIALS_WITHIN),
        };
        let new = NewAnswer {
            key: ringfence_store::fresh_answer_key(),
            parent: Sid::new(*b"CA", 7),
            account: account_of(account),
            parts: parts.iter().map(|(worst, _)| part(*worst)).collect(),
            limits: self.request.limits.clone(),
        };
        match self.nodes[node].admit_answer(new.clone(), self.at()).await? {
            AnswerAdmission::Refused(_) => self.tally.refused += 1,
            AnswerAdmission::Before => return Err("an answer that is new was there before".into()),
            AnswerAdmission::Admitted(_) => {
                self.tally.admitted += 1;
                let given = Given { new, account, parts, since: passed };
                for (number, (worst, _)) in given.parts.iter().enumerate() {
                    let truth = self.waits(account, *worst, 0);
                    self.truth.insert(given.part_id(number), truth);
                }
                self.given.push(given);
            }
        }
        self.check_truth()
    }

    /// Of what came to nothing it may come to something now.
    fn is_given_again(&mut self, index: usize, again: &AnswerAdmission) {
        if !matches!(again, AnswerAdmission::Before) {
            self.tally.refused += 1;
            return;
        }
        let Some(given) = self.given.get_mut(index) else { return };
        for (number, (worst, until)) in given.parts.iter_mut().enumerate() {
            let id = format!("{}-{number}", given.new.key);
            let is_nothing = self.truth.get(&id).is_some_and(|truth| matches!(truth.stage, Stage::Never));
            if is_nothing {
                *until = self.passed + self.dice.below(DIALS_WITHIN);
                let (account, worst) = (given.account, *worst);
                let (admitted_at, admitted_in) = (self.passed, self.memory);
                let truth =
                    super::Truth { account, worst, fee: 0, admitted_at, admitted_in, stage: Stage::Waiting };
                self.truth.insert(id, truth);
            }
        }
    }

    /// Twilio does what answers say, some of it.
    pub(super) fn twilio_goes_on(&mut self) {
        let due: Vec<String> = self.due_parts(self.passed).collect();
        for id in due {
            let is_made = self.dice.below(4) > 0;
            self.decide(&id, is_made);
        }
    }

    /// Of what answers say nothing more is done after this moment; of so many hundredths something is before.
    pub(super) fn nothing_comes_of_answers(&mut self, made: i64) {
        let all: Vec<String> = self.due_parts(i64::MAX).collect();
        for id in all {
            let is_made = self.dice.below(100) < made;
            self.decide(&id, is_made);
        }
        self.given.clear();
    }

    fn due_parts(&self, by: i64) -> impl Iterator<Item = String> {
        let parts = self.given.iter().flat_map(|given| {
            given.parts.iter().enumerate().map(move |(number, (_, until))| (given.part_id(number), *until))
        });
        parts.filter(move |(id, until)| *until <= by && self.is_waiting(id)).map(|(id, _)| id)
    }

    fn is_waiting(&self, id: &str) -> bool {
        self.truth.get(id).is_some_and(|truth| matches!(truth.stage, Stage::Waiting))
    }
}
