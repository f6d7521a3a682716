//! Passkeys of people, and what browsers were asked to sign.
//!
//! A passkey is a factor and a row beside it. A challenge belongs to one session and one purpose, and is gone in the
//! transaction that looks at the answer, right or wrong: of many answers at once one is looked at. The counter moves in
//! that transaction too. Wrong answers are counted nowhere: a signature is not guessed, and whoever has the password alone would wear
//! out the passkeys of their owner by that.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Actor;
use ringfence_second_factor::passkey::{
    Assertion, Challenge, Passkey, Refusal, Registration, RelyingParty, authenticate, register,
};
use serde_json::json;

use super::factors::{self, FactorSecret, NewFactor};
use super::{Because, Session, Told, find, lock, lock_in, note};
use crate::error::Error;
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store, hex};

/// How authenticators are reached (`WebAuthn`, 5.8.4): other words are not kept.
const TRANSPORTS: [&str; 6] = ["usb", "nfc", "ble", "smart-card", "hybrid", "internal"];

/// What a challenge is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyPurpose {
    /// To make a passkey.
    Bind,
    /// To show one, at sign-in or when asked again.
    Show,
}

impl PasskeyPurpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Show => "show",
        }
    }
}

/// A passkey to add, as the browser answered.
#[derive(Debug, Clone)]
pub struct NewPasskey {
    /// What its owner calls it.
    pub name: String,
    /// How the browser says that it is reached.
    pub transports: Vec<String>,
    /// `response.clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `response.attestationObject`.
    pub attestation: Vec<u8>,
}

/// What a browser answers with a passkey.
#[derive(Debug, Clone)]
pub struct ShownPasskey {
    /// `rawId`.
    pub credential: Vec<u8>,
    /// `response.clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `response.authenticatorData`.
    pub authenticator_data: Vec<u8>,
    /// `response.signature`.
    pub signature: Vec<u8>,
    /// `response.userHandle`, where there is one.
    pub user_handle: Option<Vec<u8>>,
}

/// A passkey as it is stored; its name and times are its factor's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPasskey {
    /// The id of the factor.
    pub factor: String,
    /// The passkey.
    pub passkey: Passkey,
    /// How it is reached.
    pub transports: Vec<String>,
}

impl Store {
    /// Makes a challenge in the place of the one that this session had for the same purpose.
    pub async fn begin_passkey(
        &self,
        session: &str,
        person: &str,
        purpose: PasskeyPurpose,
        good_for: SignedDuration,
        now: Timestamp,
    ) -> Result<Challenge> {
        let challenge = Challenge::new(crate::random());
        let data = (session.to_owned(), person.to_owned(), purpose, challenge.clone(), good_for, now);
        self.write(data, |(session, person, purpose, challenge, good_for, now), transaction| {
            Box::pin(async move {
                find(transaction, person).await?;
                let insert = "INSERT INTO passkey_challenges (session, purpose, person, challenge, expires_at) \
                              VALUES ($1, $2, $3, $4, $5) ON CONFLICT (session, purpose) DO UPDATE \
                              SET person = $3, challenge = $4, expires_at = $5";
                let expires_at = now.saturating_add(*good_for).unwrap_or(Timestamp::MAX);
                let bytes = challenge.bytes().to_vec();
                let bound = values![session.as_str(), purpose.word(), person.as_str(), bytes, expires_at];
                transaction.execute(insert, bound).await?;
                Ok(())
            })
        })
        .await?;
        Ok(challenge)
    }

    /// Binds the passkey that the browser made for this session's challenge; says the id of the factor. Whoever is told is told
    /// in the same transaction, and only where it was bound. [`Missing`](Error::Missing) where the session is over.
    pub async fn add_passkey(
        &self,
        session: &Session,
        party: &RelyingParty,
        new: NewPasskey,
        told: Told,
        now: Timestamp,
    ) -> Result<Result<String, Refusal>> {
        let id = format!("fa_{}", hex::write(&crate::random::<8>()));
        let data = (id, session.clone(), party.clone(), new, told, now);
        self.write(data, |(id, session, party, new, told, now), transaction| {
            Box::pin(async move {
                let person = &session.person.id;
                lock_in(transaction, person, Some(&session.id)).await?;
                let taken = take(transaction, &session.id, person, PasskeyPurpose::Bind, *now).await?;
                let Some(challenge) = taken else { return Ok(Err(Refusal::Challenge)) };
                let answer = Registration { client_data: &new.client_data, attestation: &new.attestation };
                let passkey = match register(party, &challenge, &answer) {
                    Ok(passkey) => passkey,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                // Nobody else has the credential, this person included (`WebAuthn`, 7.1).
                let insert = "INSERT INTO passkeys (credential, factor, person, key, counter, backup_eligible, \
                              backed_up, transports) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                              ON CONFLICT (credential) DO NOTHING";
                let bound = values![
                    passkey.credential,
                    id.as_str(),
                    person.as_str(),
                    passkey.key,
                    i64::from(passkey.counter),
                    i64::from(passkey.backup_eligible),
                    i64::from(passkey.backed_up),
                    known(&new.transports)
                ];
                if transaction.execute(insert, bound).await? == 0 {
                    return Ok(Err(Refusal::Registered));
                }
                let factor = NewFactor { secret: FactorSecret::Passkey(new.name.clone()), verified: true };
                factors::add(transaction, &Because::from(session), id, person, &factor, *now).await?;
                told.write(transaction, &[], *now).await?;
                Ok(Ok(id.clone()))
            })
        })
        .await
    }

    /// Whether this is an answer to this session's challenge, of a passkey of this person. Whoever is told of a copy of a passkey is
    /// told in the same transaction.
    #[expect(
        clippy::too_many_arguments,
        reason = "who, where, what, and who hears of it: no two belong together"
    )]
    pub async fn check_passkey(
        &self,
        by: &Actor,
        session: &str,
        person: &str,
        party: &RelyingParty,
        shown: ShownPasskey,
        of_a_copy: Told,
        now: Timestamp,
    ) -> Result<Result<(), Refusal>> {
        let data = (by.clone(), session.to_owned(), person.to_owned(), party.clone(), shown, of_a_copy, now);
        self.write(data, |(by, session, person, party, shown, of_a_copy, now), transaction| {
            Box::pin(async move {
                // Nobody moves the counter meanwhile.
                lock(transaction, person).await?;
                let taken = take(transaction, session, person, PasskeyPurpose::Show, *now).await?;
                let Some(challenge) = taken else { return Ok(Err(Refusal::Challenge)) };
                let select = "SELECT * FROM passkeys WHERE credential = $1 AND person = $2";
                let row =
                    transaction.find(select, values![shown.credential.clone(), person.as_str()]).await?;
                // Another's passkey is as unknown as none.
                let Some(row) = row else { return Ok(Err(Refusal::Credential)) };
                let StoredPasskey { factor, passkey, .. } = read(&row)?;
                let answer = Assertion {
                    credential: &shown.credential,
                    client_data: &shown.client_data,
                    authenticator_data: &shown.authenticator_data,
                    signature: &shown.signature,
                    user_handle: shown.user_handle.as_deref(),
                };
                let authenticated = authenticate(party, &challenge, person.as_bytes(), &passkey, &answer);
                let used = match authenticated {
                    Ok(used) => used,
                    Err(refusal) => {
                        if refusal == Refusal::Cloned {
                            let detail = json!({ "factor": factor, "kind": "passkey" });
                            note(transaction, by, "factor.copied", person, detail, *now).await?;
                            of_a_copy.write(transaction, &[], *now).await?;
                        }
                        return Ok(Err(refusal));
                    }
                };
                let update = "UPDATE passkeys SET counter = $2, backed_up = $3 WHERE factor = $1";
                let bound = values![&factor, i64::from(used.counter), i64::from(used.backed_up)];
                transaction.execute(update, bound).await?;
                transaction
                    .execute("UPDATE factors SET used_at = $2 WHERE id = $1", values![&factor, *now])
                    .await?;
                let detail = json!({ "factor": factor, "kind": "passkey" });
                note(transaction, by, "factor.use", person, detail, *now).await?;
                Ok(Ok(()))
            })
        })
        .await
    }

    /// The passkeys of a person.
    pub async fn passkeys(&self, person: &str) -> Result<Vec<StoredPasskey>> {
        let sql = "SELECT * FROM passkeys WHERE person = $1 ORDER BY factor";
        self.fetch(sql, values![person]).await?.iter().map(read).collect()
    }
}

/// The challenge of a session, which is gone then.
async fn take(
    transaction: &mut Transaction,
    session: &str,
    person: &str,
    purpose: PasskeyPurpose,
    now: Timestamp,
) -> Result<Option<Challenge>> {
    let delete = "DELETE FROM passkey_challenges WHERE session = $1 AND purpose = $2 AND person = $3 \
                  RETURNING challenge, expires_at";
    let row = transaction.find(delete, values![session, purpose.word(), person]).await?;
    let Some(row) = row else { return Ok(None) };
    if row.time("expires_at")? <= now {
        return Ok(None);
    }
    let bytes: [u8; 32] = row
        .bytes("challenge")?
        .try_into()
        .map_err(|_| Error::corrupt("passkey_challenges", "a challenge has not 32 bytes"))?;
    Ok(Some(Challenge::new(bytes)))
}

/// Ends what the removed factors of a person were.
pub(super) async fn forget(transaction: &mut Transaction, person: &str, factor: Option<&str>) -> Result<()> {
    let delete = "DELETE FROM passkeys WHERE person = $1 AND ($2 = '' OR factor = $2)";
    transaction.execute(delete, values![person, factor.unwrap_or_default()]).await?;
    Ok(())
}

/// The words of these that are known.
pub(crate) fn known(transports: &[String]) -> String {
    let said = |word: &&str| transports.iter().any(|said| said == word);
    TRANSPORTS.into_iter().filter(said).collect::<Vec<_>>().join(" ")
}

fn read(row: &Row) -> Result<StoredPasskey> {
    Ok(StoredPasskey {
        passkey: read_passkey(row)?,
        transports: row.text("transports")?.split_whitespace().map(str::to_owned).collect(),
        factor: row.text("factor")?,
    })
}

/// A passkey out of a row, whoever's it is.
pub(crate) fn read_passkey(row: &Row) -> Result<Passkey> {
    let counter = u32::try_from(row.int("counter")?).map_err(|_| {
        let factor = row.text("factor").unwrap_or_default();
        Error::corrupt(format!("the counter of the passkey {factor}"), "it is no counter")
    })?;
    Ok(Passkey {
        credential: row.bytes("credential")?,
        key: row.bytes("key")?,
        counter,
        backup_eligible: row.int("backup_eligible")? != 0,
        backed_up: row.int("backed_up")? != 0,
    })
}
