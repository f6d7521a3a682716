//! Replacing the auth token of one account: how far it is, its next step, the way back. No token is shown here.
//!
//! Each act does one step, and says what is next: beginning gives out nothing yet, and the promotion, after which the old token
//! is dead, is an act of its own that comes when every node is ready.

use bytes::Bytes;
use http::Response;
use jiff::SignedDuration;
use ringfence_control::rotation::{NotRotated, Wish};
use ringfence_control::views::{AccountView, TokenState, TokenView};
use ringfence_model::Sid;
use ringfence_store::Role;

use super::account::named;
use super::act::{Act, Wrong, ask, ask_again, reason};
use crate::failed::Failed;
use crate::frame::Section;
use crate::routes::Call;
use crate::words;

/// What a node had begun to ask with the old token has left so long after it said that it uses the new one.
const SETTLES: SignedDuration = SignedDuration::from_secs(10);

/// How the token of an account stands, for its page.
#[derive(Debug)]
pub(super) struct Shown {
    /// In a word; nothing where it was never replaced.
    pub(super) state: Option<&'static str>,
    /// What that means, and what is waited for.
    pub(super) text: Vec<String>,
    /// The next step, as its button says it; nothing where there is none for this person now.
    pub(super) next: Option<&'static str>,
    pub(super) may_undo: bool,
}

/// The step that an act does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    /// A request to Twilio was not answered, or what it made is not taken yet.
    Again,
    Promote,
    /// The old one is forgotten without a request that the new one signed.
    Forget,
}

impl Shown {
    pub(super) async fn of(call: &Call<'_>, account: &AccountView) -> Result<Self, Failed> {
        let token = find(call, account.sid).await?;
        let is_there = account.gone_at.is_none();
        let may = is_there && call.signed_in.may(Role::Owner);
        let step = next(token.as_ref(), call);
        let state = token.as_ref().map(|token| token.state);
        let mut text = Vec::new();
        if let Some(token) = &token {
            text.push(told(token, call));
            if !token.late_nodes.is_empty() {
                text.push(format!("It waits until these nodes have it: {}.", token.late_nodes.join(", ")));
            }
            if token.configuration_outdated {
                text.push(
                    "The configuration has a token that was replaced: write the new one there, which `ringfence token show` \
                     gives out."
                        .to_owned(),
                );
            }
        }
        Ok(Self {
            state: state.map(word),
            text,
            next: step.filter(|_| may).map(Step::link),
            may_undo: may && is_undone(state),
        })
    }
}

impl Step {
    const fn link(self) -> &'static str {
        match self {
            Self::Begin => "Replace…",
            Self::Again => "Go on…",
            Self::Promote => "Promote…",
            Self::Forget => "Forget the old one…",
        }
    }

    const fn button(self) -> &'static str {
        match self {
            Self::Begin => "Make a second token",
            Self::Again => "Go on",
            Self::Promote => "Promote the new token",
            Self::Forget => "Forget the old token",
        }
    }

    fn effects(self, sid: Sid) -> Vec<String> {
        match self {
            Self::Begin => vec![
                format!("Twilio makes a second auth token of {sid}; every node verifies with both, and asks Twilio with the new one."),
                "Nothing is refused, and it can be undone: the old one stays until the new one is promoted, which is a step of \
                 its own."
                    .to_owned(),
            ],
            Self::Again => vec![
                "What Twilio was asked for is found out, by trying both tokens, and done if it was not.".to_owned(),
            ],
            Self::Promote => vec![
                format!("The old auth token of {sid} is dead at once. There is no way back."),
                "Whatever else holds it (an application that verifies by itself, a script) fails from then on. Give it the new \
                 one before: `ringfence token show`."
                    .to_owned(),
            ],
            Self::Forget => vec![
                "The gate takes the old token no more, although no request was seen that the new one signed.".to_owned(),
                "Twilio signs nothing with it since the promotion, so this is right where nothing comes in.".to_owned(),
            ],
        }
    }

    /// What is wanted of it.
    fn wish(self, reason: &str) -> Wish<'_> {
        Wish {
            reason,
            holds: matches!(self, Self::Begin),
            unconfirmed: matches!(self, Self::Forget),
            replaces_second: false,
            again: matches!(self, Self::Begin),
        }
    }
}

async fn find(call: &Call<'_>, account: Sid) -> Result<Option<TokenView>, Failed> {
    let tokens = call.engine.views().tokens().await?;
    Ok(tokens.into_iter().find(|token| token.account.sid == account))
}

/// The step that may be done now.
fn next(token: Option<&TokenView>, call: &Call<'_>) -> Option<Step> {
    let Some(token) = token else { return Some(Step::Begin) };
    let has_settled = call.now.duration_since(token.since) >= SETTLES;
    match token.state {
        TokenState::Replaced => Some(Step::Begin),
        TokenState::Asked | TokenState::Promoting => Some(Step::Again),
        TokenState::Made => (token.late_nodes.is_empty() && has_settled).then_some(Step::Promote),
        TokenState::Promoted => Some(Step::Forget),
        TokenState::Undoing => None,
    }
}

const fn is_undone(state: Option<TokenState>) -> bool {
    matches!(state, Some(TokenState::Asked | TokenState::Made | TokenState::Promoting | TokenState::Undoing))
}

const fn word(state: TokenState) -> &'static str {
    match state {
        TokenState::Asked => "asked for",
        TokenState::Made => "second one made",
        TokenState::Promoting => "being promoted",
        TokenState::Promoted => "promoted",
        TokenState::Undoing => "being undone",
        TokenState::Replaced => "replaced",
    }
}

fn told(token: &TokenView, call: &Call<'_>) -> String {
    let since = words::ago(&token.since, &call.now);
    match token.state {
        TokenState::Asked => format!("A second token was asked for {since}."),
        TokenState::Made => {
            format!(
                "A second token is there, made {since}. Webhooks are signed with the old one, and both are taken."
            )
        }
        TokenState::Promoting => format!("The promotion was asked for {since}."),
        TokenState::Promoted => {
            let seen = match token.seen_new_at {
                Some(at) => format!("a request that the new one signed came {}", words::ago(&at, &call.now)),
                None => "no request was seen yet that the new one signed".to_owned(),
            };
            format!(
                "The new token is the only one at Twilio, promoted {since}; {seen}. Until then the gate takes both."
            )
        }
        TokenState::Undoing => {
            format!("It is being taken back, since {since}: nodes go back to the old one.")
        }
        TokenState::Replaced => {
            let how = if token.confirmed {
                "confirmed by a request"
            } else {
                "without a request that confirmed it"
            };
            format!("It was replaced {since}, {how}.")
        }
    }
}

fn form(account: &AccountView, step: Step) -> Act {
    let sid = account.sid;
    let name = if account.friendly_name.is_empty() { "this account" } else { account.friendly_name.as_str() };
    Act {
        section: Section::Accounts,
        title: match step {
            Step::Begin => format!("Replace the auth token of {name}"),
            Step::Again => format!("Go on replacing the auth token of {name}"),
            Step::Promote => format!("Promote the new auth token of {name}"),
            Step::Forget => format!("Forget the old auth token of {name}"),
        },
        effects: step.effects(sid),
        path: format!("/accounts/{sid}/token/rotate"),
        button: step.button(),
        is_dangerous: matches!(step, Step::Promote),
        // What somebody reads is what is done, also where it went on meanwhile.
        hidden: vec![("step", step.link().to_owned())],
        allow: None,
        wants_reason: true,
        back: format!("/accounts/{sid}"),
    }
}

fn undo_form(account: &AccountView) -> Act {
    let sid = account.sid;
    Act {
        section: Section::Accounts,
        title: "Undo the replacing of the auth token".to_owned(),
        effects: vec![
            "Every node goes back to the old token, then the second one is deleted at Twilio.".to_owned(),
            "Whoever was given the second one already fails from then on.".to_owned(),
        ],
        path: format!("/accounts/{sid}/token/undo"),
        button: "Undo",
        is_dangerous: false,
        hidden: Vec::new(),
        allow: None,
        wants_reason: true,
        back: format!("/accounts/{sid}"),
    }
}

/// There is nothing that could be done now.
fn not_now(account: &AccountView) -> Response<Bytes> {
    words::redirect(&format!("/accounts/{}#token", account.sid))
}

pub(crate) async fn ask_rotate(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    let token = find(&call, account.sid).await?;
    match next(token.as_ref(), &call) {
        Some(step) => ask(&call, form(&account, step)),
        None => Ok(not_now(&account)),
    }
}

pub(crate) async fn rotate(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    let token = find(&call, account.sid).await?;
    let Some(step) = next(token.as_ref(), &call) else { return Ok(not_now(&account)) };
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, form(&account, step), wrong),
    };
    if call.form.get("step") != step.link() {
        let whole = Some("It went on meanwhile: this is the next step now.".to_owned());
        return ask_again(&call, form(&account, step), Wrong { whole, ..Wrong::default() });
    }
    match call.engine.rotate(account.sid, &call.signed_in.actor(), &step.wish(reason)).await {
        Ok(_) => Ok(not_now(&account)),
        Err(error) => refused(&call, form(&account, step), error),
    }
}

pub(crate) async fn ask_undo(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    let state = find(&call, account.sid).await?.map(|token| token.state);
    if is_undone(state) { ask(&call, undo_form(&account)) } else { Ok(not_now(&account)) }
}

pub(crate) async fn undo(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = named(&call).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, undo_form(&account), wrong),
    };
    match call.engine.undo_rotation(account.sid, &call.signed_in.actor(), reason).await {
        Ok(_) => Ok(not_now(&account)),
        Err(error) => refused(&call, undo_form(&account), error),
    }
}

/// Said beside the form. A store that is away is the console's own problem.
fn refused(call: &Call<'_>, act: Act, error: NotRotated) -> Result<Response<Bytes>, Failed> {
    match error {
        NotRotated::Store(error) => Err(error.into()),
        error => {
            let mut whole = format!("This was not done: {error}.");
            if matches!(error, NotRotated::HasSecond(_) | NotRotated::SecondInDoubt(_)) {
                whole.push_str(" `ringfence token rotate --replace-second` deletes it.");
            }
            ask_again(call, act, Wrong { whole: Some(whole), ..Wrong::default() })
        }
    }
}
