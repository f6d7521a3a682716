//! Attempts that no factor counts: at passwords, by login and address.

use jiff::Timestamp;
use ringfence_second_factor::failures::{Barred, Rule};

use crate::{Result, Store, failures};

impl Store {
    /// What attempts of a kind at these things together are counted under. It shows neither of them.
    pub async fn subject(&self, kind: &str, parts: &[&str]) -> Result<String> {
        // No part has a line break in it that somebody could shift: they come from one line each.
        Ok(format!("{kind}/{}", self.factor_keys().await?.tags.tag(kind, &parts.join("\n"))))
    }

    /// Counts an attempt before it is looked at. Whoever succeeds [has it forgotten](Store::forget_failures).
    pub async fn count_attempt(
        &self,
        subject: &str,
        rule: Rule,
        now: Timestamp,
    ) -> Result<std::result::Result<(), Barred>> {
        self.write((subject.to_owned(), rule, now), |(subject, rule, now), transaction| {
            Box::pin(async move { Ok(failures::count(transaction, subject, *rule, *now).await?.map(drop)) })
        })
        .await
    }

    /// An attempt that was counted turned out right; those before it stay counted.
    pub async fn take_back_attempt(&self, subject: &str) -> Result<()> {
        self.write(subject.to_owned(), |subject, transaction| {
            Box::pin(failures::take_back(transaction, subject))
        })
        .await
    }

    /// A success: there are no failures in a row any more.
    pub async fn forget_failures(&self, subject: &str) -> Result<()> {
        self.write(subject.to_owned(), |subject, transaction| {
            Box::pin(failures::forget(transaction, subject))
        })
        .await
    }
}
