-- Where traffic goes: what came of it by account, beginning of a number and hour. It says which places an account knows, and
-- whether codes are entered and messages delivered there. A beginning stands for millions of numbers and is nobody's.
ALTER TABLE reservations ADD COLUMN beginning TEXT;
CREATE TABLE traffic (
    account     TEXT NOT NULL,
    prefix      TEXT NOT NULL,
    hour        {int} NOT NULL,
    settled     {int} NOT NULL,
    delivered   {int} NOT NULL,
    undelivered {int} NOT NULL,
    started     {int} NOT NULL,
    approved    {int} NOT NULL,
    PRIMARY KEY (account, prefix, hour)
) {strict};
CREATE INDEX traffic_by_hour ON traffic (hour);

-- Of which accounts Twilio's lists were read for what was sent before, and how far back.
CREATE TABLE traffic_learnt (
    account TEXT PRIMARY KEY,
    since   {int} NOT NULL
) {strict};
