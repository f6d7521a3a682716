//! The console: what there is to see and to do, as pages for people.
//!
//! The one idea: there is a single table of [routes](mod@routes). Each row says who may come, and nothing is run before
//! that was asked; a page that changes something takes a [`SignedIn`], which only a session of the store makes. What is
//! shown is a view of `control`, what is done is a method of its engine: the same as on the command line and in the API.
//!
//! Pages are whole documents, rendered here, and work without a script; a small one keeps the overview fresh, another carries
//! passkeys. A GET changes nothing. It knows requests and answers whole; who listens, and how they come over a socket, is the
//! gateway's.
//!
//! # The modules
//!
//! | modules | for |
//! | --- | --- |
//! | `routes`, `console` | what there is, who may come, from a request to an answer |
//! | `guard`, `cookies`, `signed_in` | other sites, the session, the one value that opens what is behind the sign-in |
//! | `typed` | what was typed into a form, until whoever sent it has signed in |
//! | `door` | whatever is before it: sign-in, second factor, binding, a forgotten password, the lock link; the way to another account, which may ask, and to a protected host |
//! | `hosts` | what proxies ask about protected hosts, and what of them is ours: where the way begins and ends, signing out |
//! | `pages` | one file for each page: plain values out of control's views, and the template that shows them |
//! | `picture`, `words`, `frame`, `failed` | bars and moments as SVG, times and amounts, what stands around a page, why there is none |

mod assets;
mod console;
mod cookies;
mod door;
mod failed;
mod form;
mod frame;
mod guard;
mod hosts;
#[cfg(any(test, fuzzing))]
pub mod laws;
mod pages;
mod picture;
mod routes;
mod signed_in;
mod typed;
mod words;

pub use assets::STYLE;
pub use console::{Caller, Console, ConsoleSetup, EgressEnd, Gate, Refusals, Requests, RouteCounts, Told};
pub use guard::{is_foreign, seal};
pub use hosts::QUESTIONS;
pub use signed_in::SignedIn;
