//! The same done to each of many things, of which one that Twilio refuses keeps no other from it.

use ringfence_model::Sid;
use ringfence_twilio::client::{Error, Fault};

use super::NotDone;

/// So many refusals one after the other are no longer about the things.
const FAILED_MAX: usize = 10;

/// What it was done to, and whether that was all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Each<T> {
    /// These are done.
    pub done: Vec<T>,
    /// Whether none is left.
    pub end: Result<(), NotDone>,
    things: &'static str,
    failed: Option<(Sid, Error)>,
    failed_in_a_row: usize,
}

impl<T> Each<T> {
    pub(super) const fn new(things: &'static str) -> Self {
        Self { done: Vec::new(), end: Ok(()), things, failed: None, failed_in_a_row: 0 }
    }

    pub(super) fn done(&mut self, thing: T) {
        self.done.push(thing);
        self.failed_in_a_row = 0;
    }

    /// Twilio did not do it to this one. An error, where it would do it to no other either.
    pub(super) fn failed(&mut self, thing: Sid, error: Error) -> Result<(), NotDone> {
        self.failed_in_a_row += 1;
        let is_of_this_alone = matches!(error.fault(), Fault::Request | Fault::Twilio);
        if !is_of_this_alone || self.failed_in_a_row >= FAILED_MAX {
            return Err(error.into());
        }
        self.failed.get_or_insert((thing, error));
        Ok(())
    }

    /// Whether it is all done, where Twilio shows so many that are left.
    pub(super) fn all_done(&mut self, left: usize) -> Result<(), NotDone> {
        match (left, self.failed.take()) {
            (0, _) => Ok(()),
            (_, Some((one, why))) => {
                Err(NotDone::Left { left, things: self.things, one, why: Box::new(why) })
            }
            (_, None) => Err(NotDone::NotInForce(format!("{left} {} are still there", self.things))),
        }
    }
}
