-- The ledger: append-only and hash-chained. Run by its owner; every statement is an ensure.
CREATE SCHEMA IF NOT EXISTS faber_ledger;

CREATE TABLE IF NOT EXISTS faber_ledger.entry (
    seq bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    project text NOT NULL,
    environment text NOT NULL,
    release text NOT NULL,
    kind text NOT NULL,
    actor text NOT NULL,
    body text NOT NULL,          -- canonical JSON; text, because the hash is over its bytes
    previous_hash text NOT NULL, -- of the entry before; 64 zeros for the first
    hash text NOT NULL,
    -- a line break would let two different entries share one hash
    CHECK (concat(project, environment, release, kind, actor) !~ E'\n')
);
CREATE INDEX IF NOT EXISTS entry_release ON faber_ledger.entry (release, seq);
CREATE INDEX IF NOT EXISTS entry_environment ON faber_ledger.entry (project, environment, kind, seq);

-- Whole schemas by their fingerprint, as gzipped canonical JSON.
CREATE TABLE IF NOT EXISTS faber_ledger.schema (
    fingerprint text PRIMARY KEY,
    body bytea NOT NULL
);

-- The database chains each entry itself, under a lock, so that no writer can choose its place or hash.
CREATE OR REPLACE FUNCTION faber_ledger.chain() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    last record;
BEGIN
    PERFORM pg_advisory_xact_lock(7236529091);
    SELECT e.seq, e.hash INTO last FROM faber_ledger.entry e ORDER BY e.seq DESC LIMIT 1;
    NEW.seq := coalesce(last.seq, 0) + 1;
    NEW.at := clock_timestamp();
    NEW.previous_hash := coalesce(last.hash, repeat('0', 64));
    NEW.hash := encode(sha256(convert_to(
        NEW.previous_hash || E'\n' || NEW.seq || E'\n'
        || to_char(NEW.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || E'\n'
        || NEW.project || E'\n' || NEW.environment || E'\n' || NEW.release || E'\n'
        || NEW.kind || E'\n' || NEW.actor || E'\n' || NEW.body, 'UTF8')), 'hex');
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION faber_ledger.refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE OR REPLACE TRIGGER chain BEFORE INSERT ON faber_ledger.entry
    FOR EACH ROW EXECUTE FUNCTION faber_ledger.chain();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON faber_ledger.entry
    FOR EACH STATEMENT EXECUTE FUNCTION faber_ledger.refuse();
