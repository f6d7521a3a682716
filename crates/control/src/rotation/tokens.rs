//! Who uses which token at each step of a rotation, and after it. Pure.
//!
//! The one idea: a token that a rotation brought comes before the configured one for as long as the configuration has one that
//! was replaced. Whoever writes another one there knows better than the store, also while a rotation is under way: that one
//! replaces what somebody else has replaced already, and nothing of it counts.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_model::{Secret, Sid};
use ringfence_store::{RotatedToken, Rotation, RotationStep};

/// The tokens of all accounts that a rotation concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InUse {
    /// What is said here is as new as this generation.
    pub generation: i64,
    /// By account; all others use what is configured or listed.
    pub tokens: Vec<TokensOf>,
    /// Accounts whose configured token was replaced, so that the configuration is to be updated.
    pub outdated: Vec<Sid>,
}

/// What an account is asked with, and what its webhooks may be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokensOf {
    /// Whose.
    pub account: Sid,
    /// What Twilio is asked with.
    pub ask: Secret,
    /// What Twilio signs with, as far as is known.
    pub signs: Secret,
    /// What it may sign with besides.
    pub or: Option<Secret>,
    /// The configured one, where it counts no more.
    pub replaced: Option<Secret>,
    /// Whether it is of interest with which of the two requests are signed.
    pub is_watched: bool,
}

/// What holds, by what is configured (with its tag) and what rotations did.
pub(super) fn in_use(
    generation: i64,
    configured: &BTreeMap<Sid, (Secret, String)>,
    rotations: &[Rotation],
    rotated: &[RotatedToken],
) -> InUse {
    let accounts = rotations.iter().map(|it| it.account).chain(rotated.iter().map(|it| it.account));
    let mut in_use = InUse { generation, ..InUse::default() };
    for account in accounts.collect::<BTreeSet<_>>() {
        let brought = rotated.iter().find(|it| it.account == account);
        let outdated = configured.get(&account).filter(|(token, tag)| {
            brought.is_some_and(|brought| brought.token != *token && brought.replaced.contains(tag))
        });
        let outdated = outdated.map(|(token, _)| token);
        if outdated.is_some() {
            in_use.outdated.push(account);
        }
        let rotation = rotations.iter().find(|it| it.account == account);
        let knows_better =
            configured.get(&account).filter(|_| outdated.is_none()).is_some_and(|(token, _)| {
                brought.is_none_or(|brought| brought.token != *token)
                    && rotation.is_some_and(|it| it.old != *token && it.step.new_token() != Some(token))
            });
        let rotation = rotation.filter(|_| !knows_better);
        let tokens = match rotation.and_then(|it| under_way(it, outdated)) {
            Some(tokens) => Some(tokens),
            None => brought.zip(outdated).map(|(brought, outdated)| TokensOf {
                account,
                ask: brought.token.clone(),
                signs: brought.token.clone(),
                or: None,
                replaced: Some(outdated.clone()),
                is_watched: false,
            }),
        };
        in_use.tokens.extend(tokens);
    }
    in_use
}

/// What a rotation changes while it is under way; nothing before there is a second token.
fn under_way(rotation: &Rotation, outdated: Option<&Secret>) -> Option<TokensOf> {
    let (old, account) = (&rotation.old, rotation.account);
    let (ask, signs, or, is_watched) = match &rotation.step {
        RotationStep::Asked { .. } => return None,
        RotationStep::Made { new } | RotationStep::Promoting { new } => (new, old, new, false),
        RotationStep::Undoing { new } => (old, old, new, false),
        RotationStep::Promoted { new, .. } => (new, new, old, true),
    };
    Some(TokensOf {
        account,
        ask: ask.clone(),
        signs: signs.clone(),
        or: Some(or.clone()),
        replaced: outdated.filter(|token| *token != old).cloned(),
        is_watched,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use ringfence_store::SeenSignatures;

    use super::*;

    const ACCOUNT: Sid = Sid::new(*b"AC", 1);

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    fn configured(token: &str) -> BTreeMap<Sid, (Secret, String)> {
        [(ACCOUNT, (secret(token), format!("tag of {token}")))].into()
    }

    fn brought(token: &str, replaced: &[&str]) -> RotatedToken {
        RotatedToken {
            account: ACCOUNT,
            generation: 1,
            token: secret(token),
            replaced: replaced.iter().map(|token| format!("tag of {token}")).collect(),
            promoted_at: Timestamp::UNIX_EPOCH,
            confirmed_at: None,
        }
    }

    fn rotation(old: &str, step: RotationStep) -> Rotation {
        let at = Timestamp::UNIX_EPOCH;
        Rotation { account: ACCOUNT, generation: 2, step, old: secret(old), begun_at: at, since: at }
    }

    fn one(in_use: &InUse) -> (&str, &str, Option<&str>, Option<&str>) {
        let [tokens] = in_use.tokens.as_slice() else { panic!("{in_use:?}") };
        let TokensOf { ask, signs, or, replaced, .. } = tokens;
        (ask.expose(), signs.expose(), or.as_ref().map(Secret::expose), replaced.as_ref().map(Secret::expose))
    }

    #[test]
    fn a_configured_token_counts_unless_it_is_one_that_was_replaced() {
        let one_was_replaced = [brought("b", &["a"])];
        for other in ["b", "z"] {
            let in_use = in_use(1, &configured(other), &[], &one_was_replaced);
            assert_eq!((in_use.tokens.len(), in_use.outdated.len()), (0, 0), "{other}");
        }
        let outdated = in_use(1, &configured("a"), &[], &one_was_replaced);
        assert_eq!(one(&outdated), ("b", "b", None, Some("a")));
        assert_eq!(outdated.outdated, [ACCOUNT]);
        let unconfigured = in_use(1, &BTreeMap::new(), &[], &one_was_replaced);
        assert!(unconfigured.tokens.is_empty(), "Twilio's list says it");
    }

    #[test]
    fn nodes_ask_with_the_new_token_before_it_signs_and_with_the_old_one_when_it_is_taken_back() {
        let new = || secret("b");
        let seen = SeenSignatures::default();
        let at = |step| in_use(2, &configured("a"), &[rotation("a", step)], &[]);
        for asked in [None, Some(new())] {
            assert!(at(RotationStep::Asked { new: asked }).tokens.is_empty(), "Twilio may not take it yet");
        }
        assert_eq!(one(&at(RotationStep::Made { new: new() })), ("b", "a", Some("b"), None));
        assert_eq!(one(&at(RotationStep::Promoting { new: new() })), ("b", "a", Some("b"), None));
        assert_eq!(one(&at(RotationStep::Undoing { new: new() })), ("a", "a", Some("b"), None));
        let promoted = in_use(
            2,
            &configured("a"),
            &[rotation("a", RotationStep::Promoted { new: new(), seen })],
            &[brought("b", &["a"])],
        );
        assert_eq!(one(&promoted), ("b", "b", Some("a"), None), "the old one counts until it is forgotten");
    }

    #[test]
    fn a_configured_token_that_the_rotation_under_way_does_not_know_counts_alone() {
        let new = || secret("b");
        let seen = SeenSignatures::default();
        for step in [
            RotationStep::Made { new: new() },
            RotationStep::Promoting { new: new() },
            RotationStep::Promoted { new: new(), seen },
            RotationStep::Undoing { new: new() },
        ] {
            let of = |configured_token: &str, brought: &[RotatedToken]| {
                in_use(2, &configured(configured_token), &[rotation("a", step.clone())], brought)
            };
            let better = of("by somebody else", &[]);
            assert_eq!((better.tokens.len(), better.outdated.len()), (0, 0), "{step:?}");
            for known in ["a", "b"] {
                assert_eq!(of(known, &[]).tokens.len(), 1, "{known} in {step:?}");
            }
            let replaced = of("older", &[brought("a", &["older"])]);
            assert_eq!(one(&replaced).3, Some("older"), "{step:?}");
        }
    }

    #[test]
    fn a_configuration_two_rotations_behind_has_a_token_that_counts_no_more() {
        let second = rotation("b", RotationStep::Made { new: secret("c") });
        let during = in_use(2, &configured("a"), &[second], &[brought("b", &["a"])]);
        assert_eq!(one(&during), ("c", "b", Some("c"), Some("a")));
        let after = in_use(3, &configured("a"), &[], &[brought("c", &["a", "b"])]);
        assert_eq!(one(&after), ("c", "c", None, Some("a")));
    }
}
