//! Notices on real sockets: mail, webhooks, text messages and calls, and what goes wrong with each.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod kit;
mod mail;
mod phone;
mod real_mail;
mod scripted;
mod webhook;
