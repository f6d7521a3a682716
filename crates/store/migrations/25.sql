-- Passkeys of users of applications. Each is a factor of theirs too, which has its name and its times.
CREATE TABLE user_passkeys (
    factor          TEXT PRIMARY KEY,
    user_id         TEXT NOT NULL,
    application     TEXT NOT NULL,
    credential      {bytes} NOT NULL,
    key             {bytes} NOT NULL,
    counter         {int} NOT NULL,
    backup_eligible {int} NOT NULL,
    backed_up       {int} NOT NULL,
    transports      TEXT NOT NULL
) {strict};
CREATE UNIQUE INDEX user_passkeys_credential ON user_passkeys (application, credential);
CREATE INDEX user_passkeys_of_user ON user_passkeys (user_id);

-- What browsers of users were asked to sign: of a user, to make a passkey; of a sign-in, to show one.
CREATE TABLE user_passkey_challenges (
    subject    TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    challenge  {bytes} NOT NULL,
    expires_at {int} NOT NULL
) {strict};
CREATE INDEX user_passkey_challenges_expired ON user_passkey_challenges (expires_at);
