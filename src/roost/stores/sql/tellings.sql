-- Who tells whom that something waits.

-- name: claim
INSERT INTO tellings (wait, way, server, until) VALUES (?1, ?2, ?3, ?5)
ON CONFLICT (wait, way) DO UPDATE SET server = excluded.server, until = excluded.until
WHERE told = 0 AND (server = excluded.server OR until <= ?4)

-- name: find
SELECT server, until, told FROM tellings WHERE wait = ? AND way = ?

-- name: told
UPDATE tellings SET told = 1 WHERE wait = ? AND way = ?

-- name: purge
DELETE FROM tellings WHERE until <= ?
