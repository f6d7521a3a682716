//! The phones of the world outside: numbers that no account owns.

/// What phones have been told to do.
#[derive(Debug, Default)]
pub(crate) struct Phones {}
