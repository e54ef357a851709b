-- Who tells whom that something waits: of several servers on this file one.
CREATE TABLE tellings (
    wait TEXT NOT NULL,
    way TEXT NOT NULL,        -- a digest of where it goes
    server TEXT NOT NULL,     -- that has taken it upon itself
    until INTEGER NOT NULL,   -- and has it until then
    told INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (wait, way)
) STRICT, WITHOUT ROWID;
