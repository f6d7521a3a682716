//! `dialing_permissions`.

use super::Operation;

pub(super) const OPERATIONS: &[Operation] = &[];
