-- Browsers that have been let in, the codes that let them in, and where they can be told something.

CREATE TABLE browsers (
    id         TEXT    PRIMARY KEY,
    digest     TEXT    NOT NULL UNIQUE,       -- SHA-256 of the cookie; the cookie itself is not here
    account    TEXT    NOT NULL,              -- '' is the operator
    bond       TEXT    NOT NULL,              -- to the operator's token: with another one it opens nothing
    label      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX browsers_account ON browsers (account);
CREATE INDEX browsers_expiry ON browsers (expires_at);

CREATE TABLE pairing_codes (
    digest     TEXT    PRIMARY KEY,           -- SHA-256; the code itself is not here
    account    TEXT    NOT NULL,
    bond       TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE subscriptions (
    endpoint   TEXT    PRIMARY KEY,
    browser    TEXT    NOT NULL,              -- '' where browsers need not be let in
    account    TEXT    NOT NULL,
    point      TEXT    NOT NULL,
    auth       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
