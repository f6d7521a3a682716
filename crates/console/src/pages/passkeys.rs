//! Passkeys as pages list them: of whoever looks, and of somebody whom an owner looks at.

use ringfence_store::{FactorSecret, Person};

use crate::failed::Failed;
use crate::routes::Call;
use crate::words;

/// A passkey in a list.
#[derive(Debug)]
pub(super) struct ListedPasskey {
    /// What its owner calls it.
    pub(super) name: String,
    /// Whether it is on one device or on several.
    pub(super) kept: &'static str,
    pub(super) made: String,
    pub(super) used: String,
    /// It was wrong too often, and counts no more.
    pub(super) is_worn_out: bool,
    /// Where it is taken away.
    pub(super) remove: String,
}

/// The passkey that a form or a link means.
#[derive(Debug)]
pub(super) struct PasskeyMeant {
    /// The id of its factor.
    pub(super) factor: String,
    pub(super) name: String,
}

/// The passkeys of a person, the oldest first, which the form at `remove` takes away.
pub(super) async fn passkeys(
    call: &Call<'_>,
    person: &Person,
    remove: &str,
) -> Result<Vec<ListedPasskey>, Failed> {
    let store = call.engine.store();
    let stored = store.passkeys(&person.id).await?;
    let factors = store.factors(&person.id).await?;
    let listed = factors.into_iter().filter_map(|factor| {
        let FactorSecret::Passkey(name) = factor.secret else { return None };
        let passkey = &stored.iter().find(|stored| stored.factor == factor.id)?.passkey;
        Some(ListedPasskey {
            name,
            kept: match (passkey.backup_eligible, passkey.backed_up) {
                (false, _) => "on one device",
                (true, false) => "on one device so far",
                (true, true) => "on all devices of one account",
            },
            made: words::when(&factor.created_at),
            used: factor.used_at.map_or_else(|| "never".to_owned(), |at| words::ago(&at, &call.now)),
            is_worn_out: factor.is_worn_out,
            remove: format!("{remove}?passkey={}", words::query_value(&factor.id)),
        })
    });
    Ok(listed.collect())
}

/// The passkey of this person that a form or a link means. Somebody else's is not there.
pub(super) async fn passkey_meant(call: &Call<'_>, person: &Person) -> Result<PasskeyMeant, Failed> {
    let meant = call.form.filled("passkey").or_else(|| call.query.filled("passkey"));
    let factors = call.engine.store().factors(&person.id).await?;
    let found = factors.into_iter().find_map(|factor| match factor.secret {
        FactorSecret::Passkey(name) if Some(factor.id.as_str()) == meant => {
            Some(PasskeyMeant { factor: factor.id, name })
        }
        _ => None,
    });
    found.ok_or(Failed::NotFound)
}
