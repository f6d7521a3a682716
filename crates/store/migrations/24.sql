-- SharedKeys that Ringfence made at Twilio: whose webhooks each signs, how far it is, and its secret. `mark` is what it is
-- named by at Twilio, so that what was made and whose answer was lost is found again.
CREATE TABLE shared_keys (
    mark TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    generation {int} NOT NULL,
    step TEXT NOT NULL,
    held {int} NOT NULL,
    key_id TEXT,
    secret {bytes},
    begun_at {int} NOT NULL,
    since {int} NOT NULL
) {strict};

-- One is prepared at a time, and one signs.
CREATE UNIQUE INDEX shared_keys_next ON shared_keys (account) WHERE step IN ('asked', 'made');
CREATE UNIQUE INDEX shared_keys_signing ON shared_keys (account) WHERE step = 'signing';
