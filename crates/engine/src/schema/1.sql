-- The whole state of an installation. A change is a file of its own, with the next number; see store/open.rs.
-- Documents (doc, plan, fold, error, handle, body of event) carry their kind and version.

CREATE TABLE meta (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    deployment TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    key_id     TEXT NOT NULL
) STRICT;

CREATE TABLE runtime (
    id  TEXT PRIMARY KEY,
    doc TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secret (
    ref    TEXT PRIMARY KEY,
    nonce  BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE app (
    id      TEXT PRIMARY KEY,
    digest  TEXT NOT NULL,
    pushed  INTEGER NOT NULL,
    size    INTEGER NOT NULL,
    archive BLOB NOT NULL
) STRICT;

CREATE TABLE cluster (
    id       TEXT PRIMARY KEY,
    name     TEXT NOT NULL,
    runtime  TEXT NOT NULL,
    app      TEXT NOT NULL,
    status   TEXT NOT NULL,
    revision INTEGER NOT NULL,
    links    TEXT NOT NULL, -- the names of the clusters that it uses, as a JSON array
    doc      TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX cluster_live_name ON cluster (name) WHERE status NOT IN ('deleted', 'ceased');

CREATE TABLE node (
    cluster TEXT NOT NULL REFERENCES cluster (id),
    node    TEXT NOT NULL,
    doc     TEXT NOT NULL,
    PRIMARY KEY (cluster, node)
) STRICT, WITHOUT ROWID;

-- Job n is called j-n.
CREATE TABLE job (
    n        INTEGER PRIMARY KEY,
    cluster  TEXT NOT NULL REFERENCES cluster (id),
    action   TEXT NOT NULL,
    state    TEXT NOT NULL,
    run      INTEGER NOT NULL,
    revision INTEGER NOT NULL, -- of the cluster, as this job left it when it was accepted or retried
    created  INTEGER NOT NULL,
    ended    INTEGER,
    fold     TEXT,
    error    TEXT
) STRICT;
CREATE UNIQUE INDEX job_running ON job (cluster) WHERE state IN ('running', 'cancelling');
CREATE INDEX job_of_cluster ON job (cluster);

-- Apart from its job: it is large, and an update writes a row as a whole.
CREATE TABLE plan (
    job  INTEGER PRIMARY KEY REFERENCES job (n),
    doc  TEXT NOT NULL, -- the change and the policy
    plan TEXT NOT NULL
) STRICT;

-- Tasks that have begun.
CREATE TABLE task (
    job      INTEGER NOT NULL REFERENCES job (n),
    layer    INTEGER NOT NULL,
    idx      INTEGER NOT NULL,
    state    TEXT NOT NULL,
    attempt  INTEGER NOT NULL,
    started  INTEGER NOT NULL,
    deadline INTEGER,
    ended    INTEGER,
    handle   TEXT,
    error    TEXT,
    PRIMARY KEY (job, layer, idx)
) STRICT, WITHOUT ROWID;

-- The ledger. body and reply are kept byte for byte.
CREATE TABLE call (
    job        INTEGER NOT NULL REFERENCES job (n),
    layer      INTEGER NOT NULL,
    idx        INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    token      TEXT NOT NULL,
    pos        INTEGER NOT NULL, -- its place in its batch
    name       TEXT NOT NULL,
    state      TEXT NOT NULL,
    at         INTEGER NOT NULL,
    body       TEXT NOT NULL,
    reply      TEXT,
    error      TEXT,
    PRIMARY KEY (job, layer, idx, n, generation)
) STRICT, WITHOUT ROWID;
CREATE INDEX call_in_doubt ON call (token) WHERE state = 'intent';

CREATE TABLE event (
    seq  INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    job  INTEGER NOT NULL REFERENCES job (n),
    body TEXT NOT NULL
) STRICT;
CREATE INDEX event_of_job ON event (job);

PRAGMA user_version = 1;
