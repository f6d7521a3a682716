//! Counters by account, beginning of a number and time: one statement that adds to many of them, in either dialect.

/// Adds to the counters of a table: `counted!("table", "its column of time", "counter", …)`. It is given the rows as JSON,
/// `[{"a": account, "p": prefix, "t": time, "c": {counter: number, …}}]`, in the order of their keys, so that nobody waits in
/// a circle.
macro_rules! counted {
    ($table:literal, $time:literal, $first:literal $(, $more:literal)* $(,)?) => {
        crate::many::PerDialect {
            // Without a condition SQLite takes `ON` for that of a join.
            sqlite: concat!(
                "INSERT INTO ", $table, " (account, prefix, ", $time, ", ", $first, $(", ", $more,)* ") \
                 SELECT value ->> 'a', value ->> 'p', value ->> 't', value -> 'c' ->> '", $first, "'",
                $(", value -> 'c' ->> '", $more, "'",)*
                " FROM json_each($1) WHERE true ON CONFLICT (account, prefix, ", $time, ") DO UPDATE SET ",
                $first, " = ", $table, ".", $first, " + excluded.", $first,
                $(", ", $more, " = ", $table, ".", $more, " + excluded.", $more,)*
            ),
            postgres: concat!(
                "INSERT INTO ", $table, " (account, prefix, ", $time, ", ", $first, $(", ", $more,)* ") \
                 SELECT a, p, t, (c ->> '", $first, "')::bigint",
                $(", (c ->> '", $more, "')::bigint",)*
                " FROM jsonb_to_recordset($1::jsonb) AS r(a text, p text, t bigint, c jsonb) \
                 ON CONFLICT (account, prefix, ", $time, ") DO UPDATE SET ",
                $first, " = ", $table, ".", $first, " + excluded.", $first,
                $(", ", $more, " = ", $table, ".", $more, " + excluded.", $more,)*
            ),
        }
    };
}
pub(crate) use counted;
