-- What is to follow a job that has ended, until it is a job itself.
CREATE TABLE follow_up (
    n       INTEGER PRIMARY KEY AUTOINCREMENT,
    job     INTEGER NOT NULL REFERENCES job (n), -- the one that has ended
    cluster TEXT NOT NULL REFERENCES cluster (id),
    what    TEXT NOT NULL
) STRICT;
CREATE INDEX follow_up_of_cluster ON follow_up (cluster);

-- How many days events and plans are kept; null keeps them for ever.
ALTER TABLE meta ADD COLUMN keep_days INTEGER;

PRAGMA user_version = 2;
