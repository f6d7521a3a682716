//! The control plane: what happens because a limit is reached.
//!
//! It knows Twilio through its REST API and the world through the store; it never sees a webhook or an outgoing
//! request itself. Decisions are `ringfence_breaker`'s; here they are carried out, again and again until they are so.

pub mod api;
pub mod decide;
pub mod effects;
pub mod engine;
pub mod heads;
mod json_api;
pub mod node;
pub mod notices;
pub mod people;
pub mod plan;
pub mod second_factor;
pub mod usage;
pub mod user_api;
pub mod verify;
pub mod views;
pub mod wanted;
