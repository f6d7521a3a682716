//! Stopping a subject of a limit, and lifting a trip.

use bytes::Bytes;
use http::Response;
use ringfence_breaker::{Action, Per, Subject};
use ringfence_control::engine::ActRefused;
use ringfence_control::views::{AccountView, BreakerView, LimitView, PhaseName, WantedStatus};
use ringfence_model::Amount;
use ringfence_store::Where;

use super::account_named;
use super::act::{Act, Allow, Wrong, ask, ask_again, reason};
use crate::failed::Failed;
use crate::form::Fields;
use crate::frame::Section;
use crate::routes::Call;
use crate::words;

/// The breaker that is meant.
struct Meant {
    subject: Subject,
    limit: LimitView,
    breaker: BreakerView,
    /// What else holds its account suspended, and what is to be done about that.
    held: Vec<String>,
}

impl Meant {
    async fn of(call: &Call<'_>, named: &Fields) -> Result<Self, Failed> {
        let views = call.engine.views();
        let name = named.get("limit");
        let limit =
            views.limits().limits.into_iter().find(|limit| limit.name == name).ok_or(Failed::NotFound)?;
        let subject = match named.filled("account") {
            Some(text) => Subject::Account(account_named(call, text)?),
            // The sum of all accounts is for those who look at all of them.
            // Numbers are everybody's.
            None if limit.per == Per::Prefix && call.signed_in.place() == Where::Everywhere => {
                let named = named.filled("prefix").and_then(|text| text.parse().ok());
                Subject::Prefix(named.ok_or(Failed::NotFound)?)
            }
            None if limit.per == Per::Together && call.signed_in.place() == Where::Everywhere => {
                Subject::Together
            }
            None => return Err(Failed::NotFound),
        };
        let breaker = views.breaker(name, subject).await?;
        let held = match subject {
            Subject::Account(sid) => held_besides(&views.account(sid).await?, name, call),
            Subject::Together | Subject::Prefix(_) => Vec::new(),
        };
        Ok(Self { subject, limit, breaker, held })
    }

    fn is_tripped(&self) -> bool {
        self.breaker.phase == PhaseName::Tripped
    }

    fn whose(&self) -> String {
        match &self.breaker.account {
            Some(account) if account.friendly_name.is_empty() => account.sid.to_string(),
            Some(account) => format!("{} ({})", account.friendly_name, account.sid),
            None => match self.subject {
                Subject::Prefix(beginning) => format!("what goes to numbers that begin with {beginning}"),
                Subject::Account(_) | Subject::Together => "all accounts together".to_owned(),
            },
        }
    }

    fn hidden(&self) -> Vec<(&'static str, String)> {
        let mut hidden = vec![("limit", self.limit.name.clone())];
        if let Subject::Account(sid) = self.subject {
            hidden.push(("account", sid.to_string()));
        }
        if let Subject::Prefix(beginning) = self.subject {
            hidden.push(("prefix", beginning.to_string()));
        }
        hidden
    }

    /// Where one came from, and goes to.
    fn back(&self) -> String {
        match self.subject {
            Subject::Account(sid) => format!("/accounts/{sid}"),
            Subject::Together | Subject::Prefix(_) => "/".to_owned(),
        }
    }

    fn trip(&self) -> Act {
        let mut effects =
            vec![format!("This stops {} now, on every node, until somebody resets it.", self.whose())];
        effects.extend(self.limit.actions.iter().map(|action| what_is_done(*action).to_owned()));
        if !self.limit.enforce {
            effects
                .push("The limit only watches; what an operator stops is stopped all the same.".to_owned());
        }
        Act {
            section: Section::Limits,
            title: format!("Stop “{}”", self.limit.name),
            effects,
            path: "/breakers/trip".to_owned(),
            button: "Stop spending now",
            is_dangerous: true,
            hidden: self.hidden(),
            allow: None,
            wants_reason: true,
            back: self.back(),
        }
    }

    fn reset(&self) -> Act {
        let currency = self.breaker.currency.as_deref();
        let used = words::amount(&self.breaker.used, currency);
        Act {
            section: Section::Limits,
            title: format!("Reset “{}”", self.limit.name),
            effects: match (self.limit.least, self.subject) {
                (Some(_), _) => vec![
                    format!("{} is let through again.", capital(&self.whose())),
                    "What is sent from now on is judged by itself; what was sent before counts no more."
                        .to_owned(),
                ],
                (None, Subject::Prefix(_)) => vec![
                    format!("{} is let through again.", capital(&self.whose())),
                    format!(
                        "{used} was used in this window. When so much more is used as you allow here, it trips again."
                    ),
                ],
                (None, _) => vec![
                    if self.held.is_empty() {
                        format!("{} may spend again: what the trip had ordered is taken back.", self.whose())
                    } else {
                        format!("{} stays suspended: {}", self.whose(), self.held.join(" "))
                    },
                    format!(
                        "{used} was used in this window. When so much more is used as you allow here, it trips again."
                    ),
                ],
            },
            path: "/breakers/reset".to_owned(),
            button: "Reset",
            is_dangerous: false,
            hidden: self.hidden(),
            allow: self.limit.least.is_none().then(|| Allow {
                usual: self.limit.reset_allows.clone(),
                currency: self.breaker.currency.clone().map(|it| it.to_uppercase()).unwrap_or_default(),
            }),
            wants_reason: true,
            back: self.back(),
        }
    }

    fn done(&self, what: &str) -> Response<Bytes> {
        words::redirect(&format!("{}?done={what}", self.back()))
    }
}

/// What else than this limit holds an account suspended, each a sentence.
fn held_besides(account: &AccountView, limit: &str, call: &Call<'_>) -> Vec<String> {
    let Some(why) = account.why.as_ref().filter(|_| account.wanted == Some(WantedStatus::Suspended)) else {
        return Vec::new();
    };
    let others = why.limits.iter().filter(|other| *other != limit);
    let mut held: Vec<_> =
        others.map(|other| format!("“{other}” is tripped for it, too: reset that as well.")).collect();
    if why.by_operator {
        let since = why.since.map(|at| format!(" {}", words::ago(&at, &call.now))).unwrap_or_default();
        held.push(format!("an operator suspended it{since}: resume it as well."));
    }
    held
}

pub(crate) async fn ask_trip(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let meant = Meant::of(&call, &call.query).await?;
    ask(&call, meant.trip())
}

pub(crate) async fn trip(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let meant = Meant::of(&call, &call.form).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, meant.trip(), wrong),
    };
    let done = call.engine.trip(&meant.limit.name, meant.subject, &call.signed_in.actor(), reason).await;
    match done {
        Ok(_) => Ok(meant.done("trip")),
        Err(refused) => refused_beside(&call, meant.trip(), refused),
    }
}

pub(crate) async fn ask_reset(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let meant = Meant::of(&call, &call.query).await?;
    if !meant.is_tripped() {
        let what = format!("the limit “{}” is not tripped for {}", meant.limit.name, meant.whose());
        return Err(Failed::NotNow(what));
    }
    ask(&call, meant.reset())
}

pub(crate) async fn reset(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let meant = Meant::of(&call, &call.form).await?;
    let allow = allowed(&call.form);
    let reason = match (reason(&call.form), &allow) {
        (Ok(reason), Ok(_)) => reason,
        (reason, allow) => {
            let mut wrong = reason.err().unwrap_or_default();
            wrong.allow = allow.as_ref().err().map(|text| (*text).to_owned());
            return ask_again(&call, meant.reset(), wrong);
        }
    };
    let (actor, allow) = (call.signed_in.actor(), allow.unwrap_or_default());
    match call.engine.reset(&meant.limit.name, meant.subject, allow, &actor, reason).await {
        Ok(_) => Ok(meant.done(if meant.held.is_empty() { "reset" } else { "reset-held" })),
        Err(ActRefused::AllowsNothing) => {
            let allow = Some("More than 0, or the limit would trip again at once.".to_owned());
            ask_again(&call, meant.reset(), Wrong { allow, ..Wrong::default() })
        }
        Err(refused) => refused_beside(&call, meant.reset(), refused),
    }
}

/// How much more may be used, where it was said.
fn allowed(form: &Fields) -> Result<Option<Amount>, &'static str> {
    let Some(text) = form.filled("allow") else { return Ok(None) };
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match text.parse::<Amount>() {
        Ok(amount) if is_plain => Ok(Some(amount)),
        _ => Err("A number such as 25 or 12.50, without a currency."),
    }
}

pub(super) fn refused_beside(
    call: &Call<'_>,
    act: Act,
    refused: ActRefused,
) -> Result<Response<Bytes>, Failed> {
    let whole = Some(Failed::of_act(refused)?);
    ask_again(call, act, Wrong { whole, ..Wrong::default() })
}

/// At the beginning of a sentence.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What an action does, for whoever is about to order it.
fn what_is_done(action: Action) -> &'static str {
    match action {
        Action::Suspend => "The account is suspended at Twilio (parent accounts cannot be).",
        Action::Notify => "People are told.",
        Action::EndCalls => "Calls that are queued, ringing or in progress are ended.",
        Action::CancelQueued => "Messages that are queued or scheduled are cancelled.",
        Action::CloseGeo => "Permissions to call and text other countries are taken away.",
        Action::RevokeKeys => "The account's API keys are deleted; new ones must be made by hand.",
    }
}
