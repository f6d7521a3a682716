-- What one subject has spent and set aside under one limit.
CREATE TABLE ledger (
    limit_name TEXT NOT NULL,
    subject    TEXT NOT NULL,
    sums       TEXT NOT NULL,
    reserved   {int} NOT NULL,
    read_back  TEXT,
    changed_at {int} NOT NULL,
    PRIMARY KEY (limit_name, subject)
) {strict};

-- Requests that were admitted, with what was set aside for each. Whom they go to is known by a tag alone.
CREATE TABLE reservations (
    id          TEXT PRIMARY KEY,
    credential  TEXT NOT NULL,
    account     TEXT NOT NULL,
    operation   TEXT NOT NULL,
    worst       {int} NOT NULL,
    holds       TEXT NOT NULL,
    party       TEXT,
    state       TEXT NOT NULL,
    resource    TEXT,
    price       {int},
    admitted_at {int} NOT NULL,
    deadline    {int} NOT NULL,
    ended_at    {int}
) {strict};
CREATE INDEX reservations_open ON reservations (account, admitted_at) WHERE ended_at IS NULL;
CREATE INDEX reservations_ended ON reservations (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX reservations_of_resource ON reservations (resource) WHERE resource IS NOT NULL;
