//! What people may do and where, and what accounts demand of whoever signs in to them.

use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_second_factor::policy::{Demands, Kind, Policy, Strength};
use serde_json::json;

use super::counting::{MOST, MOST_TOTP, counts, kind_of};
use super::told::Told;
use super::{Because, find, note};
use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store};

/// What somebody may do. Each may also do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Enter protected hosts, and look after their own sign-in; nothing of the installation.
    Visitor,
    /// Look.
    Auditor,
    /// Trip and reset breakers, suspend and resume accounts.
    Operator,
    /// Everything: people, policies, credentials, limits.
    Owner,
}

/// Where: one account, or the whole installation with all its accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Where {
    /// All accounts, and what belongs to none.
    Everywhere,
    /// One account.
    Account(Sid),
}

/// A role somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Where.
    pub place: Where,
    /// What.
    pub role: Role,
}

/// What an account demands, as it was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountPolicy {
    /// Of which account; everywhere: of whoever signs in to the installation as a whole.
    pub place: Where,
    /// What.
    pub demands: Demands,
    /// Since when.
    pub set_at: Timestamp,
}

impl Role {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 4] = [Self::Visitor, Self::Auditor, Self::Operator, Self::Owner];

    /// As people write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }

    /// The role of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

impl Where {
    /// As it is stored: `*`, or the SID.
    pub fn text(self) -> String {
        match self {
            Self::Everywhere => "*".to_owned(),
            Self::Account(sid) => sid.to_string(),
        }
    }

    /// What [`text`](Self::text) wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::Everywhere),
            sid => Sid::parse(sid).ok().filter(|sid| sid.is("AC")).map(Self::Account),
        }
    }

    /// Whether a grant here counts there too.
    pub fn covers(self, other: Self) -> bool {
        self == Self::Everywhere || self == other
    }
}

/// The widest role that these grants give there.
pub(crate) fn role_at(grants: &[Grant], place: Where) -> Option<Role> {
    grants.iter().filter(|grant| grant.place.covers(place)).map(|grant| grant.role).max()
}

impl super::Person {
    /// The widest role that they have there.
    pub fn role(&self, place: Where) -> Option<Role> {
        role_at(&self.grants, place)
    }
}

impl Store {
    /// Gives a role somewhere, in the place of the one that was there. The last owner of everything stays one.
    pub async fn set_role(
        &self,
        by: impl Into<Because>,
        person: &str,
        grant: Grant,
        now: Timestamp,
    ) -> Result<()> {
        let data = (by.into(), person.to_owned(), grant, now);
        self.write(data, |(by, person, grant, now), transaction| {
            Box::pin(async move {
                find(transaction, person).await?;
                keep_an_owner(transaction, by, person, Some(*grant)).await?;
                set(transaction, by, person, grant, *now).await
            })
        })
        .await
    }

    /// Takes a role away. Says whether there was one. The last owner of everything stays one.
    pub async fn remove_role(
        &self,
        by: impl Into<Because>,
        person: &str,
        place: Where,
        now: Timestamp,
    ) -> Result<bool> {
        let data = (by.into(), person.to_owned(), place, now);
        self.write(data, |(by, person, place, now), transaction| {
            Box::pin(async move {
                if *place == Where::Everywhere {
                    keep_an_owner(transaction, by, person, None).await?;
                }
                let delete = "DELETE FROM roles WHERE person = $1 AND account = $2";
                let removed = transaction.execute(delete, values![person, place.text()]).await? > 0;
                if removed {
                    let detail = by.detail(json!({ "account": place.text() }));
                    note(transaction, &by.by, "role.remove", person, detail, *now).await?;
                }
                Ok(removed)
            })
        })
        .await
    }

    /// Sets what an account demands. Nobody is told.
    pub async fn set_policy(
        &self,
        by: impl Into<Because>,
        place: Where,
        demands: Demands,
        now: Timestamp,
    ) -> Result<()> {
        self.set_policy_and_tell(by, place, demands, Told::nobody(), now).await
    }

    /// Sets what an account demands, and tells whom it concerns.
    pub async fn set_policy_and_tell(
        &self,
        by: impl Into<Because>,
        place: Where,
        demands: Demands,
        told: Told,
        now: Timestamp,
    ) -> Result<()> {
        self.write((by.into(), place, demands, told, now), |(by, place, demands, told, now), transaction| {
            Box::pin(async move {
                let upsert = "INSERT INTO policies (account, policy, strong, set_at) VALUES ($1, $2, $3, $4) \
                              ON CONFLICT (account) DO UPDATE SET policy = excluded.policy, \
                              strong = excluded.strong, set_at = excluded.set_at";
                let (word, strong) = (demands.policy.word(), demands.strength.number());
                transaction.execute(upsert, values![place.text(), word, strong, *now]).await?;
                // What was trusted under another policy is asked again.
                super::devices::end_all_of_account(transaction, *place, "the policy was changed", *now)
                    .await?;
                let audit = NewAudit::new("policy.set", format!("policy {}", place.text()))
                    .with(by.detail(json!({ "policy": word, "factors": demands.strength.word() })));
                audit::append(transaction, &by.by, &audit, *now).await?;
                told.write(transaction, &[], *now).await
            })
        })
        .await
    }

    /// What accounts demand, where it was set.
    pub async fn policies(&self) -> Result<Vec<AccountPolicy>> {
        let rows = self.fetch("SELECT * FROM policies ORDER BY account", values![]).await?;
        rows.iter().map(read_policy).collect()
    }
}

/// How surely an owner comes to what is everybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Comes {
    /// They were only invited, or have nothing that is taken there.
    Never,
    /// By saved codes, which run out.
    WhileCodesLast,
    /// By a factor that is taken.
    Always,
}

/// Refuses what would leave nobody who may do everything: whoever is locked out may nothing, whoever was only invited may never
/// come, and whoever has no factor that is taken is not let in, so that one who signs in stays until another does. `then` is what
/// this person would have everywhere.
pub(super) async fn keep_an_owner(
    transaction: &mut Transaction,
    by: &Because,
    person: &str,
    then: Option<Grant>,
) -> Result<()> {
    if then.is_some_and(|then| then.place != Where::Everywhere || then.role == Role::Owner) {
        return Ok(());
    }
    // Of two who take the last right from each other at once, one waits here for the other.
    let lock = "UPDATE roles SET role = role WHERE account = '*' AND role = 'owner'";
    transaction.execute(lock, values![]).await?;
    let set = transaction.find("SELECT * FROM policies WHERE account = '*'", values![]).await?;
    let set = set.as_ref().map(read_policy).transpose()?.map_or(Strength::Any, |set| set.demands.strength);
    let taken = set.max(by.minimum);
    let owners = concat!(
        "SELECT r.person, f.kind FROM roles r JOIN persons p ON p.id = r.person LEFT JOIN factors f \
         ON f.person = p.id AND p.password IS NOT NULL AND ",
        counts!(),
        " WHERE r.account = '*' AND r.role = 'owner' AND (p.locked_at IS NULL OR p.id = $3)"
    );
    let owners = transaction.fetch(owners, values![MOST, MOST_TOTP, person]).await?;
    let (mut own, mut others) = (None, None);
    for owner in owners {
        let comes = match owner.maybe_text("kind")?.as_deref().map(kind_of).transpose()? {
            Some(Kind::RecoveryCode) if taken.takes(Kind::RecoveryCode) => Comes::WhileCodesLast,
            Some(kind) if taken.takes(kind) => Comes::Always,
            _ => Comes::Never,
        };
        let so_far = if owner.text("person")? == person { &mut own } else { &mut others };
        *so_far = (*so_far).max(Some(comes));
    }
    // Whoever never signed in themselves gives way to anybody: a mistyped invitation must not stay for ever.
    if own > others {
        return Err(Error::conflict("the last owner of everything stays one; whether there is another"));
    }
    Ok(())
}

pub(super) async fn set(
    transaction: &mut Transaction,
    by: &Because,
    person: &str,
    grant: &Grant,
    now: Timestamp,
) -> Result<()> {
    let upsert = "INSERT INTO roles (person, account, role) VALUES ($1, $2, $3) \
                  ON CONFLICT (person, account) DO UPDATE SET role = excluded.role";
    transaction.execute(upsert, values![person, grant.place.text(), grant.role.word()]).await?;
    let detail = by.detail(json!({ "account": grant.place.text(), "role": grant.role.word() }));
    note(transaction, &by.by, "role.set", person, detail, now).await
}

pub(super) fn read(row: &Row) -> Result<Grant> {
    let (place, role) = (row.text("account")?, row.text("role")?);
    let corrupt = |text: &str| Error::corrupt("roles", format!("`{text}` is not known"));
    Ok(Grant {
        place: Where::from_text(&place).ok_or_else(|| corrupt(&place))?,
        role: Role::from_word(&role).ok_or_else(|| corrupt(&role))?,
    })
}

fn read_policy(row: &Row) -> Result<AccountPolicy> {
    let (place, policy) = (row.text("account")?, row.text("policy")?);
    let corrupt = |text: &str| Error::corrupt("policies", format!("`{text}` is not known"));
    let demands = Demands {
        policy: Policy::from_word(&policy).ok_or_else(|| corrupt(&policy))?,
        strength: Strength::from_number(row.int("strong")?)
            .ok_or_else(|| Error::corrupt("policies", "its strength is not known"))?,
    };
    Ok(AccountPolicy {
        place: Where::from_text(&place).ok_or_else(|| corrupt(&place))?,
        // An earlier version could set a strength where nothing is asked for, and lock out whoever has a short password.
        demands: if demands.is_contradictory() {
            Demands { strength: Strength::Any, ..demands }
        } else {
            demands
        },
        set_at: row.time("set_at")?,
    })
}
