//! Who may ask for what: bearer tokens (RFC 6750).
//!
//! A token that is unknown, expired, revoked or used from elsewhere gets one and the same answer, so that nobody learns
//! which of them it is; the log says it, without the token.

use std::fmt;
use std::net::IpAddr;

use http::HeaderMap;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use ipnet::IpNet;
use ringfence_model::{Actor, Secret};
use ringfence_store::Token;

use crate::engine::Engine;
use crate::json_api::problem::{Kind, Problem};

/// What a token may do; each may also do what the one before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// See what there is.
    Read,
    /// Trip and reset breakers, suspend and resume accounts.
    Operate,
    /// Everything.
    Admin,
}

impl Scope {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Operate, Self::Admin];

    /// As tokens have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    /// The widest that a token has; none where it has none that is known.
    fn of(token: &Token) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|scope| token.scopes.iter().any(|word| word == scope.word()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// The token in a request's head.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Secret, Problem> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        return Err(challenge(
            Problem::new(
                Kind::NoToken,
                "send `Authorization: Bearer rf_…`; `ringfence api-token create` makes a token",
            ),
            "",
        ));
    };
    if given.next().is_some() {
        let problem = Problem::new(Kind::TwoTokens, "there is more than one Authorization field");
        return Err(challenge(problem, ", error=\"invalid_request\""));
    }
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
    });
    match token {
        Some(token) if !token.is_empty() => Ok(Secret::new(token)),
        _ => Err(challenge(
            Problem::new(
                Kind::NoToken,
                "the Authorization field has no bearer token: `Authorization: Bearer rf_…`",
            ),
            "",
        )),
    }
}

/// The token with this secret, if it may do this from there.
pub(super) async fn admit(
    engine: &Engine,
    secret: &Secret,
    peer: IpAddr,
    wanted: Scope,
) -> Result<Token, Problem> {
    let found = engine.store().find_token(secret, engine.now()).await?;
    let Some(token) = found else {
        tracing::warn!(%peer, "a request to the API has a token that is unknown, expired or revoked");
        return Err(not_good());
    };
    if !is_from(&token, peer) {
        tracing::warn!(%peer, token = %token.id, "a token of the API was used from a network that it is not for");
        return Err(not_good());
    }
    if Scope::of(&token).is_none_or(|scope| scope < wanted) {
        tracing::warn!(%peer, token = %token.id, %wanted, "a token of the API may not do what was asked with it");
        let problem = Problem::new(
            Kind::InsufficientScope,
            format!("token {} may {}; this needs the scope `{wanted}`", token.id, token.scopes.join(", ")),
        );
        return Err(challenge(problem, &format!(", error=\"insufficient_scope\", scope=\"{wanted}\"")));
    }
    Ok(token)
}

/// As the audit log names whoever used it.
pub(super) fn actor(token: &Token) -> Actor {
    Actor::Token(format!("{} ({})", token.id, token.name))
}

/// Whether it may be used from this address. An address of IPv4 counts as such, however the socket writes it.
fn is_from(token: &Token, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    // A network that cannot be read holds nobody.
    let mut networks = token.networks.iter().filter_map(|network| network.parse::<IpNet>().ok());
    token.networks.is_empty() || networks.any(|network| network.contains(&peer))
}

fn not_good() -> Problem {
    let problem = Problem::new(
        Kind::InvalidToken,
        "the token is unknown, expired or revoked, or is not for the network that you come from",
    );
    challenge(problem, ", error=\"invalid_token\"")
}

fn challenge(problem: Problem, error: &str) -> Problem {
    problem.with_header(WWW_AUTHENTICATE, &format!("Bearer realm=\"ringfence\"{error}"))
}
