//! Protected hosts: web pages elsewhere that are entered through the console's sign-in.
//!
//! A host has no people of its own. It names an account, whose policy says what is asked, and the role there that lets
//! somebody in; its session stands on that of the console and ends with it.

use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use ringfence_model::{Actor, Secret, Stamp, StampKey};
use ringfence_second_factor::device::SecretHash;
use ringfence_second_factor::policy::{Assurance, Next};
use ringfence_store::{HandedOver, HostSession, Person, Role, Session, Stage, Where};

use super::sign_in::{Known, over};
use super::{People, Refused, Result, Visitor};

/// What does not stand in a header as it is: the rest of ASCII is graphic.
const NOT_IN_A_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// A protected host, and who enters it.
#[derive(Debug, Clone)]
pub struct ProtectedHost {
    /// The host as browsers name it over HTTPS: in lower case, with its port where that is not 443.
    pub host: String,
    /// Whose policy holds, and where the role counts.
    pub place: Where,
    /// The least role that enters.
    pub role: Role,
    /// What the names of those who enter are stamped with; without it they are told unstamped.
    pub key: Option<StampKey>,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Arc<[ProtectedHost]>);

/// How somebody gets on to a host.
#[derive(Debug, Clone)]
pub enum Entry {
    /// With this code, once, and what the browser keeps where it goes on being trusted.
    Code {
        /// The code.
        code: Secret,
        /// The next secret of a trusted computer.
        device: Option<Secret>,
    },
    /// Not before the second factor is shown.
    Ask,
}

impl Hosts {
    /// These, each of another name.
    pub fn new(hosts: Vec<ProtectedHost>) -> Self {
        Self(hosts.into())
    }

    /// The host that a request names, in any case; the port that HTTPS has anyway says nothing.
    pub fn find(&self, named: &str) -> Option<&ProtectedHost> {
        let named = named.strip_suffix(":443").unwrap_or(named);
        self.0.iter().find(|host| host.host.eq_ignore_ascii_case(named))
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &ProtectedHost> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl ProtectedHost {
    /// Whether somebody may enter.
    pub fn admits(&self, person: &Person) -> bool {
        person.role(self.place) >= Some(self.role)
    }

    /// A person's name as applications are told it: the login, with what is not graphic ASCII as percent and two digits.
    pub fn name_of(person: &Person) -> String {
        utf8_percent_encode(&person.login, NOT_IN_A_HEADER).to_string()
    }

    /// The stamp of a name, over the host and the name.
    pub fn stamp(&self, name: &str, now_unix: u64) -> Option<Stamp> {
        self.key.as_ref().map(|key| key.make(now_unix, &[self.host.as_bytes(), name.as_bytes()]))
    }
}

impl People {
    /// A code that takes whoever is in this session to a host, in the browser that began there with the secret of this hash.
    ///
    /// What the host's account demands is asked here, as at every other door to that account.
    pub async fn hand_over(
        &self,
        session: &Session,
        host: &ProtectedHost,
        began: &SecretHash,
        known: &Known,
        visitor: &Visitor,
    ) -> Result<Entry> {
        if session.stage != Stage::Inside {
            return Err(Refused::Over);
        }
        let person = &session.person;
        if !host.admits(person) {
            return Err(Refused::Forbidden);
        }
        // Whoever is inside by a password alone has a long one; and here they are inside already.
        let shown = session.assurance;
        let is_long = shown == Assurance::Password || session.place == host.place;
        let (next, device) = self.next(person, host.place, shown, is_long, &known.devices, visitor).await?;
        match next {
            Next::Enter(_) => {
                let code = self.store.begin_hand_over(&session.id, &host.host, began, self.now()).await;
                Ok(Entry::Code { code: code.map_err(over)?, device })
            }
            Next::Ask(_) => Ok(Entry::Ask),
            Next::Bind => Err(self.nothing_bound(person, host.place).await?),
        }
    }

    /// Uses a code at a host, and gives out the token of the session there. None where it is no code of this host and this
    /// browser, or not any more.
    pub async fn enter_host(
        &self,
        host: &ProtectedHost,
        code: &Secret,
        began: Option<&Secret>,
        before: Option<&Secret>,
    ) -> Result<Option<Secret>> {
        match self.store.end_hand_over(code, &host.host, began, before, self.now()).await? {
            HandedOver::Session(token, person) if host.admits(&person) => Ok(Some(token)),
            HandedOver::Session(..) | HandedOver::Refused => Ok(None),
        }
    }

    /// The session of a host that this token is of, if it is not over and its person may still enter.
    pub async fn host_session(&self, host: &ProtectedHost, token: &Secret) -> Result<Option<HostSession>> {
        let session = self.store.host_session(token, &host.host, self.now()).await?;
        Ok(session.filter(|session| host.admits(&session.person)))
    }

    /// Whom the browser with this token signs out when it leaves the host: also one whose session lies idle there, or who may
    /// not enter any more, as long as the session of the console lives.
    pub async fn leaving(&self, host: &ProtectedHost, token: &Secret) -> Result<Option<Person>> {
        let standing = self.store.stands_on(token, &host.host, self.now()).await?;
        Ok(standing.map(|(person, _)| person))
    }

    /// Ends the session of the console that this one stands on, and with it all that stand on it: ended here alone, the
    /// next request would begin it again unseen.
    pub async fn leave_hosts(&self, host: &ProtectedHost, token: &Secret) -> Result<()> {
        if let Some((person, session)) = self.store.stands_on(token, &host.host, self.now()).await? {
            let by = Actor::Person(person.id.clone());
            self.store.end_sessions(&by, &person.id, Some(&session), None, self.now()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use ringfence_store::Grant;

    use super::*;

    fn person(login: &str, grants: Vec<Grant>) -> Person {
        Person {
            id: "ps_1".to_owned(),
            login: login.to_owned(),
            grants,
            has_password: true,
            password_changed_at: None,
            locked_at: None,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn host(name: &str) -> ProtectedHost {
        ProtectedHost { host: name.to_owned(), place: Where::Everywhere, role: Role::Operator, key: None }
    }

    #[test]
    fn a_host_is_found_by_its_whole_name_and_its_port() {
        let hosts = Hosts::new(vec![host("wiki.example.com"), host("crm.example.com:8443")]);
        let found = |name: &str| hosts.find(name).map(|host| host.host.as_str());
        for name in [
            "",
            "example.com",
            "a.wiki.example.com",
            "wiki.example.com.",
            "wiki.example.com:80",
            "wiki.example.com:8443",
            "crm.example.com",
            "crm.example.com:443",
        ] {
            assert_eq!(found(name), None, "{name}");
        }
        assert_eq!(found("WIKI.example.com"), Some("wiki.example.com"));
        assert_eq!(found("wiki.example.com:443"), Some("wiki.example.com"));
        assert_eq!(found("crm.example.com:8443"), Some("crm.example.com:8443"));
    }

    #[test]
    fn a_lesser_role_or_none_does_not_enter() {
        let grant = |role| vec![Grant { place: Where::Everywhere, role }];
        let admits = |grants| host("a").admits(&person("a@example.com", grants));
        assert!(!admits(Vec::new()) && !admits(grant(Role::Auditor)));
        assert!(admits(grant(Role::Operator)) && admits(grant(Role::Owner)));
    }

    #[test]
    fn a_name_in_a_header_is_graphic_ascii_and_reads_back() {
        let name = |login: &str| ProtectedHost::name_of(&person(login, Vec::new()));
        assert_eq!(name("maria+it@example.com"), "maria+it@example.com");
        assert_eq!(name("jürgen%x@example.com"), "j%C3%BCrgen%25x@example.com");
        assert!(name("a\r\nb@example.com").bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
