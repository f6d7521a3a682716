//! The SharedKey that signs the webhooks of one account in the place of its auth token: how far it is, what differs at Twilio, and
//! what may be done about it. No secret of a key is shown here.
//!
//! Most goes on by itself: a node brings everything in line every few minutes. Acts begin something, or do not wait for that.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use ringfence_control::shared_keys::{Brought, NotBegun};
use ringfence_control::views::{AccountView, SharedKeyPlanOf, SharedKeyState, SharedKeyView, SharedKeyWait};
use ringfence_model::Sid;
use ringfence_store::{Account, Role};

use super::account::named;
use super::act::{Act, Wrong, ask, ask_again, reason};
use crate::failed::Failed;
use crate::frame::Section;
use crate::routes::Call;
use crate::words;

/// The page does not wait longer for Twilio than this.
const PATIENCE: Duration = Duration::from_secs(3);

/// How the key of an account stands, for its page.
#[derive(Debug)]
pub(super) struct Shown {
    /// In a word.
    state: &'static str,
    /// What that means.
    text: Vec<String>,
    /// What differs at Twilio or waits, each with what it looks like.
    differs: Vec<(&'static str, String)>,
    /// Why that is not known.
    not_compared: Option<String>,
    /// The next step, as its button says it; nothing where there is none for this person now.
    next: Option<&'static str>,
    may_undo: bool,
    may_apply: bool,
}

/// What an act does next about the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Replace,
    /// One that is held goes on.
    Release,
}

/// What was found out about the keys of an account at Twilio.
enum Compared {
    /// They are nobody's business here.
    Unwanted,
    Plan(SharedKeyPlanOf),
    /// Why it was not.
    Not(String),
}

impl Shown {
    /// Nothing where the account has no key and is to have none.
    pub(super) async fn of(call: &Call<'_>, account: &AccountView) -> Result<Option<Self>, Failed> {
        let keys = keys(call, account.sid).await?;
        let is_wanted = call.engine.shared_keys().is_ok_and(|settings| settings.wants(account.sid));
        if keys.is_empty() && !is_wanted || account.gone_at.is_some() {
            return Ok(None);
        }
        let may = call.signed_in.may(Role::Owner) && call.engine.shared_keys().is_ok();
        let mut text: Vec<String> = keys.iter().map(|key| told(key, call)).collect();
        if keys.is_empty() {
            text.push("The auth token signs its webhooks. A key of their own is to be made.".to_owned());
        }
        if call.engine.shared_keys().is_err() {
            text.push(
                "The configuration has no [shared_keys], so nothing is touched, and what is there goes on signing."
                    .to_owned(),
            );
        }
        let (mut differs, mut not_compared, mut may_apply) = (Vec::new(), None, false);
        match compared(call, account.sid).await? {
            Compared::Unwanted => {}
            Compared::Not(why) => not_compared = Some(why),
            Compared::Plan(plan) => {
                may_apply = may && !plan.changes.is_empty();
                differs = lines(&plan);
            }
        }
        Ok(Some(Self {
            state: word(&keys),
            text,
            differs,
            not_compared,
            next: next(&keys).filter(|_| may).map(Step::link),
            may_undo: may && is_undone(&keys),
            may_apply,
        }))
    }

    pub(super) fn state(&self) -> &'static str {
        self.state
    }

    pub(super) fn text(&self) -> &[String] {
        &self.text
    }

    pub(super) fn differs(&self) -> &[(&'static str, String)] {
        &self.differs
    }

    pub(super) fn not_compared(&self) -> Option<&str> {
        self.not_compared.as_deref()
    }

    /// Links of acts, with what their buttons say.
    pub(super) fn acts(&self) -> Vec<(&'static str, &'static str)> {
        let next = self.next.map(|next| ("rotate", next));
        let undo = self.may_undo.then_some(("undo", "Undo…"));
        let apply = self.may_apply.then_some(("apply", "Bring in line…"));
        [apply, next, undo].into_iter().flatten().collect()
    }
}

impl Step {
    const fn link(self) -> &'static str {
        match self {
            Self::Replace => "Replace…",
            Self::Release => "Let it sign…",
        }
    }
}

async fn keys(call: &Call<'_>, account: Sid) -> Result<Vec<SharedKeyView>, Failed> {
    let mut keys = call.engine.views().shared_keys().await?.shared_keys;
    keys.retain(|key| key.account.sid == account);
    Ok(keys)
}

fn has(keys: &[SharedKeyView], state: SharedKeyState) -> Option<&SharedKeyView> {
    keys.iter().find(|key| key.state == state)
}

/// The step that may be begun now.
fn next(keys: &[SharedKeyView]) -> Option<Step> {
    let made = has(keys, SharedKeyState::Made);
    match (made, has(keys, SharedKeyState::Asked), has(keys, SharedKeyState::Signing)) {
        (Some(made), ..) => made.held.then_some(Step::Release),
        (None, None, Some(_)) => Some(Step::Replace),
        _ => None,
    }
}

fn is_undone(keys: &[SharedKeyView]) -> bool {
    let prepared = has(keys, SharedKeyState::Made).or(has(keys, SharedKeyState::Asked));
    prepared.is_some() && has(keys, SharedKeyState::Signing).is_some()
}

fn word(keys: &[SharedKeyView]) -> &'static str {
    let prepared = has(keys, SharedKeyState::Made).or(has(keys, SharedKeyState::Asked));
    match (prepared, has(keys, SharedKeyState::Signing)) {
        (Some(_), Some(_)) => "being replaced",
        (Some(_), None) => "on its way",
        (None, Some(_)) => "signs",
        (None, None) if keys.is_empty() => "none yet",
        (None, None) => "retires",
    }
}

fn told(key: &SharedKeyView, call: &Call<'_>) -> String {
    let since = words::ago(&key.since, &call.now);
    let id = key.id.as_deref().unwrap_or("A key");
    let text = match (key.state, key.held) {
        (SharedKeyState::Asked, _) => format!("A key was asked for {since}."),
        (SharedKeyState::Made, true) => format!("{id} was made {since} and is held: it does not sign yet."),
        (SharedKeyState::Made, false) => {
            format!(
                "{id} was made {since}. It signs once every node verifies with it and it has got everywhere."
            )
        }
        (SharedKeyState::Signing, _) => format!("{id} signs, since {}.", words::when(&key.since)),
        (SharedKeyState::Retiring, _) => {
            format!(
                "{id} signs no more, since {since}; the gate takes it until no request of its own can come."
            )
        }
    };
    if key.late_nodes.is_empty() {
        text
    } else {
        format!("{text} These nodes do not verify with it yet: {}.", key.late_nodes.join(", "))
    }
}

/// Compares what the configuration wants with what Twilio shows at this moment.
async fn compared(call: &Call<'_>, account: Sid) -> Result<Compared, Failed> {
    let Ok(settings) = call.engine.shared_keys() else { return Ok(Compared::Unwanted) };
    let Some(account) = call.engine.store().find_account(account).await? else {
        return Ok(Compared::Unwanted);
    };
    let of = [account];
    let compares = call.engine.bring_shared_keys(settings, &of, None, 1);
    match tokio::time::timeout(PATIENCE, compares).await {
        Err(_) => Ok(Compared::Not(format!("Twilio did not answer within {} s.", PATIENCE.as_secs()))),
        Ok(brought) => plan_of(call, &brought?, false).await.map(|plan| match plan {
            Some(SharedKeyPlanOf { trouble: Some(trouble), .. }) => {
                Compared::Not(format!("Twilio could not be read: {trouble}."))
            }
            Some(plan) => Compared::Plan(plan),
            None => Compared::Unwanted,
        }),
    }
}

async fn plan_of(
    call: &Call<'_>,
    brought: &[Brought],
    applied: bool,
) -> Result<Option<SharedKeyPlanOf>, Failed> {
    Ok(call.engine.views().shared_key_plan(brought, applied).await?.accounts.pop())
}

/// What differs at Twilio, or waits, in words.
fn lines(plan: &SharedKeyPlanOf) -> Vec<(&'static str, String)> {
    let changes = plan.changes.iter().map(|change| match change.sign() {
        '+' => ("good", format!("to make: {}", change.words)),
        '-' => ("bad", format!("to take away: {}", change.words)),
        _ => ("near", format!("to change: {}", change.words)),
    });
    let waits = plan.waits.iter().map(|waits| ("quiet", waits_for(waits)));
    let others = plan.in_the_way.iter().map(|other| {
        let text = format!(
            "{} has a rule that Ringfence did not make ({}): delete it at Twilio.",
            other.url, other.rule
        );
        ("bad", text)
    });
    let edited = plan.edited.iter().map(|other| {
        let is_for = other.is_for.as_deref().unwrap_or("something else");
        let text = format!(
            "Twilio shows the rule for {} ({}) with {is_for}, and lets none be made: if somebody edited it, delete it there.",
            other.url, other.rule
        );
        ("bad", text)
    });
    changes.chain(others).chain(edited).chain(waits).collect()
}

fn waits_for(waits: &SharedKeyWait) -> String {
    let until = waits.until.map(|at| format!("until {}, ", words::when(&at))).unwrap_or_default();
    format!("waits: {until}{}", waits.words)
}

fn name(account: &AccountView) -> &str {
    if account.friendly_name.is_empty() { "this account" } else { &account.friendly_name }
}

fn form(
    account: &AccountView,
    title: String,
    effects: Vec<String>,
    (path, button): (&str, &'static str),
) -> Act {
    let sid = account.sid;
    Act {
        section: Section::Accounts,
        title,
        effects,
        path: format!("/accounts/{sid}/shared-key/{path}"),
        button,
        is_dangerous: false,
        hidden: Vec::new(),
        allow: None,
        wants_reason: true,
        back: format!("/accounts/{sid}"),
    }
}

fn rotate_form(account: &AccountView, step: Step) -> Act {
    let (title, effects, button) = match step {
        Step::Replace => (
            format!("Replace the key that signs webhooks of {}", name(account)),
            vec![
                "Twilio makes another key, and every node verifies with both. Once each has said so and two minutes have \
                 passed, rules at Twilio name it. No webhook is refused."
                    .to_owned(),
                "The old one counts for the configured time to settle after that, and is deleted then. A gate without a \
                 store must be given the new one before it signs: `ringfence shared-keys rotate --hold`."
                    .to_owned(),
            ],
            "Replace the key",
        ),
        Step::Release => (
            format!("Let the new key of {} sign", name(account)),
            vec![
                "Rules at Twilio name it as soon as every node verifies with it.".to_owned(),
                "A gate without a store must have it by then: `ringfence shared-keys show`.".to_owned(),
            ],
            "Let it sign",
        ),
    };
    let form = form(account, title, effects, ("rotate", button));
    // What somebody reads is what is done, also where it went on meanwhile.
    Act { hidden: vec![("step", step.link().to_owned())], ..form }
}

fn undo_form(account: &AccountView) -> Act {
    let effects = vec![
        "The key that signs goes on signing; the new one is deleted at Twilio.".to_owned(),
        "Whoever was given the new one has one that opens nothing.".to_owned(),
    ];
    let title = format!("Take the new key of {} back", name(account));
    form(account, title, effects, ("undo", "Undo"))
}

fn apply_form(account: &AccountView, plan: &SharedKeyPlanOf) -> Act {
    let effects = lines(plan).into_iter().map(|(_, text)| text).collect();
    let title = format!("Bring the keys of {} at Twilio in line", name(account));
    Act { wants_reason: false, ..form(account, title, effects, ("apply", "Bring in line")) }
}

fn back(account: Sid) -> Response<Bytes> {
    words::redirect(&format!("/accounts/{account}#shared-key"))
}

pub(crate) async fn ask_rotate(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    match next(&keys(&call, account.sid).await?) {
        Some(step) => ask(&call, rotate_form(&account, step)),
        None => Ok(back(account.sid)),
    }
}

pub(crate) async fn rotate(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    let Some(step) = next(&keys(&call, account.sid).await?) else { return Ok(back(account.sid)) };
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, rotate_form(&account, step), wrong),
    };
    if call.form.get("step") != step.link() {
        let whole = Some("It went on meanwhile: this is the next step now.".to_owned());
        return ask_again(&call, rotate_form(&account, step), Wrong { whole, ..Wrong::default() });
    }
    let begun = async {
        let settings = call.engine.shared_keys()?;
        let of = known(&call, account.sid).await?;
        call.engine.rotate_shared_key(settings, &of, &call.signed_in.actor(), reason, false).await
    };
    let begun = begun.await;
    went_on(&call, &account, begun, || rotate_form(&account, step)).await
}

pub(crate) async fn ask_undo(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    if is_undone(&keys(&call, account.sid).await?) {
        ask(&call, undo_form(&account))
    } else {
        Ok(back(account.sid))
    }
}

pub(crate) async fn undo(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, undo_form(&account), wrong),
    };
    let undone = match call.engine.shared_keys() {
        Ok(_) => call.engine.undo_shared_key(account.sid, &call.signed_in.actor(), reason).await,
        Err(error) => Err(error),
    };
    went_on(&call, &account, undone, || undo_form(&account)).await
}

pub(crate) async fn ask_apply(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    match compared(&call, account.sid).await? {
        Compared::Plan(plan) if !plan.changes.is_empty() => ask(&call, apply_form(&account, &plan)),
        _ => Ok(back(account.sid)),
    }
}

pub(crate) async fn apply(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    let wanted = call.engine.shared_keys().map(drop);
    went_on(&call, &account, wanted, || {
        form(
            &account,
            format!("Bring the keys of {} in line", name(&account)),
            Vec::new(),
            ("apply", "Try again"),
        )
    })
    .await
}

/// Does at once what can be done at once, after an act; or says beside the form why the act was not done.
async fn went_on(
    call: &Call<'_>,
    account: &AccountView,
    done: Result<(), NotBegun>,
    form: impl FnOnce() -> Act,
) -> Result<Response<Bytes>, Failed> {
    let brought = async {
        done?;
        let of = [known(call, account.sid).await?];
        let by = call.signed_in.actor();
        Ok(call.engine.bring_shared_keys(call.engine.shared_keys()?, &of, Some(&by), 1).await?)
    };
    let brought: Result<Vec<Brought>, NotBegun> = brought.await;
    let whole = match brought {
        Err(NotBegun::Store(error)) => return Err(error.into()),
        Err(error) => format!("This was not done: {error}."),
        Ok(brought) => match plan_of(call, &brought, true).await?.and_then(|plan| plan.trouble) {
            Some(trouble) => {
                format!("Twilio did not do all of it: {trouble}. A node tries again in some minutes.")
            }
            None => return Ok(back(account.sid)),
        },
    };
    ask_again(call, form(), Wrong { whole: Some(whole), ..Wrong::default() })
}

/// The account with which Twilio is asked.
async fn known(call: &Call<'_>, account: Sid) -> Result<Account, NotBegun> {
    let found = call.engine.store().find_account(account).await?;
    found.ok_or(NotBegun::NotWanted(account))
}
