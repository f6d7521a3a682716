-- The secrets of a trusted device are derived from its key and their number: however many were used up, each is known as
-- such. Trust that was given before has no key, so it ends, and the second factor is asked for once.
DROP TABLE devices;
CREATE TABLE devices (
    id            TEXT PRIMARY KEY,
    person        TEXT NOT NULL,
    account       TEXT NOT NULL,
    key           {bytes} NOT NULL,
    number        {int} NOT NULL,
    next_number   {int},
    next_since    {int},
    before_number {int},
    before_since  {int},
    address       {bytes} NOT NULL,
    agent         {bytes} NOT NULL,
    created_at    {int} NOT NULL,
    used_at       {int} NOT NULL,
    expires_at    {int} NOT NULL,
    ended_at      {int},
    ended_why     TEXT
) {strict};
CREATE INDEX devices_of_person ON devices (person);
DELETE FROM user_devices;

-- What sign-ins of one number wait for.
CREATE INDEX challenges_of_number ON challenges (application, number_tag) WHERE live = 1;
