CREATE SEQUENCE audit_id_seq;

-- The transaction has its number before the row has its id. The sealer relies on that: when every transaction that had
-- a number when it read the sequence has ended, no row with an id up to there can still appear.
CREATE FUNCTION next_audit_id() RETURNS BIGINT LANGUAGE sql VOLATILE AS $$
    SELECT pg_current_xact_id();
    SELECT nextval('audit_id_seq');
$$;

CREATE TABLE audit (
    id         BIGINT PRIMARY KEY DEFAULT next_audit_id(),
    at         BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    action     TEXT NOT NULL,
    target     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    person     TEXT,
    personal   BYTEA
);
ALTER SEQUENCE audit_id_seq OWNED BY audit.id;

-- No mistake of ours changes what was written. Against an intruder the chain and its signed heads stand.
CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.id <= (SELECT coalesce(max(audit_id), 0) FROM audit_checkpoint) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit rows are never changed, and deleted only before the checkpoint';
END;
$$;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit();
