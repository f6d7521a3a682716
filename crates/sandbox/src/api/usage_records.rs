//! `usage_records`.

use super::Operation;

pub(super) const OPERATIONS: &[Operation] = &[];
