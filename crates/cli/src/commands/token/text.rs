//! What `ringfence token` says.

use std::fmt::Write as _;

use jiff::Timestamp;
use ringfence_control::rotation::{NotRotated, Turn, Waiting};
use ringfence_control::views::{TokenState, TokenView};
use ringfence_model::Sid;
use ringfence_store::RotationEnd;

use super::super::act::{REASON, with_name};
use super::super::with_engine::{Installation, Typed, store};
use super::super::words::{ago, moment, point, wrapped};
use super::{End, Run};
use crate::exit::{Answer, Failure};

/// How a run ended, and what to do next.
pub(super) fn rotated(run: &Run<'_>, end: &End, holders: &[String], as_json: bool) -> Answer {
    // To be held before the promotion is what was asked for: nothing else ends so.
    let is_no = !matches!(end, End::Ended(_) | End::Waits(Waiting::Operator));
    if as_json {
        let mut json = end.as_json();
        json["account"] = run.account.to_string().into();
        json["holds_the_old_token"] = holders.into();
        return Answer { output: format!("{json}\n").into_bytes(), is_no, ..Answer::default() };
    }
    let mut text = String::new();
    let again = run.installation.command(&format!("token rotate {} {REASON}", run.account));
    match end {
        End::Ended(end) | End::EndedBut(end, _) => _ = writeln!(text, "{}", ended(*end, &run.name)),
        End::Waits(waiting) => {
            _ = writeln!(text, "the auth token of {} is being replaced, and that waits", run.name);
            text.push_str(&wrapped(&waits(waiting, run.installation.now), 2));
            text.push_str(&next(waiting, run, &again));
        }
    }
    if let End::EndedBut(_, nodes) = end {
        let late = format!(
            "these nodes have not said that they use this alone: {}. See whether they run and reach the store",
            nodes.join(", ")
        );
        text.push_str(&wrapped(&late, 2));
    }
    let is_replaced_here = match end {
        End::Ended(end) | End::EndedBut(end, _) => {
            matches!(end, RotationEnd::Confirmed | RotationEnd::Unconfirmed)
        }
        End::Waits(_) => true,
    };
    if is_replaced_here {
        text.push_str(&held_by(holders));
        _ = writeln!(
            text,
            "to give the new token to an application:\n  {}",
            run.installation.command(&format!("token show {} --to FILE", run.account))
        );
    }
    Answer { output: text.into_bytes(), is_no, ..Answer::default() }
}

pub(super) fn ended(end: RotationEnd, name: &str) -> String {
    match end {
        RotationEnd::Confirmed => format!(
            "the auth token of {name} is replaced: a request came that the new one signed, and the old one is forgotten"
        ),
        RotationEnd::Unconfirmed => format!(
            "the auth token of {name} is replaced, and the old one is forgotten; no request came yet that the new one signed"
        ),
        RotationEnd::Undone => format!("the auth token of {name} stays as it is; the second one is deleted"),
        RotationEnd::SecondLeft => format!(
            "the auth token of {name} stays as it is; Twilio may have made a second one, which is left, as it may be somebody else's"
        ),
        RotationEnd::Superseded => format!(
            "the rotation of {name} is given up: Twilio takes neither of its tokens, and the one that is configured or listed \
             works and counts"
        ),
    }
}

/// What has just happened.
pub(super) fn turn(turn: &Turn, now: Timestamp) -> String {
    match turn {
        Turn::Made => "a second token is made; every node is to take it over".to_owned(),
        Turn::Lost => "somebody has deleted the second token; another one is made".to_owned(),
        Turn::Promoted => {
            "the second token is promoted: Twilio takes the old one no more; send a message or make a call to see a request \
             that the new one signs"
                .to_owned()
        }
        Turn::Undoing => "every node goes back to the old token".to_owned(),
        Turn::Waits(waiting) => format!("waits: {}", waits(waiting, now)),
        Turn::Ended(end) => word(*end).to_owned(),
    }
}

pub(super) fn waits(waiting: &Waiting, now: Timestamp) -> String {
    match waiting {
        Waiting::Nodes(late) => {
            let late: Vec<_> = late
                .iter()
                .map(|node| match ago(now, node.seen_at) {
                    _ if now.duration_since(node.seen_at).as_secs() < 10 => node.name.clone(),
                    silent => format!("{} (no sign of life for {silent})", node.name),
                })
                .collect();
            format!("these nodes have not said that they use it: {}", late.join(", "))
        }
        Waiting::Operator => {
            "every node verifies with both tokens, and nothing is promoted yet: it is held for you".to_owned()
        }
        Waiting::Request { since } => {
            format!("no request came that the new token signed since {}", moment(*since))
        }
        Waiting::OldToken { last } => format!(
            "a request came at {} that the old token signed; some may be on their way for a minute",
            moment(*last)
        ),
    }
}

fn next(waiting: &Waiting, run: &Run<'_>, again: &str) -> String {
    let undo = run.installation.command(&format!("token undo {} {REASON}", run.account));
    match waiting {
        Waiting::Nodes(_) => format!(
            "  A node that is dead is given up by any other within seconds; one that says nothing has the reason in its log.\n\
             to go on:\n  {again}\nto take it back:\n  {undo}\n"
        ),
        Waiting::Operator => format!("to promote it:\n  {again}\nto take it back:\n  {undo}\n"),
        Waiting::Request { .. } => format!(
            "  Both tokens count at the gate meanwhile. A text message or a call to one of its numbers makes a request.\n\
             to wait for one again:\n  {again}\nto forget the old token without one:\n  {again} --unconfirmed\n"
        ),
        Waiting::OldToken { .. } => {
            format!("  `serve` forgets the old token by itself.\nto wait for it:\n  {again}\n")
        }
    }
}

/// How a rotation stands, for people.
pub(super) fn status(token: &TokenView, holders: &[String], typed: &Typed) -> String {
    let name = with_name(token.account.sid, &token.account.friendly_name);
    let mut text = format!("{name}\n");
    let since = moment(token.since);
    let state = match token.state {
        TokenState::Asked => {
            format!("since {since} a second token is asked for, and Twilio's answer is not known")
        }
        TokenState::Made => {
            format!("nothing is promoted yet; every node is to use the second token since {since}")
        }
        TokenState::Promoting => {
            format!("since {since} its promotion is asked for, and Twilio's answer is not known")
        }
        TokenState::Promoted => {
            let seen =
                token.seen_new_at.map_or("no request came yet that the new one signed".to_owned(), |at| {
                    format!("a request that the new one signed came at {}", moment(at))
                });
            format!("promoted at {since}; the old token still counts at the gate; {seen}")
        }
        TokenState::Undoing => format!("since {since} it is being taken back"),
        TokenState::Replaced => {
            let seen = if token.confirmed { "" } else { ", which no request was seen to confirm" };
            format!("replaced at {since}{seen}")
        }
    };
    text.push_str(&wrapped(&state, 2));
    if !token.late_nodes.is_empty() {
        let late = format!("not used yet by: {}", token.late_nodes.join(", "));
        text.push_str(&wrapped(&late, 2));
    }
    if token.state != TokenState::Replaced {
        let command = if token.state == TokenState::Undoing { "token undo" } else { "token rotate" };
        let again = typed.command(&format!("{command} {} {REASON}", token.account.sid));
        _ = writeln!(text, "  to go on:\n    {again}");
    }
    if token.state != TokenState::Replaced || token.configuration_outdated {
        text.push_str(&held_by(holders));
    }
    text
}

fn held_by(holders: &[String]) -> String {
    if holders.is_empty() {
        return String::new();
    }
    let mut text = String::from("what holds the old token, or may:\n");
    for holder in holders {
        text.push_str(&point(holder));
    }
    text
}

/// Why it does not go on, and what to type.
pub(super) fn failure(error: NotRotated, installation: &Installation, account: Sid) -> Failure {
    let command = |what: &str| installation.command(what);
    let rotate = command(&format!("token rotate {account} {REASON}"));
    match error {
        NotRotated::Store(error) => store(error),
        NotRotated::Twilio(_) | NotRotated::NotTakenYet(_) | NotRotated::Moved(_) | NotRotated::OnItsWay(_) => {
            Failure::unavailable(&error).hint("type the same again: it goes on where it stopped")
        }
        NotRotated::Recent { .. } => Failure::refused(&error).hint(format!(
            "{} shows it; to replace it once more:\n      {rotate} --again",
            command(&format!("token status {account}"))
        )),
        NotRotated::SecondInDoubt(_) => Failure::refused(&error).hint(format!(
            "if nothing uses it, delete it and go on:\n      {rotate} --replace-second\n      or give up, and leave it:\n      {}",
            command(&format!("token undo {account} {REASON}"))
        )),
        NotRotated::HasSecond(_) => Failure::refused(&error).hint(format!(
            "if nothing uses it, delete it and go on:\n      {rotate} --replace-second"
        )),
        NotRotated::OldRefused(_) => Failure::refused(&error).hint(
            "write the token that Twilio's console shows into its [[account]]: it counts from then on, whatever was replaced before",
        ),
        NotRotated::NeitherWorks(_) => Failure::refused(&error).hint(format!(
            "write the token that Twilio's console shows into its [[account]] (but for a subaccount that its parent lists): it counts \
             from then on; then end this rotation:\n      {}",
            command(&format!("token undo {account} {REASON}"))
        )),
        NotRotated::Inactive(_) => Failure::refused(&error).hint(format!(
            "nobody can use its tokens meanwhile; let it go ({}), and rotate at once",
            command(&format!("account resume {account} {REASON}"))
        )),
        NotRotated::NoToken(_) => Failure::refused(&error).hint("add its auth_token as an [[account]]"),
        NotRotated::BeingUndone(_) => Failure::refused(&error)
            .hint(format!("end that first:\n      {}", command(&format!("token undo {account} {REASON}")))),
        NotRotated::Irreversible(_) => {
            Failure::refused(&error).hint(format!("go on, and replace the new one if need be:\n      {rotate}"))
        }
        NotRotated::NotUnderWay(_) => Failure::refused(&error),
    }
}

/// A word for scripts.
pub(super) const fn word(end: RotationEnd) -> &'static str {
    match end {
        RotationEnd::Confirmed => "replaced",
        RotationEnd::Unconfirmed => "replaced-unconfirmed",
        RotationEnd::Undone => "undone",
        RotationEnd::SecondLeft => "undone-second-left",
        RotationEnd::Superseded => "superseded",
    }
}

/// The same of what is waited for.
pub(super) fn waiting_word(waiting: &Waiting) -> serde_json::Value {
    match waiting {
        Waiting::Nodes(late) => {
            let names: Vec<_> = late.iter().map(|node| node.name.as_str()).collect();
            serde_json::json!({ "nodes": names })
        }
        Waiting::Operator => "operator".into(),
        Waiting::Request { .. } => "request".into(),
        Waiting::OldToken { .. } => "old-token".into(),
    }
}
