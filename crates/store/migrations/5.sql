-- People who sign in. The login is sealed; its tag, an HMAC, is how it is found.
CREATE TABLE persons (
    id                  TEXT PRIMARY KEY,
    login_tag           TEXT NOT NULL UNIQUE,
    login               {bytes} NOT NULL,
    password            {bytes},
    password_changed_at {int},
    locked_at           {int},
    created_at          {int} NOT NULL
) {strict};

-- What a person may do: on one account, or on all ('*').
CREATE TABLE roles (
    person  TEXT NOT NULL,
    account TEXT NOT NULL,
    role    TEXT NOT NULL,
    PRIMARY KEY (person, account)
) {strict};

-- What an account demands at sign-in, where it was set. '*' is what concerns the whole installation.
CREATE TABLE policies (
    account TEXT PRIMARY KEY,
    policy  TEXT NOT NULL,
    strong  {int} NOT NULL,
    set_at  {int} NOT NULL
) {strict};

-- Second factors. A phone counts once it is verified.
CREATE TABLE factors (
    id          TEXT PRIMARY KEY,
    person      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    secret      {bytes},
    created_at  {int} NOT NULL,
    verified_at {int},
    used_at     {int},
    last_step   {int}
) {strict};
CREATE INDEX factors_of_person ON factors (person);

-- Saved recovery codes of a factor, and codes that administrators give out: each is good once.
CREATE TABLE single_use_codes (
    tag        TEXT PRIMARY KEY,
    person     TEXT NOT NULL,
    purpose    TEXT NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int},
    used_at    {int}
) {strict};
CREATE INDEX single_use_codes_of_person ON single_use_codes (person);

-- Sessions of the console, by the hash of the token.
CREATE TABLE sessions (
    hash       {bytes} PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    person     TEXT NOT NULL,
    account    TEXT NOT NULL,
    stage      TEXT NOT NULL,
    assurance  TEXT NOT NULL,
    factor_at  {int},
    sign_in    TEXT NOT NULL,
    address    {bytes} NOT NULL,
    agent      {bytes} NOT NULL,
    created_at {int} NOT NULL,
    seen_at    {int} NOT NULL,
    expires_at {int} NOT NULL
) {strict};
CREATE INDEX sessions_of_person ON sessions (person);

-- Browsers that are trusted for one person and one account.
CREATE TABLE devices (
    id           TEXT PRIMARY KEY,
    person       TEXT NOT NULL,
    account      TEXT NOT NULL,
    hash         {bytes} NOT NULL,
    before_hash  {bytes},
    before_since {int},
    address      {bytes} NOT NULL,
    agent        {bytes} NOT NULL,
    created_at   {int} NOT NULL,
    used_at      {int} NOT NULL,
    expires_at   {int} NOT NULL,
    ended_at     {int},
    ended_why    TEXT
) {strict};
CREATE INDEX devices_of_person ON devices (person);

-- Sign-ins whose password was right, and what became of them.
CREATE TABLE sign_ins (
    id      TEXT PRIMARY KEY,
    person  TEXT NOT NULL,
    at      {int} NOT NULL,
    address {bytes} NOT NULL,
    agent   {bytes} NOT NULL,
    outcome TEXT NOT NULL,
    told_at {int}
) {strict};
CREATE INDEX sign_ins_of_person ON sign_ins (person, at);
