//! Who did it.

use std::fmt;

/// Who changes something: every writing method of the store takes one, and the audit log names it.
///
/// It is written as a kind and a name, which together read back as the same actor.
///
/// ```
/// use ringfence_model::Actor;
///
/// let actor = Actor::Token("tk_42".to_owned());
/// assert_eq!((actor.kind(), actor.name()), ("token", "tk_42"));
/// assert_eq!(Actor::from_parts("token", "tk_42"), Some(actor));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// An operator, or a program of theirs, through the API: the id of the token, never the token.
    Token(String),
    /// An operator at the command line: the name of the system's user.
    CommandLine(String),
    /// A person who is signed in: their id, which says nothing about them.
    Person(String),
    /// An application, by its credential: the credential's SID, never its secret.
    Application(String),
    /// A job of Ringfence's own: its name.
    Job(String),
    /// Twilio, by a webhook that was verified: the account whose key signed it.
    Twilio(String),
}

impl Actor {
    /// A job of Ringfence's own.
    pub fn job(name: &str) -> Self {
        Self::Job(name.to_owned())
    }

    /// The kind, in the word that the audit log uses.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::CommandLine(_) => "command-line",
            Self::Person(_) => "person",
            Self::Application(_) => "application",
            Self::Job(_) => "job",
            Self::Twilio(_) => "twilio",
        }
    }

    /// The name within its kind.
    pub fn name(&self) -> &str {
        match self {
            Self::Token(name)
            | Self::CommandLine(name)
            | Self::Person(name)
            | Self::Application(name)
            | Self::Job(name)
            | Self::Twilio(name) => name,
        }
    }

    /// The actor that `kind` and `name` wrote; `None` for a kind that nobody has.
    pub fn from_parts(kind: &str, name: &str) -> Option<Self> {
        let name = name.to_owned();
        match kind {
            "token" => Some(Self::Token(name)),
            "command-line" => Some(Self::CommandLine(name)),
            "person" => Some(Self::Person(name)),
            "application" => Some(Self::Application(name)),
            "job" => Some(Self::Job(name)),
            "twilio" => Some(Self::Twilio(name)),
            _ => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_nobody_has_is_no_actor() {
        for kind in ["", "Token", "operator", "command_line"] {
            assert_eq!(Actor::from_parts(kind, "x"), None, "{kind}");
        }
    }

    #[test]
    fn every_actor_reads_back_from_its_parts() {
        let actors = [
            Actor::Token("a".into()),
            Actor::CommandLine("b".into()),
            Actor::Person("e".into()),
            Actor::Application("f".into()),
            Actor::job("c"),
            Actor::Twilio("d".into()),
        ];
        for actor in actors {
            assert_eq!(Actor::from_parts(actor.kind(), actor.name()), Some(actor));
        }
    }
}
