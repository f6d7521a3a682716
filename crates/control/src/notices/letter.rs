//! A letter: one mail to one person, about themselves. Unlike a notice it goes to nobody else.

use serde::{Deserialize, Serialize};

/// What is written to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The mail address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
}
