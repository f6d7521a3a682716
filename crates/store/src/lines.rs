//! What kind of line a number leads to, as Lookup said: asked for once in a while, since each question costs something.

use jiff::Timestamp;
use ringfence_model::PhoneNumber;

use crate::sql::values;
use crate::{Result, Store};

impl Store {
    /// What Lookup said of a number after this time, in its word.
    pub async fn line_type(&self, number: PhoneNumber, since: Timestamp) -> Result<Option<String>> {
        let tag = self.factor_keys().await?.number(number);
        let select = "SELECT line FROM line_types WHERE number_tag = $1 AND looked_at > $2";
        self.find(select, values![tag, since]).await?.map(|row| row.text("line")).transpose()
    }

    /// Keeps what Lookup said of a number.
    pub async fn keep_line_type(&self, number: PhoneNumber, line: &str, now: Timestamp) -> Result<()> {
        let data = (self.factor_keys().await?.number(number), line.to_owned(), now);
        self.write(data, |(tag, line, now), transaction| {
            Box::pin(async move {
                let upsert = "INSERT INTO line_types (number_tag, line, looked_at) VALUES ($1, $2, $3) \
                              ON CONFLICT (number_tag) DO UPDATE SET line = excluded.line, \
                              looked_at = excluded.looked_at";
                transaction.execute(upsert, values![tag, line, *now]).await?;
                Ok(())
            })
        })
        .await
    }
}
