//! One SQL text, two databases.
//!
//! Statements are written once, in what SQLite and PostgreSQL both understand (`$1`, `ON CONFLICT`, `RETURNING`), with
//! three types of values: whole numbers, texts, bytes. Times are microseconds since 1970. This module alone knows that
//! there are two drivers, and [`transaction`](crate::transaction); everything else takes a [`Transaction`] or a [`Pool`].
//!
//! A statement is a `&'static str`, so nothing that came from outside can become a part of one.

use std::time::Duration;

use jiff::Timestamp;
use ringfence_model::Sid;
use sqlx::Row as _;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::sqlite::{SqlitePool, SqliteRow};

use crate::error::{Away, Error};
pub(crate) use crate::transaction::Transaction;

/// How long a statement may take that changes nothing.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is bound to a place of a statement. PostgreSQL wants to know the type of an absent value too.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// The values of a statement in order, each of any type that a [`Value`] can be made of.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::sql::Value::from($value)),*] };
}
pub(crate) use values;

/// The connections that read.
#[derive(Debug, Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A row of a result.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! query {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query($sql);
        for value in $values {
            query = match value {
                crate::sql::Value::Int(value) => query.bind(value),
                crate::sql::Value::Text(value) => query.bind(value),
                crate::sql::Value::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}
pub(crate) use query;

impl Pool {
    /// The rows of a statement that changes nothing.
    pub(crate) async fn fetch(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        // The server itself ends a statement sooner; this is for one that vanished without a word.
        match tokio::time::timeout(PATIENCE, self.fetch_patiently(sql, values)).await {
            Ok(rows) => rows,
            Err(_) => Err(Error::Away { reason: Away::Unreachable, in_doubt: false, source: None }),
        }
    }

    async fn fetch_patiently(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        Ok(match self {
            Self::Sqlite(pool) => {
                query!(sql, values).fetch_all(pool).await?.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(pool) => {
                query!(sql, values).fetch_all(pool).await?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// The first row of a statement that changes nothing.
    pub(crate) async fn find(&self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self.fetch(sql, values).await?.into_iter().next())
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

macro_rules! column {
    ($row:expr, $column:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($column),
            Row::Postgres(row) => row.try_get($column),
        }
        .map_err(Error::from)
    };
}

impl Row {
    pub(crate) fn int(&self, column: &str) -> Result<i64, Error> {
        column!(self, column)
    }

    pub(crate) fn maybe_int(&self, column: &str) -> Result<Option<i64>, Error> {
        column!(self, column)
    }

    pub(crate) fn text(&self, column: &str) -> Result<String, Error> {
        column!(self, column)
    }

    pub(crate) fn maybe_text(&self, column: &str) -> Result<Option<String>, Error> {
        column!(self, column)
    }

    pub(crate) fn bytes(&self, column: &str) -> Result<Vec<u8>, Error> {
        column!(self, column)
    }

    pub(crate) fn maybe_bytes(&self, column: &str) -> Result<Option<Vec<u8>>, Error> {
        column!(self, column)
    }

    pub(crate) fn time(&self, column: &str) -> Result<Timestamp, Error> {
        time(self.int(column)?, column)
    }

    pub(crate) fn maybe_time(&self, column: &str) -> Result<Option<Timestamp>, Error> {
        self.maybe_int(column)?.map(|micros| time(micros, column)).transpose()
    }

    pub(crate) fn sid(&self, column: &str) -> Result<Sid, Error> {
        let text = self.text(column)?;
        Sid::parse(&text).map_err(|error| Error::corrupt(format!("column {column}"), error.to_string()))
    }

    pub(crate) fn maybe_sid(&self, column: &str) -> Result<Option<Sid>, Error> {
        match self.maybe_text(column)? {
            Some(_) => self.sid(column).map(Some),
            None => Ok(None),
        }
    }

    /// A whole number that is never negative, such as a count.
    pub(crate) fn count(&self, column: &str) -> Result<u64, Error> {
        let value = self.int(column)?;
        u64::try_from(value)
            .map_err(|_| Error::corrupt(format!("column {column}"), format!("{value} is negative")))
    }

    /// JSON that Ringfence wrote.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        serde_json::from_str(&self.text(column)?)
            .map_err(|error| Error::corrupt(format!("column {column}"), error.to_string()))
    }
}

fn time(micros: i64, column: &str) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(micros)
        .map_err(|error| Error::corrupt(format!("column {column}"), error.to_string()))
}

/// A text as both databases take it: PostgreSQL has no NUL in texts, and a name from outside must not be a reason to
/// lose what comes with it.
pub(crate) fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// A pattern that finds this text anywhere. What a pattern means by `%` and `_` is text here.
pub(crate) fn anywhere(text: Option<&str>) -> String {
    let mut pattern = "%".to_owned();
    for character in text.unwrap_or_default().to_lowercase().chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

/// A number of rows, or of anything else that fits into memory.
impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Int(Some(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(storable(value)))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        value.clone().into()
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        value.to_owned().into()
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value.map(storable))
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        value.map(str::to_owned).into()
    }
}

impl From<Sid> for Value {
    fn from(value: Sid) -> Self {
        value.to_string().into()
    }
}

impl From<Option<Sid>> for Value {
    fn from(value: Option<Sid>) -> Self {
        value.map(|sid| sid.to_string()).into()
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(value))
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        value.to_vec().into()
    }
}

impl From<Option<Vec<u8>>> for Value {
    fn from(value: Option<Vec<u8>>) -> Self {
        Self::Bytes(value)
    }
}

impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        value.as_microsecond().into()
    }
}

impl From<Option<Timestamp>> for Value {
    fn from(value: Option<Timestamp>) -> Self {
        Self::Int(value.map(Timestamp::as_microsecond))
    }
}
