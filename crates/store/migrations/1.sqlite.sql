CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    action     TEXT NOT NULL,
    target     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    person     TEXT,
    personal   BLOB
) STRICT;

-- No mistake of ours changes what was written. Against an intruder the chain and its signed heads stand.
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit rows are never changed');
END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
WHEN OLD.id > (SELECT coalesce(max(audit_id), 0) FROM audit_checkpoint)
BEGIN
    SELECT RAISE(ABORT, 'audit rows are deleted only before the checkpoint');
END;
