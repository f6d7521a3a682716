-- Passkeys, beside their factors, whose secret is the name that the owner gave. A credential is one person's.
CREATE TABLE passkeys (
    credential      {bytes} PRIMARY KEY,
    factor          TEXT NOT NULL UNIQUE,
    person          TEXT NOT NULL,
    key             {bytes} NOT NULL,
    counter         {int} NOT NULL,
    backup_eligible {int} NOT NULL,
    backed_up       {int} NOT NULL,
    transports      TEXT NOT NULL
) {strict};
CREATE INDEX passkeys_of_person ON passkeys (person);

-- What browsers were asked to sign: for one session and one purpose, each once.
CREATE TABLE passkey_challenges (
    session    TEXT NOT NULL,
    purpose    TEXT NOT NULL,
    person     TEXT NOT NULL,
    challenge  {bytes} NOT NULL,
    expires_at {int} NOT NULL,
    PRIMARY KEY (session, purpose)
) {strict};
