-- The gate: working state of callers' own effects. No entry of the log knows of it, and no rebuild touches it.

CREATE TABLE gate (
    key TEXT PRIMARY KEY,
    -- 0 in progress, 1 completed, 2 failed for good, 3 released after a retryable failure.
    phase INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    run_id TEXT,
    token BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    lease_ms INTEGER NOT NULL,
    ttl_s INTEGER NOT NULL,
    -- Nanoseconds since 1970 UTC, as all times.
    created_at INTEGER NOT NULL,
    claimed_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    ended_at INTEGER,
    -- When the answer goes, or the key.
    due_at INTEGER NOT NULL,
    response TEXT,
    error TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX gate_by_due ON gate (due_at);
-- What an erasure of the run takes away.
CREATE INDEX gate_by_run ON gate (run_id) WHERE run_id IS NOT NULL;
