-- The record: what everything else can be rebuilt from. Rows are only ever appended; the one change that is let through
-- is an erasure, which sets body and salt of an entry to NULL together.

CREATE TABLE entry (
    log_index INTEGER PRIMARY KEY,
    -- The log index of the run's first entry; NULL for an entry of no run.
    run_no INTEGER,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    -- Nanoseconds since 1970 UTC.
    recorded_at INTEGER NOT NULL,
    commitment BLOB NOT NULL,
    -- Entries that follow in the same batch.
    after INTEGER NOT NULL,
    -- How the body is stored: 0 plain UTF-8, 1 a zstd frame over a shipped dictionary.
    codec INTEGER NOT NULL,
    body BLOB,
    salt BLOB
) STRICT;

-- Their seq counts by itself.
CREATE INDEX entry_of_no_run ON entry (seq) WHERE run_no IS NULL;

-- The entries of a run that no row of an index names: all but steps, traces and their ends, so that recording those does
-- not pay for it. An erasure finds them here.
CREATE INDEX entry_of_run_rest ON entry (run_no) WHERE run_no IS NOT NULL AND kind NOT IN (3, 4, 5);

-- The few that declare a key that signs.
CREATE INDEX entry_signing_key ON entry (log_index) WHERE kind = 18;

CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry BEGIN
    SELECT RAISE(ABORT, 'the log is append-only');
END;

-- REPLACE would delete without a word to the trigger above.
CREATE TRIGGER entry_is_never_replaced BEFORE INSERT ON entry
WHEN EXISTS (SELECT 1 FROM entry WHERE log_index = NEW.log_index) BEGIN
    SELECT RAISE(ABORT, 'the log is append-only');
END;

CREATE TRIGGER entry_is_only_ever_erased BEFORE UPDATE ON entry
WHEN NOT (
    NEW.log_index IS OLD.log_index AND NEW.run_no IS OLD.run_no AND NEW.seq IS OLD.seq AND NEW.kind IS OLD.kind
    AND NEW.recorded_at IS OLD.recorded_at AND NEW.commitment IS OLD.commitment AND NEW.after IS OLD.after
    AND NEW.codec IS OLD.codec AND NEW.body IS NULL AND NEW.salt IS NULL
) BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: an entry can be erased, nothing else');
END;

-- The ids of runs. Part of the record, so that the run of an erased entry stays known.
CREATE TABLE run_name (
    run_no INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE
) STRICT;

CREATE TRIGGER run_name_is_never_deleted BEFORE DELETE ON run_name BEGIN
    SELECT RAISE(ABORT, 'the log is append-only');
END;

CREATE TRIGGER run_name_is_never_replaced BEFORE INSERT ON run_name
WHEN EXISTS (SELECT 1 FROM run_name WHERE run_no = NEW.run_no OR run_id = NEW.run_id) BEGIN
    SELECT RAISE(ABORT, 'the log is append-only');
END;

CREATE TRIGGER run_name_is_never_changed BEFORE UPDATE ON run_name BEGIN
    SELECT RAISE(ABORT, 'the log is append-only');
END;

-- Working state: who the ledger is, and how its tables came to be.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE migration (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum BLOB NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;
