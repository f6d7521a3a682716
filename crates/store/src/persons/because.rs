//! Who decided something about people, and why.

use ringfence_model::Actor;
use ringfence_second_factor::policy::Strength;
use serde_json::Value;

/// Who decided, with their reason where they gave one: it stands in the row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because {
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: Option<String>,
    /// Which factors the configuration takes at least: by that and the policy it is known which other owners are let in, where one
    /// of them goes.
    pub minimum: Strength,
}

impl Because {
    /// Under this minimum.
    #[must_use]
    pub fn under(self, minimum: Strength) -> Self {
        Self { minimum, ..self }
    }

    /// What the audit log keeps besides, with the reason in it.
    pub(crate) fn detail(&self, mut detail: Value) -> Value {
        if let (Some(reason), Some(fields)) = (&self.reason, detail.as_object_mut()) {
            fields.insert("reason".to_owned(), reason.clone().into());
        }
        detail
    }
}

impl From<&Actor> for Because {
    fn from(by: &Actor) -> Self {
        Self { by: by.clone(), reason: None, minimum: Strength::Any }
    }
}

impl From<(&Actor, &str)> for Because {
    fn from((by, reason): (&Actor, &str)) -> Self {
        Self { by: by.clone(), reason: Some(reason.to_owned()), minimum: Strength::Any }
    }
}

impl From<&Because> for Because {
    fn from(because: &Because) -> Self {
        because.clone()
    }
}
