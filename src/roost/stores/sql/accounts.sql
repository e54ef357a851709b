-- Accounts and their tokens.

-- name: all
SELECT name, password, home, created_at, enabled, force_sandbox FROM accounts ORDER BY name

-- name: find
SELECT name, password, home, created_at, enabled, force_sandbox FROM accounts WHERE name = ?

-- name: put
INSERT INTO accounts (name, password, home, created_at, enabled, force_sandbox) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE
SET password = excluded.password, home = excluded.home, created_at = excluded.created_at,
    enabled = excluded.enabled, force_sandbox = excluded.force_sandbox

-- name: remove
DELETE FROM accounts WHERE name = ?

-- name: revoke_all
DELETE FROM tokens WHERE account = ?

-- name: admit
INSERT INTO tokens (digest, account, created_at, expires_at) VALUES (?, ?, ?, ?)

-- name: login
SELECT a.name, a.password, a.home, a.created_at, a.enabled, a.force_sandbox,
       t.digest, t.account, t.created_at, t.expires_at
FROM tokens t
JOIN accounts a ON a.name = t.account
WHERE t.digest = ? AND t.expires_at > ?

-- name: revoke
DELETE FROM tokens WHERE digest = ?

-- name: purge
DELETE FROM tokens WHERE expires_at <= ?

-- name: marks
SELECT name, mark FROM imports

-- name: forget_marks
DELETE FROM imports

-- name: mark
INSERT INTO imports (name, mark) VALUES (?, ?)

-- name: changed
UPDATE account_changes SET count = count + 1 WHERE n = 1

-- name: version
SELECT count FROM account_changes WHERE n = 1
