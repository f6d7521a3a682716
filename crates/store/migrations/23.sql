-- What is kept of requests, where `[inspector]` says so: how each was judged and answered, and of what it carried the names
-- and the redacted values. Nothing in here is sealed: no number, text or secret comes so far. The ids count up, so that the
-- newest can be told without a look at the rest.
CREATE TABLE requests (
    id {id},
    at {int} NOT NULL,
    node TEXT NOT NULL,
    part TEXT NOT NULL,
    route TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    client TEXT NOT NULL,
    account TEXT,
    proven {int} NOT NULL,
    resource TEXT,
    token TEXT,
    admitted {int} NOT NULL,
    reason TEXT,
    candidate TEXT,
    finding TEXT,
    explanation TEXT,
    status {int},
    request_bytes {int},
    answer_bytes {int},
    took {int},
    parameters TEXT,
    answer TEXT
) {strict};

CREATE INDEX requests_by_account ON requests (account, id);
CREATE INDEX requests_by_time ON requests (at);
