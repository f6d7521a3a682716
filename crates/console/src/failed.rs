//! Why there is no page, as a page: what happened, and what to do now.

use askama::Template;
use bytes::Bytes;
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use ringfence_control::engine::ActRefused;
use ringfence_control::people::Refused;
use ringfence_control::views::NotSeen;
use ringfence_model::Sid;
use ringfence_store::{Role, Where};

use crate::frame::named;
use crate::words;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("Nothing is at this address.")]
    NotFound,
    #[error("{own} is no account that is known here.")]
    UnknownAccount { own: Sid, csrf: String },
    #[error("This address takes only {0}.")]
    MethodNotAllowed(String),
    #[error("Your role does not allow this.")]
    Forbidden { needs: Option<Role>, everywhere: bool, role: Option<Role>, csrf: String },
    #[error("You may not enter {host}.")]
    NoEntry { host: String, login: String, on_the_way_to: String },
    #[error("Another site sent you here with something to do, and that was not done.")]
    Foreign,
    #[error("The console is reached over HTTPS only.")]
    InClear,
    #[error("This form is out of date, and nothing was changed.")]
    StaleForm,
    #[error("You have signed in again since that page was opened, and you are signed in still.")]
    StillIn { csrf: String },
    #[error("This form was for {}, and you look at {} now.", named(*.other), named(*.here))]
    Elsewhere { other: Where, here: Where },
    #[error("This page is about {}, and you look at {} now.", named(*.other), named(*.here))]
    AboutAnother { other: Where, here: Where },
    #[error("This is not a form of the console.")]
    NotAForm,
    #[error("The control plane is not at work: {0}.")]
    Away(String),
    #[error("The store does not answer.")]
    Store(ringfence_store::Error),
    #[error("The store went away while this was written, and it may be done.")]
    InDoubt(ringfence_store::Error),
    #[error("This cannot be done now: {0}.")]
    NotNow(String),
    #[error("The page could not be made.")]
    Render(#[from] askama::Error),
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Page<'a> {
    status: u16,
    title: String,
    hint: &'a str,
    /// Where somebody else signs in.
    other: String,
    /// Whether they are to go to another account.
    goes_elsewhere: bool,
    /// What the button to sign out carries, for whoever may not come in and is signed in.
    csrf: Option<&'a str>,
}

impl Failed {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::UnknownAccount { .. } | Self::AboutAnother { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Forbidden { .. }
            | Self::NoEntry { .. }
            | Self::Foreign
            | Self::InClear
            | Self::StaleForm
            | Self::StillIn { .. }
            | Self::Elsewhere { .. } => StatusCode::FORBIDDEN,
            Self::NotAForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotNow(_) => StatusCode::CONFLICT,
            Self::Away(_) | Self::Store(_) | Self::InDoubt(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Render(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NotFound => {
                "It may have moved, or you may not look at the account that it is about.".into()
            }
            Self::UnknownAccount { .. } => {
                "Your role is for it. Accounts are read from Twilio within a minute of the start; if it stays so, ask an \
                 owner whether the SID is right."
                    .into()
            }
            Self::MethodNotAllowed(_) => "Use the buttons of the pages.".into(),
            Self::Forbidden { needs, everywhere, role, .. } => {
                let place = if *everywhere { " for the whole installation" } else { "" };
                let have = match role {
                    Some(role) => format!("you look at this with the role {}", role.word()),
                    None => "you have no role here any more".to_owned(),
                };
                let needs = needs.map_or("auditor", Role::word);
                format!("It takes the role {needs}{place}, and {have}. An owner can give you another one.")
            }
            Self::NoEntry { login, .. } => {
                format!(
                    "You are signed in as {login}, who has no role that lets in there. An owner can give you one."
                )
            }
            Self::Foreign => "Open the console itself, and do it there if you want it done.".into(),
            Self::InClear => {
                "Use the https:// address. If you did, the proxy that ends TLS must be listed in \
                              trusted_proxies and send X-Forwarded-Proto: https."
                    .into()
            }
            Self::StaleForm => {
                "You have signed in again since, or the page was open for long. Go back, reload it, \
                                and try again."
                    .into()
            }
            Self::StillIn { .. } => "The button below signs you out.".into(),
            Self::AboutAnother { .. } => "Go there, and open it again.".into(),
            Self::Elsewhere { .. } => {
                "Nothing was changed. Go there, and what you typed is in its form again.".into()
            }
            Self::NotNow(_) => "Go back to where you were: the page says how things stand now.".into(),
            Self::NotAForm => "Programs use the API on the admin listener.".into(),
            Self::Away(_) | Self::Store(_) => {
                "The gate goes on verifying. Try again in a moment; if it stays so, the \
                                               log of this node says more."
                    .into()
            }
            Self::InDoubt(_) => {
                "Look at the page first, and do it again only where it is not done. What was to be shown once, such as codes, \
                 is lost: make it anew."
                    .into()
            }
            Self::Render(_) => "This is a bug in Ringfence. The log of this node says more.".into(),
        }
    }

    pub(crate) fn response(&self) -> Response<Bytes> {
        match self {
            Self::Store(error) | Self::InDoubt(error) => {
                tracing::warn!(%error, "the store did not answer a page of the console");
            }
            Self::Render(error) => tracing::error!(%error, "a page of the console could not be made"),
            _ => {}
        }
        let (status, hint) = (self.status(), self.hint());
        let other = match self {
            Self::NoEntry { on_the_way_to, .. } => {
                format!("/sign-in?again=1&to={}", words::query_value(on_the_way_to))
            }
            _ => "/sign-in?again=1".to_owned(),
        };
        let page = Page {
            status: status.as_u16(),
            title: self.to_string(),
            hint: &hint,
            other,
            goes_elsewhere: matches!(self, Self::Elsewhere { .. } | Self::AboutAnother { .. }),
            csrf: match self {
                Self::Forbidden { csrf, .. } | Self::UnknownAccount { csrf, .. } | Self::StillIn { csrf } => {
                    Some(csrf)
                }
                _ => None,
            },
        };
        let mut response = match page.render() {
            Ok(text) => words::html(text),
            Err(_) => Response::new(Bytes::from(format!("{self}\n{hint}\n"))),
        };
        *response.status_mut() = status;
        match self {
            Self::MethodNotAllowed(allowed) => {
                if let Ok(allowed) = HeaderValue::from_str(allowed) {
                    response.headers_mut().insert(ALLOW, allowed);
                }
            }
            Self::Away(_) | Self::Store(_) | Self::InDoubt(_) => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
        response
    }
}

impl From<ringfence_store::Error> for Failed {
    /// What is not there (any more) is no fault of the store, and neither is what somebody else did at the same moment.
    fn from(error: ringfence_store::Error) -> Self {
        match error {
            ringfence_store::Error::Missing { .. } => Self::NotFound,
            ringfence_store::Error::Conflict { .. } => Self::NotNow("something changed meanwhile".to_owned()),
            error @ ringfence_store::Error::Away { in_doubt: true, .. } => Self::InDoubt(error),
            error => Self::Store(error),
        }
    }
}

impl From<NotSeen> for Failed {
    fn from(not_seen: NotSeen) -> Self {
        match not_seen {
            NotSeen::NoLimit(_) | NotSeen::NoAccount(_) | NotSeen::Cursor => Self::NotFound,
            NotSeen::Store(error) => error.into(),
        }
    }
}

impl Failed {
    /// What people could not do for a reason that no form of theirs could mend.
    pub(crate) fn of_people(refused: Refused) -> Self {
        match refused {
            Refused::Store(error) => error.into(),
            refused => Self::NotNow(refused.to_string()),
        }
    }

    /// What an act was refused for: words beside the form, or no page at all.
    pub(crate) fn of_act(refused: ActRefused) -> Result<String, Self> {
        match refused {
            ActRefused::Store(error) => Err(error.into()),
            refused => Ok(refused.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_done_is_not_to_be_tried_again_blindly() {
        let away = |in_doubt| {
            let reason = ringfence_store::Away::Silent;
            Failed::from(ringfence_store::Error::Away { reason, in_doubt, source: None }).response()
        };
        for (in_doubt, says) in
            [(true, "do it again only where it is not done"), (false, "Try again in a moment")]
        {
            let response = away(in_doubt);
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            let text = String::from_utf8_lossy(response.body()).into_owned();
            assert!(text.contains(says), "{text}");
        }
    }
}
