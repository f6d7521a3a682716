//! Passkeys of users, and what their browsers were asked to sign.
//!
//! A passkey is a factor, whose sealed secret is its name, and a row beside it. A challenge is a user's, who makes one, or a
//! sign-in's, which waits for one; it is gone in the transaction that looks at the answer, right or wrong: of many answers at
//! once one is looked at. The counter moves in that transaction too.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Actor;
use ringfence_second_factor::passkey::{
    Assertion, Challenge, Descriptor, Refusal, Registration, RelyingParty, authenticate, register,
};
use ringfence_second_factor::policy::Kind;
use serde_json::json;

use super::{Locked, UserName, devices, factors, lock, note};
use crate::error::Error;
use crate::persons::{known_transports, read_passkey};
use crate::sql::{Row, Transaction, values};
use crate::{NewPasskey, Result, ShownPasskey, Store, hex};

/// A browser has so long to answer, as its options tell it.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(5);

/// Passkeys of one user: a phone, a computer, a key on the ring and one in the safe, for two of each.
const PASSKEYS_MAX: usize = 10;

/// What came of asking for a passkey to be made.
#[derive(Debug, Clone)]
pub enum PasskeyAsked {
    /// The browser is asked this.
    Options {
        /// What it must sign.
        challenge: Challenge,
        /// The user's id, which the authenticator keeps and which says nothing.
        user: String,
        /// The passkeys that the user has: no authenticator makes a second one.
        known: Vec<Descriptor>,
        /// Until when.
        expires_at: Timestamp,
    },
    /// The user has as many as one may have.
    Full,
}

/// What a browser is asked at a sign-in.
#[derive(Debug, Clone)]
pub struct PasskeyWanted {
    /// What it must sign.
    pub challenge: Challenge,
    /// One of these.
    pub known: Vec<Descriptor>,
    /// Until when.
    pub expires_at: Timestamp,
}

/// How far somebody got in showing a passkey.
pub(super) enum Looked {
    /// No challenge waits to be answered.
    NotAsked,
    /// It is not the answer.
    Refused(Refusal),
    /// It is.
    Right,
}

impl Store {
    /// Asks the browser of a user to make a passkey, in the place of what it was asked before.
    pub async fn ask_user_to_make_passkey(&self, user: &UserName, now: Timestamp) -> Result<PasskeyAsked> {
        let challenge = Challenge::new(crate::random());
        let data = (self.tagged(user).await?, challenge, now);
        self.write(data, |(tagged, challenge, now), transaction| {
            Box::pin(async move {
                let user = lock(transaction, tagged, *now).await?;
                let known = descriptors(transaction, &user.id).await?;
                if known.len() >= PASSKEYS_MAX {
                    return Ok(PasskeyAsked::Full);
                }
                let expires_at = wait_for(transaction, &user.id, &user.id, challenge, *now).await?;
                let challenge = challenge.clone();
                Ok(PasskeyAsked::Options { challenge, user: user.id, known, expires_at })
            })
        })
        .await
    }

    /// Adds the passkey that the browser made, which counts from now on, since it has just signed. Says the id of the factor.
    pub async fn add_user_passkey(
        &self,
        by: &Actor,
        user: &UserName,
        party: &RelyingParty,
        new: NewPasskey,
        now: Timestamp,
    ) -> Result<std::result::Result<String, Refusal>> {
        let id = format!("uf_{}", hex::write(&crate::random::<8>()));
        let data = (by.clone(), self.tagged(user).await?, id, party.clone(), new, now);
        self.write(data, |(by, tagged, id, party, new, now), transaction| {
            Box::pin(async move {
                let user = lock(transaction, tagged, *now).await?;
                let Some(challenge) = take(transaction, &user.id, *now).await? else {
                    return Ok(Err(Refusal::Challenge));
                };
                let answer = Registration { client_data: &new.client_data, attestation: &new.attestation };
                let passkey = match register(party, &challenge, &answer) {
                    Ok(passkey) => passkey,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                // No user of the application has the credential, this one included (`WebAuthn`, 7.1).
                let insert = "INSERT INTO user_passkeys (factor, user_id, application, credential, key, counter, \
                              backup_eligible, backed_up, transports) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                              ON CONFLICT (application, credential) DO NOTHING";
                let bound = values![
                    id.as_str(),
                    &user.id,
                    user.application,
                    passkey.credential,
                    passkey.key,
                    i64::from(passkey.counter),
                    i64::from(passkey.backup_eligible),
                    i64::from(passkey.backed_up),
                    known_transports(&new.transports)
                ];
                if transaction.execute(insert, bound).await? == 0 {
                    return Ok(Err(Refusal::Registered));
                }
                let name = transaction.keys.seal(factors::place(id), new.name.as_bytes());
                let insert = "INSERT INTO user_factors (id, user_id, kind, secret, created_at, confirmed_at) \
                              VALUES ($1, $2, $3, $4, $5, $5)";
                let bound = values![id.as_str(), &user.id, Kind::Passkey.word(), name, *now];
                transaction.execute(insert, bound).await?;
                let detail = json!({ "factor": id, "kind": Kind::Passkey.word() });
                note(transaction, by, "user.factor_add", &user, detail, *now).await?;
                Ok(Ok(id.clone()))
            })
        })
        .await
    }

    /// Takes a passkey of a user away. Says whether there was such a one.
    pub async fn remove_user_passkey(
        &self,
        by: &Actor,
        user: &UserName,
        id: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let data = (by.clone(), self.tagged(user).await?, id.to_owned(), now);
        self.write(data, |(by, tagged, id, now), transaction| {
            Box::pin(async move {
                let user = lock(transaction, tagged, *now).await?;
                let delete = "DELETE FROM user_passkeys WHERE factor = $1 AND user_id = $2";
                if transaction.execute(delete, values![id.as_str(), &user.id]).await? == 0 {
                    return Ok(false);
                }
                let delete = "DELETE FROM user_factors WHERE id = $1 AND user_id = $2";
                transaction.execute(delete, values![id.as_str(), &user.id]).await?;
                devices::end_by(transaction, by, &user, Kind::Passkey, *now).await?;
                let detail = json!({ "factor": id, "kind": Kind::Passkey.word() });
                note(transaction, by, "user.factor_remove", &user, detail, *now).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Asks the browser of a sign-in for one of the user's passkeys, in the place of what it was asked before. None where
    /// the user has no such sign-in.
    pub async fn ask_user_for_passkey(
        &self,
        user: &UserName,
        sign_in: &str,
        now: Timestamp,
    ) -> Result<Option<PasskeyWanted>> {
        let challenge = Challenge::new(crate::random());
        let data = (self.tagged(user).await?, sign_in.to_owned(), challenge, now);
        self.write(data, |(tagged, sign_in, challenge, now), transaction| {
            Box::pin(async move {
                let user = lock(transaction, tagged, *now).await?;
                let select = "SELECT id FROM user_sign_ins WHERE id = $1 AND user_id = $2";
                if transaction.find(select, values![sign_in.as_str(), &user.id]).await?.is_none() {
                    return Ok(None);
                }
                let known = descriptors(transaction, &user.id).await?;
                let expires_at = wait_for(transaction, sign_in, &user.id, challenge, *now).await?;
                Ok(Some(PasskeyWanted { challenge: challenge.clone(), known, expires_at }))
            })
        })
        .await
    }
}

/// Looks at what the browser answered at a sign-in. Wrong answers are not counted, as wrong codes are: nobody guesses a
/// signature, each question is looked at once, and pauses would lock out the owner alone.
pub(super) async fn look(
    transaction: &mut Transaction,
    by: &Actor,
    user: &Locked,
    sign_in: &str,
    party: &RelyingParty,
    shown: &ShownPasskey,
    now: Timestamp,
) -> Result<Looked> {
    let Some(challenge) = take(transaction, sign_in, now).await? else { return Ok(Looked::NotAsked) };
    let select = "SELECT * FROM user_passkeys WHERE user_id = $1 AND credential = $2";
    let row = transaction.find(select, values![&user.id, shown.credential.clone()]).await?;
    // Another user's passkey is as unknown as none.
    let Some(row) = row else { return Ok(Looked::Refused(Refusal::Credential)) };
    let (factor, passkey) = (row.text("factor")?, read_passkey(&row)?);
    let answer = Assertion {
        credential: &shown.credential,
        client_data: &shown.client_data,
        authenticator_data: &shown.authenticator_data,
        signature: &shown.signature,
        user_handle: shown.user_handle.as_deref(),
    };
    let used = match authenticate(party, &challenge, user.id.as_bytes(), &passkey, &answer) {
        Ok(used) => used,
        Err(refusal) => {
            if refusal == Refusal::Cloned {
                let detail = json!({ "factor": factor, "kind": Kind::Passkey.word() });
                note(transaction, by, "user.factor_copied", user, detail, now).await?;
            }
            return Ok(Looked::Refused(refusal));
        }
    };
    let update = "UPDATE user_passkeys SET counter = $2, backed_up = $3 WHERE factor = $1";
    let bound = values![&factor, i64::from(used.counter), i64::from(used.backed_up)];
    transaction.execute(update, bound).await?;
    transaction.execute("UPDATE user_factors SET used_at = $2 WHERE id = $1", values![&factor, now]).await?;
    Ok(Looked::Right)
}

async fn descriptors(transaction: &mut Transaction, user: &str) -> Result<Vec<Descriptor>> {
    let select = "SELECT * FROM user_passkeys WHERE user_id = $1 ORDER BY factor";
    let rows = transaction.fetch(select, values![user]).await?;
    let descriptor = |row: &Row| {
        let transports = row.text("transports")?.split_whitespace().map(str::to_owned).collect();
        Ok(Descriptor { credential: row.bytes("credential")?, transports })
    };
    rows.iter().map(descriptor).collect()
}

/// Writes a challenge down; says until when it is good.
async fn wait_for(
    transaction: &mut Transaction,
    subject: &str,
    user: &str,
    challenge: &Challenge,
    now: Timestamp,
) -> Result<Timestamp> {
    let expires_at = now.saturating_add(GOOD_FOR).unwrap_or(Timestamp::MAX);
    let insert = "INSERT INTO user_passkey_challenges (subject, user_id, challenge, expires_at) \
                  VALUES ($1, $2, $3, $4) ON CONFLICT (subject) DO UPDATE SET challenge = $3, expires_at = $4";
    let bound = values![subject, user, challenge.bytes().to_vec(), expires_at];
    transaction.execute(insert, bound).await?;
    Ok(expires_at)
}

/// The challenge of a user or a sign-in, which is gone then.
async fn take(transaction: &mut Transaction, subject: &str, now: Timestamp) -> Result<Option<Challenge>> {
    let delete = "DELETE FROM user_passkey_challenges WHERE subject = $1 RETURNING challenge, expires_at";
    let Some(row) = transaction.find(delete, values![subject]).await? else { return Ok(None) };
    if row.time("expires_at")? <= now {
        return Ok(None);
    }
    let bytes = row.bytes("challenge")?.try_into();
    let bytes =
        bytes.map_err(|_| Error::corrupt("user_passkey_challenges", "a challenge has not 32 bytes"))?;
    Ok(Some(Challenge::new(bytes)))
}
