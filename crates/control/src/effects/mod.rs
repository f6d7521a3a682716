//! What is done at Twilio, one file each: performed, then read back.
//!
//! Every one of them may be performed again at any time: what is so already stays so. None keeps anything; what is
//! needed to undo it is in its answer.

mod cancel_queued;
mod each;
mod end_calls;
mod geo;
mod keys;
mod status;

use ringfence_model::Sid;
use ringfence_twilio::client;

pub use cancel_queued::{Cancelled, cancel_queued};
pub use each::Each;
pub use end_calls::end_calls;
pub(crate) use end_calls::running_calls;
pub use geo::{ClosedGeo, OpenVoice, close_geo, find_open_geo, open_geo};
pub use keys::{RevokedKey, revoke_keys};
pub use status::{Standing, resume, standing, suspend};

/// Why an effect is not in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// Twilio did not do it, or did not say so.
    #[error(transparent)]
    Twilio(#[from] client::Error),
    /// Twilio said that it was done, and then showed that it is not.
    #[error("Twilio said that it was done, but {0}")]
    NotInForce(String),
    /// It was done to some, and Twilio refused others.
    #[error("{left} {things} are left; of {one} Twilio says: {why}")]
    Left {
        /// How many it shows yet.
        left: usize,
        /// What they are: `calls`.
        things: &'static str,
        /// The first that was refused.
        one: Sid,
        /// With what.
        why: Box<client::Error>,
    },
    /// Twilio itself suspended the account; nobody else can make it active again.
    #[error("Twilio itself suspended the account: only Twilio's support can make it active again")]
    SuspendedByTwilio,
    /// A closed account stays closed.
    #[error("the account is closed, and Twilio opens none again")]
    Closed,
}

impl NotDone {
    /// Whether another try may succeed. What Twilio refuses for good is not asked for again and again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Twilio(error) => error.is_transient(),
            Self::NotInForce(_) | Self::Left { .. } => true,
            Self::SuspendedByTwilio | Self::Closed => false,
        }
    }
}
