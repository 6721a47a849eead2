"""The schema that every rule's example stands on: documented with them, and built by their tests."""

from __future__ import annotations

from typing import Final

EXAMPLE_SCHEMA: Final = """\
CREATE TABLE account (
    id bigint PRIMARY KEY, email text NOT NULL, note varchar(20), code text, visits int, seen int,
    doubled int GENERATED ALWAYS AS (visits * 2) STORED
);
CREATE UNIQUE INDEX account_code ON account (code);
ALTER TABLE account ADD CONSTRAINT visits_sane CHECK (visits < 1000000) NOT VALID;
CREATE TABLE purchase (id bigint PRIMARY KEY, account_id bigint NOT NULL);
CREATE INDEX purchase_account_id ON purchase (account_id);
CREATE TABLE draft (id bigint PRIMARY KEY, body text);
CREATE TABLE keyless (id bigint NOT NULL, maybe bigint);
CREATE UNIQUE INDEX keyless_id ON keyless (id);
CREATE UNIQUE INDEX keyless_maybe ON keyless (maybe);
CREATE TABLE booking (id bigint PRIMARY KEY, during tstzrange);
CREATE TABLE event (id bigint NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (100) TO (200);
CREATE TABLE event_old (id bigint NOT NULL);
CREATE TABLE parent (id bigint);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE plain (id bigint NOT NULL, body text);
CREATE SCHEMA attic;
CREATE VIEW emails AS SELECT email FROM account;
CREATE MATERIALIZED VIEW totals AS SELECT id, visits FROM account;
CREATE UNIQUE INDEX totals_id ON totals (id);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN percent AS int;
CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
INSERT INTO account (id, email, note, code, visits)
SELECT n, 'e' || n, 'n' || n, 'c' || n, n FROM generate_series(1, 100) n;
INSERT INTO purchase SELECT n, n FROM generate_series(1, 100) n;
INSERT INTO event_old SELECT n FROM generate_series(1, 50) n;
"""
