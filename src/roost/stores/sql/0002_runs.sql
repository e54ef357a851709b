-- The processes of agent CLIs, made from the log.

CREATE TABLE runs (
    id         TEXT    PRIMARY KEY,
    log        INTEGER NOT NULL,
    seq        INTEGER NOT NULL,           -- of its RunStarted
    started_at INTEGER NOT NULL,
    end_seq    INTEGER,                    -- of its RunEnded; NULL while it is under way
    ended_at   INTEGER,
    forgotten  INTEGER NOT NULL DEFAULT 0  -- 1 once somebody has had it dropped from the list
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_age ON runs (started_at, log, seq) WHERE forgotten = 0;
CREATE INDEX runs_log ON runs (log, seq);

INSERT INTO runs (id, log, seq, started_at)
SELECT json_extract(CAST(body AS TEXT), '$.run'), log, seq, at FROM events WHERE kind = 'RunStarted';

UPDATE runs
SET end_seq = ended.seq, ended_at = ended.at
FROM events AS ended
WHERE ended.log = runs.log AND ended.kind = 'RunEnded' AND json_extract(CAST(ended.body AS TEXT), '$.run') = runs.id;
