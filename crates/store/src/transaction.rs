//! A transaction that writes.
//!
//! On SQLite a statement is given to a thread and its rows come back through a channel: what a small statement costs is this
//! way there and back. So statements whose rows nobody looks at [wait](Transaction::later) for the next one, the `BEGIN` among
//! them, and what is read at once ([`Transaction::fetch_each`]) goes in one piece. The commit takes along whatever still waits.
//! On PostgreSQL each statement is a message, and nothing waits.
//!
//! Its connection is [given back](Transaction::commit) after a commit, for the next one. After anything else nobody knows what
//! state it is in: it goes back to its pool, which looks at it, or is closed.

use std::future::poll_fn;
use std::sync::Arc;

use futures_core::stream::BoxStream;
use sqlx::pool::PoolConnection;
use sqlx::postgres::Postgres;
use sqlx::sqlite::Sqlite;
use sqlx::{AssertSqlSafe, Either, Executor as _};

use crate::error::Error;
use crate::seal::Keyring;
use crate::sql::{Pool, Row, Value, query};

/// A connection outside of a transaction.
pub(crate) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// A statement with what is bound to it.
pub(crate) type Statement = (&'static str, Vec<Value>);

/// With what a transaction of SQLite begins.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// A transaction, and the keys that its statements seal with.
pub(crate) struct Transaction {
    /// None once it has ended.
    connection: Option<Connection>,
    /// What is carried out before the next statement.
    waiting: Vec<Statement>,
    pub(crate) keys: Arc<Keyring>,
}

/// What came of one statement.
#[derive(Default)]
struct Done {
    rows: Vec<Row>,
    changed: u64,
}

impl Pool {
    /// Begins a transaction that writes. On SQLite it has the only write lock from its first statement on, so it cannot fail
    /// halfway because another one was quicker.
    pub(crate) async fn begin(&self, keys: &Arc<Keyring>) -> Result<Transaction, Error> {
        let connection = match self {
            Self::Sqlite(pool) => Connection::Sqlite(pool.acquire().await?),
            Self::Postgres(pool) => Connection::Postgres(pool.acquire().await?),
        };
        Transaction::begin(connection, keys).await
    }
}

impl Transaction {
    /// Begins one on this connection.
    pub(crate) async fn begin(connection: Connection, keys: &Arc<Keyring>) -> Result<Self, Error> {
        let is_sqlite = matches!(connection, Connection::Sqlite(_));
        let mut begun = Self { connection: Some(connection), waiting: Vec::new(), keys: Arc::clone(keys) };
        if is_sqlite {
            begun.waiting.push((BEGIN, Vec::new()));
        } else {
            begun.run("BEGIN".to_owned()).await?;
        }
        Ok(begun)
    }

    /// How many rows the statement changed.
    pub(crate) async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, Error> {
        let done = self.carry_out(vec![(sql, values)]).await?;
        Ok(done.into_iter().map(|done| done.changed).sum())
    }

    /// Has a statement carried out before the next one, or the commit. What is wrong with it is said there.
    pub(crate) async fn later(&mut self, sql: &'static str, values: Vec<Value>) -> Result<(), Error> {
        if self.is_sqlite() {
            self.waiting.push((sql, values));
            return Ok(());
        }
        self.execute(sql, values).await.map(drop)
    }

    /// The rows that the statement gives back.
    pub(crate) async fn fetch(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        let done = self.carry_out(vec![(sql, values)]).await?;
        Ok(done.into_iter().flat_map(|done| done.rows).collect())
    }

    /// The rows that each of these statements gives back, which are carried out in their order.
    pub(crate) async fn fetch_each(&mut self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, Error> {
        let done = self.carry_out(statements).await?;
        Ok(done.into_iter().map(|done| done.rows).collect())
    }

    /// The first row that the statement gives back. The statement runs to its end.
    pub(crate) async fn find(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self.fetch(sql, values).await?.into_iter().next())
    }

    /// Runs statements without values, several at once: migrations. The text is the program's own.
    pub(crate) async fn run(&mut self, sql: String) -> Result<(), Error> {
        self.carry_out(Vec::new()).await?;
        match self.connection()? {
            Connection::Sqlite(connection) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **connection).await?;
            }
            Connection::Postgres(connection) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **connection).await?;
            }
        }
        Ok(())
    }

    /// Begins the first savepoint.
    pub(crate) async fn save(&mut self) -> Result<(), Error> {
        self.later("SAVEPOINT one", Vec::new()).await
    }

    /// Keeps what was done since the savepoint, and begins the next one. An error is one of what still waited, or of the way.
    pub(crate) async fn save_again(&mut self) -> Result<(), Error> {
        if self.is_sqlite() {
            let release = ("RELEASE SAVEPOINT one", Vec::new());
            return self.carry_out(vec![release, ("SAVEPOINT one", Vec::new())]).await.map(drop);
        }
        // One message, not two: it is half of the way of a small write.
        self.run("RELEASE SAVEPOINT one; SAVEPOINT one".to_owned()).await
    }

    /// Takes back what was done since the savepoint.
    pub(crate) async fn back(&mut self) -> Result<(), Error> {
        if self.has_not_begun() {
            // It and its savepoint still wait.
            self.waiting.truncate(2);
            return Ok(());
        }
        self.waiting.clear();
        self.run("ROLLBACK TO SAVEPOINT one".to_owned()).await
    }

    /// Makes it durable, and gives the connection back.
    pub(crate) async fn commit(mut self) -> Result<Connection, Error> {
        if self.is_sqlite() {
            let waited = self.waiting.len();
            let (done, error) = self.try_each(vec![("COMMIT", Vec::new())]).await;
            if let Some(error) = error {
                let is_commit_s = done.len() >= waited;
                return Err(if is_commit_s { error.while_committing() } else { error });
            }
        } else {
            self.run("COMMIT".to_owned()).await.map_err(Error::while_committing)?;
        }
        self.connection.take().ok_or_else(Error::closed)
    }

    pub(crate) async fn rollback(mut self) {
        if self.has_not_begun() {
            drop(self.connection.take());
            return;
        }
        self.waiting.clear();
        // What fails here is a broken connection, whose transaction the database gives up by itself, or a full disk, where
        // SQLite gave it up. Dropping it closes the connection.
        if self.run("ROLLBACK".to_owned()).await.is_ok() {
            drop(self.connection.take());
        }
    }

    fn has_not_begun(&self) -> bool {
        self.waiting.first().is_some_and(|(sql, _)| *sql == BEGIN)
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.connection, Some(Connection::Sqlite(_)))
    }

    fn connection(&mut self) -> Result<&mut Connection, Error> {
        self.connection.as_mut().ok_or_else(Error::closed)
    }

    /// Carries out what waits and these, and says what came of these.
    async fn carry_out(&mut self, statements: Vec<Statement>) -> Result<Vec<Done>, Error> {
        let waited = self.waiting.len();
        match self.try_each(statements).await {
            (_, Some(error)) => Err(error),
            (mut done, None) => Ok(done.split_off(waited.min(done.len()))),
        }
    }

    /// What came of those that were carried out, what waited first among them, and why the next one was not.
    async fn try_each(&mut self, statements: Vec<Statement>) -> (Vec<Done>, Option<Error>) {
        let mut all = std::mem::take(&mut self.waiting);
        all.extend(statements);
        let connection = match self.connection() {
            Ok(connection) => connection,
            Err(error) => return (Vec::new(), Some(error)),
        };
        match connection {
            Connection::Sqlite(connection) => in_one_piece(connection, all).await,
            Connection::Postgres(connection) => {
                let mut each = Vec::with_capacity(all.len());
                for (sql, values) in all {
                    match one(connection, sql, values).await {
                        Ok(done) => each.push(done),
                        Err(error) => return (each, Some(error)),
                    }
                }
                (each, None)
            }
        }
    }
}

impl Drop for Transaction {
    /// One that did not end leaves its connection in the middle of it.
    fn drop(&mut self) {
        match &mut self.connection {
            Some(Connection::Sqlite(connection)) => connection.close_on_drop(),
            Some(Connection::Postgres(connection)) => connection.close_on_drop(),
            None => {}
        }
    }
}

/// What comes next of a stream.
async fn next<T>(stream: &mut BoxStream<'_, Result<T, sqlx::Error>>) -> Result<Option<T>, sqlx::Error> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await.transpose()
}

async fn one(
    connection: &mut PoolConnection<Postgres>,
    sql: &'static str,
    values: Vec<Value>,
) -> Result<Done, Error> {
    let mut done = Done::default();
    let mut came = (&mut **connection).fetch_many(query!(sql, values));
    while let Some(next) = next(&mut came).await? {
        match next {
            Either::Left(end) => done.changed += end.rows_affected(),
            Either::Right(row) => done.rows.push(Row::Postgres(row)),
        }
    }
    Ok(done)
}

async fn in_one_piece(
    connection: &mut PoolConnection<Sqlite>,
    statements: Vec<Statement>,
) -> (Vec<Done>, Option<Error>) {
    let mut each = Vec::with_capacity(statements.len());
    if statements.is_empty() {
        return (each, None);
    }
    let (sql, values) = joined(statements);
    let mut came = (&mut **connection).fetch_many(query!(AssertSqlSafe(sql), values));
    let mut rows = Vec::new();
    loop {
        match next(&mut came).await {
            Ok(Some(Either::Right(row))) => rows.push(Row::Sqlite(row)),
            Ok(Some(Either::Left(end))) => {
                each.push(Done { rows: std::mem::take(&mut rows), changed: end.rows_affected() });
            }
            Ok(None) => return (each, None),
            Err(error) => return (each, Some(error.into())),
        }
    }
}

/// Statements as one text, in which each finds its own values: the driver prepares them one after the other, and gives each the
/// values that its places name (sqlx 0.9, which promises it for SQLite alone; tests would see it end).
fn joined(statements: Vec<Statement>) -> (String, Vec<Value>) {
    let (mut text, mut values) = (String::new(), Vec::new());
    for (sql, bound) in statements {
        push_numbered(&mut text, sql, values.len());
        text.push(';');
        values.extend(bound);
    }
    (text, values)
}

/// A statement whose places (`$1`) are counted from `before` on.
fn push_numbered(text: &mut String, sql: &str, before: usize) {
    let mut parts = sql.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        text.push('$');
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        match number.parse::<usize>() {
            Ok(number) => text.push_str(&(number + before).to_string()),
            Err(_) => text.push_str(number),
        }
        text.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::values;

    #[test]
    fn each_of_the_statements_that_go_together_finds_its_own_values() {
        let (text, values) = joined(vec![
            ("BEGIN IMMEDIATE", values![]),
            ("UPDATE a SET b = $2 WHERE c = $1", values![1_i64, 2_i64]),
            ("SELECT '$.x', $1, $12", values![3_i64]),
        ]);
        let wanted = "BEGIN IMMEDIATE;UPDATE a SET b = $2 WHERE c = $1;SELECT '$.x', $3, $14;";
        assert_eq!((text.as_str(), values.len()), (wanted, 3));
    }
}
