//! Virtual credentials: what applications hold in the place of Twilio's auth tokens. Made, listed and revoked here by
//! commands and by the console alike, so that both write the same rows and the same log.
//!
//! A credential belongs to nobody. Who may deal with it follows from what it opens: whoever looks after one account has a
//! say about those that are for that account and for no other.

use jiff::Timestamp;
use ringfence_model::{Country, Secret, Sid};
use ringfence_store::{
    Because, Credential, EGRESS, EgressAccounts, EgressDestination, EgressScopes, Error, NewCredential,
    Store, UnknownScope,
};

/// The longest name, in characters.
const NAME_MAX: usize = 100;
/// So many accounts, destinations and senders a credential has at most: it is read with each request.
const SCOPES_MAX: usize = 500;

/// A virtual credential to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVirtualCredential {
    /// What it is for, for people.
    pub name: String,
    /// What it may do.
    pub scopes: EgressScopes,
    /// From when on it is worthless; `None`: never.
    pub expires_at: Option<Timestamp>,
}

/// A virtual credential that was made, good or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualCredential {
    /// Its row.
    pub credential: Credential,
    /// What it may do; where that is not understood, it opens nothing.
    pub scopes: Result<EgressScopes, UnknownScope>,
}

/// Why none was made.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// Nobody would know what it is for.
    #[error("{0}")]
    Name(&'static str),
    /// It would open nothing, or not what was meant.
    #[error(transparent)]
    Scope(#[from] UnknownScope),
    /// Nobody could be reached there.
    #[error("{0} is no country; write two capital letters of ISO 3166, such as GB for the United Kingdom")]
    Country(String),
    /// It could do nothing at all.
    #[error("without any kind of operations it can do nothing")]
    NoOperation,
    /// More than is looked through for each request.
    #[error("at most {SCOPES_MAX} accounts, destinations and senders in all")]
    TooMuch,
    /// It would be over before it is used.
    #[error("it would be worthless at once")]
    Over,
    /// It could not be written down.
    #[error(transparent)]
    Store(#[from] Error),
}

impl VirtualCredential {
    fn of(credential: Credential) -> Self {
        let scopes = EgressScopes::parse(&credential.scopes);
        Self { credential, scopes }
    }

    /// Whether it is for this account and for no other. One for all accounts is not, whatever accounts there are; of one
    /// that is not understood nobody knows.
    pub fn is_for_only(&self, account: Sid) -> bool {
        self.scopes.as_ref().is_ok_and(|scopes| scopes.accounts.the_one() == Some(account))
    }

    /// Whether it opens anything now.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.scopes.is_ok() && self.credential.is_good(now)
    }
}

/// What a name must be: one line of text that says something.
pub fn check_name(name: &str) -> Result<(), NotMade> {
    if name.trim().is_empty() {
        Err(NotMade::Name("say what it is for"))
    } else if name.chars().count() > NAME_MAX {
        Err(NotMade::Name("a name has at most 100 characters"))
    } else if name.chars().any(char::is_control) {
        Err(NotMade::Name("a name is one line of text"))
    } else {
        Ok(())
    }
}

/// Makes one. Its secret is given out this once.
pub async fn create(
    store: &Store,
    by: impl Into<Because>,
    new: NewVirtualCredential,
    now: Timestamp,
) -> Result<(VirtualCredential, Secret), NotMade> {
    check_name(&new.name)?;
    let scopes = check_scopes(&new.scopes)?;
    if new.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(NotMade::Over);
    }
    let new = NewCredential {
        kind: EGRESS.to_owned(),
        application: None,
        name: new.name,
        scopes,
        expires_at: new.expires_at,
    };
    let (credential, secret) = store.create_credential(by, new, now).await?;
    Ok((VirtualCredential::of(credential), secret))
}

/// The words of scopes from which the same scopes are read again.
fn check_scopes(scopes: &EgressScopes) -> Result<Vec<String>, NotMade> {
    if scopes.operations.is_empty() {
        return Err(NotMade::NoOperation);
    }
    let accounts = match &scopes.accounts {
        EgressAccounts::All => 0,
        EgressAccounts::Listed(listed) => listed.len(),
    };
    if accounts + scopes.destinations.len() + scopes.senders.len() > SCOPES_MAX {
        return Err(NotMade::TooMuch);
    }
    let mut countries = scopes.destinations.iter().filter_map(|destination| match destination {
        EgressDestination::Country(_) => Some(destination.to_string()),
        EgressDestination::Prefix(_) => None,
    });
    // A row may have another: what it opens is nobody.
    if let Some(unknown) = countries.find(|country| Country::parse(country).is_err()) {
        return Err(NotMade::Country(unknown));
    }
    let words = scopes.to_words();
    if let Some(word) = words.iter().find(|word| word.chars().any(char::is_control)) {
        return Err(UnknownScope { word: word.clone(), why: "it is not one line of text" }.into());
    }
    EgressScopes::parse(&words)?;
    Ok(words)
}

/// All of them, the newest first, those that are worthless included.
pub async fn list(store: &Store) -> Result<Vec<VirtualCredential>, Error> {
    let all = store.credentials(None).await?.into_iter();
    Ok(all.filter(|credential| credential.kind == EGRESS).map(VirtualCredential::of).collect())
}

/// One by its SID; none where it is no virtual credential.
pub async fn find(store: &Store, sid: Sid) -> Result<Option<VirtualCredential>, Error> {
    let found = store.credential(sid).await?;
    Ok(found.filter(|credential| credential.kind == EGRESS).map(VirtualCredential::of))
}

/// Makes one worthless, at once on every node and for good. Doing it again changes nothing.
pub async fn revoke(
    store: &Store,
    by: impl Into<Because>,
    credential: &VirtualCredential,
    now: Timestamp,
) -> Result<(), Error> {
    store.revoke_credential(by, credential.credential.sid, now).await
}

#[cfg(test)]
mod tests {
    use ringfence_store::EgressArea;

    use super::*;

    fn scopes() -> EgressScopes {
        EgressScopes::for_accounts(EgressAccounts::Listed([Sid::new(*b"AC", 1)].into()))
    }

    #[test]
    fn a_credential_that_could_do_nothing_or_not_what_was_meant_is_not_made() {
        let none = EgressScopes { operations: [].into(), ..scopes() };
        assert!(matches!(check_scopes(&none), Err(NotMade::NoOperation)));
        for sender in ["", "+1555\n", "a\u{7}"] {
            let odd = EgressScopes { senders: vec![sender.to_owned()], ..scopes() };
            assert!(matches!(check_scopes(&odd), Err(NotMade::Scope(_))), "{sender:?}");
        }
        let nobodys = EgressScopes { accounts: EgressAccounts::Listed([].into()), ..scopes() };
        assert!(matches!(check_scopes(&nobodys), Err(NotMade::Scope(_))));
        let many = EgressScopes { senders: vec!["ACME".to_owned(); SCOPES_MAX], ..scopes() };
        assert!(matches!(check_scopes(&many), Err(NotMade::TooMuch)));
        for name in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert!(matches!(check_name(name), Err(NotMade::Name(_))), "{name:?}");
        }
        for (country, is_one) in [("UK", false), ("XX", false), ("GB", true)] {
            let there = EgressScopes { destinations: vec![country.parse().expect("letters")], ..scopes() };
            let refused = matches!(check_scopes(&there), Err(NotMade::Country(named)) if named == country);
            assert_eq!(refused, !is_one, "{country}");
        }
        let fine = EgressScopes { senders: vec!["ACME".to_owned()], ..scopes() };
        assert_eq!(EgressScopes::parse(&check_scopes(&fine).expect("scopes")), Ok(fine));
    }

    #[test]
    fn whoever_has_one_account_has_a_say_about_what_is_for_it_alone() {
        let (own, other) = (Sid::new(*b"AC", 1), Sid::new(*b"AC", 2));
        let of = |words: &[&str]| {
            VirtualCredential::of(Credential {
                sid: Sid::new(*b"SK", 1),
                kind: EGRESS.to_owned(),
                application: None,
                name: "shop".to_owned(),
                scopes: words.iter().map(|word| (*word).to_owned()).collect(),
                created_at: Timestamp::UNIX_EPOCH,
                created_by: None,
                used_at: None,
                expires_at: None,
                revoked_at: None,
            })
        };
        let (mine, theirs) = (format!("account={own}"), format!("account={other}"));
        let area = format!("operation={}", EgressArea::Messages);
        for (words, is_own) in [
            (vec![&*mine, &area], true),
            (vec![&*theirs, &area], false),
            (vec![&*mine, &theirs, &area], false),
            (vec!["account=*", &area], false),
            (vec![&*mine, "of=tomorrow"], false),
        ] {
            assert_eq!(of(&words).is_for_only(own), is_own, "{words:?}");
        }
    }
}
