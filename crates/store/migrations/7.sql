-- What applications demand of their users at sign-in, where they have said so.
CREATE TABLE application_policies (
    application TEXT PRIMARY KEY,
    policy      TEXT NOT NULL,
    strong      {int} NOT NULL,
    trust_days  {int} NOT NULL,
    set_at      {int} NOT NULL
) {strict};

-- Users of applications. What the application calls them is not here: they are found by an HMAC of it. The policy is
-- their own, where the application gave them one.
CREATE TABLE users (
    id          TEXT PRIMARY KEY,
    application TEXT NOT NULL,
    tag         TEXT NOT NULL,
    policy      TEXT,
    strong      {int},
    trust_days  {int},
    created_at  {int} NOT NULL,
    seen_at     {int} NOT NULL,
    UNIQUE (application, tag)
) {strict};

-- Second factors of users. One counts once it is confirmed; what waits to be confirmed stands beside it.
CREATE TABLE user_factors (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL,
    kind         TEXT NOT NULL,
    secret       {bytes} NOT NULL,
    created_at   {int} NOT NULL,
    confirmed_at {int},
    used_at      {int},
    last_step    {int}
) {strict};
CREATE INDEX user_factors_of_user ON user_factors (user_id);

-- Saved recovery codes of users, by their tags. Each is good once.
CREATE TABLE user_codes (
    tag        TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    created_at {int} NOT NULL,
    used_at    {int}
) {strict};
CREATE INDEX user_codes_of_user ON user_codes (user_id);

-- Browsers that are trusted for one user. Sealed is what they are and the hashes of their secrets.
CREATE TABLE user_devices (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    sealed     {bytes} NOT NULL,
    created_at {int} NOT NULL,
    used_at    {int} NOT NULL,
    expires_at {int} NOT NULL,
    ended_at   {int},
    ended_why  TEXT
) {strict};
CREATE INDEX user_devices_of_user ON user_devices (user_id);

-- Sign-ins of users whose password the application found right: what was asked, and what was shown.
CREATE TABLE user_sign_ins (
    id          TEXT PRIMARY KEY,
    user_id     TEXT NOT NULL,
    application TEXT NOT NULL,
    sealed      {bytes} NOT NULL,
    kinds       TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    created_at  {int} NOT NULL,
    expires_at  {int} NOT NULL
) {strict};
CREATE INDEX user_sign_ins_of_user ON user_sign_ins (user_id);
CREATE INDEX user_sign_ins_expired ON user_sign_ins (expires_at);

-- What was sent for a sign-in goes with it.
CREATE INDEX challenges_bound ON challenges (binding) WHERE binding <> '';
