//! A Twilio of our own, for development and tests: accounts, messages, calls, usage, triggers, verifications and
//! webhooks, with state in memory, one seed for every name, and a clock that can be moved by hand.
//!
//! `world` is what there is and how it changes, without I/O; `api` is Twilio's API over it; `edge` is HTTP, the
//! control API, the phones in the browser and the sending of webhooks. Twilio's SDKs work with it unmodified but for
//! the base URL, or through it as their HTTPS proxy.
//!
//! # The layers
//!
//! Three layers, each of which knows only the one below:
//!
//! | module | for |
//! | --- | --- |
//! | `world` | what there is and how it changes: one file or folder for each subject. No I/O, no clock: `world.now` and `world.ids` are what time and randomness are, so the same requests give the same world |
//! | `api` | Twilio's API over it, one file for each resource. A file begins with `OPERATIONS`, from which the router, docs/sandbox.md and the tests against Twilio's documents are made |
//! | `edge` | HTTP, the proxy with its authority, the control API, the pages, the `engine` that moves the world with time, the sender of webhooks |
//!
//! Around them: `agenda` (what is planned, in order), `table` (rows with a cap, newest first), `ids` (names from a seed),
//! `settings`, `prices` (a table as data).
//!
//! The world changes in one of four ways, all under one lock: an operation, a request to the control API or a page, time
//! that has come (`Due`), an answer to a webhook (`Then`). It never waits. What shall happen later is planned; what shall
//! leave is put out and sent by the engine.
//!
//! # A message, followed through it
//!
//! ```text
//! edge::connections ──▶ edge::rest ──▶ api::handle ──▶ world::messages ──▶ agenda ──▶ engine ──▶ sender ──▶ application
//! ```
//!
//! 1. `edge::connections` reads a request: plain HTTP, or TLS inside a `CONNECT` to a host of Twilio's, with a certificate
//!    made for that host. What is below `/_sandbox` goes to the control API and the pages, past `guard`.
//! 2. `edge::rest` reads the body and lets faults happen that were ordered. `api::handle` takes the world's lock, finds the
//!    operation by product and path, the account by the credentials, refuses what a suspended account may not do, and calls the
//!    operation.
//! 3. `api::messages` reads the form; `world::messages` checks sender, recipient, opt-outs, geo permissions, in Twilio's order
//!    and with its codes; the first that fails is a `Refusal`. Else there is a row, `queued`, its segments counted by
//!    `model::Segments`, without a price, and its first step is planned.
//! 4. Its answer is `wire::Message` in JSON. The lock was held for some microseconds; nothing waited.
//! 5. The engine wakes when the next step is due, or is moved there by the virtual clock. `Due` leads back into
//!    `world::messages`: `sending`, `sent`, then `delivered`, or `undelivered` with a code where the number says so; the
//!    price is filled in; `usage::book` counts it, which usage records and triggers see after their lag.
//! 6. Each state of which somebody wants to know becomes a `Webhook`. `webhooks::deliver` signs it with the account's token
//!    (`signature::sign`, or a SharedKey), writes a delivery, and puts it out. The sender asks the application, with Twilio's
//!    headers, timeouts and connection overrides.
//! 7. The answer comes back under the lock: `webhooks::answered` follows a redirect, tries again, or hands it to what
//!    waits for it (`Then`). For an inbound message it is TwiML, carried out, or a reason to ask the fallback URL; for a
//!    status callback it is only logged. What failed becomes an alert.
//! 8. `world::phones` has shown the text meanwhile, and pages that look are told by server-sent events.

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
