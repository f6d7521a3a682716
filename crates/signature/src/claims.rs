//! What a request says of itself.
//!
//! Anybody can write `AccountSid` into a request, so it is a hint while the keys to try are chosen; once a key
//! has matched it is a demand, and every occurrence of it has to agree with the key's account.

use crate::{AccountSid, Accounts, Keyring, Policy, Refusal, Subject, form::Fields, names::Role};

/// What the parameters say of the request: hints until a key has matched, demands afterwards.
pub(crate) struct Claims {
    /// The first account SID that is one.
    pub(crate) account: Option<AccountSid>,
    /// Whether `AccountSid` is there at all.
    pub(crate) names_account: bool,
    /// Whether some `AccountSid` is no account SID, or several are there that differ.
    is_torn: bool,
    pub(crate) subject: Subject,
}

impl Claims {
    /// `fields` are the form's, or the query's where there is no form; `other_query` is the query beside a form.
    pub(crate) fn of(fields: Fields<'_>, other_query: Option<&[u8]>) -> Self {
        let mut claims =
            Self { account: None, names_account: false, is_torn: false, subject: Subject::Other };
        for field in fields.iter() {
            let Some(known) = field.known else { continue };
            match known.role {
                Role::Account => claims.name_account(field.value),
                // Fields come sorted, so a call is told before a message, and a usage trigger after both.
                Role::CallSid => claims.subject = Subject::Call,
                Role::MessageSid | Role::SmsSid => claims.subject = Subject::Message,
                Role::UsageTriggerSid if claims.subject == Subject::Other => {
                    claims.subject = Subject::UsageTrigger;
                }
                _ => {}
            }
        }
        if let Some(query) = other_query {
            for (name, value) in crate::fields(query) {
                if *name == *b"AccountSid" {
                    claims.name_account(&value);
                }
            }
        }
        claims
    }

    fn name_account(&mut self, value: &[u8]) {
        self.names_account = true;
        let account = AccountSid::parse(value);
        match self.account {
            None => self.account = account,
            Some(_) if self.account != account => self.is_torn = true,
            Some(_) => {}
        }
        self.is_torn |= account.is_none();
    }

    /// Which account the request speaks for, now that `signer` has signed it.
    pub(crate) fn admit(
        &self,
        signer: AccountSid,
        keyring: &Keyring,
        policy: &Policy<'_>,
    ) -> Result<AccountSid, Refusal> {
        let account = self.account.unwrap_or(signer);
        let may_speak_for_it =
            account == signer || (policy.parent_may_stand_in && keyring.parent_of(&account) == Some(signer));
        if self.is_torn || !may_speak_for_it {
            return Err(Refusal::AccountMismatch);
        }
        match policy.accounts {
            Accounts::Listed(listed) if !listed.contains(&account) => Err(Refusal::AccountNotAllowed),
            _ => Ok(account),
        }
    }
}
