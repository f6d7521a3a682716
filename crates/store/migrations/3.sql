-- What is asked of the log: what happened to one thing, and what breakers did.
CREATE INDEX audit_of_target ON audit (target, id);
CREATE INDEX audit_of_breakers ON audit (id) WHERE target LIKE 'breaker %';

-- What nobody tries any more, until a person has seen to it.
CREATE INDEX outbox_given_up ON outbox (id) WHERE outcome = 'given-up';
