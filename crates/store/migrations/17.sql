-- What the price of a code is set aside under, and when it was begun to be sent with that.
ALTER TABLE code_sends ADD COLUMN reservation TEXT;
ALTER TABLE code_sends ADD COLUMN taken_up_at {int};

-- The list of incidents: what happened to breakers, and what operators wanted of accounts.
CREATE INDEX audit_of_incidents ON audit (at, id) WHERE action IN ('breaker.trip', 'breaker.would-trip', 'breaker.warn',
    'breaker.reset', 'breaker.lift', 'breaker.change', 'breaker.remove', 'account.want');
