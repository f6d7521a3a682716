//! A notice in the form that each channel takes: functions of the notice and nothing else.

use jiff::Timestamp;
use ringfence_breaker::{Action, Measure};
use ringfence_model::{Encoding, Segments};
use serde_json::{Value, json};

use super::notice::{Cause, Event, Notice, Severity, TokenStage, TriggerChange, Usage, Who};
use super::story::Story;
use super::text::{self, Desk, moment, one_line, wrapped};

/// A mail's subject: one line of at most 200 characters, whatever the names in the notice hold.
pub fn subject(notice: &Notice, desk: &Desk) -> String {
    one_line(&format!("[{}] {}{}", desk_name(desk), marked(notice), Story::of(notice, desk).headline), 200)
}

/// A mail's text: what happened, to whom, what was done, what to type next. Lines end in a single line feed.
pub fn mail_text(notice: &Notice, desk: &Desk) -> String {
    let story = Story::of(notice, desk);
    let mut parts = vec![format!("{}.", wrapped(&story.headline))];
    parts.extend(story.paragraphs.iter().map(|paragraph| wrapped(paragraph)));
    parts.extend(story.commands.iter().map(|(why, command)| format!("{why}:\n\n    {command}")));
    parts.push(format!("Time: {}\nNotice: {}\n", moment(notice.at), notice.id()));
    parts.join("\n\n")
}

/// The body of the operator's webhook. Names and values of its fields never change; fields may be added.
pub fn webhook_json(notice: &Notice, desk: &Desk) -> Value {
    let story = Story::of(notice, desk);
    let account =
        notice.account().map(|account| json!({ "sid": account.sid, "friendly_name": account.name }));
    let usage = notice.usage().map(|usage| {
        json!({
            "measure": measure(usage.measure),
            "category": usage.category,
            "unit": usage.unit,
            "used": usage.used.to_string(),
            "trips_at": usage.trips_at.to_string(),
            "judged": usage.judged,
            "wanted": usage.wanted.map(|wanted| wanted.to_string()),
            "window": usage.window,
            "window_start": seconds(usage.since),
        })
    });
    json!({
        "id": notice.id(),
        "type": notice.event.kind(),
        "timestamp": seconds(notice.at),
        "data": {
            "severity": notice.severity(),
            "installation": desk.installation,
            "account": account,
            "numbers": notice.numbers(),
            "limit": notice.limit(),
            "usage": usage,
            "details": details(&notice.event),
            "summary": story.headline,
            "text": story.paragraphs.join("\n"),
            "commands": story.commands.iter().map(|(_, command)| command).collect::<Vec<_>>(),
        },
    })
}

/// What only one kind of notice has.
fn details(event: &Event) -> Value {
    let names = |actions: &[Action]| actions.iter().map(|action| action.name()).collect::<Vec<_>>();
    match event {
        Event::Warning { level, .. } => json!({ "level_percent": level }),
        Event::Tripped { cause, ordered, lifts, .. } => {
            let operator = match cause {
                Cause::Operator(operator) => Some(json!({ "by": operator.by, "reason": operator.reason })),
                Cause::Usage(_) => None,
            };
            json!({ "ordered": names(ordered), "operator": operator, "lifts": lifts.map(seconds) })
        }
        Event::WouldTrip { would, .. } => json!({ "would": names(would) }),
        Event::InForce { actions, tripped, .. } => {
            json!({ "in_force": names(actions), "tripped": seconds(*tripped) })
        }
        Event::ActionFails { action, tripped, why, tries, .. } => json!({
            "action": action.name(), "tripped": seconds(*tripped), "why": text::said(why), "tries": tries,
        }),
        Event::ActiveAgain { changed, .. } | Event::SuspendedByTwilio { changed, .. } => {
            json!({ "changed": seconds(*changed) })
        }
        Event::TriggerRestored { trigger, change, .. } => match change {
            TriggerChange::Deleted => json!({ "trigger": trigger, "change": "deleted" }),
            TriggerChange::Changed { what, changed } => json!({
                "trigger": trigger, "change": "changed", "what": what, "changed": seconds(*changed),
            }),
        },
        Event::RuleRestored { url, rule, is_for, .. } => {
            json!({ "rule": rule, "url": url, "is_for": is_for })
        }
        Event::Reset { operator, allowed, .. } => json!({
            "by": operator.by,
            "reason": operator.reason,
            "allowed": allowed.as_ref().map(|it| json!({ "amount": it.amount.to_string(), "unit": it.unit })),
        }),
        Event::Lifted { window, since, .. } => json!({ "window": window, "window_start": seconds(*since) }),
        Event::LimitGone { accounts, by, .. } => json!({
            "by": by,
            "accounts": accounts.iter().map(|it| json!({ "sid": it.sid, "name": it.name })).collect::<Vec<_>>(),
        }),
        Event::PrefixStopped { application, prefix, unconverted, until, .. } => json!({
            "application": application, "prefix": prefix, "unconverted": unconverted, "until": seconds(*until),
        }),
        Event::Found { check, findings, more, why, mend, .. } => json!({
            "check": check, "findings": findings, "more": more, "why": why, "mend": mend,
        }),
        Event::Mended { check, places, more } => json!({ "check": check, "places": places, "more": more }),
        Event::TokenRotates { stage, operator, .. } => {
            json!({ "stage": stage.name(), "by": operator.by, "reason": operator.reason })
        }
        Event::Test { by } => json!({ "by": by }),
    }
}

/// A body that Slack's incoming webhooks take, and those of Mattermost and Rocket.Chat: text alone. `&`, `<` and `>`
/// are escaped as Slack demands (<https://docs.slack.dev/messaging/formatting-message-text#escaping>), so no name can
/// make a link or call a whole channel.
pub fn slack_json(notice: &Notice, desk: &Desk) -> Value {
    let story = Story::of(notice, desk);
    let mut lines = vec![format!("*{}*", slack_escaped(&subject(notice, desk)).replace('*', "∗"))];
    lines.extend(story.paragraphs.iter().map(|paragraph| slack_escaped(paragraph)));
    let command = |text: &str| slack_escaped(text).replace('`', "'");
    lines.extend(story.commands.iter().map(|(why, text)| format!("{why}: `{}`", command(text))));
    let text = lines.join("\n");
    json!({ "text": text })
}

fn slack_escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text message of one segment: GSM-7, at most 160 characters. Names that GSM-7 cannot write are left to the mail;
/// long ones are cut.
pub fn sms_text(notice: &Notice, desk: &Desk) -> String {
    // The longest names that leave the rest of the text its room.
    for room in [64, 40, 28, 20, 14, 10] {
        let text = gsm7(&short(notice, desk, room));
        let segments = Segments::of(&text);
        if segments.encoding == Encoding::Gsm7 && segments.count == 1 {
            return text;
        }
    }
    // Only amounts and units of absurd length lead here.
    gsm7(&format!("Ringfence: {}, notice {}", notice.event.kind(), notice.id()))
}

/// The notice in one short sentence, its names cut to `room` characters.
fn short(notice: &Notice, desk: &Desk, room: usize) -> String {
    let limit = |limit: &str| readable(limit, room).unwrap_or_else(|| "a limit".to_owned());
    let account = |sid: String, name: &str| readable(name, room).unwrap_or_else(|| short_sid(&sid));
    let whose = |who: &Who| match who {
        Who::Account(it) => account(it.sid.to_string(), &it.name),
        Who::Together => "all accounts".to_owned(),
        Who::Numbers(beginning) => format!("{beginning}..."),
    };
    let amounts = |usage: &Usage| {
        let share = text::share(usage);
        share.unwrap_or_else(|| format!("{} of {}", text::used(usage), text::trips_at(usage)))
    };
    let said = match &notice.event {
        Event::Warning { who, limit: name, usage, level } => {
            format!("{} at {level}% of \"{}\": {}", whose(who), limit(name), amounts(usage))
        }
        Event::Tripped { who, limit: name, cause, ordered, .. } => {
            let done = if ordered.contains(&Action::Suspend) { "being suspended" } else { "TRIPPED" };
            match cause {
                Cause::Usage(usage) => {
                    format!("{} {done}: \"{}\", {}", whose(who), limit(name), amounts(usage))
                }
                Cause::Operator(_) => format!("{} {done} by an operator: \"{}\"", whose(who), limit(name)),
            }
        }
        Event::WouldTrip { who, limit: name, usage, .. } => {
            let did = match usage.wanted {
                _ if usage.measure.is_a_sign() => "fell below",
                Some(_) => "found no room in",
                None => "reached",
            };
            format!("watching only: {} {did} \"{}\": {}", whose(who), limit(name), amounts(usage))
        }
        Event::InForce { account: it, limit: name, actions, .. } => {
            let done = if actions.contains(&Action::Suspend) { "suspended" } else { "stopped" };
            format!("{} is {done} (\"{}\")", account(it.sid.to_string(), &it.name), limit(name))
        }
        Event::ActionFails { account: it, action, tries, .. } => {
            format!(
                "{action} FAILS for {}, {tries} tries. Act by hand",
                account(it.sid.to_string(), &it.name)
            )
        }
        Event::ActiveAgain { account: it, .. } => format!(
            "{} was made ACTIVE again though it must be suspended. Suspending it again",
            account(it.sid.to_string(), &it.name)
        ),
        Event::TriggerRestored { account: it, change, .. } => {
            let what = if *change == TriggerChange::Deleted { "deleted" } else { "changed" };
            format!("usage trigger of {} was {what}, put back", account(it.sid.to_string(), &it.name))
        }
        Event::RuleRestored { account: it, .. } => {
            format!("webhook rule of {} was edited, made again", account(it.sid.to_string(), &it.name))
        }
        Event::Reset { who, limit: name, operator, .. } => {
            let by = readable(&operator.by, room.min(20)).unwrap_or_else(|| "an operator".to_owned());
            format!("\"{}\" lifted for {} by {by}", limit(name), whose(who))
        }
        Event::Lifted { who, limit: name, .. } => {
            format!("\"{}\" lifted for {} by its next window", limit(name), whose(who))
        }
        Event::LimitGone { limit: name, accounts, .. } => {
            let (many, stay) = if accounts.len() == 1 { ("account", "stays") } else { ("accounts", "stay") };
            format!("\"{}\" is taken out; {} {many} that it held {stay} stopped", limit(name), accounts.len())
        }
        Event::SuspendedByTwilio { account: it, .. } => {
            format!("{} was suspended by Twilio itself", account(it.sid.to_string(), &it.name))
        }
        Event::PrefixStopped { name, prefix, .. } => {
            let of = readable(name, room.min(32)).map_or(String::new(), |it| format!(" of \"{it}\""));
            format!("codes{of} to numbers that begin with {prefix} are stopped, since nobody enters them")
        }
        Event::Found { check, findings, more, .. } => {
            format!("{check}: {} to mend", findings.len() + more)
        }
        Event::Mended { check, places, more } => format!("{check}: {} mended", places.len() + more),
        Event::TokenRotates { account: it, stage, .. } => {
            let whose = account(it.sid.to_string(), &it.name);
            match stage {
                TokenStage::Made => format!("the auth token of {whose} is being replaced"),
                TokenStage::Promoted => {
                    format!("the auth token of {whose} was replaced: the old one is dead")
                }
                TokenStage::Undone => format!("the auth token of {whose} stays as it is"),
            }
        }
        Event::Test { .. } => "this is a test".to_owned(),
    };
    let from = readable(&desk.installation, room.min(20)).map_or(String::new(), |it| format!(" {it}"));
    format!("Ringfence{from}: {said}.")
}

/// A name of at most `room` characters, if GSM-7 can write most of it.
fn readable(name: &str, room: usize) -> Option<String> {
    let name = gsm7(&text::name(name));
    let lost = name.chars().filter(|char| *char == '?').count();
    let count = name.chars().count();
    if count == 0 || lost * 2 > count {
        return None;
    }
    if count <= room {
        return Some(name);
    }
    let kept: String = name.chars().take(room.saturating_sub(2)).collect();
    Some(format!("{}..", kept.trim_end()))
}

fn short_sid(sid: &str) -> String {
    format!("AC..{}", sid.get(sid.len().saturating_sub(6)..).unwrap_or(sid))
}

/// A text in the alphabet that costs least: typographic characters as plain ones, what has no likeness as `?`.
fn gsm7(text: &str) -> String {
    let mut plain = String::new();
    for char in text.chars() {
        match char {
            '‘' | '’' | '‚' | '`' | '´' => plain.push('\''),
            '“' | '”' | '„' | '«' | '»' => plain.push('"'),
            '‐'..='―' => plain.push('-'),
            '…' => plain.push_str(".."),
            '\u{a0}' => plain.push(' '),
            _ if Segments::of(char.encode_utf8(&mut [0; 4])).encoding == Encoding::Gsm7 => plain.push(char),
            _ => plain.push('?'),
        }
    }
    plain
}

/// What is said to whoever picks up, twice, since nobody hears the beginning. It ends by itself.
pub fn twiml(notice: &Notice, desk: &Desk) -> String {
    let said =
        one_line(&format!("This is Ringfence. {}{}.", marked(notice), Story::of(notice, desk).headline), 400);
    let said = xml_escaped(&said);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Pause length=\"1\"/><Say language=\"en-US\">{said}</Say>\
         <Pause length=\"1\"/><Say language=\"en-US\">Once more. {said}</Say></Response>"
    )
}

/// `one_line` has removed what XML cannot hold but for the two characters that are no characters.
fn xml_escaped(text: &str) -> String {
    let text: String = text.chars().filter(|char| !matches!(char, '\u{fffe}' | '\u{ffff}')).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn desk_name(desk: &Desk) -> String {
    let installation = one_line(&desk.installation, 40);
    if installation.is_empty() { "Ringfence".to_owned() } else { format!("Ringfence {installation}") }
}

fn marked(notice: &Notice) -> &'static str {
    match notice.severity() {
        Severity::Critical => "Critical: ",
        Severity::Warning => "Warning: ",
        Severity::Info => "",
    }
}

/// RFC 3339 without fractions.
fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

const fn measure(measure: Measure) -> &'static str {
    match measure {
        Measure::Price => "price",
        Measure::Usage => "usage",
        Measure::Count => "count",
        Measure::Delivery => "delivery",
        Measure::Conversion => "conversion",
    }
}
