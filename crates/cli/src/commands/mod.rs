//! One file a command. In each: the arguments, `run`, helpers, tests.

pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod explain;
mod input;
mod keys;
mod paper;
pub(crate) mod sandbox;
mod saved_request;
pub(crate) mod serve;
pub(crate) mod sign;
mod vectors;
pub(crate) mod verify;
