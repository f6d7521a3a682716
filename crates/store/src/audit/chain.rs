//! The chain: what a row's hash covers, and how its end is signed.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::Stored;
use crate::error::Error;
use crate::open::{insert_secret, read_secret};
use crate::seal::{Keyring, Place};
use crate::sql::{Pool, Row, Transaction, values};
use crate::{Result, hex};

/// What the first row of all is chained to.
pub(super) const BEGINNING: [u8; 32] = [0; 32];

const SIGNING_KEY: Place<'_> = Place { table: "secrets", column: "value", row: "audit-signing-key" };

/// The end of the chain as it once was, signed. Kept elsewhere, it proves that nothing before it has changed since.
///
/// As a line it is `seq audit-id hash signed-at signature public-key`, with bytes as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The place in the chain, from 1, without gaps.
    pub seq: i64,
    /// The id of the audit row there.
    pub audit_id: i64,
    /// SHA-256 over that row and the hash before it.
    pub hash: Vec<u8>,
    /// When it was signed, by the clock of the node.
    pub signed_at: Timestamp,
    /// Ed25519, over all of the above.
    pub signature: Vec<u8>,
    /// The key that it verifies with; the private one is sealed in the store.
    pub public_key: Vec<u8>,
}

impl Head {
    /// The head as one line, for a file, syslog or a webhook.
    pub fn to_line(&self) -> String {
        format!(
            "{} {} {} {} {} {}",
            self.seq,
            self.audit_id,
            hex::write(&self.hash),
            self.signed_at,
            hex::write(&self.signature),
            hex::write(&self.public_key)
        )
    }

    /// Reads a line; `None` if it is none.
    pub fn parse_line(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let head = Self {
            seq: words.next()?.parse().ok()?,
            audit_id: words.next()?.parse().ok()?,
            hash: hex::parse(words.next()?)?,
            signed_at: words.next()?.parse().ok()?,
            signature: hex::parse(words.next()?)?,
            public_key: hex::parse(words.next()?)?,
        };
        words.next().is_none().then_some(head)
    }

    /// Whether it was signed with the private half of this key.
    pub fn is_signed_by(&self, public_key: &[u8]) -> bool {
        let text = signed_text(HEAD, self.seq, self.audit_id, &self.hash, self.signed_at.as_microsecond());
        is_signed(&text, public_key, &self.signature)
    }
}

/// What a signature is for: one for a head is none for a checkpoint.
pub(super) const HEAD: &str = "ringfence audit head 1";
pub(super) const CHECKPOINT: &str = "ringfence audit checkpoint 1";

/// A place in the chain that somebody signed: of `audit_heads` or of `audit_checkpoint`.
pub(super) struct Signed {
    pub(super) seq: i64,
    pub(super) audit_id: i64,
    pub(super) hash: Vec<u8>,
    pub(super) at_micros: i64,
    pub(super) signature: Vec<u8>,
}

impl Signed {
    pub(super) fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            seq: row.int("seq")?,
            audit_id: row.int("audit_id")?,
            hash: row.bytes("hash")?,
            at_micros: row.int("signed_at")?,
            signature: row.bytes("signature")?,
        })
    }

    pub(super) fn is_good(&self, purpose: &str, public_key: &[u8]) -> bool {
        let text = signed_text(purpose, self.seq, self.audit_id, &self.hash, self.at_micros);
        is_signed(&text, public_key, &self.signature)
    }
}

/// The key that signs. It is made with the database and stays through every rotation of the master key, which only
/// seals it anew.
pub(super) struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    fn open(keys: &Keyring, sealed: &[u8]) -> Result<Self> {
        let seed = keys.open(SIGNING_KEY, sealed)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_| Error::corrupt(SIGNING_KEY.to_string(), "it is no seed of Ed25519"))?;
        Ok(Self(pair))
    }

    pub(super) async fn of(transaction: &mut Transaction) -> Result<Self> {
        let sealed = read_secret(transaction, SIGNING_KEY.row).await?.ok_or_else(missing)?;
        Self::open(&transaction.keys, &sealed)
    }

    pub(super) async fn of_pool(pool: &Pool, keys: &Keyring) -> Result<Self> {
        let sql = "SELECT value FROM secrets WHERE name = $1";
        let row = pool.find(sql, values![SIGNING_KEY.row]).await?.ok_or_else(missing)?;
        Self::open(keys, &row.bytes("value")?)
    }

    pub(super) fn public(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    pub(super) fn sign(&self, purpose: &str, seq: i64, audit_id: i64, hash: &[u8], at: Timestamp) -> Vec<u8> {
        let text = signed_text(purpose, seq, audit_id, hash, at.as_microsecond());
        self.0.sign(&text).as_ref().to_vec()
    }
}

/// Makes the signing key of a new database.
pub(crate) async fn make_signing_key(transaction: &mut Transaction) -> Result<()> {
    if read_secret(transaction, SIGNING_KEY.row).await?.is_some() {
        return Ok(());
    }
    let seed = Zeroizing::new(crate::random::<32>());
    let sealed = transaction.keys.seal(SIGNING_KEY, seed.as_slice());
    insert_secret(transaction, SIGNING_KEY.row, sealed).await
}

/// The hash of a row: everything in it, and the hash of the row before. Each part has its length before it, so that
/// nothing can be moved from one part to the next.
pub(super) fn hash(before: &[u8], row: &Stored) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    part(b"ringfence audit row 1");
    part(before);
    part(&row.id.to_be_bytes());
    part(&row.at_micros.to_be_bytes());
    for text in [&row.actor_kind, &row.actor_name, &row.action, &row.target, &row.detail] {
        part(text.as_bytes());
    }
    for optional in [row.person.as_ref().map(String::as_bytes), row.personal.as_deref()] {
        part(&[u8::from(optional.is_some())]);
        part(optional.unwrap_or_default());
    }
    context.finish().as_ref().to_vec()
}

/// Moves the beginning of the chain to this place. Older rows may be deleted then.
pub(crate) async fn rewrite_checkpoint(
    transaction: &mut Transaction,
    seq: i64,
    audit_id: i64,
    hash: &[u8],
    now: Timestamp,
) -> Result<()> {
    let signature = SigningKey::of(transaction).await?.sign(CHECKPOINT, seq, audit_id, hash, now);
    let upsert = "INSERT INTO audit_checkpoint (one, seq, audit_id, hash, signed_at, signature) \
                  VALUES (1, $1, $2, $3, $4, $5) ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, \
                  audit_id = excluded.audit_id, hash = excluded.hash, signed_at = excluded.signed_at, \
                  signature = excluded.signature";
    transaction.execute(upsert, values![seq, audit_id, hash, now, signature]).await?;
    Ok(())
}

fn signed_text(purpose: &str, seq: i64, audit_id: i64, hash: &[u8], at_micros: i64) -> Vec<u8> {
    let mut text = purpose.as_bytes().to_vec();
    text.push(0);
    for number in [seq, audit_id, at_micros] {
        text.extend_from_slice(&number.to_be_bytes());
    }
    text.extend_from_slice(hash);
    text
}

fn is_signed(text: &[u8], public_key: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(text, signature).is_ok()
}

fn missing() -> Error {
    Error::corrupt(SIGNING_KEY.to_string(), "it is missing")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row() -> impl Strategy<Value = Stored> {
        let texts = proptest::collection::vec("[ab]{0,3}", 5);
        let person = proptest::option::of("[ab]{0,2}");
        let personal = proptest::option::of(proptest::collection::vec(0..2_u8, 0..3));
        (0..3_i64, 0..3_i64, texts, person, personal).prop_map(
            |(id, at_micros, mut texts, person, personal)| {
                let mut next = || texts.pop().unwrap_or_default();
                let (actor_kind, actor_name, action) = (next(), next(), next());
                Stored {
                    id,
                    at_micros,
                    actor_kind,
                    actor_name,
                    action,
                    target: next(),
                    detail: next(),
                    person,
                    personal,
                }
            },
        )
    }

    fn parts(row: &Stored) -> impl PartialEq + use<'_> {
        let texts = [&row.actor_kind, &row.actor_name, &row.action, &row.target, &row.detail];
        (row.id, row.at_micros, texts, &row.person, &row.personal)
    }

    proptest! {
        #[test]
        fn rows_that_differ_anywhere_have_other_hashes(one in row(), other in row(), before in any::<[u8; 4]>()) {
            prop_assert_eq!(parts(&one) == parts(&other), hash(&before, &one) == hash(&before, &other));
        }

        #[test]
        fn the_row_before_counts(one in row(), before in any::<[u8; 4]>(), other in any::<[u8; 4]>()) {
            prop_assert_eq!(before == other, hash(&before, &one) == hash(&other, &one));
        }

        #[test]
        fn a_line_that_is_no_head_is_refused_without_a_panic(line in ".{0,200}") {
            prop_assert_eq!(Head::parse_line(&line), None);
        }
    }
}
