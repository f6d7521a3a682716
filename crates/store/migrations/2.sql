-- Twilio's accounts as they were last seen, and what we want them to be.
CREATE TABLE accounts (
    sid           TEXT PRIMARY KEY,
    parent        TEXT,
    friendly_name {bytes} NOT NULL,
    auth_token    {bytes},
    status        TEXT NOT NULL,
    first_seen    {int} NOT NULL,
    last_seen     {int} NOT NULL,
    created       {int},
    changed_at    {int},
    gone_at       {int},
    wanted        TEXT NOT NULL DEFAULT 'as-it-is',
    wanted_reason TEXT,
    wanted_by     TEXT,
    wanted_since  {int}
) {strict};

-- The operator's limits as they were last applied.
CREATE TABLE limits (
    name       TEXT PRIMARY KEY,
    definition TEXT NOT NULL,
    hash       TEXT NOT NULL,
    applied_at {int} NOT NULL
) {strict};

-- Usage triggers at Twilio that are ours.
CREATE TABLE triggers (
    sid        TEXT PRIMARY KEY,
    account    TEXT NOT NULL,
    limit_name TEXT NOT NULL,
    subject    TEXT NOT NULL,
    value      TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_at {int} NOT NULL,
    fired      TEXT,
    fired_at   {int}
) {strict};

-- Bearer tokens of the API, by their hashes.
CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    hash       {bytes} NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    networks   TEXT NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int},
    revoked_at {int}
) {strict};

-- What an action took from an account, until it is given back.
CREATE TABLE taken (
    account  TEXT NOT NULL,
    what     TEXT NOT NULL,
    value    TEXT NOT NULL,
    taken_at {int} NOT NULL,
    PRIMARY KEY (account, what)
) {strict};
