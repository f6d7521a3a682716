//! What an owner does for others: adds them, gives roles, sets policies, resets what was lost.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Actor;
use ringfence_second_factor::policy::{Demands, Kind, Policy, Strength};
use ringfence_second_factor::recovery::RecoveryCode;
use ringfence_second_factor::words::{is_invisible, is_unfit};
use ringfence_store::{
    AccountPolicy, Because, Grant, Person, Purpose, Role, Session, Stage, Store, Told, Where,
};

use super::letters::{change_told_to, letter_of_change, letter_of_left_out, texts_to_old_phones};
use super::{People, Refused, Result};

/// A code to bind a first factor is good for so long (NIST SP 800-63B-4, 4.2.1.2: 24 hours by mail).
const BIND_GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Whom to tell a code, and until when.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Whom.
    pub person: Person,
    /// The code, shown this once.
    pub code: RecoveryCode,
    /// When it is over.
    pub expires_at: Timestamp,
}

/// Adds somebody. They sign in once they have bound a factor with the code.
pub async fn add(
    store: &Store,
    by: impl Into<Because>,
    login: &str,
    grants: Vec<Grant>,
    now: Timestamp,
) -> Result<Invitation> {
    check_login(login)?;
    if grants.is_empty() {
        return Err(Refused::Invalid("somebody without a role can do nothing: give at least one"));
    }
    let by = by.into();
    let person = store.add_person(&by, login, grants, now).await?;
    invite(store, &by.by, person, now).await
}

/// Whether somebody could sign in so.
pub fn check_login(login: &str) -> Result<()> {
    if is_mail_address(login) {
        Ok(())
    } else {
        Err(Refused::Invalid(
            "a login is a mail address and nothing else, such as maria@example.com: without a name, without brackets and \
             quotes, in letters of ordinary width",
        ))
    }
}

/// Takes all factors of somebody away, with every session and device, and gives out a code to bind new ones.
pub async fn reset_second_factor(
    store: &Store,
    by: impl Into<Because>,
    person: Person,
    now: Timestamp,
) -> Result<Invitation> {
    let by = by.into();
    let letter = letter_of_change(
        &person,
        &format!("reset/{}", now.as_microsecond()),
        "Your second factor was taken away by an owner, with every session and trusted computer. You bind another one with \
         a code that the owner gives you.",
    );
    // Whoever was only invited had none, and gets another code in the place of the one before.
    let had_any = person.has_password;
    let told = Told::by(move |removed| {
        texts_to_old_phones(removed).into_iter().chain(had_any.then(|| letter.clone())).collect()
    });
    store.remove_all_factors(&by, &person.id, told, now).await?;
    invite(store, &by.by, person, now).await
}

/// Ends every session of somebody's, on every node. They are told if there was any. How many there were.
pub async fn end_sessions(
    store: &Store,
    by: impl Into<Because>,
    person: &Person,
    now: Timestamp,
) -> Result<u64> {
    let what = "Every session of yours was ended by an owner. You sign in again with what you have.";
    let told = change_told_to(person, "sessions-ended", what);
    Ok(store.end_all_sessions(by, &person.id, told, now).await?)
}

/// Ends the trust in every computer of somebody's. They are told if there was any. How many there were.
pub async fn end_devices(
    store: &Store,
    by: impl Into<Because>,
    person: &Person,
    now: Timestamp,
) -> Result<u64> {
    let what = "No computer of yours is trusted any more, by an owner's decision: the next sign-in asks for the second factor.";
    let told = change_told_to(person, "devices-ended", what);
    Ok(store.end_all_devices(by, &person.id, told, now).await?)
}

/// Gives out a code to bind factors with, in the place of one that was given out before.
pub async fn invite(store: &Store, by: &Actor, person: Person, now: Timestamp) -> Result<Invitation> {
    let code = store.give_out_code(by, &person.id, Purpose::Bind, BIND_GOOD_FOR, now).await?;
    let expires_at = now.saturating_add(BIND_GOOD_FOR).unwrap_or(Timestamp::MAX);
    Ok(Invitation { person, code, expires_at })
}

impl People {
    /// Whether a session may do what wants this role there; what is dangerous wants the second factor of the last minutes
    /// besides.
    pub fn authorise(&self, session: &Session, role: Role, place: Where, dangerous: bool) -> Result<Actor> {
        if session.stage != Stage::Inside {
            return Err(Refused::Over);
        }
        // What an account demanded of this session says nothing of another's demands.
        let here = session.place == Where::Everywhere || session.place == place;
        if !here || session.person.role(place).is_none_or(|has| has < role) {
            return Err(Refused::Forbidden);
        }
        if dangerous && !session.assurance.is_fresh(self.now()) {
            return Err(Refused::AskAgain);
        }
        Ok(Actor::Person(session.person.id.clone()))
    }

    /// Takes one passkey of somebody's away, by an owner of everything: one that was lost, say. They are told. The last
    /// factor that does stays; [`reset_second_factor`] takes all, and gives out a code.
    pub async fn remove_passkey_of(
        &self,
        session: &Session,
        person: &Person,
        factor: &str,
        reason: &str,
    ) -> Result<()> {
        let by = self.authorise(session, Role::Owner, Where::Everywhere, true)?;
        self.check_passkey_of(person, factor).await?;
        let (demands, now) = (self.all_demands(person).await?, self.now());
        let letter = letter_of_change(
            person,
            &format!("{factor}/removed"),
            "A passkey was taken away from your sign-in by an owner, and every trusted computer is asked again.",
        );
        let told = Told::with(letter);
        let removed = self.store.remove_factor((&by, reason), &person.id, factor, demands, told, now).await?;
        removed.map(drop).ok_or(Refused::LastFactor)
    }

    /// Sets what an account demands, by an owner of that account. Whoever could go on signing in there and cannot any more
    /// is told; whoever sets it does not lock themselves out.
    pub async fn set_policy(
        &self,
        session: &Session,
        place: Where,
        demands: Demands,
        reason: &str,
    ) -> Result<()> {
        let by = self.authorise(session, Role::Owner, place, true)?;
        if demands.is_contradictory() {
            return Err(Refused::Invalid(
                "where the second factor is disabled, it cannot say which factors do: take any, or ask for it",
            ));
        }
        if demands.at_least(self.rules.minimum) != demands {
            return Err(Refused::Invalid("the installation's minimum demands more than this"));
        }
        if demands.strength == Strength::PhishingResistant {
            self.relying_party()?;
        }
        // The same is asked where it is disabled: of a short password the sign-in wants a factor all the same.
        let own = self.kinds(&session.person).await?;
        if session.place == place && demands.lasting_of(&own).is_none() {
            return Err(Refused::Invalid("you have no factor yourself that this would take: bind one first"));
        }
        let set = self.store.policies().await?.into_iter().find(|policy| policy.place == place);
        let mut letters = Vec::new();
        for (person, kinds) in self.who_signs_in().await? {
            if !person.grants.iter().any(|grant| grant.place == place) {
                continue;
            }
            let before = self.demands_where(set.map(|set| set.demands), &person, place);
            if is_left_out(demands, &kinds) && !is_left_out(before, &kinds) {
                letters.push(letter_of_left_out(&person, demands, &kinds, self.now()));
            }
        }
        let told = Told::by(move |_| letters.clone());
        Ok(self.store.set_policy_and_tell((&by, reason), place, demands, told, self.now()).await?)
    }

    /// For each of these policies who has a role and a password there, but no factor that what is demanded there takes, saved
    /// codes aside, which run out: then they are not let in without a code of an owner's. Nothing for where there is nobody.
    /// People are read once, however many policies there are.
    pub async fn left_out(&self, policies: &[AccountPolicy]) -> Result<HashMap<Where, Vec<Person>>> {
        let set: HashMap<Where, Demands> = policies.iter().map(|set| (set.place, set.demands)).collect();
        let mut left_out: HashMap<Where, Vec<Person>> = HashMap::new();
        for (person, kinds) in self.who_signs_in().await? {
            for Grant { place, .. } in &person.grants {
                let Some(set) = set.get(place) else { continue };
                if is_left_out(self.demands_where(Some(*set), &person, *place), &kinds) {
                    left_out.entry(*place).or_default().push(person.clone());
                }
            }
        }
        Ok(left_out)
    }

    /// Who has a password and is not locked out, with the kinds of their factors.
    async fn who_signs_in(&self) -> Result<Vec<(Person, Vec<Kind>)>> {
        let mut kinds = self.store.kinds_of_all().await?;
        let all = self.store.persons().await?.into_iter();
        let signing_in = all.filter(|person| person.locked_at.is_none() && person.has_password);
        Ok(signing_in
            .map(|person| {
                let kinds = kinds.remove(&person.id).unwrap_or_default();
                (person, kinds)
            })
            .collect())
    }
}

/// Whether somebody has nothing with which they can go on meeting these demands. What is disabled leaves out nobody whose
/// password is long enough alone, and of a stored one nobody knows how long it is.
fn is_left_out(demands: Demands, kinds: &[Kind]) -> bool {
    demands.policy != Policy::Disabled && demands.lasting_of(kinds).is_none()
}

/// What would make two names look like one, or one like another.
fn is_unseen(letter: char) -> bool {
    is_unfit(letter) || is_invisible(letter)
}

/// Whether mail could reach it: what is wrong beyond that shows when it does not.
fn is_mail_address(text: &str) -> bool {
    let text = text.trim();
    // What a mail program puts around an address, and forms of letters that look like others, nobody types when signing in.
    let is_odd = |it: char| {
        it.is_whitespace()
            || is_unseen(it)
            || "<>()[]\"\\,;:\u{201c}\u{201d}\u{ab}\u{bb}".contains(it)
            || matches!(it, '\u{ff00}'..='\u{ffef}' | '\u{fe50}'..='\u{fe6f}')
    };
    let fine = |part: &str| !part.is_empty() && !part.contains(is_odd);
    text.len() <= 254
        && text.split_once('@').is_some_and(|(name, host)| fine(name) && fine(host) && !host.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_in_no_login() {
        for unseen in
            ['\u{200b}', '\u{202e}', '\u{2066}', '\u{2028}', '\u{ad}', '\u{feff}', '\u{e0061}', '\u{3164}']
        {
            assert!(!is_mail_address(&format!("ma{unseen}ria@example.com")), "{unseen:?}");
            assert!(!is_mail_address(&format!("maria@exam{unseen}ple.com")), "{unseen:?}");
        }
        assert!(is_mail_address("zoë@例え.example"));
    }

    #[test]
    fn what_no_mail_could_reach_is_no_login() {
        for text in
            ["", "maria", "@example.com", "maria@", "maria@@example.com", "ma ria@example.com", "a@b\n"]
        {
            assert_eq!(is_mail_address(text), text == "a@b\n", "{text:?}");
        }
        for text in [
            "<maria@example.com>",
            "\"a\"@example.com",
            "Maria <maria@example.com>",
            "ａ@example.com",
            "a@b;c@d",
        ] {
            assert!(!is_mail_address(text), "{text:?}");
        }
        for text in [" maria.lopez+ops@example.com ", "o'neil@example.com", "jürgen@bäckerei.example"] {
            assert!(is_mail_address(text), "{text:?}");
        }
        assert!(!is_mail_address(&format!("{}@example.com", "a".repeat(250))));
    }
}
