//! Named limits of the record, with units and reasons.
//!
//! Everything recorded is hostile input; every size has a bound, and each bound is one of these. Bytes over a limit are
//! answered with 413, counts and grammar with 400. The page docs/limits.md is tested against this file.

/// Bytes in an id (run, trace, correlation, key): 1 to 255 visible ASCII characters, so that an id fits a URL segment, a
/// header and an index key as it is.
pub const ID_BYTES_MAX: u32 = 255;

/// Bytes in a name that an index is keyed by (skill, tool, trace type, outcome): long enough for any qualified name.
pub const NAME_BYTES_MAX: u32 = 256;

/// Bytes in the reason that somebody gives for a hold or an erasure, from 1 (1 KiB): it stays for ever, and lists show it.
pub const REASON_BYTES_MAX: u32 = 1 << 10;

/// Tags on one run or trace: each is an index row.
pub const TAGS_MAX: u32 = 64;

/// Bytes in one tag, from 1: each is interned as an index key.
pub const TAG_BYTES_MAX: u32 = 256;

/// Bytes in one op's recorded body (4 MiB): larger payloads belong in object storage, by reference.
pub const OP_BYTES_MAX: u32 = 4 << 20;

/// Members that one redaction names, from 1: more than any entry has.
pub const REDACTED_MEMBERS_MAX: u32 = 64;

/// Bytes in the body of a redaction of members (16 MiB): what is left of the entries that it takes the place of.
pub const REDACTION_BYTES_MAX: u32 = 16 << 20;

/// Bytes in one API request (16 MiB): what one batch may hold in memory at once.
pub const REQUEST_BYTES_MAX: u32 = 16 << 20;

/// Bytes in one OTLP request after decompression (64 MiB): the limit that the OTLP specification recommends.
pub const OTLP_BYTES_MAX: u32 = 64 << 20;

/// Containers inside containers in one op: what a parser on a small thread stack can always read back.
pub const JSON_DEPTH_MAX: u32 = 128;

/// Ops in one batch: one commit's worth of work, planned without letting others wait.
pub const BATCH_OPS_MAX: u32 = 1_000;

/// Bytes of recorded bodies that a batch is compared with, beyond twice its own (128 MiB): small ops under the ids of
/// large ones must not fill a server's memory.
pub const COMPARED_BYTES_MAX: u32 = 128 << 20;

/// Items on a page unless told.
pub const PAGE_ITEMS_DEFAULT: u32 = 50;

/// Items on a page at most: no read costs more than one bounded page.
pub const PAGE_ITEMS_MAX: u32 = 1_000;

/// Bytes of recorded bodies on a page, beyond which it ends early with a cursor (8 MiB): a page of the largest ops must
/// not fill a server's memory.
pub const PAGE_BYTES_MAX: u32 = 8 << 20;

/// The largest step index: a seal reads at most a million step leaves.
pub const STEP_INDEX_MAX: u32 = 999_999;

/// Ranges of missing step indices that a seal lists; the count beyond them is exact.
pub const GAP_RANGES_MAX: u32 = 100;

/// Ancestors that `plan` walks before it records a late parent as an orphan.
pub const ANCESTORS_MAX: u32 = 1_000;

/// Bytes of the entries that one bundle shows (512 MiB), counted as they are read, each as its line: what bounds the memory
/// of an export.
pub const EXPORT_BYTES_MAX: u64 = 512 << 20;

/// Entries that one request may ask a multiproof of, over HTTP: a run of so many, with its tree's nodes, is what one answer
/// may hold.
pub const PROVED_MAX: u32 = 100_000;

/// Index rows that one read may visit beyond what it returns, when several filters are combined.
pub const SCAN_ROWS_MAX: u32 = 10_000;

/// Steps that a page of differences between two runs passes beyond the first that differs: what a reader waits for.
pub const COMPARED_STEPS_MAX: u32 = 100_000;

/// Ways in which runs of one plan and seed came out that are listed, and compared with the most frequent.
pub const MATCH_GROUPS_MAX: u32 = 50;

/// Runs that are named for each way.
pub const MATCH_EXAMPLES_MAX: u32 = 5;

/// Places that are listed where runs of one plan and seed differ.
pub const FLAKY_STEPS_MAX: u32 = 100;

/// Traces that one query names by their ids: what fits a URL with ids of any length.
pub const TRACE_IDS_MAX: u32 = 64;

/// Bytes in the words that a query looks for (1 KiB).
pub const TEXT_QUERY_BYTES_MAX: u32 = 1 << 10;

/// Words in all that one search looks for; each character of a script without spaces is one. Every one costs a search as
/// much as all its places in the run's texts.
pub const TEXT_QUERY_WORDS_MAX: u32 = 32;

/// Words of a trace's text that a search looks into; what comes after them is recorded but not found. A longer text would
/// let others wait while it is indexed, or taken out of the index.
pub const TEXT_WORDS_MAX: u32 = 20_000;

/// Names that one answer counts, of types and of tags; beyond them a counter is asked for by its name.
pub const COUNTED_NAMES_MAX: u32 = 1_000;

/// Bytes in the answer that the gate keeps for a key (1 MiB): a larger one is kept elsewhere, and a reference here.
pub const GATE_RESPONSE_BYTES_MAX: u32 = 1 << 20;

/// Bytes in the error that the gate keeps for a key (4 KiB).
pub const GATE_ERROR_BYTES_MAX: u32 = 4 << 10;

/// Milliseconds of a lease at the gate, from 1 (a day): who is at work for longer renews it.
pub const GATE_LEASE_MS_MAX: u32 = 86_400_000;

/// Seconds that the gate keeps an answer, from 1 (366 days).
pub const GATE_TTL_S_MAX: u32 = 31_622_400;

/// Expectations of one run: what a verdict is computed over while others wait for the writer.
pub const EXPECTATIONS_MAX: u32 = 1_000;

/// Acknowledgements of one run, statuses set by hand included: likewise.
pub const ACKS_MAX: u32 = 10_000;

/// Terms of one contract: with the start of the run that declares it they are one batch.
pub const CONTRACT_TERMS_MAX: u32 = 999;

/// Facts of audits that one batch looks at: each op that judges a run counts all of the run's facts, those of the batch
/// itself included. Four times as many as one run has.
pub const JUDGED_FACTS_MAX: u32 = 44_000;

/// Facts of a run for each of which a verdict that nobody asked for waits longer by the hundredth part of a second, in whole
/// seconds, where one that waited for nothing stands before it: so that verdicts grow with the facts, not with their square.
pub const FACTS_A_SECOND: u32 = 100;

/// The longest deadline of an expectation, in milliseconds: ten years of 365 days.
pub const DEADLINE_MS_MAX: u64 = 315_360_000_000;

/// Times that one expectation may ask for.
pub const EXPECTED_COUNT_MAX: u32 = 1_000;

/// Bytes of what an acknowledgement says went wrong (4 KiB), of either member.
pub const ACK_TEXT_BYTES_MAX: u32 = 4 << 10;

/// Bytes of what an incident says in words, and of its resolution (4 KiB), of either member.
pub const INCIDENT_TEXT_BYTES_MAX: u32 = 4 << 10;

/// Incidents and exports of one run together: an erasure names them all.
pub const EVIDENCE_MAX: u32 = 10_000;

/// Incidents and exports of one run together beyond which an export is an entry of no run, so that none is ever refused and
/// incidents keep the other half.
pub const EXPORTS_OWNED_MAX: u32 = 5_000;

/// Bytes of the options of one export (80 KiB), in canonical JSON: a thousand members of traces with generated ids fit, and
/// the exports that a run owns do not fill its bundle (`EXPORT_BYTES_MAX`).
pub const EXPORT_OPTIONS_BYTES_MAX: u32 = 80 << 10;

/// Bytes of the findings that one verdict lists (2 MiB), so that a run whose names are long can still be sealed.
pub const VERDICT_BYTES_MAX: u32 = 2 << 20;
