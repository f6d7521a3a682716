//! The pages, one file each: what is asked for, as plain values, and the template that shows them.

pub(crate) mod account;
pub(crate) mod accounts;
pub(crate) mod act;
pub(crate) mod audit;
pub(crate) mod breaker;
pub(crate) mod credentials;
pub(crate) mod incidents;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod limits;
pub(crate) mod new_key;
pub(crate) mod overview;
mod passkeys;
pub(crate) mod people;
pub(crate) mod places;
pub(crate) mod policies;
pub(crate) mod prices;
pub(crate) mod requests;
pub(crate) mod security;
pub(crate) mod services;
pub(crate) mod shared_key;
pub(crate) mod sign_out;
mod spending;
mod standing;
pub(crate) mod token;
pub(crate) mod trust;

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::Timestamp;
use ringfence_control::engine::NotSetAside;
use ringfence_control::people::Refused;
use ringfence_model::Sid;
use ringfence_store::Where;

use crate::failed::Failed;
use crate::routes::Call;
use crate::words;

/// A finished page.
fn shown(page: &impl Template) -> Result<Response<Bytes>, Failed> {
    Ok(words::html(page.render()?))
}

/// A form that was refused, with what is wrong beside its fields.
fn shown_again(page: &impl Template) -> Result<Response<Bytes>, Failed> {
    let mut response = shown(page)?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

/// What a refusal says; where the store is away there is no page.
pub(crate) fn refused_in_words(refused: &Refused, now: Timestamp) -> Result<String, Failed> {
    Ok(match refused {
        Refused::Store(error) => return Err(error.clone().into()),
        Refused::Later(at) => {
            let minutes = (at.duration_since(now).as_secs() + 59) / 60;
            format!("Too many wrong attempts. Try again in {}.", words::minutes(minutes.max(1)))
        }
        Refused::NoCodeBefore(at) => {
            let time = words::wait(*at, now);
            format!("No code is sent so soon again. Type the one that came, or wait for {time}.")
        }
        Refused::NotSetAside(why) => {
            // Which limit it is, is for those who are inside.
            let problem = match why {
                NotSetAside::Unpriced(_) => {
                    "No code can be sent to this number: nobody knows what that costs."
                }
                _ => {
                    "No code can be sent now: a limit on what this installation may spend has no room for it."
                }
            };
            let again = match why.again(now) {
                Some(at) => format!(" Try again in {}, or use another factor.", words::wait(at, now)),
                None => " Use another factor, or ask an owner.".to_owned(),
            };
            format!("{problem}{again}")
        }
        refused => {
            let mut text = refused.to_string();
            if let Some(first) = text.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            if !text.ends_with('.') {
                text.push('.');
            }
            text
        }
    })
}

/// What is wrong with giving or demanding something there: a SID that is mistyped is the SID of nobody. Nothing is wrong before
/// the first list of accounts was read.
async fn unknown(call: &Call<'_>, place: Where) -> Result<Option<String>, Failed> {
    let (Where::Account(sid), store) = (place, call.engine.store()) else { return Ok(None) };
    let is_fine = store.find_account(sid).await?.is_some() || store.accounts().await?.is_empty();
    Ok((!is_fine).then(|| format!("{sid} is no account that is known here.")))
}

/// The account that a path or a form names, if whoever asks may look at it. For whom it is not, it is not there.
fn account_named(call: &Call<'_>, text: &str) -> Result<Sid, Failed> {
    let sid = Sid::parse(text).ok().filter(|sid| sid.is("AC")).ok_or(Failed::NotFound)?;
    match call.signed_in.only_account() {
        Some(only) if only != sid => Err(Failed::NotFound),
        _ => Ok(sid),
    }
}
