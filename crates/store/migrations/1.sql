-- What the store knows of itself: instance, epoch, and on which PostgreSQL it last was.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) {strict};

-- Secrets of the store's own, sealed with the master key.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value {bytes} NOT NULL
) {strict};

-- One key for each person, sealed with the master key. Erasing it makes everything sealed under it unreadable.
CREATE TABLE person_keys (
    person     TEXT PRIMARY KEY,
    key        {bytes},
    created_at {int} NOT NULL,
    erased_at  {int}
) {strict};

-- The state of one limit on one subject.
CREATE TABLE breakers (
    limit_name TEXT NOT NULL,
    subject    TEXT NOT NULL,
    state      TEXT NOT NULL,
    version    {int} NOT NULL,
    changed_at {int} NOT NULL,
    PRIMARY KEY (limit_name, subject)
) {strict};
CREATE INDEX breakers_by_subject ON breakers (subject);

-- What must happen outside, written with the decision that it shall.
CREATE TABLE outbox (
    id            {id},
    kind          TEXT NOT NULL,
    dedupe_key    TEXT NOT NULL UNIQUE,
    account       TEXT,
    payload       {bytes} NOT NULL,
    created_at    {int} NOT NULL,
    not_before    {int} NOT NULL,
    attempts      {int} NOT NULL DEFAULT 0,
    last_error    {bytes},
    claimed_by    TEXT,
    claimed_until {int},
    claim         {int} NOT NULL DEFAULT 0,
    ended_at      {int},
    outcome       TEXT
) {strict};
CREATE INDEX outbox_waiting ON outbox (kind, not_before, id) WHERE ended_at IS NULL;
CREATE INDEX outbox_of_account ON outbox (account) WHERE ended_at IS NULL AND account IS NOT NULL;
CREATE INDEX outbox_claimed ON outbox (claimed_by) WHERE ended_at IS NULL AND claimed_by IS NOT NULL;

-- What was seen of an account's spending, each thing once.
CREATE TABLE observations (
    key          TEXT PRIMARY KEY,
    source       TEXT NOT NULL,
    account      TEXT NOT NULL,
    payload      TEXT NOT NULL,
    received_at  {int} NOT NULL,
    processed_at {int}
) {strict};
CREATE INDEX observations_unprocessed ON observations (received_at, key) WHERE processed_at IS NULL;

-- Nodes that are at work, with their signs of life.
CREATE TABLE nodes (
    node        TEXT PRIMARY KEY,
    life        TEXT NOT NULL,
    limits_hash TEXT NOT NULL,
    beats       {int} NOT NULL,
    joined_at   {int} NOT NULL,
    seen_at     {int} NOT NULL
) {strict};

-- Jobs that one node does at a time.
CREATE TABLE leases (
    name   TEXT PRIMARY KEY,
    holder TEXT,
    fence  {int} NOT NULL
) {strict};

-- Places of audit rows in the chain. The rows themselves are never changed.
CREATE TABLE audit_chain (
    seq      {int} PRIMARY KEY,
    audit_id {int} NOT NULL UNIQUE,
    hash     {bytes} NOT NULL
) {strict};

-- Signed ends of the chain as it was.
CREATE TABLE audit_heads (
    seq       {int} PRIMARY KEY,
    audit_id  {int} NOT NULL,
    hash      {bytes} NOT NULL,
    signed_at {int} NOT NULL,
    signature {bytes} NOT NULL
) {strict};

-- Where the chain begins after older rows were deleted; one row at most.
CREATE TABLE audit_checkpoint (
    one       {int} PRIMARY KEY CHECK (one = 1),
    seq       {int} NOT NULL,
    audit_id  {int} NOT NULL,
    hash      {bytes} NOT NULL,
    signed_at {int} NOT NULL,
    signature {bytes} NOT NULL
) {strict};
