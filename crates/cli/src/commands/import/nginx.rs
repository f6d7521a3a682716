//! What an nginx sends on, as routes. Pure: files come through [`Sources`], and nothing is decided by guessing: what has no
//! equal here is left out, with its line and the reason.
//!
//! | module | what it makes |
//! | --- | --- |
//! | `lex` | words and braces, each with its line |
//! | `tree` | directives, includes followed |
//! | `location` | which paths a location takes, and where it leads |
//! | `proxy_tls` | what an application over TLS must prove |
//! | `routes` | what servers and locations mean together |

mod lex;
mod location;
mod proxy_tls;
mod routes;
mod tree;

#[cfg(test)]
mod tests;

pub(super) use proxy_tls::Proves;
pub(super) use routes::read;
pub(super) use tree::{BYTES_MAX, Included, Sources, Unread};
