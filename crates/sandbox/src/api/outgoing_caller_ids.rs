//! `outgoing_caller_ids`.

use super::Operation;

pub(super) const OPERATIONS: &[Operation] = &[];
