//! What there is to ask: the table that routes requests, says what each needs, and is written down as the OpenAPI document.

mod devices;
mod passkeys;
mod policies;
mod recovery_codes;
mod sign_ins;
mod totp;
mod users;

use std::pin::Pin;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use ringfence_model::Actor;
use ringfence_store::{Store, UserName};

use super::access::Needs;
use super::body::UserId;
#[cfg(any(test, fuzzing))]
use crate::json_api::body as json_body;
use crate::json_api::endpoint::{self, Parts};
use crate::json_api::problem::{Kind, Problem};
use crate::second_factor::SecondFactor;
use crate::verify::access::Caller;

/// One endpoint.
pub(super) type Endpoint = endpoint::Endpoint<Needs, Run>;

type Answering<'a> = Pin<Box<dyn Future<Output = Result<Bytes, Problem>> + Send + 'a>>;
pub(super) type Run = for<'a> fn(Call<'a>) -> Answering<'a>;

/// A request that may be carried out.
pub(super) struct Call<'a> {
    pub(super) factor: SecondFactor<'a>,
    pub(super) caller: &'a Caller,
    /// What the path has for the names in braces.
    pub(super) parts: Parts<'a>,
    pub(super) body: &'a [u8],
}

/// All of them.
pub(super) static ENDPOINTS: &[Endpoint] = &[
    sign_ins::BEGIN,
    sign_ins::SEND,
    sign_ins::CHECK,
    passkeys::WANT,
    passkeys::CHECK,
    policies::OF_APPLICATION,
    policies::SET_OF_APPLICATION,
    users::ONE,
    users::ERASE,
    policies::SET,
    policies::CLEAR,
    totp::ENROL,
    totp::CONFIRM,
    totp::REMOVE,
    recovery_codes::MAKE,
    recovery_codes::REMOVE,
    passkeys::ASK,
    passkeys::ADD,
    passkeys::REMOVE,
    devices::LIST,
    devices::CHECK,
    devices::END_ALL,
    devices::END,
];

/// What the body of each endpoint that has one is read by, for the laws.
#[cfg(any(test, fuzzing))]
pub(crate) const BODIES: &[json_body::Reads] = &[
    json_body::reads::<sign_ins::NewSignIn>,
    json_body::reads::<sign_ins::SendCode>,
    json_body::reads::<sign_ins::CheckCode>,
    json_body::reads::<policies::NewPolicy>,
    json_body::reads::<totp::Enrol>,
    json_body::reads::<totp::Confirm>,
    json_body::reads::<devices::CheckDevice>,
    json_body::reads::<passkeys::AskForNew>,
    json_body::reads::<passkeys::Add>,
    json_body::reads::<passkeys::Want>,
    json_body::reads::<passkeys::Check>,
];

impl Call<'_> {
    fn store(&self) -> &Store {
        self.factor.store()
    }

    /// What the path has for a name, decoded.
    fn part(&self, name: &str) -> Option<String> {
        let (_, text) = self.parts.iter().find(|(known, _)| *known == name)?;
        percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    }

    /// An id of ours in the path, such as `si_…` with so many hexadecimal digits.
    fn id(&self, name: &str, prefix: &str, digits: usize) -> Option<String> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        self.part(name).filter(|text| {
            text.strip_prefix(prefix).is_some_and(|rest| rest.len() == digits && rest.bytes().all(is_digit))
        })
    }

    /// The user of a path.
    fn user(&self) -> Result<UserName, Problem> {
        let text = self.part("user").unwrap_or_default();
        UserId::read(&text).map(|user| self.named(user)).map_err(|why| Problem::new(Kind::InvalidUser, why))
    }

    /// A user of the application that asks.
    fn named(&self, user: UserId) -> UserName {
        UserName { application: self.caller.application.sid, name: user.0 }
    }

    fn actor(&self) -> Actor {
        Actor::Application(self.caller.credential.sid.to_string())
    }
}
