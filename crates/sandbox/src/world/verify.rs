//! Verify: services, verifications, codes.

/// Everything of Verify.
#[derive(Debug, Default)]
pub(crate) struct Verify {}

impl Verify {
    pub(super) fn set_cap(&mut self, _cap: usize) {}
}
