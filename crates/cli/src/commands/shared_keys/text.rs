//! What `ringfence shared-keys` says.

use std::fmt::Write as _;

use jiff::Timestamp;
use ringfence_control::views::{SharedKeyPlan, SharedKeyPlanOf, SharedKeyState, SharedKeyWait, SharedKeys};
use serde_json::json;

use crate::commands::act::with_name;
use crate::commands::words::{ago, count, moment, wrapped};
use crate::exit::Answer;

/// What is to change or was changed, what waits, and what is in the way.
pub(super) fn brought(plan: &SharedKeyPlan, as_json: bool, now: Timestamp) -> Answer {
    let SharedKeyPlan { applied, accounts: all } = plan;
    let changes: usize = all.iter().map(|it| it.changes.len()).sum();
    let is_blocked = all.iter().any(SharedKeyPlanOf::is_blocked);
    let mut in_trouble = all.iter().filter(|it| it.trouble.is_some()).peekable();
    let output = if as_json {
        format!("{}\n", json!(plan))
    } else {
        let mut text = String::new();
        for it in all.iter().filter(|it| !it.is_at_rest()) {
            account_text(&mut text, it, now);
        }
        let rest = all.iter().filter(|it| it.is_at_rest()).count();
        let done = if *applied { "made" } else { "to make" };
        let foreign: usize = all.iter().map(|it| it.foreign).sum();
        text.push_str(&wrapped(
            &format!(
                "{} {done}; {} as they should be, {foreign} keys, settings and rules of others left alone (experimental)",
                count(changes, "change"),
                count(rest, "account")
            ),
            0,
        ));
        text
    };
    Answer {
        output: output.into_bytes(),
        is_no: is_blocked || in_trouble.peek().is_some() || (!applied && changes > 0),
        is_unavailable: in_trouble.any(|it| !(*applied && it.is_refused)),
        ..Answer::default()
    }
}

fn account_text(text: &mut String, it: &SharedKeyPlanOf, now: Timestamp) {
    _ = writeln!(text, "{}", with_name(it.account.sid, &it.account.friendly_name));
    for change in &it.changes {
        text.push_str(&wrapped(&format!("{} {}", change.sign(), change.words), 2));
    }
    for waits in &it.waits {
        text.push_str(&wrapped(&format!("… {}", waits_text(waits, now)), 2));
    }
    for other in &it.in_the_way {
        let what = format!(
            "! {} has a rule that Ringfence did not make ({}): delete it at Twilio, so that the rule of Ringfence's has requests there signed",
            other.url, other.rule
        );
        text.push_str(&wrapped(&what, 2));
    }
    for other in &it.edited {
        let what = format!(
            "! Twilio shows the rule for {} ({}) with {}, and lets none be made: if somebody edited it, delete it there",
            other.url,
            other.rule,
            other.is_for.as_deref().unwrap_or("something else")
        );
        text.push_str(&wrapped(&what, 2));
    }
    if let Some(trouble) = &it.trouble {
        text.push_str(&wrapped(&format!("! {trouble}"), 2));
    }
    text.push('\n');
}

fn waits_text(waits: &SharedKeyWait, now: Timestamp) -> String {
    let mut text = match waits.until {
        Some(at) => format!("until {}, {}", moment(at), waits.words),
        None => waits.words.clone(),
    };
    let seen: Vec<_> = waits
        .nodes
        .iter()
        .map(|node| format!("{} (seen {} ago)", node.name, ago(now, node.seen_at)))
        .collect();
    if !seen.is_empty() {
        _ = write!(text, ": {}", seen.join(", "));
    }
    text
}

/// The keys that are there.
pub(super) fn status(keys: &SharedKeys, as_json: bool, now: Timestamp) -> Answer {
    if as_json {
        return Answer::text(format!("{}\n", json!(keys)));
    }
    let mut text = String::new();
    let mut last = None;
    for key in &keys.shared_keys {
        if last != Some(key.account.sid) {
            last = Some(key.account.sid);
            _ = writeln!(text, "{}", with_name(key.account.sid, &key.account.friendly_name));
        }
        let what = match (key.state, key.held) {
            (SharedKeyState::Asked, _) => "is being asked for",
            (SharedKeyState::Made, true) => "is there and held",
            (SharedKeyState::Made, false) => "is there and will sign",
            (SharedKeyState::Signing, _) => "signs",
            (SharedKeyState::Retiring, _) => "signs no more, and is still verified with",
        };
        let id = key.id.as_deref().unwrap_or("a key");
        let late = if key.late_nodes.is_empty() {
            String::new()
        } else {
            format!("; these nodes do not verify with it yet: {}", key.late_nodes.join(", "))
        };
        text.push_str(&wrapped(&format!("{id} {what}, for {}{late}", ago(now, key.since)), 2));
    }
    if keys.shared_keys.is_empty() {
        text.push_str("Ringfence has made no SharedKey\n");
    }
    Answer::text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_one_zone_and_a_time_says_whether_it_is_over() {
        let (now, then) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(-3).expect("a time"));
        let waits = |until: Option<Timestamp>, nodes: serde_json::Value, words: &str| {
            let said = json!({ "for": "spreads", "until": until, "nodes": nodes, "words": words });
            waits_text(&serde_json::from_value(said).expect("what the API says"), now)
        };
        assert_eq!(
            waits(Some(now), json!([]), "until it has got everywhere at Twilio"),
            "until 1970-01-01 00:00 GMT, until it has got everywhere at Twilio"
        );
        assert_eq!(
            waits(None, json!([{ "name": "gate-1", "seen_at": then }]), "until these nodes verify with it"),
            "until these nodes verify with it: gate-1 (seen 3 s ago)"
        );
    }
}
