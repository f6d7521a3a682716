//! Why acts are refused and views not shown, as problems.

use crate::engine::ActRefused;
use crate::json_api::problem::{Kind, Problem, WrongPart};
use crate::views::NotSeen;

impl From<NotSeen> for Problem {
    fn from(error: NotSeen) -> Self {
        let kind = match error {
            NotSeen::NoLimit(_) => Kind::NoLimit,
            NotSeen::NoAccount(_) => Kind::NoAccount,
            NotSeen::Cursor => {
                let detail = error.to_string();
                let wrong =
                    WrongPart { pointer: None, parameter: Some("cursor".to_owned()), detail: detail.clone() };
                return Self::new(Kind::InvalidQuery, detail).with_errors(vec![wrong]);
            }
            NotSeen::Store(error) => return error.into(),
        };
        Self::new(kind, error.to_string())
    }
}

impl From<ActRefused> for Problem {
    fn from(error: ActRefused) -> Self {
        let (kind, pointer) = match error {
            ActRefused::NoLimit(_) => (Kind::NoLimit, None),
            ActRefused::NoAccount(_) => (Kind::NoAccount, None),
            ActRefused::OutOfScope { .. }
            | ActRefused::CountedUnder { .. }
            | ActRefused::CountedUnderSeveral(_) => (Kind::OutOfScope, None),
            ActRefused::Parent(_) => (Kind::ParentAccount, None),
            ActRefused::NotTripped { .. } => (Kind::NotTripped, None),
            ActRefused::Held { .. } => (Kind::Held, None),
            ActRefused::AllowsNothing => (Kind::InvalidBody, Some("#/allow")),
            ActRefused::NoReason => (Kind::InvalidBody, Some("#/reason")),
            ActRefused::Store(error) => return error.into(),
        };
        let detail = error.to_string();
        let wrong = pointer.map(|pointer| WrongPart {
            pointer: Some(pointer.to_owned()),
            parameter: None,
            detail: detail.clone(),
        });
        Self::new(kind, detail).with_errors(wrong.into_iter().collect())
    }
}
