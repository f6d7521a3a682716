//! The form of an act: what is about to happen, why, and the button that does it.
//!
//! It is a page of its own, so that nothing dangerous is one slip away, and so that what is wrong can stand beside the
//! field that it is about.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_second_factor::words::is_invisible;

use super::{shown, shown_again};
use crate::failed::Failed;
use crate::form::Fields;
use crate::frame::{Frame, Section};
use crate::routes::Call;

/// The longest reason, in characters: as long as the API's.
const REASON_MAX: usize = 500;

/// An act that is asked for.
#[derive(Debug)]
pub(super) struct Act {
    pub(super) section: Section,
    pub(super) title: String,
    /// What happens then, in full sentences.
    pub(super) effects: Vec<String>,
    /// Where it is posted.
    pub(super) path: String,
    pub(super) button: &'static str,
    /// Whether it stops something.
    pub(super) is_dangerous: bool,
    /// What goes with the form unseen.
    pub(super) hidden: Vec<(&'static str, String)>,
    /// The amount that may be given, where one may.
    pub(super) allow: Option<Allow>,
    /// Whether it wants a reason.
    pub(super) wants_reason: bool,
    /// Where one goes who would rather not.
    pub(super) back: String,
}

/// How much more may be used after a reset.
#[derive(Debug)]
pub(super) struct Allow {
    /// What the limit says.
    pub(super) usual: String,
    pub(super) currency: String,
}

/// What is wrong with what was typed.
#[derive(Debug, Default)]
pub(super) struct Wrong {
    pub(super) reason: Option<String>,
    pub(super) allow: Option<String>,
    /// What no field is to blame for.
    pub(super) whole: Option<String>,
}

impl Wrong {
    fn is_any(&self) -> bool {
        self.reason.is_some() || self.allow.is_some() || self.whole.is_some()
    }
}

#[derive(Template)]
#[template(path = "act.html")]
struct View {
    frame: Frame,
    act: Act,
    wrong: Wrong,
    reason: String,
    allow: String,
}

/// The form, empty.
pub(super) fn ask(call: &Call<'_>, act: Act) -> Result<Response<Bytes>, Failed> {
    ask_again(call, act, Wrong::default())
}

/// The form, with what was typed and what is wrong with it.
pub(super) fn ask_again(call: &Call<'_>, act: Act, wrong: Wrong) -> Result<Response<Bytes>, Failed> {
    let is_wrong = wrong.is_any();
    let view = View {
        frame: Frame::new(call, act.section),
        act,
        wrong,
        reason: call.form.get("reason").to_owned(),
        allow: call.form.get("allow").to_owned(),
    };
    if is_wrong { shown_again(&view) } else { shown(&view) }
}

/// Why somebody acts: one line that says something, for the audit log.
pub(super) fn reason(form: &Fields) -> Result<&str, Wrong> {
    let reason = form.get("reason");
    let wrong = |text: &str| Err(Wrong { reason: Some(text.to_owned()), ..Wrong::default() });
    // What shows nothing says nothing.
    if reason.chars().all(|letter| letter.is_whitespace() || is_invisible(letter)) {
        wrong("Say why: the audit log keeps it.")
    } else if reason.chars().count() > REASON_MAX {
        wrong("At most 500 characters.")
    } else if reason.chars().any(char::is_control) {
        wrong("One line of text, without control characters.")
    } else {
        Ok(reason)
    }
}
