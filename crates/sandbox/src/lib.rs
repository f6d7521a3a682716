//! A Twilio of our own, for development and tests: accounts, messages, calls, usage, triggers, verifications and
//! webhooks, with state in memory, one seed for every name, and a clock that can be moved by hand.
//!
//! `world` is what there is and how it changes, without I/O; `api` is Twilio's API over it; `edge` is HTTP, the
//! control API, the phones in the browser and the sending of webhooks. Twilio's SDKs work with it unmodified but for
//! the base URL, or through it as their HTTPS proxy.

mod agenda;
mod api;
mod edge;
mod ids;
mod prices;
mod settings;
mod table;
mod world;

pub use api::OperationName;
pub use edge::{Authority, AuthorityError, Sandbox, SandboxError, SandboxOptions};
pub use settings::{
    CallSettings, GeoDefault, Keep, MessageSettings, PhoneBehaviour, Refused, Settings, SignedBy,
    SuspendedRule, VerifySettings,
};

/// Every operation of Twilio's API that the sandbox has, in the order of its resources.
pub fn operations() -> impl Iterator<Item = OperationName> {
    api::operations().map(api::Operation::name)
}
