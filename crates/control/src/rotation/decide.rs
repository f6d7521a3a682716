//! Which step of a rotation is next. Pure.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Secret;
use ringfence_store::{Node, Rotation, RotationEnd, RotationStep, SeenSignatures};

use super::Wish;

/// A request that the old token signed may be on its way for so long after the last one.
const QUIET: SignedDuration = SignedDuration::from_mins(1);

/// After so long Twilio signs nothing with the old token any more: what still comes with it is somebody else's, and keeps
/// nobody from forgetting it.
const OLD_MAY_SIGN: SignedDuration = SignedDuration::from_mins(5);

/// A second token that Twilio does not take for so long is none: somebody has deleted it.
const TAKEN_BY: SignedDuration = SignedDuration::from_mins(5);

/// What a rotation waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// These nodes have not said that they have taken over the tokens.
    Nodes(Vec<LateNode>),
    /// Everything is ready, and whoever rotates does not want the promotion yet.
    Operator,
    /// No request was seen that the new token signed.
    Request {
        /// Since when.
        since: Timestamp,
    },
    /// The new token signs, and a moment ago a request came that the old one signed.
    OldToken {
        /// The last one.
        last: Timestamp,
    },
}

/// A node that has not taken over what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateNode {
    /// Its name.
    pub name: String,
    /// Its last sign of life.
    pub seen_at: Timestamp,
}

/// What is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Another second token is asked for.
    MakeAnother,
    /// The second token is there, and Twilio may take it by now.
    Try {
        new: Secret,
    },
    Wait(Waiting),
    /// If it is not done already.
    Promote {
        new: Secret,
    },
    End(RotationEnd),
    /// It goes the other way.
    Refuse,
}

/// The next step, by what is known of the nodes at work.
pub(super) fn next(rotation: &Rotation, nodes: &[Node], wish: &Wish<'_>, now: Timestamp) -> Next {
    match &rotation.step {
        RotationStep::Asked { new: Some(new) } if now.duration_since(rotation.since) < TAKEN_BY => {
            Next::Try { new: new.clone() }
        }
        RotationStep::Asked { .. } => Next::MakeAnother,
        RotationStep::Made { new } => match late(rotation, nodes) {
            late if !late.is_empty() => Next::Wait(Waiting::Nodes(late)),
            _ if wish.holds => Next::Wait(Waiting::Operator),
            _ => Next::Promote { new: new.clone() },
        },
        RotationStep::Promoting { new } => Next::Promote { new: new.clone() },
        RotationStep::Promoted { seen, .. } => confirmed(seen, rotation.since, wish, now),
        RotationStep::Undoing { .. } => Next::Refuse,
    }
}

fn confirmed(seen: &SeenSignatures, since: Timestamp, wish: &Wish<'_>, now: Timestamp) -> Next {
    if wish.unconfirmed {
        let end = if seen.new.is_some() { RotationEnd::Confirmed } else { RotationEnd::Unconfirmed };
        return Next::End(end);
    }
    if seen.new.is_none() {
        return Next::Wait(Waiting::Request { since });
    }
    match seen.old {
        Some(last) if now.duration_since(last) < QUIET && now.duration_since(since) < OLD_MAY_SIGN => {
            Next::Wait(Waiting::OldToken { last })
        }
        _ => Next::End(RotationEnd::Confirmed),
    }
}

/// The nodes that have not taken over what the step wants.
pub(super) fn late(rotation: &Rotation, nodes: &[Node]) -> Vec<LateNode> {
    behind(rotation.generation, nodes)
}

/// The nodes that have not taken over this generation.
pub(crate) fn behind(generation: i64, nodes: &[Node]) -> Vec<LateNode> {
    let late = nodes.iter().filter(|node| node.token_generation < generation);
    late.map(|node| LateNode { name: node.node.clone(), seen_at: node.seen_at }).collect()
}

#[cfg(test)]
mod tests {
    use ringfence_model::Sid;

    use super::*;

    const WISH: Wish<'_> =
        Wish { reason: "", holds: false, unconfirmed: false, replaces_second: false, again: false };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn promoted(new: Option<i64>, old: Option<i64>) -> Rotation {
        Rotation {
            account: Sid::new(*b"AC", 1),
            generation: 7,
            step: RotationStep::Promoted {
                new: Secret::new("new"),
                seen: SeenSignatures { new: new.map(at), old: old.map(at) },
            },
            old: Secret::new("old"),
            begun_at: at(0),
            since: at(100),
        }
    }

    fn after(second: i64, rotation: &Rotation) -> Next {
        next(rotation, &[], &WISH, at(second))
    }

    #[test]
    fn the_old_token_is_not_forgotten_before_the_new_one_has_signed() {
        let unseen = promoted(None, Some(120));
        for second in [100, 1_000, 1_000_000] {
            assert_eq!(after(second, &unseen), Next::Wait(Waiting::Request { since: at(100) }));
        }
        assert_eq!(after(101, &promoted(Some(101), None)), Next::End(RotationEnd::Confirmed));
    }

    #[test]
    fn a_request_of_the_old_token_is_waited_out_and_nobody_can_make_that_last() {
        let quiet_soon = promoted(Some(110), Some(120));
        assert_eq!(after(179, &quiet_soon), Next::Wait(Waiting::OldToken { last: at(120) }));
        assert_eq!(after(180, &quiet_soon), Next::End(RotationEnd::Confirmed));
        let forged_on_and_on = promoted(Some(110), Some(399));
        assert_eq!(after(399, &forged_on_and_on), Next::Wait(Waiting::OldToken { last: at(399) }));
        assert_eq!(after(400, &forged_on_and_on), Next::End(RotationEnd::Confirmed));
    }

    #[test]
    fn an_operator_who_does_not_wait_is_told_apart_from_a_confirmation() {
        let wish = Wish { unconfirmed: true, ..WISH };
        assert_eq!(next(&promoted(None, None), &[], &wish, at(100)), Next::End(RotationEnd::Unconfirmed));
        assert_eq!(next(&promoted(Some(1), None), &[], &wish, at(100)), Next::End(RotationEnd::Confirmed));
    }

    #[test]
    fn a_second_token_that_twilio_does_not_take_yet_is_tried_again_before_another_one_is_made() {
        let new = Secret::new("new");
        let asked = Rotation { step: RotationStep::Asked { new: Some(new.clone()) }, ..promoted(None, None) };
        assert_eq!(after(399, &asked), Next::Try { new });
        assert_eq!(after(400, &asked), Next::MakeAnother);
        let in_doubt = Rotation { step: RotationStep::Asked { new: None }, ..asked };
        assert_eq!(after(100, &in_doubt), Next::MakeAnother);
    }

    #[test]
    fn nothing_is_promoted_that_is_held_or_goes_back() {
        let made = Rotation { step: RotationStep::Made { new: Secret::new("new") }, ..promoted(None, None) };
        let holds = Wish { holds: true, ..WISH };
        assert_eq!(next(&made, &[], &holds, at(100)), Next::Wait(Waiting::Operator));
        let undoing = Rotation { step: RotationStep::Undoing { new: Secret::new("new") }, ..made };
        assert_eq!(next(&undoing, &[], &WISH, at(100)), Next::Refuse);
    }
}
