-- Applications that the second factor is a service for. One that was removed keeps its row: its SID is never used again.
CREATE TABLE applications (
    sid        TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    settings   TEXT NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    removed_at {int}
) {strict};

-- Credentials of applications, by the hashes of their secrets.
CREATE TABLE credentials (
    sid         TEXT PRIMARY KEY,
    hash        {bytes} NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    application TEXT,
    name        TEXT NOT NULL,
    scopes      TEXT NOT NULL,
    created_at  {int} NOT NULL,
    expires_at  {int},
    revoked_at  {int}
) {strict};

-- Runs of a second factor. No code is here: it is derived.
CREATE TABLE challenges (
    sid         TEXT PRIMARY KEY,
    application TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    binding     TEXT NOT NULL,
    number_tag  TEXT NOT NULL,
    sealed      {bytes} NOT NULL,
    channel     TEXT NOT NULL,
    digits      {int} NOT NULL,
    state       TEXT NOT NULL,
    state_at    {int} NOT NULL,
    live        {int} NOT NULL,
    checks      {int} NOT NULL,
    sends       {int} NOT NULL,
    last_send   {int} NOT NULL,
    created_at  {int} NOT NULL,
    updated_at  {int} NOT NULL,
    expires_at  {int} NOT NULL
) {strict};
CREATE UNIQUE INDEX challenges_live ON challenges (application, purpose, binding, number_tag) WHERE live = 1;
CREATE INDEX challenges_expired ON challenges (expires_at);

-- Each time that a code was sent.
CREATE TABLE code_sends (
    sid          TEXT PRIMARY KEY,
    challenge    TEXT NOT NULL,
    application  TEXT NOT NULL,
    channel      TEXT NOT NULL,
    country      TEXT NOT NULL,
    asked_at     {int} NOT NULL,
    outcome      TEXT NOT NULL,
    message      TEXT,
    converted_at {int},
    updated_at   {int} NOT NULL
) {strict};
CREATE INDEX code_sends_of_challenge ON code_sends (challenge, asked_at);
CREATE INDEX code_sends_of_application ON code_sends (application, asked_at);

-- Failures in a row, of a person's factor or of an application's number.
CREATE TABLE failures (
    subject TEXT PRIMARY KEY,
    count   {int} NOT NULL,
    last    {int} NOT NULL
) {strict};

-- How much of each budget is used in its present window.
CREATE TABLE rates (
    key     TEXT PRIMARY KEY,
    ends_at {int} NOT NULL,
    most    {int} NOT NULL,
    count   {int} NOT NULL
) {strict};
CREATE INDEX rates_ended ON rates (ends_at);

-- How many codes were sent to a prefix and not entered.
CREATE TABLE conversions (
    application   TEXT NOT NULL,
    prefix        TEXT NOT NULL,
    balance       {int} NOT NULL,
    stopped_until {int},
    changed_at    {int} NOT NULL,
    PRIMARY KEY (application, prefix)
) {strict};

-- Limits on starts that applications set themselves.
CREATE TABLE verify_limits (
    sid         TEXT PRIMARY KEY,
    application TEXT NOT NULL,
    unique_name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  {int} NOT NULL,
    updated_at  {int} NOT NULL,
    UNIQUE (application, unique_name)
) {strict};
CREATE TABLE verify_buckets (
    sid        TEXT PRIMARY KEY,
    rate_limit TEXT NOT NULL,
    most       {int} NOT NULL,
    seconds    {int} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
) {strict};
CREATE INDEX verify_buckets_of_limit ON verify_buckets (rate_limit);
