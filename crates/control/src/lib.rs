//! The control plane: what happens because a limit is reached.
//!
//! It knows Twilio through its REST API and the world through the store; it never sees a webhook or an outgoing
//! request itself. Decisions are `ringfence_breaker`'s; here they are carried out, again and again until they are so.
//!
//! # The modules
//!
//! | modules | for |
//! | --- | --- |
//! | `usage`, `plan`, `prices` | what usage records say, which triggers are wanted at Twilio against those that are there, and price lists as rows of a price book. Pure |
//! | `decide` | one transaction out of one observation: new state, audit row, orders, notices. Pure |
//! | `wanted` | what must be so for an account now, whatever was ordered before. Pure |
//! | `effects` | suspend, resume, end calls, call messages back, close countries, revoke keys: each read back |
//! | `engine` | over a store and Twilio: observations move breakers, orders are carried out until they are so, accounts and triggers are held as wanted. It may be dropped at any await |
//! | `node` | one among others: joins, agrees on the limits, takes the jobs that nobody does, and has its tasks. Only here is waiting |
//! | `doctor` | is the whole deployment sound? Checks are pure; what could not be read was not checked |
//! | `rotation` | auth tokens are replaced step by step: which step is next, who uses which token, and what Twilio is asked |
//! | `shared_keys` | keys of their own that sign accounts' webhooks: what is wanted at Twilio against what is there (pure), made so |
//! | `breach` | what a thief may have done with an account's credentials, and what still acts for it |
//! | `heads` | the newest signed head of the audit log, carried to where whoever can change the store cannot change it |
//! | `notices` | facts, their words, and mail, webhook, text message or call to one destination, once |
//! | `people` | how people sign in and what they may change about it; letters to them about their own sign-in |
//! | `second_factor`, `verify` | codes for the users of applications; Twilio Verify's API over that |
//! | `virtual_credentials` | what applications hold in the place of auth tokens: made, listed and revoked, for commands and pages alike |
//! | `user_api` | what Verify lacks, as JSON: sign-ins, policies, trusted browsers, factors of applications' users |
//! | `json_api` | what that and the admin API share: a table that routes and documents, problems, bodies, queries |

pub mod api;
pub mod breach;
pub mod decide;
pub mod doctor;
pub mod effects;
pub mod engine;
pub mod heads;
mod json_api;
#[cfg(any(test, fuzzing))]
pub mod laws;
pub mod node;
pub mod notices;
pub mod people;
pub mod plan;
pub mod prices;
pub mod rotation;
pub mod second_factor;
pub mod shared_keys;
mod shares;
pub mod usage;
pub mod user_api;
pub mod verify;
pub mod views;
pub mod virtual_credentials;
pub mod wanted;
