//! One file a command. In each: the arguments, `run`, helpers, tests.

pub(crate) mod api_token;
pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod explain;
mod input;
mod keys;
pub(crate) mod migrate;
mod paper;
pub(crate) mod sandbox;
mod saved_request;
pub(crate) mod serve;
pub(crate) mod sign;
pub(crate) mod store;
mod vectors;
pub(crate) mod verify;
mod with_store;
