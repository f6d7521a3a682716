//! The keys of the second factor: what codes are derived with, and what numbers are counted under.
//!
//! They are made when they are first needed, sealed with the master key like every secret here, and never change: a code
//! that is on its way must still be right when it is entered, and a failure must be found under the tag that it had.

use std::fmt;
use std::sync::Arc;

use ringfence_model::PhoneNumber;
use ringfence_second_factor::code::CodeKey;
use ringfence_second_factor::tag::TagKey;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::seal::{Keyring, Place};
use crate::sql::{Row, values};
use crate::{Result, Store};

const CODE_KEY: &str = "second-factor-code";
const TAG_KEY: &str = "second-factor-tag";

/// The keys of the second factor.
pub struct FactorKeys {
    /// What codes are derived with.
    pub code: CodeKey,
    /// What numbers, addresses and users are counted under.
    pub tags: TagKey,
}

impl FactorKeys {
    /// What a number is counted and found under.
    pub fn number(&self, number: PhoneNumber) -> String {
        self.tags.tag("number", &number.to_string())
    }
}

impl fmt::Debug for FactorKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FactorKeys(…)")
    }
}

impl Store {
    /// The keys of the second factor, which the first call ever makes.
    pub async fn factor_keys(&self) -> Result<Arc<FactorKeys>> {
        self.factor_keys.get_or_try_init(|| self.load_factor_keys()).await.map(Arc::clone)
    }

    async fn load_factor_keys(&self) -> Result<Arc<FactorKeys>> {
        let select = "SELECT name, value FROM secrets WHERE name = $1 OR name = $2";
        let rows = self.fetch(select, values![CODE_KEY, TAG_KEY]).await?;
        if rows.len() == 2 {
            return read(&self.keys, &rows).map(Arc::new);
        }
        let keys = self
            .write((), |(), transaction| {
                Box::pin(async move {
                    for name in [CODE_KEY, TAG_KEY] {
                        let bytes = Zeroizing::new(crate::random::<32>());
                        let sealed = transaction.keys.seal(place(name), bytes.as_slice());
                        // Where two nodes do this at once, one waits for the other and both read the same keys below.
                        let insert =
                            "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                        transaction.execute(insert, values![name, sealed]).await?;
                    }
                    let select = "SELECT name, value FROM secrets WHERE name = $1 OR name = $2";
                    let rows = transaction.fetch(select, values![CODE_KEY, TAG_KEY]).await?;
                    read(&transaction.keys, &rows)
                })
            })
            .await?;
        Ok(Arc::new(keys))
    }
}

fn read(keys: &Keyring, rows: &[Row]) -> Result<FactorKeys> {
    let key = |wanted: &str| -> Result<[u8; 32]> {
        for row in rows {
            if row.text("name")? == wanted {
                let bytes = keys.open(place(wanted), &row.bytes("value")?)?;
                return bytes
                    .as_slice()
                    .try_into()
                    .map_err(|_| Error::corrupt(place(wanted).to_string(), "it is no key of 32 bytes"));
            }
        }
        Err(Error::corrupt(place(wanted).to_string(), "it is missing"))
    };
    Ok(FactorKeys { code: CodeKey::new(key(CODE_KEY)?), tags: TagKey::new(key(TAG_KEY)?) })
}

fn place(name: &str) -> Place<'_> {
    Place { table: "secrets", column: "value", row: name }
}
