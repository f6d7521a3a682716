//! TwiML that is held to the limits: what an application answers on a route with `twiml = "limits"`, and what a request
//! to Twilio has in itself.
//!
//! The one idea: an answer is a request to Twilio in another shape. So it is read, priced by the same price book and set
//! aside in the same transaction as one, before Twilio gets it. What costs nothing beyond the call passes without a
//! store, byte for byte; of what costs something nothing is changed but a `timeLimit`.
//!
//! ```text
//! upstream ─▶ answer ────▶ price ──────▶ admit ──────▶ caller
//!             which kind,   what it leads  set aside     as it came, with its
//!             read whole    to, at worst   once          timeLimit, or a kind no
//! ```
//!
//! What is absent: no entity is resolved, nothing is serialised anew, no document is fetched.

mod admit;
mod answer;
mod assignment;
mod known;
mod price;
#[cfg(test)]
mod tests;
mod url;
mod values;
mod webhook;

pub(crate) use answer::{Costs, Holding, IDEMPOTENCY_TOKEN, before, hold};
pub(crate) use known::is_known as is_known_element;
pub(crate) use price::{Around, Conversation, Step, of};
