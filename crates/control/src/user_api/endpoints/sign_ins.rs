//! Sign-ins: the one question that answers everything, a code to the phone, and the check of a code.
//!
//! Each asks for the user again: a sign-in of one user is not there for another, whatever a browser was made to send.

use bytes::Bytes;
use http::Method;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use ringfence_breaker::Why;
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::passkey::Refusal;
use ringfence_second_factor::policy;
use ringfence_second_factor::pumping::Asker;
use ringfence_store::{
    CheckSignIn, NewUserSignIn, NotPassed, NotSent, SignInChecked, SignInState, UserSignIn,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::access::Needs;
use super::super::body::{Address, ChannelWord, Code, CodeOf, Line, Locale, Phone, Token, UserId};
use super::super::views::{self, CodeSent, Passed, SignInView, TokenView};
use super::{Call, Endpoint};
use crate::engine::NotSetAside;
use crate::json_api::endpoint::Answer;
use crate::json_api::problem::{Kind, Problem};
use crate::json_api::{body, json};
use crate::second_factor::{Start, Started};

pub(super) const BEGIN: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/sign-ins",
    name: "beginSignIn",
    summary: "The password was right: what is needed now?",
    scope: Needs::Credential,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<NewSignIn>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<SignInView>()),
    refusals: &[],
    run: |call| Box::pin(begin(call)),
};

pub(super) const SEND: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/sign-ins/{sign_in}/code",
    name: "sendCode",
    summary: "Sends a code to the phone of the sign-in; while one waits, the same again.",
    scope: Needs::Credential,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<SendCode>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<CodeSent>()),
    refusals: &[
        Kind::NoSignIn,
        Kind::SignInOver,
        Kind::NoPhone,
        Kind::NotThisFactor,
        Kind::NoChannel,
        Kind::CountryNotAllowed,
        Kind::LineNotAllowed,
        Kind::PrefixStopped,
        Kind::TooSoon,
        Kind::TooManySends,
        Kind::SpendingLimit,
        Kind::SpendingStopped,
        Kind::NoPrice,
        Kind::TooManyFailures,
        Kind::LookupAway,
    ],
    run: |call| Box::pin(send(call)),
};

pub(super) const CHECK: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/sign-ins/{sign_in}/check",
    name: "checkCode",
    summary: "Checks a code. A right one passes the sign-in, once; a wrong one is a 403.",
    scope: Needs::Credential,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<CheckCode>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<Passed>()),
    refusals: &[
        Kind::NoSignIn,
        Kind::SignInOver,
        Kind::NotThisFactor,
        Kind::NoCode,
        Kind::WrongCode,
        Kind::FactorDisabled,
        Kind::TooManyFailures,
    ],
    run: |call| Box::pin(check(call)),
};

/// A sign-in whose password was right.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSignIn {
    /// Who signs in, in the word of the application.
    user: UserId,
    /// A phone that the user has shown to be theirs, if the application knows one.
    phone: Option<Phone>,
    /// What the browser keeps, if it keeps something.
    device_token: Option<Token>,
    /// From where the browser comes.
    address: Option<Address>,
    /// What the browser says it is.
    user_agent: Option<Line>,
    /// Whether a factor is asked for whatever the policy and the browser are, as before something dangerous.
    always: Option<bool>,
}

/// How a code is to be sent.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendCode {
    /// Whose sign-in it is.
    user: UserId,
    /// How; a text message if it is not given.
    channel: Option<ChannelWord>,
    /// In which language.
    locale: Option<Locale>,
}

/// A code that was entered.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckCode {
    /// Whose sign-in it is.
    user: UserId,
    /// Of which factor the code is.
    factor: CodeOf,
    /// The code.
    code: Code,
    /// Whether the browser is to be trusted, where the policy trusts any.
    trust: Option<bool>,
    /// What its user calls the browser.
    device_name: Option<Line>,
}

async fn begin(call: Call<'_>) -> Result<Bytes, Problem> {
    let NewSignIn { user, phone, device_token, address, user_agent, always } = body::read(call.body)?;
    let always = always.unwrap_or_default();
    let new = NewUserSignIn {
        user: call.named(user),
        phone: phone.map(|phone| phone.0),
        device: device_token.map(|token| token.0),
        address: address.map(|address| address.0.to_string()),
        agent: user_agent.and_then(Line::some),
        always,
    };
    let begun = call.store().begin_user_sign_in(&call.actor(), new, call.factor.now()).await?;
    json(&SignInView::of(begun, always))
}

async fn send(call: Call<'_>) -> Result<Bytes, Problem> {
    let SendCode { user, channel, locale } = body::read(call.body)?;
    let user = call.named(user);
    let sign_in = call.store().find_user_sign_in(&user, &id(&call)?).await?;
    let sign_in = sign_in.ok_or_else(no_sign_in)?;
    let now = call.factor.now();
    if sign_in.state == SignInState::Done || now >= sign_in.expires_at {
        return Err(over());
    }
    let Some(phone) = sign_in.phone else {
        return Err(Problem::new(Kind::NoPhone, "the sign-in was begun without a phone"));
    };
    if !sign_in.kinds.contains(&policy::Kind::Phone) {
        return Err(not_this_factor());
    }
    let channel = channel.map_or(Channel::Sms, Channel::from);
    if !call.factor.settings().has_channel(channel) {
        return Err(Problem::new(Kind::NoChannel, "codes do not go out this way here"));
    }
    let application = &call.caller.application;
    let start = Start {
        to: phone,
        channel,
        custom_code: None,
        name: None,
        locale: locale.map(|locale| locale.0),
        app_hash: None,
        send_digits: None,
        asker: asker(&sign_in),
        own_budgets: Vec::new(),
    };
    let expected = sign_in.expected(application.sid);
    match call.factor.start_for(&call.actor(), application, expected, start).await? {
        Started::Sent { challenge, .. } => json(&CodeSent {
            channel: challenge.channel.into(),
            to: views::hint(&challenge.number.to_string()),
            digits: challenge.code_length(),
            expires_at: challenge.course.expires_at.min(sign_in.expires_at),
        }),
        Started::Not(not) => Err(not_sent(not, now)),
        Started::NotSetAside(why) => Err(not_set_aside(&why, now)),
    }
}

async fn check(call: Call<'_>) -> Result<Bytes, Problem> {
    let CheckCode { user, factor, code, trust, device_name } = body::read(call.body)?;
    let entered = CheckSignIn {
        user: call.named(user),
        sign_in: id(&call)?,
        kind: factor.into(),
        code: code.0,
        trust: trust.unwrap_or_default().then(|| device_name.and_then(Line::some)),
    };
    let now = call.factor.now();
    let checked = call.store().check_user_sign_in(&call.actor(), entered, now).await?;
    told(checked, |_| wrong(), now)
}

/// What came of a code or a passkey.
pub(super) fn told(
    checked: SignInChecked,
    refused: impl Fn(Refusal) -> Problem,
    now: Timestamp,
) -> Result<Bytes, Problem> {
    match checked {
        SignInChecked::Passed { assurance, token, recovery_codes } => json(&Passed {
            assurance: assurance.into(),
            device_token: token.map(TokenView::from),
            recovery_codes_left: recovery_codes,
        }),
        SignInChecked::Wrong => Err(wrong()),
        SignInChecked::Refused(refusal) => Err(refused(refusal)),
        SignInChecked::Not(NotPassed::Missing) => Err(no_sign_in()),
        SignInChecked::Not(NotPassed::Over) => Err(over()),
        SignInChecked::Not(NotPassed::Kind) => Err(not_this_factor()),
        SignInChecked::Not(NotPassed::NoCode) => Err(Problem::new(
            Kind::NoCode,
            "nothing was sent or asked for, or its time is over: begin with that",
        )),
        SignInChecked::Not(NotPassed::Barred(until)) => Err(paused(until, now)),
        SignInChecked::Not(NotPassed::Disabled) => Err(Problem::new(
            Kind::FactorDisabled,
            "a hundred codes of it were wrong in a row: it counts no more until it is enrolled or made anew",
        )),
    }
}

/// The sign-in of the path. What cannot be one is not there.
pub(super) fn id(call: &Call<'_>) -> Result<String, Problem> {
    call.id("sign_in", "si_", 32).ok_or_else(no_sign_in)
}

/// Who wants a code, for the budgets.
fn asker(sign_in: &UserSignIn) -> Asker {
    let address = sign_in.address.as_deref().and_then(|address| address.parse().ok());
    Asker { address, user: Some(sign_in.user.clone()) }
}

pub(super) fn no_sign_in() -> Problem {
    Problem::new(Kind::NoSignIn, "no sign-in of this user is called so")
}

pub(super) fn over() -> Problem {
    Problem::new(Kind::SignInOver, "it was passed or ended, or its time is over: begin another")
}

pub(super) fn not_this_factor() -> Problem {
    Problem::new(Kind::NotThisFactor, "the sign-in does not take this factor; its answer says which it takes")
}

pub(super) fn wrong() -> Problem {
    Problem::new(Kind::WrongCode, "the code is wrong, or was used before")
}

/// Nothing is compared before this time.
pub(super) fn paused(until: Timestamp, now: Timestamp) -> Problem {
    let problem =
        Problem::new(Kind::TooManyFailures, "too many codes were wrong; nothing is compared for a while");
    after(problem, until, now)
}

fn not_sent(not: NotSent, now: Timestamp) -> Problem {
    match not {
        NotSent::Over => over(),
        NotSent::Country => Problem::new(
            Kind::CountryNotAllowed,
            "codes do not go to the country of this number, or the number is nobody's",
        ),
        NotSent::Landline => {
            Problem::new(Kind::LineNotAllowed, "the number is a landline, which gets no texts: call it")
        }
        NotSent::Line => {
            Problem::new(Kind::LineNotAllowed, "the number's line is of a kind that gets no codes")
        }
        NotSent::LineUnknown => {
            let detail = "what kind of line the number is cannot be asked now: try again soon";
            Problem::new(Kind::LookupAway, detail).with_header(RETRY_AFTER, "5")
        }
        NotSent::Stopped(until) => {
            let detail =
                "codes that are sent to numbers like this one are not entered: they are stopped for a while";
            after(Problem::new(Kind::PrefixStopped, detail), until, now)
        }
        NotSent::TooSoon(until) => {
            let detail = "a code was sent to this number a moment ago; another text goes out after a while";
            after(Problem::new(Kind::TooSoon, detail), until, now)
        }
        NotSent::Budget(_, until) => {
            after(Problem::new(Kind::TooManySends, "a limit on codes is used up for a while"), until, now)
        }
        NotSent::MaxSends(until) => {
            after(Problem::new(Kind::TooManySends, "the code was sent as often as it may be"), until, now)
        }
        NotSent::MaxChecks(until) => paused(until, now),
        NotSent::Barred(barred) => match barred {
            ringfence_second_factor::failures::Barred::Until(until) => paused(until, now),
            ringfence_second_factor::failures::Barred::BoundAnew => paused(now, now),
        },
    }
}

/// Why the price of a code was not set aside.
fn not_set_aside(why: &NotSetAside, now: Timestamp) -> Problem {
    let kind = match why {
        NotSetAside::NotReady(_) | NotSetAside::Limit { why: Why::NotReadBack, .. } => Kind::NotReady,
        NotSetAside::Limit { .. } if why.again(now).is_some() => Kind::SpendingLimit,
        NotSetAside::Limit { .. } => Kind::SpendingStopped,
        NotSetAside::Unpriced(_) => Kind::NoPrice,
    };
    let problem = Problem::new(kind, why.told_outside());
    match why.again_outside(now) {
        // Of a 503 the problem says itself when it may be tried again.
        Some(again) if kind != Kind::NotReady => after(problem, again, now),
        _ => problem,
    }
}

/// With the seconds until a time.
fn after(problem: Problem, until: Timestamp, now: Timestamp) -> Problem {
    let wait = until.duration_since(now);
    // The second in which it ends is waited for too.
    let seconds = (wait.as_secs() + i64::from(wait.subsec_nanos() > 0)).max(1);
    problem.with_header(RETRY_AFTER, &seconds.to_string())
}
