//! One statement about many rows, in either dialect, given to it as JSON: `[{"column": value, …}]`.
//!
//! Bytes are written as [hexadecimal digits](crate::hex). Rows that other transactions may want too are given in the order of
//! their keys, so that nobody waits in a circle.

use serde::Serialize;

use crate::Result;
use crate::error::Error;
use crate::sql::{Row, Transaction, Value, storable, values};

/// The same statement as each database wants it.
pub(crate) struct PerDialect {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl PerDialect {
    /// The one for the database of this transaction.
    pub(crate) fn of(&self, transaction: &Transaction) -> &'static str {
        if transaction.is_sqlite() { self.sqlite } else { self.postgres }
    }

    /// Carries it out for these rows, where there is one.
    pub(crate) async fn run<R: Serialize>(
        &self,
        transaction: &mut Transaction,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Vec<Row>> {
        let rows: Vec<_> = rows.into_iter().collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        transaction.fetch(self.of(transaction), values![json(&rows)?]).await
    }

    /// The same [later](Transaction::later), where nobody looks at what it gives back.
    pub(crate) async fn run_later<R: Serialize>(
        &self,
        transaction: &mut Transaction,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<()> {
        let rows: Vec<_> = rows.into_iter().collect();
        if rows.is_empty() {
            return Ok(());
        }
        transaction.later(self.of(transaction), vec![json(&rows)?]).await
    }
}

/// As JSON is written into a column.
pub(crate) fn text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::corrupt("rows", error.to_string()))
}

/// Rows as a statement takes them. In texts as PostgreSQL takes them there is no NUL.
pub(crate) fn json<R: Serialize>(rows: &[R]) -> Result<Value> {
    let text = text(&rows)?;
    if !text.contains("\\u0000") {
        return Ok(text.into());
    }
    let mut rows: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| Error::corrupt("rows", error.to_string()))?;
    without_nul(&mut rows);
    Ok(rows.to_string().into())
}

fn without_nul(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = storable(std::mem::take(text)),
        serde_json::Value::Array(all) => all.iter_mut().for_each(without_nul),
        serde_json::Value::Object(all) => all.values_mut().for_each(without_nul),
        _ => {}
    }
}

/// How a column is read out of a row by SQLite.
macro_rules! by_sqlite {
    (bytes $column:ident) => {
        concat!("unhex(value ->> '", stringify!($column), "')")
    };
    ($type:ident $column:ident) => {
        concat!("value ->> '", stringify!($column), "'")
    };
}
pub(crate) use by_sqlite;

/// The same by PostgreSQL.
macro_rules! by_postgres {
    (bytes $column:ident) => {
        concat!("decode(r.", stringify!($column), ", 'hex')")
    };
    ($type:ident $column:ident) => {
        concat!("r.", stringify!($column))
    };
}
pub(crate) use by_postgres;

/// As what PostgreSQL finds a column in a row.
macro_rules! in_json {
    (int $column:ident) => {
        concat!(stringify!($column), " bigint")
    };
    ($type:ident $column:ident) => {
        concat!(stringify!($column), " text")
    };
}
pub(crate) use in_json;

/// Inserts rows: `insert!("table", first text, second int, third bytes; "ON CONFLICT …")`.
macro_rules! insert {
    ($table:literal, $first:ident $type:ident $(, $more:ident $types:ident)*; $then:literal) => {
        crate::many::PerDialect {
            // Without a condition SQLite takes `ON` for that of a join.
            sqlite: concat!(
                "INSERT INTO ", $table, " (", stringify!($first), $(", ", stringify!($more),)* ") SELECT ",
                crate::many::by_sqlite!($type $first), $(", ", crate::many::by_sqlite!($types $more),)*
                " FROM json_each($1) WHERE true ", $then
            ),
            postgres: concat!(
                "INSERT INTO ", $table, " (", stringify!($first), $(", ", stringify!($more),)* ") SELECT ",
                crate::many::by_postgres!($type $first), $(", ", crate::many::by_postgres!($types $more),)*
                " FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (",
                crate::many::in_json!($type $first), $(", ", crate::many::in_json!($types $more),)*
                ")) WITH ORDINALITY AS r ORDER BY r.ordinality ", $then
            ),
        }
    };
}
pub(crate) use insert;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_each_column_once_on_each_side() {
        const STATEMENT: PerDialect =
            insert!("birds", name text, wings int, picture bytes; "ON CONFLICT (name) DO NOTHING");
        assert_eq!(
            STATEMENT.sqlite,
            "INSERT INTO birds (name, wings, picture) SELECT value ->> 'name', value ->> 'wings', \
             unhex(value ->> 'picture') FROM json_each($1) WHERE true ON CONFLICT (name) DO NOTHING"
        );
        assert_eq!(
            STATEMENT.postgres,
            "INSERT INTO birds (name, wings, picture) SELECT r.name, r.wings, decode(r.picture, 'hex') \
             FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (name text, wings bigint, picture text)) \
             WITH ORDINALITY AS r ORDER BY r.ordinality ON CONFLICT (name) DO NOTHING"
        );
    }

    #[test]
    fn a_text_with_nul_is_stored_without_and_what_only_looks_like_it_stays() {
        let Value::Text(Some(text)) = json(&[serde_json::json!({ "a": "x\0y" })]).unwrap() else {
            unreachable!()
        };
        assert_eq!(text, "[{\"a\":\"x\u{fffd}y\"}]");
        let escaped = "\\u0000";
        let Value::Text(Some(text)) = json(&[escaped]).unwrap() else { unreachable!() };
        assert_eq!(text, "[\"\\\\u0000\"]");
    }
}
