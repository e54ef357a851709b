-- Browsers, pairing codes, subscriptions.

-- name: keep
INSERT INTO browsers (id, digest, account, bond, label, created_at, seen_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: find
SELECT id, digest, account, bond, label, created_at, seen_at, expires_at
FROM browsers WHERE digest = ? AND expires_at > ?

-- name: all
SELECT id, digest, account, bond, label, created_at, seen_at, expires_at FROM browsers ORDER BY created_at, id

-- name: seen
UPDATE browsers SET seen_at = ?, expires_at = ? WHERE id = ?

-- name: forget
DELETE FROM browsers WHERE id = ?

-- name: forget_of
DELETE FROM browsers WHERE account = ?

-- name: purge
DELETE FROM browsers WHERE expires_at <= ?

-- name: offer
INSERT INTO pairing_codes (digest, account, bond, expires_at) VALUES (?, ?, ?, ?)

-- name: code
SELECT digest, account, bond, expires_at FROM pairing_codes WHERE digest = ?

-- name: use
DELETE FROM pairing_codes WHERE digest = ?

-- name: withdraw
DELETE FROM pairing_codes WHERE account = ?

-- name: purge_codes
DELETE FROM pairing_codes WHERE expires_at <= ?

-- name: subscribe
INSERT INTO subscriptions (endpoint, browser, account, point, auth, created_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (endpoint) DO UPDATE
SET browser = excluded.browser, account = excluded.account, point = excluded.point,
    auth = excluded.auth, created_at = excluded.created_at

-- name: unsubscribe
DELETE FROM subscriptions WHERE endpoint = ?

-- name: unsubscribe_of
DELETE FROM subscriptions WHERE account = ?

-- name: subscriptions
SELECT endpoint, browser, account, point, auth, created_at FROM subscriptions ORDER BY created_at, endpoint

-- name: orphans
DELETE FROM subscriptions WHERE browser <> '' AND browser NOT IN (SELECT id FROM browsers)
