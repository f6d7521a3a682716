-- What came of what was sent, by the minute in which it was sent: so what is too young to be judged can be left out. Of messages
-- whether they arrived, of codes whether they were entered.
CREATE TABLE signs (
    account     TEXT NOT NULL,
    prefix      TEXT NOT NULL,
    slot        {int} NOT NULL,
    sent        {int} NOT NULL,
    delivered   {int} NOT NULL,
    undelivered {int} NOT NULL,
    started     {int} NOT NULL,
    approved    {int} NOT NULL,
    PRIMARY KEY (account, prefix, slot)
) {strict};
CREATE INDEX signs_by_slot ON signs (slot);

-- Whether a message arrived, once Twilio has said it. Its price may be known before.
ALTER TABLE reservations ADD COLUMN arrival TEXT;
