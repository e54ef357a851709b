-- What readers ask.

-- name: page
SELECT seq, at, body FROM events
WHERE log = (SELECT n FROM sessions WHERE id = ? AND swept = 0) AND seq > ?
ORDER BY seq LIMIT ?

-- name: messages
SELECT seq, at, body FROM events INDEXED BY events_messages
WHERE log = (SELECT n FROM sessions WHERE id = ? AND swept = 0) AND seq > ? AND bears = 1
ORDER BY seq

-- name: newest
SELECT seq, at, body FROM events
WHERE log = (SELECT n FROM sessions WHERE id = ? AND swept = 0) AND seq < ? AND kind = ?
ORDER BY seq DESC LIMIT 1

-- name: newest_rare
SELECT seq, at, body FROM events INDEXED BY events_rare
WHERE log = (SELECT n FROM sessions WHERE id = ? AND swept = 0) AND seq < ? AND kind = ?
AND kind IN ('SessionCreated', 'TurnOpened', 'TeamShown', 'MessageWritten', 'MessageEdited')
ORDER BY seq DESC LIMIT 1

-- name: latest
SELECT seq, at, body FROM events INDEXED BY events_messages
WHERE log = (SELECT n FROM sessions WHERE id = ? AND swept = 0) AND seq < ? AND bears = 1
ORDER BY seq DESC LIMIT ?

-- name: remarks
SELECT seq, at, body FROM events INDEXED BY events_remarks
WHERE log = (SELECT n FROM sessions WHERE id = ? AND swept = 0) AND seq > ? AND seq < ?
AND kind IN (
  'AnswerDropped', 'Authorized', 'BudgetRaised', 'CallChanged', 'CompactionEnded', 'CompactionStarted',
  'FellBack', 'HandedOver', 'HookBlocked', 'HookEnded', 'LimitHit', 'LimitRaised', 'LimitResumeFailed',
  'LimitResumed', 'LineSkipped', 'ModelChosen', 'PlanSet', 'PolicySet', 'RoundResult', 'RunEnded', 'RunStarted',
  'StatusShown', 'StderrAdded', 'TurnEnded', 'TurnResumed', 'UserNoted', 'WaitAnswered', 'WaitOpened', 'Warned',
  'WorktreeLeft', 'WorktreeMade'
)
ORDER BY seq DESC LIMIT ?

-- name: said
SELECT count(*) FROM events INDEXED BY events_said
WHERE log = (SELECT n FROM sessions WHERE id = ? AND swept = 0) AND seq < ?
AND kind IN ('MessageWritten', 'MessageTaken') AND json_extract(CAST(body AS TEXT), '$.message.role') = 'user'

-- name: exists
SELECT 1 FROM sessions WHERE id = ? AND swept = 0

-- name: head
SELECT head, last_seq FROM sessions WHERE id = ? AND swept = 0

-- name: definition
SELECT e.body
FROM sessions s
JOIN definitions d ON d.log = s.n
JOIN events e ON e.log = d.log AND e.seq = d.seq
WHERE s.id = ? AND s.swept = 0 AND d.digest = ?

-- name: open_waits
SELECT w.id, s.id, w.opened_at, w.open, w.answer, e.body, s.account
FROM waits w
JOIN sessions s ON s.n = w.log
JOIN events e ON e.log = w.log AND e.seq = w.seq
WHERE w.open = 1 AND s.deleted = 0
ORDER BY w.opened_at, w.log, w.seq

-- name: wait
SELECT w.id, s.id, w.opened_at, w.open, w.answer, e.body, s.account
FROM waits w
JOIN sessions s ON s.n = w.log
JOIN events e ON e.log = w.log AND e.seq = w.seq
WHERE w.id = ? AND s.swept = 0

-- name: unsettled
SELECT head, last_seq, owner FROM sessions WHERE in_turn = 1
UNION ALL
SELECT head, last_seq, owner FROM sessions WHERE deleted = 1 AND exited = 0 AND in_turn = 0

-- name: running
SELECT count(*) FROM sessions WHERE in_turn = 1

-- name: heads
-- What has changed since a commit; those that are deleted too, so that a reader can forget them.
SELECT n, touched, deleted, created_at, head, last_seq FROM sessions WHERE touched > ?

-- name: all_runs
SELECT r.id, s.id, s.parent, s.account, r.started_at, r.ended_at, b.body, x.body
FROM runs r
JOIN sessions s ON s.n = r.log
JOIN events b ON b.log = r.log AND b.seq = r.seq
LEFT JOIN events x ON x.log = r.log AND x.seq = r.end_seq
WHERE r.forgotten = 0 AND s.deleted = 0
ORDER BY r.started_at DESC, r.log DESC, r.seq DESC

-- name: runs
SELECT r.id, s.id, s.parent, s.account, r.started_at, r.ended_at, b.body, x.body
FROM sessions s
JOIN runs r ON r.log = s.n
JOIN events b ON b.log = r.log AND b.seq = r.seq
LEFT JOIN events x ON x.log = r.log AND x.seq = r.end_seq
WHERE s.id = ? AND s.swept = 0 AND r.forgotten = 0
ORDER BY r.seq DESC

-- name: run
SELECT r.id, s.id, s.parent, s.account, r.started_at, r.ended_at, b.body, x.body
FROM runs r
JOIN sessions s ON s.n = r.log
JOIN events b ON b.log = r.log AND b.seq = r.seq
LEFT JOIN events x ON x.log = r.log AND x.seq = r.end_seq
WHERE r.id = ? AND s.swept = 0 AND r.forgotten = 0

-- name: listing
-- What has changed since a commit; those that are deleted too, so that a reader can forget them.
SELECT n, touched, deleted OR parent != '', created_at,
       id, created_at, title, messages, input_tokens, output_tokens, cost, working_dir, starred, attributes,
       account
FROM sessions WHERE touched > ?
