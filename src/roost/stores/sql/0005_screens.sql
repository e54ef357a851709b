-- What a screen looks up in a long log without reading it: facts that are rare, and what people have said.
CREATE INDEX events_rare ON events (log, kind, seq)
WHERE kind IN ('SessionCreated', 'TurnOpened', 'TeamShown', 'MessageWritten', 'MessageEdited');

CREATE INDEX events_said ON events (log, seq)
WHERE kind IN ('MessageWritten', 'MessageTaken') AND json_extract(CAST(body AS TEXT), '$.message.role') = 'user';
