-- What kind of line a number leads to, as Lookup said. Numbers are tags.
CREATE TABLE line_types (
    number_tag TEXT PRIMARY KEY,
    line       TEXT NOT NULL,
    looked_at  {int} NOT NULL
) {strict};
CREATE INDEX line_types_old ON line_types (looked_at);
