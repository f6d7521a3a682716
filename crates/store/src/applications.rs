//! Applications that the second factor is a service for.
//!
//! What an application's settings are is for whoever reads them; here they are JSON. One that was removed keeps its row,
//! so that its SID names nothing else ever again.

use jiff::Timestamp;
use ringfence_model::{Actor, Sid};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::retention::Forget;
use crate::sql::{Row, values};
use crate::{Result, Store, users};

/// An application.
#[derive(Debug, Clone, PartialEq)]
pub struct Application {
    /// `VA…`.
    pub sid: Sid,
    /// What its users know it by.
    pub name: String,
    /// How its codes look and what they demand.
    pub settings: serde_json::Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Store {
    /// Makes an application.
    pub async fn add_application(
        &self,
        by: &Actor,
        name: &str,
        settings: serde_json::Value,
        now: Timestamp,
    ) -> Result<Application> {
        let sid = Sid::new(*b"VA", u128::from_be_bytes(crate::random()));
        self.write(
            (by.clone(), sid, name.to_owned(), settings, now),
            |(by, sid, name, settings, now), transaction| {
                Box::pin(async move {
                    let insert = "INSERT INTO applications (sid, name, settings, created_at, updated_at) \
                              VALUES ($1, $2, $3, $4, $4) RETURNING *";
                    let row =
                        transaction.find(insert, values![*sid, name, settings.to_string(), *now]).await?;
                    let made = read(
                        &row.ok_or_else(|| Error::corrupt("applications", "an insert gave back no row"))?,
                    )?;
                    let audit = NewAudit::new("application.add", format!("application {sid}"))
                        .with(json!({ "name": name, "settings": settings }));
                    audit::append(transaction, by, &audit, *now).await?;
                    Ok(made)
                })
            },
        )
        .await
    }

    /// Changes an application's name and settings. [`Missing`](Error::Missing) where there is none.
    pub async fn change_application(
        &self,
        by: &Actor,
        sid: Sid,
        name: &str,
        settings: serde_json::Value,
        now: Timestamp,
    ) -> Result<Application> {
        self.write(
            (by.clone(), sid, name.to_owned(), settings, now),
            |(by, sid, name, settings, now), transaction| {
                Box::pin(async move {
                    let update = "UPDATE applications SET name = $2, settings = $3, updated_at = $4 \
                              WHERE sid = $1 AND removed_at IS NULL RETURNING *";
                    let row =
                        transaction.find(update, values![*sid, name, settings.to_string(), *now]).await?;
                    let changed = read(&row.ok_or_else(|| Error::missing(format!("application {sid}")))?)?;
                    let audit = NewAudit::new("application.change", format!("application {sid}"))
                        .with(json!({ "name": name, "settings": settings }));
                    audit::append(transaction, by, &audit, *now).await?;
                    Ok(changed)
                })
            },
        )
        .await
    }

    /// Removes an application; its credentials are revoked with it, and then its users are erased, some at a time, so that
    /// other writes come in between. Where that is broken off, [`Forget::Users`](crate::Forget::Users) goes on with it.
    /// [`Missing`](Error::Missing) where there is none.
    pub async fn remove_application(&self, by: &Actor, sid: Sid, now: Timestamp) -> Result<()> {
        self.write((by.clone(), sid, now), |(by, sid, now), transaction| {
            Box::pin(async move {
                let update = "UPDATE applications SET removed_at = $2 WHERE sid = $1 AND removed_at IS NULL";
                if transaction.execute(update, values![*sid, *now]).await? == 0 {
                    return Err(Error::missing(format!("application {sid}")));
                }
                let revoke =
                    "UPDATE credentials SET revoked_at = $2 WHERE application = $1 AND revoked_at IS NULL";
                let revoked = transaction.execute(revoke, values![*sid, *now]).await?;
                let audit = NewAudit::new("application.remove", format!("application {sid}"))
                    .with(json!({ "credentials": revoked }));
                audit::append(transaction, by, &audit, *now).await?;
                Ok(())
            })
        })
        .await?;
        let mut users = 0;
        loop {
            let at_once = Forget::Users.at_once();
            let erased = self.write(at_once, |at_once, transaction| {
                Box::pin(async move { users::erase_of_removed(transaction, *at_once).await })
            });
            let erased = erased.await?;
            users += erased;
            if erased < at_once as u64 {
                break;
            }
        }
        let audit =
            NewAudit::new("application.erase", format!("application {sid}")).with(json!({ "users": users }));
        self.write((by.clone(), audit, now), |(by, audit, now), transaction| {
            Box::pin(async move { audit::append(transaction, by, audit, *now).await.map(drop) })
        })
        .await
    }

    /// All applications, the newest first.
    pub async fn applications(&self) -> Result<Vec<Application>> {
        let select = "SELECT * FROM applications WHERE removed_at IS NULL ORDER BY created_at DESC, sid";
        self.fetch(select, values![]).await?.iter().map(read).collect()
    }

    /// One application.
    pub async fn find_application(&self, sid: Sid) -> Result<Option<Application>> {
        let select = "SELECT * FROM applications WHERE sid = $1 AND removed_at IS NULL";
        self.find(select, values![sid]).await?.map(|row| read(&row)).transpose()
    }
}

fn read(row: &Row) -> Result<Application> {
    Ok(Application {
        sid: row.sid("sid")?,
        name: row.text("name")?,
        settings: row.json("settings")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
