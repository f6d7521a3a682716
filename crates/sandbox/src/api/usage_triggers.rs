//! `usage_triggers`.

use super::Operation;

pub(super) const OPERATIONS: &[Operation] = &[];
