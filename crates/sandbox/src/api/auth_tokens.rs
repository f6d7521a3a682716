//! `auth_tokens`.

use super::Operation;

pub(super) const OPERATIONS: &[Operation] = &[];
