//! Who asks: HTTP Basic with a credential of an application, the same that opens Verify's API.
//!
//! Each credential may ask and check. What changes users (their policies, their factors, their trusted browsers) takes one
//! that was made for it, so that the part of an application that only signs people in can weaken nobody.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

use crate::json_api::problem::{Kind, Problem};
use crate::second_factor::SecondFactor;
use crate::verify::access::{self, Caller, Password};

/// What lets an application change its users.
pub const MAY_MANAGE: &str = "manage";

/// What an endpoint needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Any credential of the application.
    Credential,
    /// One that may change users.
    Manage,
}

pub(super) fn password(headers: &HeaderMap) -> Result<Password, Problem> {
    let wanted = "send `Authorization: Basic …` with a credential's SID and its secret; `ringfence key create` makes one";
    access::basic(headers).ok_or_else(|| challenge(Problem::new(Kind::NoCredential, wanted)))
}

/// Who this is. A credential that is unknown, expired, revoked or of another kind gets one and the same answer.
pub(super) async fn admit(
    factor: SecondFactor<'_>,
    password: &Password,
    from: IpAddr,
) -> Result<Caller, Problem> {
    let not_good = "the credential is unknown, expired or revoked";
    access::admit(factor, password, from)
        .await?
        .ok_or_else(|| challenge(Problem::new(Kind::WrongCredential, not_good)))
}

pub(super) fn may(caller: &Caller, needs: Needs) -> Result<(), Problem> {
    if needs == Needs::Manage && !caller.may(MAY_MANAGE) {
        let detail = "this credential may ask and check; one that changes users is made with --may-manage";
        return Err(Problem::new(Kind::MayNotManage, detail));
    }
    Ok(())
}

fn challenge(problem: Problem) -> Problem {
    problem.with_header(WWW_AUTHENTICATE, "Basic realm=\"Ringfence second factor\"")
}
