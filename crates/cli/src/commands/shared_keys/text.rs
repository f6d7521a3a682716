//! What `ringfence shared-keys` says.

use std::fmt::Write as _;

use jiff::Timestamp;
use ringfence_control::shared_keys::{Brought, Change, Waits, url_of};
use ringfence_model::Sid;
use ringfence_store::{Account, SharedKey, SharedKeyStep};
use ringfence_twilio::wire::RuleMatch;
use serde_json::{Value, json};

use crate::commands::act::with_name;
use crate::commands::words::{ago, count, moment, wrapped};
use crate::exit::Answer;

/// What is to change or was changed, what waits, and what is in the way.
pub(super) fn brought(
    all: &[Brought],
    accounts: &[Account],
    applied: bool,
    as_json: bool,
    now: Timestamp,
) -> Answer {
    let changes: usize = all.iter().map(|it| it.changes.len()).sum();
    let is_blocked = all.iter().any(|it| !it.left.in_the_way.is_empty());
    let troubles = || all.iter().filter_map(|it| it.trouble.as_ref());
    let output = if as_json {
        let of: Vec<_> = all.iter().map(account_json).collect();
        format!("{}\n", json!({ "applied": applied, "accounts": of }))
    } else {
        let mut text = String::new();
        for it in all.iter().filter(|it| !is_at_rest(it)) {
            account_text(&mut text, it, accounts, now);
        }
        let rest = all.iter().filter(|it| is_at_rest(it)).count();
        let done = if applied { "made" } else { "to make" };
        let foreign: usize = all.iter().map(|it| it.left.foreign).sum();
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
        is_no: is_blocked || troubles().next().is_some() || (!applied && changes > 0),
        is_unavailable: troubles().any(|trouble| !(applied && trouble.is_refusal())),
        ..Answer::default()
    }
}

fn is_at_rest(it: &Brought) -> bool {
    it.changes.is_empty() && it.left.waits.is_empty() && it.left.in_the_way.is_empty() && it.trouble.is_none()
}

fn account_text(text: &mut String, it: &Brought, accounts: &[Account], now: Timestamp) {
    _ = writeln!(text, "{}", name(it.account, accounts));
    for change in &it.changes {
        let (sign, what) = change_text(change);
        text.push_str(&wrapped(&format!("{sign} {what}"), 2));
    }
    for waits in &it.left.waits {
        text.push_str(&wrapped(&format!("… {}", waits_text(waits, now)), 2));
    }
    for other in &it.left.in_the_way {
        let what = format!(
            "! {} has a rule that Ringfence did not make ({}): delete it at Twilio, and this one is made",
            url(&other.matches),
            other.rule
        );
        text.push_str(&wrapped(&what, 2));
    }
    if let Some(trouble) = &it.trouble {
        text.push_str(&wrapped(&format!("! {trouble}"), 2));
    }
    text.push('\n');
}

fn name(sid: Sid, accounts: &[Account]) -> String {
    let account = accounts.iter().find(|account| account.sid == sid);
    with_name(sid, account.map_or("", |account| &account.friendly_name))
}

fn url(matches: &RuleMatch) -> String {
    let url = url_of(matches);
    if matches!(matches, RuleMatch::Prefix(_)) { format!("{url}…") } else { url.to_owned() }
}

fn change_text(change: &Change) -> (char, String) {
    match change {
        Change::CreateKey { why, .. } => ('+', format!("a key, as {why}")),
        Change::CreateSetting(_) => ('+', "a setting that signs with it".to_owned()),
        Change::CreateRule { matches, .. } => ('+', format!("a rule for {}", url(matches))),
        Change::PointRule { matches, .. } => ('~', format!("the rule for {} names it", url(matches))),
        Change::Signs(_) => ('~', "it signs; the one before retires".to_owned()),
        Change::DeleteRule { matches, .. } => {
            ('-', format!("the rule for {}", matches.as_ref().map_or_else(|| "?".to_owned(), url)))
        }
        Change::Retire { why, .. } => ('-', format!("a key retires, as {why}")),
        Change::DeleteSetting(id) => ('-', format!("the setting {id}")),
        Change::DeleteKey(id) => ('-', format!("the key {id}")),
        Change::Forget(_) => ('-', "nodes forget it".to_owned()),
    }
}

fn waits_text(waits: &Waits, now: Timestamp) -> String {
    let until = |until: &Timestamp| format!("until {}", moment(*until));
    match waits {
        Waits::Nodes(late) => {
            let late: Vec<_> = late
                .iter()
                .map(|node| format!("{} (seen {} ago)", node.name, ago(now, node.seen_at)))
                .collect();
            format!("until these nodes verify with it: {}", late.join(", "))
        }
        Waits::Operator => "it is held: `ringfence shared-keys rotate` without --hold goes on".to_owned(),
        Waits::Spreads(at) => format!("{}, until it has got everywhere at Twilio", until(at)),
        Waits::Answer(at) => format!("{}, as a request for a key may still arrive", until(at)),
        Waits::Settles(at) => format!("{}, as requests may come that the old key signed", until(at)),
    }
}

fn account_json(it: &Brought) -> Value {
    let changes = it.changes.iter().map(|change| {
        let (what, about) = match change {
            Change::CreateKey { .. } => ("create-key", None),
            Change::CreateSetting(_) => ("create-setting", None),
            Change::CreateRule { matches, .. } => ("create-rule", Some(url(matches))),
            Change::PointRule { matches, .. } => ("point-rule", Some(url(matches))),
            Change::Signs(_) => ("signs", None),
            Change::DeleteRule { matches, .. } => ("delete-rule", matches.as_ref().map(url)),
            Change::Retire { .. } => ("retire", None),
            Change::DeleteSetting(id) => ("delete-setting", Some(id.clone())),
            Change::DeleteKey(id) => ("delete-key", Some(id.clone())),
            Change::Forget(_) => ("forget", None),
        };
        json!({ "change": what, "about": about })
    });
    let waits = it.left.waits.iter().map(|waits| {
        let word = match waits {
            Waits::Nodes(_) => "nodes",
            Waits::Operator => "operator",
            Waits::Spreads(_) => "spreads",
            Waits::Answer(_) => "answer",
            Waits::Settles(_) => "settles",
        };
        let nodes: Vec<_> = match waits {
            Waits::Nodes(late) => late.iter().map(|node| node.name.clone()).collect(),
            _ => Vec::new(),
        };
        json!({ "for": word, "until": waits.until().map(|at| at.to_string()), "nodes": nodes })
    });
    let in_the_way =
        it.left.in_the_way.iter().map(|other| json!({ "rule": other.rule, "url": url(&other.matches) }));
    json!({
        "account": it.account,
        "changes": changes.collect::<Vec<_>>(),
        "waits": waits.collect::<Vec<_>>(),
        "in_the_way": in_the_way.collect::<Vec<_>>(),
        "foreign": it.left.foreign,
        "trouble": it.trouble.as_ref().map(ToString::to_string),
    })
}

/// The keys that are there.
pub(super) fn status(keys: &[SharedKey], accounts: &[Account], as_json: bool, now: Timestamp) -> Answer {
    if as_json {
        let keys = keys.iter().map(|key| {
            json!({
                "account": key.account,
                "id": key.key.as_ref().map(|of| &of.id),
                "state": key.step.name(),
                "held": key.held,
                "begun_at": key.begun_at.to_string(),
                "since": key.since.to_string(),
            })
        });
        return Answer::text(format!("{}\n", json!({ "shared_keys": keys.collect::<Vec<_>>() })));
    }
    let mut text = String::new();
    let mut last = None;
    for key in keys {
        if last != Some(key.account) {
            last = Some(key.account);
            _ = writeln!(text, "{}", name(key.account, accounts));
        }
        let what = match (key.step, key.held) {
            (SharedKeyStep::Asked, _) => "is being asked for",
            (SharedKeyStep::Made, true) => "is there and held",
            (SharedKeyStep::Made, false) => "is there and will sign",
            (SharedKeyStep::Signing, _) => "signs",
            (SharedKeyStep::Retiring, _) => "signs no more, and is still verified with",
        };
        let id = key.key.as_ref().map_or("a key", |of| &of.id);
        text.push_str(&wrapped(&format!("{id} {what}, for {}", ago(now, key.since)), 2));
    }
    if keys.is_empty() {
        text.push_str("Ringfence has made no SharedKey\n");
    }
    Answer::text(text)
}

#[cfg(test)]
mod tests {
    use ringfence_control::rotation::LateNode;

    use super::*;

    #[test]
    fn a_moment_has_one_zone_and_a_time_says_whether_it_is_over() {
        let (now, then) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(-3).expect("a time"));
        assert_eq!(
            waits_text(&Waits::Spreads(now), now),
            "until 1970-01-01 00:00 GMT, until it has got everywhere at Twilio"
        );
        let late = LateNode { name: "gate-1".to_owned(), seen_at: then };
        assert_eq!(
            waits_text(&Waits::Nodes(vec![late]), now),
            "until these nodes verify with it: gate-1 (seen 3 s ago)"
        );
        let key = SharedKey {
            mark: "0a".to_owned(),
            account: Sid::new(*b"AC", 1),
            generation: 1,
            step: SharedKeyStep::Asked,
            held: false,
            key: None,
            begun_at: then,
            since: then,
        };
        let shown = status(&[key], &[], false, now).output;
        assert!(String::from_utf8_lossy(&shown).contains("a key is being asked for, for 3 s\n"));
    }
}
