//! What `ringfence breached` did, and what it found.

use std::fmt::{Display, Write as _};

use jiff::Timestamp;
use ringfence_control::breach::{Lately, Thing};
use ringfence_model::Sid;
use serde::Serialize;

use super::super::act::with_name;
use super::super::words::{moment, wrapped};
use crate::exit::Answer;

/// So many of a kind are told; `--json` has more.
const SHOWN: usize = 50;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) account: Sid,
    pub(super) name: String,
    pub(super) at: Timestamp,
    pub(super) since: Timestamp,
    pub(super) dry_run: bool,
    pub(super) steps: Vec<Step>,
    pub(super) lately: Lately,
}

/// Something that was to be done.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    #[serde(rename = "step")]
    name: &'static str,
    state: State,
    what: String,
    /// What it is about, one by one.
    list: Vec<String>,
    /// What to type next.
    next: Option<String>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Done,
    WouldDo,
    /// It is for a person to do.
    Left,
    Failed,
}

impl Step {
    pub(super) const fn new(name: &'static str, state: State, what: String) -> Self {
        Self { name, state, what, list: Vec::new(), next: None }
    }

    pub(super) fn failed(name: &'static str, why: impl Display) -> Self {
        Self::new(name, State::Failed, why.to_string())
    }

    pub(super) fn is_failed(&self) -> bool {
        self.state == State::Failed
    }

    /// It has failed, and what was left then was dealt with since.
    pub(super) fn mended(&mut self) {
        self.state = State::Done;
        self.what.push_str("; none is left now");
        self.next = None;
    }

    pub(super) fn list(mut self, list: Vec<String>) -> Self {
        self.list = list;
        self
    }

    pub(super) fn next(mut self, command: String) -> Self {
        self.next = Some(command);
        self
    }
}

impl Report {
    pub(super) fn answer(&self, as_json: bool) -> Answer {
        let has = |state| self.steps.iter().any(|step| step.state == state);
        let output = if as_json { format!("{}\n", serde_json::json!(self)) } else { self.as_text() };
        Answer {
            output: output.into_bytes(),
            is_no: has(State::Left),
            is_unavailable: has(State::Failed) || !self.lately.unread.is_empty(),
            ..Answer::default()
        }
    }

    fn as_text(&self) -> String {
        let mut text = with_name(self.account, &self.name);
        text.push_str(if self.dry_run { ": nothing was changed\n\n" } else { "\n\n" });
        for step in &self.steps {
            let mark = match step.state {
                State::Done => "done  ",
                State::WouldDo => "would ",
                State::Left => "LEFT  ",
                State::Failed => "FAILED",
            };
            let body = wrapped(&format!("{}: {}", step.name, step.what), 8);
            _ = writeln!(text, "{mark}  {}", body.trim());
            list(&mut text, &step.list);
            if let Some(next) = &step.next {
                let word = if step.state == State::Done { "later" } else { "to do it" };
                _ = writeln!(text, "        {word}:\n          {next}");
            }
        }
        self.lately_text(&mut text);
        text
    }

    fn lately_text(&self, text: &mut String) {
        let Lately { numbers, changed_numbers, keys, subaccounts, changes, unread } = &self.lately;
        _ = writeln!(text, "\nsince {}:", moment(self.since));
        for (what, things) in [
            ("numbers that were bought", numbers),
            ("numbers that were changed", changed_numbers),
            ("API keys that were made", keys),
            ("subaccounts that were made", subaccounts),
        ] {
            if !things.is_empty() {
                _ = writeln!(text, "  {what}: {}", things.len());
                list(text, &things.iter().map(thing).collect::<Vec<_>>());
            }
        }
        if !changes.is_empty() {
            _ = writeln!(
                text,
                "  {} changes in Twilio's log of what opens the account or leads it elsewhere",
                changes.len()
            );
            let changes = changes.iter().map(|change| {
                let at = change.at.map(moment).unwrap_or_default();
                let urls = if change.urls.is_empty() { String::new() } else { format!("; {}", change.urls) };
                format!("{at} {} {} by {}{urls}", change.what, change.resource, change.by)
            });
            list(text, &changes.collect::<Vec<_>>());
        }
        for unread in unread {
            text.push_str(&wrapped(&format!("NOT READ: {}: {}", unread.what, unread.why), 2));
        }
        let found = numbers.len() + changed_numbers.len() + keys.len() + subaccounts.len() + changes.len();
        match (found, unread.is_empty()) {
            (0, true) => text.push_str("  nothing was bought, made or led elsewhere\n"),
            (0, false) => {}
            _ => text.push_str("  what was none of you is to be deleted or led back, at Twilio\n"),
        }
    }
}

fn thing(thing: &Thing) -> String {
    let at = thing.changed_at.max(thing.created_at).map(|at| format!(", {}", moment(at))).unwrap_or_default();
    format!("{} ({}{at})", thing.sid, thing.name)
}

fn list(text: &mut String, items: &[String]) {
    for item in items.iter().take(SHOWN) {
        // Whole, so that a SID can be copied.
        _ = writeln!(text, "          - {item}");
    }
    if items.len() > SHOWN {
        _ = writeln!(text, "          … and {} more; --json has them", items.len() - SHOWN);
    }
}
