//! `messaging_services`.

use super::Operation;

pub(super) const OPERATIONS: &[Operation] = &[];
