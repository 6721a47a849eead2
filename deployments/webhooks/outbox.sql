-- Deliveries that were accepted, until their runs exist. Run by the ledger's owner; every statement is an ensure.
CREATE SCHEMA IF NOT EXISTS webhooks;

CREATE TABLE IF NOT EXISTS webhooks.delivery (
    project text NOT NULL,
    key text NOT NULL, -- Prefect's idempotency key too: however often it is sent, there is one run
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    repository text NOT NULL,
    event text NOT NULL,
    deployment text NOT NULL,
    parameters jsonb NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'refused')),
    run text NOT NULL DEFAULT '',
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    last_error text NOT NULL DEFAULT '',
    PRIMARY KEY (project, key)
);
CREATE INDEX IF NOT EXISTS delivery_pending ON webhooks.delivery (project, next_attempt_at)
    WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS delivery_received ON webhooks.delivery (project, received_at);
