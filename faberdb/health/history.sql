-- What was seen of environments' health, for a while. Run by the ledger's owner; every statement is an ensure.
-- Beside the ledger and not in it: nobody has to prove an hourly look, and a chain is never pruned.
CREATE SCHEMA IF NOT EXISTS faber_health;

CREATE TABLE IF NOT EXISTS faber_health.look (
    project text NOT NULL,
    environment text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL,
    took_ms real NOT NULL,
    results jsonb NOT NULL -- of each check: area, name, state, figure, value, bound
);
CREATE INDEX IF NOT EXISTS look_at ON faber_health.look (project, environment, at);

CREATE TABLE IF NOT EXISTS faber_health.baseline (
    project text NOT NULL,
    environment text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    release text NOT NULL,
    times jsonb NOT NULL -- calls and milliseconds by the statement's queryid, as they were before the release
);
CREATE INDEX IF NOT EXISTS baseline_at ON faber_health.baseline (project, environment, at);
