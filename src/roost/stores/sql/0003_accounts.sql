-- Who may log in, and whose a session is.

ALTER TABLE sessions ADD COLUMN account TEXT NOT NULL DEFAULT '';  -- taken from the head, as the others are

UPDATE sessions SET account = coalesce(json_extract(CAST(head AS TEXT), '$.owner'), '') WHERE head IS NOT NULL;

CREATE TABLE accounts (
    name          TEXT    PRIMARY KEY,
    password      TEXT    NOT NULL,           -- its hash
    home          TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    enabled       INTEGER NOT NULL,
    force_sandbox INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    digest     TEXT    PRIMARY KEY,           -- SHA-256; the token itself is not here
    account    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_account ON tokens (account);
CREATE INDEX tokens_expiry ON tokens (expires_at);

CREATE TABLE imports (
    name TEXT PRIMARY KEY,
    mark TEXT NOT NULL                        -- what the list last said of this name, digested
) STRICT, WITHOUT ROWID;

CREATE TABLE account_changes (
    n     INTEGER PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT;

INSERT INTO account_changes VALUES (1, 0);
