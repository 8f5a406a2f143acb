-- The indices: every table here is rebuilt from the record alone. fsck builds them a second time in the schema `temp`, so
-- statements stay of the plain forms CREATE TABLE, CREATE INDEX and CREATE UNIQUE INDEX.
--
-- An index ends in the rowid, so a table whose key is a log index is in (…, time, log index) order by (…, time) alone.

-- Full tiles of the ledger's tree. The root stands first: reading it leaves the hashes' pages alone.
CREATE TABLE tile (
    level INTEGER NOT NULL,
    n INTEGER NOT NULL,
    root BLOB NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (level, n)
) STRICT;

-- Types and tags of traces, interned.
CREATE TABLE name (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE run (
    run_no INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    status INTEGER NOT NULL,
    agent TEXT,
    correlation TEXT,
    parent TEXT,
    seed INTEGER,
    plan_hash BLOB,
    behaviour_hash BLOB,
    root_hash BLOB,
    -- Micro-cents and nanoseconds of the steps at the first seal.
    cost INTEGER,
    duration INTEGER,
    -- Of the audit: 1 while the run waits for something, and when what is overdue is next to be looked for.
    waits INTEGER NOT NULL,
    due INTEGER,
    state BLOB NOT NULL
) STRICT;
CREATE INDEX run_by_start ON run (started_at);
CREATE INDEX run_by_status ON run (status, started_at);
CREATE INDEX run_by_agent ON run (agent, started_at) WHERE agent IS NOT NULL;
CREATE INDEX run_by_correlation ON run (correlation, started_at) WHERE correlation IS NOT NULL;
CREATE INDEX run_by_parent ON run (parent, started_at) WHERE parent IS NOT NULL;
CREATE INDEX run_by_seed ON run (seed, started_at) WHERE seed IS NOT NULL;
CREATE INDEX run_by_plan ON run (plan_hash, started_at) WHERE plan_hash IS NOT NULL;
CREATE INDEX run_by_plan_and_seed ON run (plan_hash, seed, started_at) WHERE plan_hash IS NOT NULL;
CREATE INDEX run_by_behaviour ON run (behaviour_hash, started_at) WHERE behaviour_hash IS NOT NULL;
CREATE INDEX run_by_root ON run (root_hash, started_at) WHERE root_hash IS NOT NULL;
CREATE INDEX run_by_cost ON run (cost) WHERE cost IS NOT NULL;
CREATE INDEX run_by_duration ON run (duration) WHERE duration IS NOT NULL;

-- How many runs have a status; a status that none has has no row.
CREATE TABLE run_count (
    status INTEGER PRIMARY KEY,
    n INTEGER NOT NULL
) STRICT;

CREATE INDEX run_waiting ON run (started_at) WHERE waits = 1;
CREATE INDEX run_by_due ON run (due) WHERE due IS NOT NULL;

-- Telemetry that waits for a seal, by when something last came that none covers.
CREATE TABLE run_unsealed (
    at INTEGER NOT NULL,
    run_no INTEGER NOT NULL,
    PRIMARY KEY (at, run_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_tag (
    tag TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    run_no INTEGER NOT NULL,
    PRIMARY KEY (tag, started_at, run_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE topic (
    run_no INTEGER NOT NULL,
    topic TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    PRIMARY KEY (run_no, topic)
) STRICT, WITHOUT ROWID;

CREATE TABLE step (
    run_no INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    behaviour BLOB NOT NULL,
    exact BLOB NOT NULL,
    PRIMARY KEY (run_no, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE trace (
    log_index INTEGER PRIMARY KEY,
    run_no INTEGER NOT NULL,
    id TEXT NOT NULL,
    -- Places: 0 the roots, positive under the trace of that log index, negative under the id named by that entry.
    parent INTEGER NOT NULL,
    children INTEGER NOT NULL,
    type INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    -- 0 ok, 1 error, 2 open.
    status INTEGER NOT NULL,
    ended_at INTEGER,
    ended_by INTEGER,
    -- 1 late, 2 orphan.
    flags INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX trace_by_id ON trace (run_no, id);
CREATE INDEX trace_by_time ON trace (run_no, occurred_at);
CREATE INDEX trace_by_parent ON trace (run_no, parent, occurred_at);
CREATE INDEX trace_by_type ON trace (run_no, type, occurred_at);
CREATE INDEX trace_by_status ON trace (run_no, status, occurred_at);
-- The traces of which more is known than their entries say: of all others a reader takes the entry alone.
CREATE INDEX trace_amended ON trace (log_index)
WHERE ended_by IS NOT NULL OR flags <> 0 OR children <> log_index;

CREATE TABLE trace_tag (
    run_no INTEGER NOT NULL,
    tag INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    PRIMARY KEY (run_no, tag, occurred_at, log_index)
) STRICT, WITHOUT ROWID;

CREATE TABLE child_count (
    run_no INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (run_no, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE trace_count (
    run_no INTEGER NOT NULL,
    -- 0 a type, 1 a tag, 2 a status.
    kind INTEGER NOT NULL,
    -- Of a type or a tag its name's id, else the status.
    name INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (run_no, kind, name)
) STRICT, WITHOUT ROWID;

-- Where a name is used: one that no run uses any more goes.
CREATE INDEX trace_count_by_name ON trace_count (name) WHERE kind < 2;

-- Ids that were named as parents before their trace came.
CREATE TABLE slot (
    named_by INTEGER PRIMARY KEY,
    run_no INTEGER NOT NULL,
    id TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    filled_by INTEGER
) STRICT;
CREATE UNIQUE INDEX slot_by_id ON slot (run_no, id);
CREATE INDEX slot_missing ON slot (run_no, occurred_at) WHERE filled_by IS NULL;
CREATE INDEX slot_filled ON slot (run_no, filled_by) WHERE filled_by IS NOT NULL;

-- The latest fact on whatever was ever held: a run, or a tag of runs.
CREATE TABLE hold (
    log_index INTEGER PRIMARY KEY,
    run_no INTEGER,
    tag TEXT,
    -- 0 let go of, 1 held.
    held INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX hold_by_run ON hold (run_no) WHERE run_no IS NOT NULL;
CREATE UNIQUE INDEX hold_by_tag ON hold (tag) WHERE tag IS NOT NULL;
CREATE INDEX hold_held ON hold (log_index) WHERE held = 1;

-- What names stand for: runs that others are held to, by their ids, since one may have been erased.
CREATE TABLE baseline (
    log_index INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    run_id TEXT NOT NULL
) STRICT;
CREATE INDEX baseline_by_run ON baseline (run_id);

-- Incidents, by when they were opened.
CREATE TABLE incident (
    log_index INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    run_no INTEGER,
    created_at INTEGER NOT NULL,
    -- 0 low, 1 medium, 2 high, 3 critical.
    severity INTEGER,
    -- 0 open, 1 resolved.
    status INTEGER NOT NULL,
    resolved_by INTEGER
) STRICT;
CREATE INDEX incident_by_time ON incident (created_at);
CREATE INDEX incident_by_status ON incident (status, created_at);
CREATE INDEX incident_by_severity ON incident (severity, created_at) WHERE severity IS NOT NULL;
CREATE INDEX incident_by_run ON incident (run_no, created_at) WHERE run_no IS NOT NULL;

-- Bundles that were handed out.
CREATE TABLE export (
    log_index INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    run_no INTEGER
) STRICT;
CREATE INDEX export_by_run ON export (run_no) WHERE run_no IS NOT NULL;

-- Erased runs, and the redactions that erased them. Nothing else is left of them here.
CREATE TABLE erased_run (
    run_no INTEGER PRIMARY KEY,
    log_index INTEGER NOT NULL
) STRICT;

-- Ids of the incidents and exports of erased runs: evidence given away may name them, so they are never free again.
CREATE TABLE erased_id (
    -- 0 an incident, 1 an export.
    kind INTEGER NOT NULL,
    id TEXT NOT NULL,
    run_no INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- Entries whose content a redaction of members took, and that redaction, where what is left of them stands.
CREATE TABLE withheld (
    log_index INTEGER PRIMARY KEY,
    run_no INTEGER NOT NULL,
    redaction INTEGER NOT NULL
) STRICT;
CREATE INDEX withheld_by_run ON withheld (run_no);

-- Facts of audits: all that a verdict looks at.
CREATE TABLE audit_fact (
    log_index INTEGER PRIMARY KEY,
    run_no INTEGER NOT NULL,
    -- 0 an expectation, 1 an acknowledgement, 2 a status set by hand: the last has no id.
    kind INTEGER NOT NULL,
    id TEXT,
    domain TEXT NOT NULL,
    action TEXT NOT NULL,
    -- Of an expectation its deadline, else when it was said.
    at INTEGER NOT NULL,
    -- Of an expectation 1 optional, 2 liveness; else the status.
    status INTEGER NOT NULL,
    -- Times that it is expected; else 0.
    n INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX audit_fact_by_id ON audit_fact (run_no, kind, id) WHERE id IS NOT NULL;
CREATE INDEX audit_fact_by_run ON audit_fact (run_no, kind);

-- Where each action stands.
CREATE TABLE audit_action (
    run_no INTEGER NOT NULL,
    domain TEXT NOT NULL,
    action TEXT NOT NULL,
    wanted INTEGER NOT NULL,
    successes INTEGER NOT NULL,
    -- 0 nothing, 1 failed, 2 rolled back, 3 missing.
    last INTEGER NOT NULL,
    -- 1 required, 2 acknowledged.
    flags INTEGER NOT NULL,
    expected_at INTEGER,
    said INTEGER NOT NULL,
    PRIMARY KEY (run_no, domain, action)
) STRICT, WITHOUT ROWID;

CREATE TABLE idem_key (
    key TEXT PRIMARY KEY,
    log_index INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
