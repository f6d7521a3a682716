//! HTTP Basic (RFC 7617) as Twilio speaks it to a webhook.
//!
//! Twilio sends the first request without credentials and repeats it with them after a 401 that names the scheme,
//! so a missing header is an ordinary event. Several users may be listed, also one name with two passwords, so
//! that a password can be changed without a gap.
//!
//! The one idea: what is presented is hashed once, and the hash is compared with every user in the list without
//! an early exit, name and password alike. The time tells nothing about which user exists or what matched. The
//! hash is a plain SHA-256, not a slow one: these are secrets of machines, checked on every request.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ringfence_model::Secret;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The value of `WWW-Authenticate` that goes with a 401, as Twilio's documentation shows it.
pub const CHALLENGE: &str = "Basic realm=\"Twilio only!\"";

/// The users that may come in on a route, never none.
#[derive(Clone)]
pub struct BasicUsers(Box<[User]>);

/// How a user's password is known.
#[derive(Debug, Clone)]
pub enum PasswordCheck {
    /// The password itself; only its hash is kept.
    Plain(Secret),
    /// The SHA-256 of the password's bytes.
    Sha256([u8; 32]),
}

impl BasicUsers {
    /// Takes the list from the configuration.
    pub fn new(users: impl IntoIterator<Item = (String, PasswordCheck)>) -> Result<Self, BasicUsersError> {
        let users = users.into_iter().map(User::new).collect::<Result<Box<[_]>, _>>()?;
        if users.is_empty() {
            return Err(BasicUsersError::NoUsers);
        }
        Ok(Self(users))
    }

    /// Checks the value of the one `Authorization` header. (A request with two of them is not for here.)
    pub fn check(&self, authorization: Option<&[u8]>) -> Result<UserMatch<'_>, BasicRefusal> {
        let presented = decode(authorization.ok_or(BasicRefusal::Missing)?).ok_or(BasicRefusal::Malformed)?;
        let colon = memchr::memchr(b':', &presented).ok_or(BasicRefusal::Malformed)?;
        let name: [u8; 32] = Sha256::digest(&presented[..colon]).into();
        let password: [u8; 32] = Sha256::digest(&presented[colon + 1..]).into();

        let mut found = Choice::from(0);
        let mut index = 0;
        for (number, user) in (0_u64..).zip(&self.0) {
            let matches = user.name_sha256.ct_eq(&name) & user.password_sha256.ct_eq(&password);
            index.conditional_assign(&number, matches);
            found |= matches;
        }
        let user = usize::try_from(index).ok().and_then(|index| self.0.get(index));
        match user {
            Some(user) if bool::from(found) => Ok(UserMatch { user: &user.name, presented }),
            _ => Err(BasicRefusal::WrongCredentials),
        }
    }
}

impl fmt::Debug for BasicUsers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|user| &user.name)).finish()
    }
}

/// The user whose name and password were presented.
pub struct UserMatch<'a> {
    user: &'a str,
    presented: Vec<u8>,
}

impl UserMatch<'_> {
    /// The name, as the configuration has it: fit for a log.
    pub fn user(&self) -> &str {
        self.user
    }

    /// `user:password` as presented. Twilio may have signed the URL with it, so it is a candidate; never log it.
    pub fn userinfo(&self) -> &[u8] {
        &self.presented
    }
}

impl fmt::Debug for UserMatch<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UserMatch").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why credentials were refused. Each is a 401 with [`CHALLENGE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BasicRefusal {
    /// No `Authorization`: Twilio's first request looks like this.
    #[error("no Authorization header")]
    Missing,
    /// Another scheme, no strict base64, no colon, or longer than any credentials are.
    #[error("the Authorization header is not well-formed HTTP Basic")]
    Malformed,
    /// No listed user has this name and this password.
    #[error("no listed user has this name and password")]
    WrongCredentials,
}

/// Why a list of users is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BasicUsersError {
    /// A list without users would let nobody in; the route wants another check then.
    #[error("no user is listed for HTTP Basic")]
    NoUsers,
    /// An empty name is nobody's.
    #[error("a user for HTTP Basic has an empty name")]
    EmptyName,
    /// RFC 7617 ends the name at the first colon, so this user could never come in.
    #[error("the user name {user:?} contains a colon, which HTTP Basic cannot carry")]
    ColonInName {
        /// The name.
        user: String,
    },
    /// An empty password, also as a hash: most likely a variable that is not set.
    #[error("the password of user {user:?} is empty")]
    EmptyPassword {
        /// The name.
        user: String,
    },
}

#[derive(Clone)]
struct User {
    name: String,
    name_sha256: [u8; 32],
    password_sha256: [u8; 32],
}

impl User {
    fn new((name, password): (String, PasswordCheck)) -> Result<Self, BasicUsersError> {
        if name.is_empty() {
            return Err(BasicUsersError::EmptyName);
        }
        if name.contains(':') {
            return Err(BasicUsersError::ColonInName { user: name });
        }
        let password_sha256 = match password {
            PasswordCheck::Plain(secret) => Sha256::digest(secret.expose()).into(),
            PasswordCheck::Sha256(digest) => digest,
        };
        if password_sha256 == <[u8; 32]>::from(Sha256::digest(b"")) {
            return Err(BasicUsersError::EmptyPassword { user: name });
        }
        Ok(Self { name_sha256: Sha256::digest(&name).into(), name, password_sha256 })
    }
}

/// A header may be long; hashing it is work that a stranger can ask for.
const MAX_ENCODED: usize = 1024;

/// `Basic`, one space or more, then strict base64: padded, and without spare bits.
pub(crate) fn decode(authorization: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = authorization.split_at_checked(5)?;
    if !scheme.eq_ignore_ascii_case(b"basic") || rest.first() != Some(&b' ') {
        return None;
    }
    let encoded = &rest[rest.iter().position(|byte| *byte != b' ')?..];
    if encoded.len() > MAX_ENCODED {
        return None;
    }
    STANDARD.decode(encoded).ok()
}

#[cfg(test)]
mod tests;
