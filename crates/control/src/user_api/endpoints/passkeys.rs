//! Passkeys: made by a user's browser, shown at a sign-in, taken away.
//!
//! What the application hands its page, and what the page hands back, is what browsers have for it: the options that
//! `PublicKeyCredential.parseCreationOptionsFromJSON` reads, and what `toJSON` of a credential writes (W3C Web Authentication,
//! Level 3, 5.1). They are for the host of the application and for no other.

use bytes::Bytes;
use http::Method;
use ringfence_second_factor::passkey::{Refusal, RelyingParty, User};
use ringfence_second_factor::policy;
use ringfence_store::{CheckPasskey, NewPasskey, PasskeyAsked, ShownPasskey, SignInState};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::access::Needs;
use super::super::body::{Binary, Label, Line, Origin, UserId, Word};
use super::super::views::{MadePasskey, Passed, PasskeyOptions, UserView};
use super::{Call, Endpoint, sign_ins, users};
use crate::json_api::endpoint::Answer;
use crate::json_api::problem::{Kind, Problem};
use crate::json_api::{body, json};

pub(super) const ASK: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/users/{user}/passkeys/options",
    name: "askForNewPasskey",
    summary: "What a user's browser is asked, to make a passkey: for navigator.credentials.create. Good for five minutes and once.",
    scope: Needs::Manage,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<AskForNew>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<PasskeyOptions>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage, Kind::NoHost, Kind::TooManyPasskeys],
    run: |call| Box::pin(ask(call)),
};

pub(super) const ADD: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/users/{user}/passkeys",
    name: "addPasskey",
    summary: "Adds the passkey that the browser made. It counts from now on, since it has just signed.",
    scope: Needs::Manage,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Add>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<MadePasskey>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage, Kind::NoHost, Kind::WrongPasskey],
    run: |call| Box::pin(add(call)),
};

pub(super) const REMOVE: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/users/{user}/passkeys/{passkey}",
    name: "removePasskey",
    summary: "Takes a passkey away.",
    scope: Needs::Manage,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<UserView>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage, Kind::NoPasskey],
    run: |call| Box::pin(remove(call)),
};

pub(super) const WANT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/sign-ins/{sign_in}/passkey",
    name: "askForPasskey",
    summary: "What the browser of a sign-in is asked, to show a passkey: for navigator.credentials.get. Good for five minutes \
              and once.",
    scope: Needs::Credential,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Want>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<PasskeyOptions>()),
    refusals: &[Kind::NoSignIn, Kind::SignInOver, Kind::NotThisFactor, Kind::NoHost],
    run: |call| Box::pin(want(call)),
};

pub(super) const CHECK: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/sign-ins/{sign_in}/passkey/check",
    name: "checkPasskey",
    summary: "Looks at the passkey that the browser shows. The right one passes the sign-in, once; anything else is a 403.",
    scope: Needs::Credential,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Check>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<Passed>()),
    refusals: &[
        Kind::NoSignIn,
        Kind::SignInOver,
        Kind::NotThisFactor,
        Kind::NoHost,
        Kind::NoCode,
        Kind::WrongPasskey,
    ],
    run: |call| Box::pin(check(call)),
};

/// For whom a passkey is made, as their device shows it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskForNew {
    /// What they sign in with, such as a mail address; what the user is called if it is not given.
    account: Option<Label>,
    /// What they are called; the same if it is not given.
    display_name: Option<Label>,
}

/// A passkey that was made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    /// What its user calls it.
    name: Label,
    /// Where the page was, where that is not `https://` and the host: at another port, or at `http://localhost`.
    origin: Option<Origin>,
    credential: Made,
}

/// What `toJSON` of the credential that was made writes. What else it writes is not looked at.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Made {
    response: MadeResponse,
}

/// Its `response`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MadeResponse {
    #[serde(rename = "clientDataJSON")]
    client_data: Binary,
    attestation_object: Binary,
    #[serde(default)]
    transports: Vec<Word>,
}

/// Whose sign-in waits for a passkey.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Want {
    /// Whose sign-in it is.
    user: UserId,
}

/// A passkey that a browser shows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Check {
    /// Whose sign-in it is.
    user: UserId,
    /// Where the page was, where that is not `https://` and the host: at another port, or at `http://localhost`.
    origin: Option<Origin>,
    credential: Shown,
    /// Whether the browser is to be trusted, where the policy trusts any.
    trust: Option<bool>,
    /// What its user calls the browser.
    device_name: Option<Line>,
}

/// What `toJSON` of the credential that was shown writes. What else it writes is not looked at.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    raw_id: Binary,
    response: ShownResponse,
}

/// Its `response`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownResponse {
    #[serde(rename = "clientDataJSON")]
    client_data: Binary,
    authenticator_data: Binary,
    signature: Binary,
    #[serde(default)]
    user_handle: Option<Binary>,
}

async fn ask(call: Call<'_>) -> Result<Bytes, Problem> {
    let (user, AskForNew { account, display_name }) = (call.user()?, body::read(call.body)?);
    let party = party(&call, None)?;
    let login = account.map_or_else(|| user.name.clone(), |account| account.0);
    let name = display_name.map_or_else(|| login.clone(), |name| name.0);
    match call.store().ask_user_to_make_passkey(&user, call.factor.now()).await? {
        PasskeyAsked::Options { challenge, user: id, known, expires_at } => {
            let user = User { id: id.as_bytes(), login: &login, name: &name };
            json(&PasskeyOptions { options: party.creation_options(&challenge, &user, &known), expires_at })
        }
        PasskeyAsked::Full => {
            Err(Problem::new(Kind::TooManyPasskeys, "the user has ten passkeys: take one away first"))
        }
    }
}

async fn add(call: Call<'_>) -> Result<Bytes, Problem> {
    let (user, Add { name, origin, credential }) = (call.user()?, body::read(call.body)?);
    let party = party(&call, origin)?;
    let Made { response } = credential;
    let new = NewPasskey {
        name: name.0,
        transports: response.transports.into_iter().map(|word| word.0).collect(),
        client_data: response.client_data.0,
        attestation: response.attestation_object.0,
    };
    let added = call.store().add_user_passkey(&call.actor(), &user, &party, new, call.factor.now()).await?;
    json(&MadePasskey { id: added.map_err(|refusal| wrong(refusal, &party))? })
}

async fn remove(call: Call<'_>) -> Result<Bytes, Problem> {
    let user = call.user()?;
    let missing = || Problem::new(Kind::NoPasskey, "no passkey of this user is called so");
    let id = call.id("passkey", "uf_", 16).ok_or_else(missing)?;
    if !call.store().remove_user_passkey(&call.actor(), &user, &id, call.factor.now()).await? {
        return Err(missing());
    }
    users::one(&call, &user).await
}

async fn want(call: Call<'_>) -> Result<Bytes, Problem> {
    let Want { user } = body::read(call.body)?;
    let (user, id, now) = (call.named(user), sign_ins::id(&call)?, call.factor.now());
    let sign_in = call.store().find_user_sign_in(&user, &id).await?.ok_or_else(sign_ins::no_sign_in)?;
    if sign_in.state == SignInState::Done || now >= sign_in.expires_at {
        return Err(sign_ins::over());
    }
    if !sign_in.kinds.contains(&policy::Kind::Passkey) {
        return Err(sign_ins::not_this_factor());
    }
    let party = party(&call, None)?;
    let wanted = call.store().ask_user_for_passkey(&user, &id, now).await?;
    let wanted = wanted.ok_or_else(sign_ins::no_sign_in)?;
    json(&PasskeyOptions {
        options: party.request_options(&wanted.challenge, &wanted.known),
        expires_at: wanted.expires_at.min(sign_in.expires_at),
    })
}

async fn check(call: Call<'_>) -> Result<Bytes, Problem> {
    let Check { user, origin, credential, trust, device_name } = body::read(call.body)?;
    let party = party(&call, origin)?;
    let Shown { raw_id, response } = credential;
    let shown = ShownPasskey {
        credential: raw_id.0,
        client_data: response.client_data.0,
        authenticator_data: response.authenticator_data.0,
        signature: response.signature.0,
        user_handle: response.user_handle.map(|handle| handle.0),
    };
    let entered = CheckPasskey {
        user: call.named(user),
        sign_in: sign_ins::id(&call)?,
        party: party.clone(),
        shown,
        trust: trust.unwrap_or_default().then(|| device_name.and_then(Line::some)),
    };
    let now = call.factor.now();
    let checked = call.store().check_user_passkey(&call.actor(), entered, now).await?;
    sign_ins::told(checked, |refusal| wrong(refusal, &party), now)
}

/// The site that passkeys are for: the application's host. A page elsewhere on it may be at another port.
fn party(call: &Call<'_>, origin: Option<Origin>) -> Result<RelyingParty, Problem> {
    let application = &call.caller.application;
    let none = || {
        let service = application.sid;
        Problem::new(
            Kind::NoHost,
            format!(
                "passkeys are for one host, and the application has none: \
                 ringfence application change {service} --host login.example.com"
            ),
        )
    };
    let host = application.settings.host.as_deref().ok_or_else(none)?;
    let own = format!("https://{host}");
    let origin = origin.map_or(own, |origin| origin.0);
    let party = RelyingParty::new(&origin, &application.name).ok().filter(|party| party.id() == host);
    party.ok_or_else(|| {
        let detail = format!(
            "passkeys are for {host}: a page is at https://{host}, or at http:// where that is localhost"
        );
        Problem::new(Kind::NoHost, detail)
    })
}

/// Why a passkey is not taken: the developer of the page has to know, and an attacker learns nothing from it.
fn wrong(refusal: Refusal, party: &RelyingParty) -> Problem {
    let detail = match refusal {
        Refusal::Origin => format!("the page was not at {}, as the browser says", party.origin()),
        Refusal::Challenge => {
            "no passkey was asked for, the five minutes are over, or the browser answered another question: \
                               ask again"
                .to_owned()
        }
        refusal => refusal.to_string(),
    };
    Problem::new(Kind::WrongPasskey, detail)
}
