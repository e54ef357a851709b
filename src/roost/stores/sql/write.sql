-- What the writer asks, inside its transaction.

-- name: row
SELECT n, epoch, owner, last_seq, last_at, head_seq, deleted, exited FROM sessions WHERE id = ?

-- name: row_head
SELECT head FROM sessions WHERE n = ?

-- name: create
INSERT INTO sessions (id) VALUES (?) RETURNING n

-- name: advance
-- Number, fence and projection in one.
UPDATE sessions
SET last_seq = last_seq + :count, last_at = :last_at, touched = max(touched, :touched),
    epoch = :epoch, owner = :owner
WHERE n = :n AND epoch = :old_epoch
RETURNING last_seq

-- name: advance_head
UPDATE sessions
SET last_seq = last_seq + :count, last_at = :last_at, touched = max(touched, :touched),
    epoch = :epoch, owner = :owner,
    head_seq = :head_seq, head = :head,
    created_at = :created_at, parent = :parent, title = :title, messages = :messages,
    input_tokens = :input_tokens, output_tokens = :output_tokens, cost = :cost,
    working_dir = :working_dir, starred = :starred, attributes = :attributes, account = :account,
    in_turn = :in_turn, deleted = :deleted, exited = :exited
WHERE n = :n AND epoch = :old_epoch
RETURNING last_seq

-- name: insert_events
INSERT INTO events (log, seq, at, kind, bears, body) VALUES (?, ?, ?, ?, ?, ?)

-- name: open_wait
INSERT INTO waits (id, log, seq, opened_at) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE
SET log = excluded.log, seq = excluded.seq, opened_at = excluded.opened_at, open = 1, answer = NULL

-- name: close_wait
UPDATE waits SET open = 0, answer = ? WHERE id = ? AND log = ?

-- name: has_key
SELECT 1 FROM keys WHERE log = ? AND key = ?

-- name: add_key
INSERT INTO keys (log, key, seq) VALUES (?, ?, ?)

-- name: forget_keys
-- Only the newest are remembered.
DELETE FROM keys
WHERE log = :log AND seq <= (SELECT seq FROM keys WHERE log = :log ORDER BY seq DESC LIMIT 1 OFFSET :kept)

-- name: add_definition
INSERT INTO definitions (log, digest, seq) VALUES (?, ?, ?) ON CONFLICT DO NOTHING

-- name: start_run
INSERT INTO runs (id, log, seq, started_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: end_run
UPDATE runs SET end_seq = ?, ended_at = ? WHERE id = ? AND log = ?

-- name: forget_run
UPDATE runs SET forgotten = 1 WHERE id = ? AND ended_at IS NOT NULL

-- name: newest_touch
SELECT coalesce(max(touched), 0) FROM sessions

-- name: touched_since
SELECT id, touched FROM sessions WHERE touched > ? ORDER BY touched, n

-- name: probe
UPDATE probe SET count = count + 1 WHERE n = 1 RETURNING count

-- name: next_to_sweep
SELECT n, id FROM sessions WHERE exited = 1 AND swept < 2 AND last_at <= ? ORDER BY n LIMIT 1

-- name: sweep_events
DELETE FROM events
WHERE log = :log AND seq <= (
    SELECT max(seq) FROM (SELECT seq FROM events WHERE log = :log ORDER BY seq LIMIT :limit)
)

-- name: sweeping
UPDATE sessions SET swept = 1 WHERE n = ?

-- name: swept
-- The id stays, so that it is never used again.
UPDATE sessions
SET swept = 2, head = NULL, owner = NULL, title = '', working_dir = '', attributes = '', account = ''
WHERE n = ?

-- name: sweep_waits
DELETE FROM waits WHERE log = ?

-- name: sweep_keys
DELETE FROM keys WHERE log = ?

-- name: sweep_definitions
DELETE FROM definitions WHERE log = ?

-- name: sweep_runs
DELETE FROM runs WHERE log = ?

-- name: unlist_runs
-- What was forgotten stays so.
DELETE FROM runs WHERE log = ? AND forgotten = 0

-- name: rebuildable
SELECT id FROM sessions WHERE swept = 0 ORDER BY n

-- name: log_slice
SELECT seq, at, bears, body FROM events WHERE log = ? AND seq > ? ORDER BY seq LIMIT ?

-- name: mark_bearing
UPDATE events SET bears = 1 WHERE log = ? AND seq = ?

-- name: state_of
SELECT last_seq, head_seq, head, in_turn, deleted, exited FROM sessions WHERE n = ?

-- name: waits_of
SELECT id, seq, opened_at, open, answer FROM waits WHERE log = ? ORDER BY id

-- name: keys_of
SELECT key, seq FROM keys WHERE log = ? ORDER BY seq, key

-- name: definitions_of
SELECT digest, seq FROM definitions WHERE log = ? ORDER BY digest

-- name: runs_of
SELECT id, seq, started_at, end_seq, ended_at, forgotten FROM runs WHERE log = ? ORDER BY id
