-- Codes that take a session of the console to a protected host, by their hashes: each is good once, for a minute, at that
-- host, in the browser that began it.
CREATE TABLE hand_overs (
    hash       {bytes} PRIMARY KEY,
    host       TEXT NOT NULL,
    began      {bytes} NOT NULL,
    session    TEXT NOT NULL,
    expires_at {int} NOT NULL
) {strict};
CREATE INDEX hand_overs_ended ON hand_overs (expires_at);

-- Sessions of protected hosts, by the hash of the token. Each is over when the session of the console is that it came from.
CREATE TABLE host_sessions (
    hash       {bytes} PRIMARY KEY,
    host       TEXT NOT NULL,
    session    TEXT NOT NULL,
    created_at {int} NOT NULL,
    seen_at    {int} NOT NULL,
    expires_at {int} NOT NULL
) {strict};
CREATE INDEX host_sessions_of_session ON host_sessions (session);
CREATE INDEX host_sessions_ended ON host_sessions (expires_at);

-- What is forgotten when it is over.
CREATE INDEX sessions_ended ON sessions (expires_at);
