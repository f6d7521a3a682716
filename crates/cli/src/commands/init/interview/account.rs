//! Who you are at Twilio: a SID and its auth token, which Twilio itself is asked about.

use ringfence_control::notices::one_line;
use ringfence_model::{Secret, Sid};
use ringfence_twilio::client::BaseUrl;

use super::Interview;
use crate::commands::init::answers::{self, Kept};
use crate::commands::init::{files, probe};
use crate::commands::token_argument::Source;
use crate::exit::Failure;

/// What Twilio's own tools call it.
pub(in crate::commands::init) const TOKEN_VARIABLE: &str = "TWILIO_AUTH_TOKEN";

/// The account, as far as it is known.
pub(super) struct Known {
    pub(super) sid: Sid,
    pub(super) kept: Kept,
    /// What Twilio says; none where it was not asked.
    pub(super) found: Option<probe::Account>,
}

impl Interview<'_> {
    pub(super) async fn account(&mut self) -> Result<Known, Failure> {
        let base = self.arguments.twilio.clone().unwrap_or_default();
        let mut last = None;
        loop {
            let sid = self.sid(last)?;
            last = Some(sid);
            let (token, source) = self.token()?;
            if let Some(what) = answers::odd_token(token.expose()) {
                self.note(&format!("the auth token: {what}"));
            }
            let found = match self.ask_twilio(&base, sid, &token).await? {
                Asked::Nobody => None,
                Asked::Found(found) if self.may_be_used(sid, &found)? => Some(found),
                Asked::Again | Asked::Found(_) => continue,
            };
            return Ok(Known { sid, kept: self.keep_token(token, source)?, found });
        }
    }

    fn sid(&mut self, last: Option<Sid>) -> Result<Sid, Failure> {
        let last = last.map(|sid| sid.to_string());
        let given = self.arguments.account_sid.as_deref();
        self.settle(
            "--account-sid",
            given,
            "Account SID of the parent (AC...)",
            last.as_deref(),
            answers::account,
        )
    }

    /// The auth token: from a flag, from where Twilio's tools look for it, or typed.
    fn token(&mut self) -> Result<(Secret, Source), Failure> {
        if let Some(given) = self.arguments.token.read()? {
            return Ok(given);
        }
        let person = self.person.as_mut().ok_or_else(|| Failure::usage("there is no auth token"))?;
        if let Some(token) = self.offered.clone()
            && person.agrees(&format!("Its auth token stands in {TOKEN_VARIABLE}. Take that?"), true)?
        {
            return Ok((token, Source::Env(TOKEN_VARIABLE.to_owned())));
        }
        loop {
            let token = person.ask_hidden("Its auth token (it is not shown)")?;
            if !token.is_empty() {
                return Ok((token, Source::Stdin));
            }
            person.tell("  error: without the auth token no signature can be checked");
            person.tell("  hint: Twilio's console shows it under Account Info");
        }
    }

    /// What Twilio says of them. Whoever typed them may type them again.
    async fn ask_twilio(&mut self, base: &BaseUrl, sid: Sid, token: &Secret) -> Result<Asked, Failure> {
        if self.arguments.offline {
            return Ok(Asked::Nobody);
        }
        loop {
            let failure = match probe::account(base, sid, token).await {
                Ok(found) => {
                    self.say(&format!("  Twilio knows it: {}", told(&found)));
                    return Ok(Asked::Found(found));
                }
                Err(failure) => failure,
            };
            let was_typed = self.arguments.account_sid.is_none() || !self.arguments.token.is_given();
            let Some(person) = self.person.as_mut().filter(|_| was_typed) else { return Err(failure) };
            person.tell_failure(&failure);
            if !failure.is_unavailable() {
                return Ok(Asked::Again);
            }
            if !person.agrees("Try again? (no: go on without checking them)", true)? {
                return Ok(Asked::Nobody);
            }
        }
    }

    /// Only a parent's token suspends; a subaccount's is good for its own webhooks.
    fn may_be_used(&mut self, sid: Sid, found: &probe::Account) -> Result<bool, Failure> {
        let Some(parent) = found.parent else { return Ok(true) };
        let what = format!(
            "{sid} is a subaccount of {parent}, and only the parent's token holds accounts to limits"
        );
        if self.arguments.no_limit {
            self.note(&what);
            return Ok(true);
        }
        let hint = format!("take {parent} and its token, or only check the webhooks of this one: --no-limit");
        let was_typed = self.arguments.account_sid.is_none() || !self.arguments.token.is_given();
        let Some(person) = self.person.as_mut().filter(|_| was_typed) else {
            return Err(Failure::refused(what).hint(hint));
        };
        person.tell(&format!("  {what}"));
        self.only_checks = person.agrees("Only check the webhooks of this one, without limits?", false)?;
        Ok(self.only_checks)
    }

    /// Whether its subaccounts are found at Twilio. They sign with tokens of their own, so else their webhooks are refused.
    pub(super) fn subaccounts(&mut self, known: &Known) -> Result<bool, Failure> {
        if self.only_checks || known.found.as_ref().is_some_and(|found| found.parent.is_some()) {
            return Ok(false);
        }
        let found = known.found.as_ref().map(|found| found.subaccounts);
        let wanted = if self.arguments.subaccounts || self.arguments.no_subaccounts {
            self.arguments.subaccounts
        } else if let Some(person) = self.person.as_mut().filter(|_| found != Some(0)) {
            person.tell(
                "Subaccounts sign with tokens of their own. Ringfence can find these at Twilio, let in the",
            );
            person.tell("webhooks of each, and hold each to a limit.");
            let question = match found {
                Some(1) => "Do so for its subaccount, and for new ones?".to_owned(),
                Some(found) => format!("Do so for its {found} subaccounts, and for new ones?"),
                None => "Has it subaccounts, and is that to be done for them?".to_owned(),
            };
            person.agrees(&question, found.is_some())?
        } else {
            found.unwrap_or_default() > 0
        };
        if let Some(found) = found.filter(|found| *found > 0 && !wanted) {
            self.note(&format!(
                "webhooks of subaccounts ({found} now) will be refused, until each has an [[account]] with its token"
            ));
        }
        Ok(wanted)
    }

    fn keep_token(&mut self, token: Secret, source: Source) -> Result<Kept, Failure> {
        let kept = match source {
            Source::Env(name) => Kept::Env(answers::variable(&name).map_err(|it| it.about("--token-env"))?),
            Source::File(path) => return Ok(Kept::File(self.target.seen_from_here(&path)?)),
            Source::Stdin => self.keep(files::TOKEN, TOKEN_VARIABLE, "the token")?,
        };
        self.secrets.keep(&kept, token);
        Ok(kept)
    }
}

/// What came of asking Twilio.
enum Asked {
    Found(probe::Account),
    /// It was not asked.
    Nobody,
    /// It said no, and that was told.
    Again,
}

fn told(found: &probe::Account) -> String {
    let subaccounts = match found.subaccounts {
        0 => "no subaccounts".to_owned(),
        1 => "1 subaccount".to_owned(),
        more => format!("{more} subaccounts"),
    };
    let currency = found.currency.as_ref().map_or_else(String::new, |it| format!(", billed in {it}"));
    format!("\"{}\", {subaccounts}{currency}", one_line(&found.name, 60))
}
