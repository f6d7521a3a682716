//! Which countries an account may text and call.

/// The permissions that differ from the defaults.
#[derive(Debug, Default)]
pub(crate) struct Geo {}
