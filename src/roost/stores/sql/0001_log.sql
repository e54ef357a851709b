-- The log, the head of each session, and the projections that are made from it.

CREATE TABLE sessions (
    n             INTEGER PRIMARY KEY,
    id            TEXT    NOT NULL UNIQUE,
    epoch         INTEGER NOT NULL DEFAULT 0,
    owner         TEXT,                        -- the server it belongs to, or NULL
    last_seq      INTEGER NOT NULL DEFAULT 0,
    last_at       INTEGER NOT NULL DEFAULT 0,
    touched       INTEGER NOT NULL DEFAULT 0,  -- the commit that last made it grow
    head_seq      INTEGER NOT NULL DEFAULT 0,  -- the last fact that is in `head`; deltas past it change nothing
    head          BLOB,                        -- core.session.Head as JSON; NULL once it was swept
    -- from here on: taken from the head, so that lists need not decode it
    created_at    INTEGER NOT NULL DEFAULT 0,
    parent        TEXT    NOT NULL DEFAULT '',
    title         TEXT    NOT NULL DEFAULT '',
    messages      INTEGER NOT NULL DEFAULT 0,
    input_tokens  INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost          REAL    NOT NULL DEFAULT 0,
    working_dir   TEXT    NOT NULL DEFAULT '',
    starred       INTEGER NOT NULL DEFAULT 0,
    attributes    TEXT    NOT NULL DEFAULT '', -- JSON, '' where there are none
    in_turn       INTEGER NOT NULL DEFAULT 0,
    deleted       INTEGER NOT NULL DEFAULT 0,
    exited        INTEGER NOT NULL DEFAULT 0,
    swept         INTEGER NOT NULL DEFAULT 0   -- 1 while its rows are being removed, 2 when only this one is left
) STRICT;

CREATE INDEX sessions_touched ON sessions (touched);
CREATE INDEX sessions_in_turn ON sessions (n) WHERE in_turn = 1;
CREATE INDEX sessions_ending ON sessions (n) WHERE deleted = 1 AND exited = 0;
CREATE INDEX sessions_to_sweep ON sessions (n) WHERE exited = 1 AND swept < 2;

CREATE TABLE events (
    log   INTEGER NOT NULL,           -- sessions.n
    seq   INTEGER NOT NULL,
    at    INTEGER NOT NULL,           -- microseconds since 1970
    kind  TEXT    NOT NULL,
    bears INTEGER NOT NULL DEFAULT 0, -- whether it bears a message
    body  BLOB    NOT NULL,           -- the fact as JSON
    PRIMARY KEY (log, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX events_messages ON events (log, seq) WHERE bears = 1;

CREATE TABLE waits (
    id        TEXT    PRIMARY KEY,
    log       INTEGER NOT NULL,
    seq       INTEGER NOT NULL,           -- of its WaitOpened
    opened_at INTEGER NOT NULL,
    open      INTEGER NOT NULL DEFAULT 1,
    answer    BLOB                        -- JSON; NULL while it is open, and when it was voided
) STRICT, WITHOUT ROWID;

CREATE INDEX waits_open ON waits (opened_at, log, seq) WHERE open = 1;
CREATE INDEX waits_log ON waits (log, seq);

CREATE TABLE keys (
    log INTEGER NOT NULL,
    key TEXT    NOT NULL,
    seq INTEGER NOT NULL,                 -- of the MessageQueued that brought it
    PRIMARY KEY (log, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_age ON keys (log, seq);

CREATE TABLE definitions (
    log    INTEGER NOT NULL,
    digest TEXT    NOT NULL,
    seq    INTEGER NOT NULL,              -- of the ToolsShown that brought it
    PRIMARY KEY (log, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE probe (
    n INTEGER PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT;

INSERT INTO probe VALUES (1, 0);
