//! What each notice says, in plain English: a headline, what happened and what was done, and what to type next.
//!
//! The channels differ in form only; all of them take their words from here.

use jiff::Timestamp;
use ringfence_breaker::{Action, Window};
use ringfence_model::{Amount, Sid};

use super::notice::{Account, Cause, Event, Notice, Operator, TokenStage, TriggerChange, Usage, Who};
use super::text::{self, Desk, moment, name, one_line, period, shell_word};

/// What a notice says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Story {
    /// One line without an end.
    pub(super) headline: String,
    /// What happened, what was done, what it means.
    pub(super) paragraphs: Vec<String>,
    /// What to type next: why, and the command.
    pub(super) commands: Vec<(&'static str, String)>,
}

const LOOK: &str = "To see where every limit stands";
const LIFT: &str = "To lift it";
const HOW_TO_LIFT: &str = "To see how to lift it";

/// So many accounts of one notice are named.
const ACCOUNTS_NAMED: usize = 5;

impl Story {
    pub(super) fn of(notice: &Notice, desk: &Desk) -> Self {
        let commands = Commands { config: &desk.config };
        let headline = headline(&notice.event);
        let (paragraphs, commands) = match &notice.event {
            Event::Warning { who, limit, usage, level } => (
                vec![
                    spent(usage),
                    format!(
                        "That is at least {level} % of the limit {}. Nothing was stopped. When {} is reached, the limit trips.",
                        quoted(limit),
                        text::trips_at(usage),
                    ),
                    whose(who),
                ],
                vec![(LOOK, commands.status())],
            ),
            Event::Tripped { who, limit, cause, ordered, lifts } => {
                let why = match cause {
                    Cause::Usage(usage) => reached(usage, limit),
                    Cause::Operator(operator) => {
                        format!("An operator tripped the limit {}. {}", quoted(limit), by(operator))
                    }
                };
                let until = match lifts {
                    Some(lifts) if matches!(who, Who::Numbers(_)) => {
                        format!("It stays so until {}, or until an operator lifts it.", moment(*lifts))
                    }
                    Some(lifts) => {
                        format!("It stays so until the next window begins, at {}, or until an operator lifts it.", moment(*lifts))
                    }
                    None => "It stays so until an operator lifts it.".to_owned(),
                };
                let done = match who {
                    // The actions of a limit meet accounts, and its breaker these numbers alone.
                    Who::Numbers(_) => "Nothing is sent there any more, by the egress or as a code.".to_owned(),
                    _ => ordered_now(ordered),
                };
                (
                    vec![why, done, until, whose(who)],
                    vec![(LOOK, commands.status()), (LIFT, commands.reset(limit, who))],
                )
            }
            Event::WouldTrip { who, limit, usage, would } => (
                vec![
                    reached(usage, limit),
                    match who {
                        Who::Numbers(_) => "This limit only watches (enforce = false), so nothing was refused. It would have closed these numbers.".to_owned(),
                        _ => would_do(would),
                    },
                    whose(who),
                ],
                vec![("To see what the limits that only watch would have done", commands.report())],
            ),
            Event::InForce { account, limit, actions, tripped } => (
                vec![
                    format!("Read back from Twilio: {}.", listed(actions.iter().copied().map(is_so))),
                    format!("{}.", tripped_at(limit, *tripped)),
                    known_as(account),
                ],
                // The limit may hold for many accounts together; `status` has the command that lifts just this.
                vec![(HOW_TO_LIFT, commands.status())],
            ),
            Event::ActionFails { account, limit, action, tripped, why, tries } => (
                vec![
                    format!(
                        "{}, and {} was ordered. After {} it is still not so, and money may still be spent.",
                        tripped_at(limit, *tripped),
                        action_name(*action),
                        times(*tries),
                    ),
                    format!("The last answer: {}", sentence(&text::said(why))),
                    format!("It is tried again until it succeeds. Meanwhile {}.", by_hand(*action)),
                    known_as(account),
                ],
                vec![(LOOK, commands.status())],
            ),
            Event::ActiveAgain { account, limit, changed } => (
                vec![
                    format!(
                        "{}, so the account must be suspended. At {} somebody with access to Twilio changed it, and it was found active. It is being suspended again.",
                        if limit.is_empty() {
                            "An operator holds it".to_owned()
                        } else {
                            format!("The limit {} is tripped", quoted(limit))
                        },
                        moment(*changed),
                    ),
                    "If that was one of you: let it go with Ringfence instead, or it is suspended each time. If it was not, somebody else has credentials of the parent account: change them.".to_owned(),
                    known_as(account),
                ],
                vec![if limit.is_empty() {
                    (LIFT, commands.resume(account))
                } else {
                    (HOW_TO_LIFT, commands.status())
                }],
            ),
            Event::TriggerRestored { account, limit, trigger, change } => {
                let what = match change {
                    TriggerChange::Deleted => "was deleted".to_owned(),
                    TriggerChange::Changed { what, changed } => {
                        format!("was changed at {} ({})", moment(*changed), one_line(what, 160))
                    }
                };
                (
                    vec![
                        format!(
                            "The usage trigger {trigger}, which watches the limit {}, {what}, and not by Ringfence. It was put back. Usage was watched by reading Twilio's records in the meantime.",
                            quoted(limit),
                        ),
                        "If that was none of you, somebody else has credentials of the account: change them.".to_owned(),
                        known_as(account),
                    ],
                    vec![("To compare the triggers with the configuration", commands.plan())],
                )
            }
            Event::RuleRestored { account, url, rule, is_for } => (
                vec![
                    format!(
                        "The rule {} at Twilio, by which a SharedKey signs webhooks to {}, was given {}, and not by Ringfence. It was made again; that counts within a minute. Until then the auth token signed, and routes with signed_by = \"shared-key\" refused.",
                        one_line(rule, 80),
                        one_line(url, 160),
                        one_line(is_for, 160),
                    ),
                    "If that was none of you, somebody else has credentials of the account: change them.".to_owned(),
                    known_as(account),
                ],
                vec![("To compare what is at Twilio with the configuration", commands.shared_keys())],
            ),
            Event::Reset { who, limit, operator, allowed } => {
                let until = match allowed {
                    Some(allowed) if allowed.amount > Amount::ZERO => format!(
                        "{} more may be used in this window, then the limit trips again.",
                        text::amount(allowed.amount, allowed.measure, &allowed.unit),
                    ),
                    _ if matches!(who, Who::Numbers(_)) => "What is sent there from now on is let through, and counts anew.".to_owned(),
                    _ => "What was stopped is being released.".to_owned(),
                };
                (
                    vec![
                        format!("An operator lifted the trip of the limit {}. {}", quoted(limit), by(operator)),
                        until,
                        whose(who),
                    ],
                    vec![(LOOK, commands.status())],
                )
            }
            Event::Lifted { who, limit, window, since } => (
                vec![
                    match window {
                        Window::Rolling { seconds } | Window::Gcra { seconds } => format!(
                            "The limit {} was closed for {}, and is set to lift its trip then. What is sent from now on counts anew.",
                            quoted(limit),
                            text::length(*seconds),
                        ),
                        _ => format!(
                            "The limit {} counts anew in {}, and is set to lift its trip then. What was stopped is being released.",
                            quoted(limit),
                            period(*window, *since),
                        ),
                    },
                    whose(who),
                ],
                vec![(LOOK, commands.status())],
            ),
            Event::LimitGone { limit, accounts, by } => {
                let each: Vec<_> = accounts.iter().take(ACCOUNTS_NAMED).map(text::account).collect();
                let more = accounts.len().saturating_sub(each.len());
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                (
                    vec![
                        format!(
                            "The limit {} is not in the configuration any more, or has another name there ({}). It held these accounts, and nothing else does: {}{more}.",
                            quoted(limit),
                            by_name(by),
                            each.join(", "),
                        ),
                        "They stay suspended, or without countries that can be reached, until somebody lets each go. Nothing suspends them again if somebody makes them active at Twilio.".to_owned(),
                    ],
                    accounts.first().map(|it| ("To let one go", commands.resume(it))).into_iter()
                        .chain([("To see all accounts", commands.accounts())])
                        .collect(),
                )
            }
            Event::SuspendedByTwilio { account, changed } => (
                vec![
                    format!(
                        "The account was found suspended at {}, and Ringfence did not order it. Twilio says that its parent cannot make it active again, so Twilio itself suspended it.",
                        moment(*changed),
                    ),
                    "Only Twilio can lift that: see the account's page in the Console of Twilio, or write to Twilio's support.".to_owned(),
                    known_as(account),
                ],
                vec![("To see all accounts", commands.accounts())],
            ),
            Event::PrefixStopped { application, prefix, unconverted, until, .. } => (
                vec![
                    format!(
                        "{unconverted} more codes were sent to numbers that begin with {prefix} and have four more digits than were entered. So it looks when somebody earns from the numbers that codes go to (SMS pumping).",
                    ),
                    format!(
                        "Nothing is sent there until {}; all other numbers get their codes. See who asks for them: a form that anybody can fill in needs a limit for each address (DeviceIp).",
                        moment(*until),
                    ),
                ],
                vec![(
                    "To send there again before, if it was a mistake",
                    commands.resume_prefix(*application, prefix),
                )],
            ),
            Event::Found { findings, more, why, mend, .. } => {
                let mut paragraphs: Vec<String> =
                    findings.iter().map(|finding| sentence(&one_line(finding, 300))).collect();
                if *more > 0 {
                    paragraphs.push(format!("And {more} more like these."));
                }
                paragraphs.push(sentence(&one_line(why, 400)));
                paragraphs.push(format!("To mend it: {}", sentence(&one_line(mend, 400))));
                (paragraphs, vec![("To see all of it, and the command that mends each", commands.doctor())])
            }
            Event::Mended { places, more, .. } => {
                let more = if *more > 0 { format!(" and {more} more") } else { String::new() };
                let places: Vec<_> = places.iter().map(|place| one_line(place, 100)).collect();
                (
                    vec![format!("The examination finds it no more: {}{more}.", places.join(", "))],
                    vec![("To look at everything again", commands.doctor())],
                )
            }
            Event::TokenRotates { account, stage, operator } => (
                vec![token(*stage).to_owned(), by(operator), known_as(account)],
                vec![("To see how far it is, and what still holds the old token", commands.token_status(account))],
            ),
            Event::Test { by } => (
                vec![
                    format!("{} asked for this, to see whether notices arrive. Nothing happened, and nothing has to be done.", by_name(by)),
                ],
                Vec::new(),
            ),
        };
        Self { headline, paragraphs, commands }
    }
}

fn headline(event: &Event) -> String {
    match event {
        Event::Warning { who, limit, usage, level } => {
            format!("{} has used {level} % of {}: {}", text::who_first(who), quoted(limit), text::used(usage))
        }
        Event::Tripped { who, limit, cause, ordered, .. } => {
            let done =
                if ordered.contains(&Action::Suspend) { "is being suspended" } else { "is over its limit" };
            match cause {
                Cause::Usage(usage) if usage.measure.is_a_sign() => {
                    format!("{} is closed: {} ({})", text::who_first(who), text::used(usage), quoted(limit))
                }
                Cause::Usage(usage) => {
                    format!("{} {done}: {}", text::who_first(who), met(usage, limit))
                }
                Cause::Operator(_) => {
                    format!("{} is stopped by an operator: {}", text::who_first(who), quoted(limit))
                }
            }
        }
        Event::WouldTrip { who, limit, usage, .. } if usage.measure.is_a_sign() => {
            format!(
                "{} would have been closed: {} ({})",
                text::who_first(who),
                text::used(usage),
                quoted(limit)
            )
        }
        Event::WouldTrip { who, limit, usage, .. } => {
            format!("{} would have been stopped: {}", text::who_first(who), met(usage, limit))
        }
        Event::InForce { account, actions, .. } if actions.contains(&Action::Suspend) => {
            format!("{} is suspended", text::account(account))
        }
        Event::InForce { account, .. } => format!("{} is stopped", text::account(account)),
        Event::ActionFails { account, action, tries, .. } => {
            format!("{}: {} FAILS, after {}", text::account(account), action_name(*action), times(*tries))
        }
        Event::ActiveAgain { account, .. } => {
            format!("{} was made active again although it must be suspended", text::account(account))
        }
        Event::TriggerRestored { account, change, .. } => {
            let what = if *change == TriggerChange::Deleted { "deleted" } else { "changed" };
            format!("A usage trigger of {} was {what} by somebody else, and put back", text::account(account))
        }
        Event::RuleRestored { account, .. } => {
            format!(
                "A rule for webhooks of {} was edited by somebody else, and made again",
                text::account(account)
            )
        }
        Event::Reset { who, limit, operator, .. } => {
            format!("{} is lifted for {} by {}", quoted(limit), text::who(who), by_name(&operator.by))
        }
        Event::Lifted { who, limit, .. } => {
            format!("{} is lifted for {} by its next window", quoted(limit), text::who(who))
        }
        Event::LimitGone { limit, accounts, .. } => {
            let (many, stay) = if accounts.len() == 1 { ("account", "stays") } else { ("accounts", "stay") };
            format!(
                "{} is taken out, and {} {many} that it held {stay} stopped",
                quoted(limit),
                accounts.len()
            )
        }
        Event::SuspendedByTwilio { account, .. } => {
            format!("{} was suspended by Twilio itself", text::account(account))
        }
        Event::PrefixStopped { name: application, prefix, .. } => {
            format!("Codes of {} to numbers that begin with {prefix} are stopped", quoted(application))
        }
        Event::Found { check, findings, more, .. } => {
            let first = findings.first().map(|it| one_line(it, 160)).unwrap_or_default();
            let others = findings.len().saturating_sub(1) + more;
            let others = if others > 0 { format!(" (and {others} more)") } else { String::new() };
            format!("{}: {first}{others}", one_line(check, 32))
        }
        Event::Mended { check, places, more } => {
            let number = places.len() + more;
            let things = if number == 1 { "1 thing".to_owned() } else { format!("{number} things") };
            format!("{}: {things} mended", one_line(check, 32))
        }
        Event::TokenRotates { account, stage, .. } => {
            let whose = text::account(account);
            match stage {
                TokenStage::Made => format!("The auth token of {whose} is being replaced"),
                TokenStage::Promoted => {
                    format!("The auth token of {whose} was replaced, and the old one is dead")
                }
                TokenStage::Undone => format!("The auth token of {whose} stays as it is"),
            }
        }
        Event::Test { .. } => "This is a test".to_owned(),
    }
}

const fn token(stage: TokenStage) -> &'static str {
    match stage {
        TokenStage::Made => {
            "A second auth token is good for requests to Twilio, and Ringfence uses it already. Twilio still signs webhooks with the first one. Give the new token to whatever else holds the old one: programs that ask Twilio by themselves, and applications that verify signatures by themselves."
        }
        TokenStage::Promoted => {
            "Twilio takes the old auth token no more, and signs webhooks with the new one. Ringfence uses it on all nodes. Whatever else still holds the old one fails until it has the new one; the configuration of Ringfence is to be updated too."
        }
        TokenStage::Undone => {
            "The second auth token was taken back before its promotion, and opens nothing any more. Whatever was given it needs the first one again."
        }
    }
}

/// A limit's name, where it stands within a sentence.
pub(super) fn quoted(limit: &str) -> String {
    format!("\"{}\"", name(limit))
}

/// The beginning of a sentence. No limit stands where an operator said it of the account itself.
fn tripped_at(limit: &str, at: Timestamp) -> String {
    if limit.is_empty() {
        format!("An operator said so at {}", moment(at))
    } else {
        format!("The limit {} tripped at {}", quoted(limit), moment(at))
    }
}

/// How a limit came to trip.
fn reached(usage: &Usage, limit: &str) -> String {
    let (Some(share), Window::Rolling { seconds }) = (text::share(usage), usage.window) else {
        let wanted = text::wanted(usage).map_or_else(String::new, |wanted| {
            format!(" A request that could have cost {wanted} did not fit, and was not sent.")
        });
        return format!("{}{wanted} The limit {} is {}.", spent(usage), quoted(limit), text::trips_at(usage));
    };
    format!(
        "Of what was sent there in {}, as far as it had its time, {share}. The limit {} is at least {}. So it looks when somebody earns from the numbers (SMS pumping), and when something is broken on the way.",
        text::length(seconds),
        quoted(limit),
        text::trips_at(usage),
    )
}

/// The same in a few words.
fn met(usage: &Usage, limit: &str) -> String {
    match text::wanted(usage) {
        Some(wanted) => format!("{wanted} more do not fit {}", quoted(limit)),
        None => format!("{} reached {}", text::used(usage), quoted(limit)),
    }
}

fn spent(usage: &Usage) -> String {
    let what = if usage.category == "totalprice" {
        String::new()
    } else {
        format!(" of {}", one_line(&usage.category, 64))
    };
    format!("{}{what} used in {}.", text::used(usage), period(usage.window, usage.since))
}

fn ordered_now(ordered: &[Action]) -> String {
    let actions = listed(ordered.iter().copied().filter(|it| *it != Action::Notify).map(action_name));
    if actions.is_empty() {
        return "Nothing but this notice was ordered: money can still be spent.".to_owned();
    }
    format!(
        "Ordered, and repeated until it is so: {actions}. Another notice follows when Twilio confirms it, or if it fails."
    )
}

fn would_do(would: &[Action]) -> String {
    let actions = listed(would.iter().copied().filter(|it| *it != Action::Notify).map(action_name));
    let actions = if actions.is_empty() { "nothing but a notice".to_owned() } else { actions };
    format!(
        "This limit only watches (enforce = false), so nothing was done. It would have ordered: {actions}."
    )
}

fn action_name(action: Action) -> &'static str {
    match action {
        Action::Suspend => "the suspension",
        Action::Notify => "the notice",
        Action::EndCalls => "the end of all calls",
        Action::CancelQueued => "the cancellation of queued messages",
        Action::CloseGeo => "the withdrawal of permissions to call and text abroad",
        Action::RevokeKeys => "the deletion of the API keys",
    }
}

fn is_so(action: Action) -> &'static str {
    match action {
        Action::Suspend => "the account is suspended",
        Action::Notify => "people were told",
        Action::EndCalls => "no call is in progress",
        Action::CancelQueued => "no queued message is left that can be cancelled",
        Action::CloseGeo => "calls and messages abroad are not permitted",
        Action::RevokeKeys => "the account's API keys are deleted",
    }
}

/// What a person can do at Twilio while Ringfence cannot.
fn by_hand(action: Action) -> &'static str {
    match action {
        Action::Suspend => "suspend the account in the Console of Twilio (Account, Subaccounts)",
        Action::Notify => "look at the settings of [notify]",
        Action::EndCalls => "end the calls in the Console of Twilio (Monitor, Logs, Calls)",
        Action::CancelQueued => "cancel the messages in the Console of Twilio (Monitor, Logs, Messaging)",
        Action::CloseGeo => {
            "take the permissions away in the Console of Twilio (Voice and Messaging, Settings, Geo permissions)"
        }
        Action::RevokeKeys => "delete the keys in the Console of Twilio (Account, API keys)",
    }
}

fn whose(who: &Who) -> String {
    match who {
        Who::Account(account) => known_as(account),
        Who::Together => "It concerns all accounts of the limit's scope together.".to_owned(),
        Who::Numbers(beginning) => format!(
            "It concerns numbers that begin with {beginning}, whichever account of the limit's scope sends there. All other numbers go on."
        ),
    }
}

fn known_as(account: &Account) -> String {
    let name = name(&account.name);
    if name.is_empty() {
        format!("Account: {}", account.sid)
    } else {
        format!("Account: {} ({name})", account.sid)
    }
}

fn by(operator: &Operator) -> String {
    let reason = one_line(&operator.reason, 300);
    let reason = if reason.is_empty() { "no reason given".to_owned() } else { sentence(&reason) };
    format!("By {}: {reason}", by_name(&operator.by))
}

fn by_name(by: &str) -> String {
    let by = name(by);
    if by.is_empty() { "somebody".to_owned() } else { by }
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?', '…']) { text.to_owned() } else { format!("{text}.") }
}

fn times(tries: u32) -> String {
    if tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") }
}

fn listed(parts: impl Iterator<Item = &'static str>) -> String {
    parts.collect::<Vec<_>>().join("; ")
}

struct Commands<'a> {
    config: &'a str,
}

impl Commands<'_> {
    fn config(&self) -> String {
        shell_word(self.config)
    }

    fn status(&self) -> String {
        format!("ringfence status --config {}", self.config())
    }

    fn report(&self) -> String {
        format!("ringfence report --config {}", self.config())
    }

    fn doctor(&self) -> String {
        format!("ringfence doctor --config {}", self.config())
    }

    fn plan(&self) -> String {
        format!("ringfence limits plan --config {}", self.config())
    }

    fn shared_keys(&self) -> String {
        format!("ringfence shared-keys plan --config {}", self.config())
    }

    fn accounts(&self) -> String {
        format!("ringfence account list --config {}", self.config())
    }

    fn token_status(&self, account: &Account) -> String {
        format!("ringfence token status {} --config {}", account.sid, self.config())
    }

    fn resume(&self, account: &Account) -> String {
        format!("ringfence account resume {} --config {} --reason \"...\"", account.sid, self.config())
    }

    fn resume_prefix(&self, application: Sid, prefix: &str) -> String {
        format!("ringfence application resume {application} --prefix {prefix} --config {}", self.config())
    }

    fn reset(&self, limit: &str, who: &Who) -> String {
        let whose = match who {
            Who::Account(account) => format!(" --account {}", account.sid),
            Who::Numbers(beginning) => format!(" --prefix {beginning}"),
            Who::Together => String::new(),
        };
        format!("ringfence reset {}{whose} --config {} --reason \"...\"", shell_word(limit), self.config())
    }
}
