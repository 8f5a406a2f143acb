"""What Tracekeep records and hashes, from docs/format alone, standard library only.

record()     an op as sent, with what the ledger generated  → the recorded body
members()    a body → its members, the unit of commitment
commit()     members and a salt → the entry's commitment
remainder()  a body, its salt and what is withheld → what is left of the entry, which gives its commitment
redaction()  a redaction of members and the log in front of it → the body of its entry
leaf()       where an entry stands → its leaf
step_texts(), fold()     steps → the leaves and the two roots of a run
seal()       a run's bodies → the body that closes it
"""

import hashlib
import math
import re
from datetime import datetime, timedelta, timezone

import jcs
import merkle
from jcs import Number


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def tagged(tag, *parts):
    return sha256(b"tracekeep/%s/1\n" % tag.encode(), *parts)


def canonical(value):
    return jcs.write(value).encode()


# Values: each function takes what jcs.read gave and returns the recorded form, or raises ValueError.

def need(condition):
    if not condition:
        raise ValueError("refused")


def text(value):
    need(isinstance(value, str) and not isinstance(value, Number))
    return value


def one_of(*words):
    def read(value):
        need(text(value) in words)
        return value
    return read


def ident(value):
    need(re.fullmatch(r"[!-~]{1,255}", text(value)) and value not in (".", ".."))
    return value


def boolean(value):
    need(isinstance(value, bool))
    return value


def integer(low, high):
    def read(value):
        need(isinstance(value, Number) and re.fullmatch(r"-?[0-9]+", value) and low <= int(value) <= high)
        return Number(int(value))
    return read


U32, U64, I64 = integer(0, 2**32 - 1), integer(0, 2**64 - 1), integer(-(2**63), 2**63 - 1)


def finite(value):
    """A number that is kept as a double, so that a long integer is rounded."""
    need(isinstance(value, Number))
    return Number(jcs.double(float(value)))


DURATION_MAX = 9223372036854.773


def duration(value):
    ms = float(finite(value))
    need(0 <= ms <= DURATION_MAX)
    return Number(jcs.double(ms))


def nanoseconds(value):
    """A recorded duration in nanoseconds, halves rounded up."""
    ns = float(value) * 1e6
    whole = math.floor(ns)
    return whole + (ns - whole >= 0.5)


def micro_cents(value):
    match = re.fullmatch(r"(0|[1-9][0-9]*)(?:\.([0-9]{1,6}))?", text(value), re.ASCII)
    need(match)
    micro = int(match[1]) * 10**6 + int((match[2] or "").ljust(6, "0"))
    need(micro < 2**63)
    return micro


def cents(micro):
    whole, part = divmod(micro, 10**6)
    return str(whole) + (("." + "%06d" % part).rstrip("0") if part else "")


def cost(value):
    return cents(micro_cents(value))


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def time(value):
    match = TIME.fullmatch(text(value))
    need(match)
    day, clock, fraction, zone = match.groups()
    local = datetime.strptime(day + clock, "%Y-%m-%d%H:%M:%S").replace(tzinfo=timezone.utc)
    need(clock[6:] < "60")
    offset = 0
    if zone not in "Zz":
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        need(hours < 24 and minutes < 60)
        offset = (hours * 60 + minutes) * (-60 if zone[0] == "-" else 60)
    seconds = (local - EPOCH) // timedelta(seconds=1) - offset
    nanos = seconds * 10**9 + int((fraction or "").ljust(9, "0"))
    need(-(2**63) <= nanos < 2**63)
    seconds, nanos = divmod(nanos, 10**9)
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S") + ".%09dZ" % nanos


def sha(value):
    need(re.fullmatch(r"[0-9a-f]{64}", text(value)))
    return value


def anything(value):
    return value


def free_object(value):
    need(isinstance(value, dict))
    return value


def list_of(read):
    def read_list(value):
        need(isinstance(value, list))
        return [read(item) for item in value]
    return read_list


def tags(value):
    """Repeated ones are kept once, in first-seen order."""
    return list(dict.fromkeys(list_of(text)(value)))


# Members: name → (reader, default). REQUIRED ones must be there, OPTIONAL ones may be; another default is filled in.

REQUIRED, OPTIONAL = object(), object()
SOURCE = (one_of("api", "otlp", "import"), "api")
METADATA, TAGS = (free_object, {}), (tags, [])


def required(*pairs):
    return {name: (read, REQUIRED) for name, read in pairs}


def optional(*pairs):
    return {name: (read, OPTIONAL) for name, read in pairs}


VIOLATION = optional(("step_index", U32), ("at", time), ("policy_id", text), ("reason", text))

OPS = {
    "start_run": {
        **required(("run_id", ident), ("correlation_id", ident), ("started_at", time)),
        **optional(("agent_id", text), ("parent_run_id", ident), ("goal", text), ("plan", list_of(free_object)),
                   ("frozen_timestamp", time), ("policy_snapshot_id", text)),
        "seed": (I64, Number(42)), "metadata": METADATA, "tags": TAGS, "source": SOURCE,
    },
    "ensure_run": {**required(("run_id", ident)), "source": SOURCE},
    "describe_run": {
        **required(("run_id", ident), ("topic", text)),
        **optional(("agent_id", text), ("goal", text), ("started_at", time), ("ended_at", time)),
        "metadata": METADATA,
    },
    "record_step": {
        **required(("run_id", ident), ("index", integer(0, 999_999)), ("skill_name", text), ("params", anything),
                   ("status", one_of("success", "failure", "retry", "skipped")), ("occurred_at", time)),
        **optional(("outcome_code", text), ("outcome_data", anything), ("tokens", U64), ("idempotency_key", text),
                   ("input_hash", sha), ("output_hash", sha), ("rng_state_before", text), ("trace_id", ident)),
        "outcome_category": (text, ""), "cost_cents": (cost, "0"), "duration_ms": (duration, Number(0)),
        "retry_count": (U32, Number(0)), "replay_behavior": (one_of("execute", "skip", "check"), "execute"),
    },
    "record_trace": {
        **required(("run_id", ident), ("id", ident), ("trace_type", lambda value: trace_type(value)),
                   ("occurred_at", time)),
        **optional(("parent_id", ident), ("ended_at", time), ("status", one_of("ok", "error", "open")),
                   ("otel", free_object)),
        "tags": TAGS, "metadata": METADATA,
    },
    "end_trace": {
        **required(("run_id", ident), ("id", ident), ("status", one_of("ok", "error"))),
        **optional(("ended_at", time), ("result", anything), ("duration_ms", duration), ("results_count", U64),
                   ("error", text)),
    },
    "complete_run": {
        **required(("run_id", ident), ("status", one_of("completed", "failed", "aborted")), ("completed_at", time)),
        **optional(("termination_reason", text), ("violation", lambda value: read_members(value, VIOLATION)),
                   ("plan_hash", sha), ("behaviour_hash", sha), ("root_hash", sha)),
        "metadata": METADATA,
    },
    "redact": {
        **required(("run_id", ident), ("members", list_of(text)), ("reason", text)),
        **optional(("step", integer(0, 999_999)), ("trace", ident), ("by", text)),
    },
    "expect": {
        **required(("run_id", ident), ("id", ident), ("domain", text), ("action", text),
                   ("deadline_ms", integer(1, 315_360_000_000))),
        **optional(("received_at", time)),
        "optional": (boolean, False), "count": (integer(1, 1_000), Number(1)), "liveness": (boolean, False),
        "metadata": METADATA,
    },
    "ack": {
        **required(("run_id", ident), ("id", ident), ("domain", text), ("action", text)),
        **optional(("result_id", text), ("error", text), ("rollback_reason", text), ("received_at", time)),
        "status": (one_of("SUCCESS", "FAILED", "ROLLED_BACK"), "SUCCESS"), "metadata": METADATA,
    },
    "set_expectation_status": {
        **required(("run_id", ident), ("domain", text), ("action", text),
                   ("status", one_of("PENDING", "ACKED", "FAILED", "MISSING"))),
        **optional(("received_at", time)),
    },
    "clear_audit": {**required(("run_id", ident)), **optional(("received_at", time))},
    "reconcile": required(("run_id", ident)),
    "key": required(("key", ident), ("ops", list_of(U64))),
}

TYPES = {
    "ToolCall": {**required(("tool_name", text)), "arguments": (anything, None),
                 **optional(("result", anything), ("duration_ms", duration))},
    "Decision": {**required(("question", text), ("options", list_of(text)), ("chosen", text)),
                 **optional(("reasoning", text))},
    "Query": {**required(("query_type", text), ("query", text)), **optional(("results_count", U64))},
    "Thought": {**required(("content", text)), **optional(("confidence", finite))},
    "Error": required(("error_type", text), ("message", text), ("recoverable", boolean)),
    "Custom": {**required(("name", text)), "data": (anything, None)},
}


def read_members(value, known):
    """The members that are there, in their recorded form; null is absent, defaults are filled in."""
    need(isinstance(value, dict) and set(value) <= set(known))
    recorded = {}
    for name, (read, default) in known.items():
        if value.get(name) is not None:
            recorded[name] = read(value[name])
        elif default is REQUIRED:
            raise ValueError("missing " + name)
        elif default is not OPTIONAL:
            recorded[name] = default
    return recorded


def trace_type(value):
    kind = value["type"]
    return {"type": kind, **read_members({name: value[name] for name in value if name != "type"}, TYPES[kind])}


def input_hash(params):
    return tagged("input", canonical(params)).hex()


def output_hash(outcome_data):
    return tagged("output", canonical(outcome_data)).hex()


def plan_hash(plan):
    return tagged("plan", canonical(plan)).hex()


def record(sent, generated):
    """The recorded form of an op, given as JSON text, with the members that the ledger generated."""
    op = jcs.read(sent)
    name = op.pop("op")
    need(not {member for member in generated if op.get(member) is not None})
    body = {"op": name, **read_members({**op, **generated}, OPS[name])}
    if name == "record_step":
        computed = {"input_hash": input_hash(body["params"])}
        if "outcome_data" in body:
            computed["output_hash"] = output_hash(body["outcome_data"])
        need(all(body.get(claim, computed.get(claim)) == computed.get(claim) for claim in ("input_hash", "output_hash")))
        body.update(computed)
    return body


# Commitment and leaf

def entry_salt(random, place):
    return tagged("entry-salt", random, place.to_bytes(8, "big"))


def members(body):
    """(name, value) sorted by name; those inside trace_type count by themselves."""
    flat = {}
    for name, value in body.items():
        if name == "trace_type":
            flat.update({"trace_type/" + inner: inner_value for inner, inner_value in value.items()})
        else:
            flat[name] = value
    return sorted(flat.items())


def member_salt(salt, name):
    return tagged("salt", salt, name.encode())


def member_commitment(salt, name, value):
    return tagged("member", member_salt(salt, name), canonical([name, value]))


def commit(body, salt):
    return commit_of((name, member_commitment(salt, name, value)) for name, value in members(body))


def commit_of(commitments):
    """The commitment of an entry, from (name, m) of its members."""
    return tagged("commit", *(part for name, m in commitments for part in (canonical(name), m)))


NEVER_WITHHELD = {"ended_at", "id", "index", "occurred_at", "op", "parent_id", "run_id", "status", "trace_type/name", "trace_type/type"}


def whole(log_index, body, salt):
    """What is left of an entry of which nothing is withheld: [name, value, salt of the member] of each."""
    shown = [[name, value, member_salt(salt, name).hex()] for name, value in members(body)]
    return {"log_index": log_index, "members": shown}


def without(left, withhold):
    """Withholds members, and what goes with them: [name, m] stays of each."""
    names = {part[0] for part in left["members"]}
    need(not NEVER_WITHHELD & set(withhold) and set(withhold) <= names)
    going = set(withhold)
    for name in withhold:
        going |= {"params": {"input_hash"}, "outcome_data": {"output_hash"}}.get(name, set())
        if name in ("metadata", "tags") or name.startswith("trace_type/"):
            going.add("otel")
    return {**left, "members": [[part[0], m_of(part).hex()] if part[0] in going else part for part in left["members"]]}


def remainder(log_index, body, salt, withhold):
    """What is left of an entry."""
    return without(whole(log_index, body, salt), withhold)


def m_of(part):
    """The commitment of a member that stays or is withheld."""
    if len(part) == 2:
        return bytes.fromhex(part[1])
    name, value, member_salt_hex = part
    return tagged("member", bytes.fromhex(member_salt_hex), canonical([name, value]))


def commit_of_remainder(left):
    return commit_of((part[0], m_of(part)) for part in left["members"])


def stays(left):
    """What stays, as a body: members of trace_type inside it."""
    body = {}
    for part in left["members"]:
        if len(part) == 3:
            name, value, _ = part
            outer, _, inner = name.partition("/")
            if inner:
                body.setdefault(outer, {})[inner] = value
            else:
                body[name] = value
    return body


def leaf(ledger, run, seq, kind, recorded_at, commitment):
    return jcs.write({"v": 1, "ledger": ledger, "run": run, "seq": seq, "kind": kind, "recorded_at": recorded_at,
                      "commit": commitment.hex()})


# Determinism

BEHAVIOUR = ("index", "input_hash", "outcome_category", "outcome_code", "replay_behavior", "retry_count", "skill_name",
             "status")
EXACT = BEHAVIOUR + ("output_hash", "rng_state_before")


def leaf_text(tag, value):
    return "tracekeep/%s/1\n%s" % (tag, jcs.write(value))


def step_texts(step):
    """The texts under the behaviour and the exact leaf of a recorded step."""
    def present(names):
        return {name: step[name] for name in names if name in step}
    return leaf_text("behaviour", present(BEHAVIOUR)), leaf_text("exact", present(EXACT))


def fold(plan, seed, steps, status):
    """plan_hash (or None), the header and end values, behaviour_hash and root_hash; steps in index order."""
    header = {}
    if plan is not None:
        header["plan_hash"] = plan_hash(plan)
    if seed is not None:
        header["seed"] = seed
    end = {"end": status}
    roots = []
    for place, tag in enumerate(("behaviour", "exact")):
        texts = [leaf_text(tag, header), *(step_texts(step)[place] for step in steps), leaf_text(tag, end)]
        roots.append(merkle.mth([text.encode() for text in texts]).hex())
    return header.get("plan_hash"), header, end, roots[0], roots[1]


IN_AN_END = {"trace_type/" + name: name for name in ("result", "duration_ms", "results_count")}
HASHED = (set(EXACT) | {"params", "outcome_data"}) - NEVER_WITHHELD
SUMMED = {"cost_cents", "duration_ms", "tokens"}


def withheld(left):
    return {part[0] for part in left["members"] if len(part) == 2}


def redaction(op, log):
    """The body of the redaction of members that comes next. log: the (body, salt) of each entry, or None where its content
    went; those of earlier redactions say what is left of it."""
    earlier = {at: entry[0] for at, entry in enumerate(log) if entry and "remainders" in entry[0]}
    left, holder = {}, {}
    for at, body in earlier.items():
        for one in body["remainders"]:
            left[int(one["log_index"])], holder[int(one["log_index"])] = one, at
    for at, entry in enumerate(log):
        if entry and entry[0].get("run_id") == op["run_id"]:
            left[at] = whole(at, *entry)

    def says(at):
        return {part[0]: part[1] for part in left[at]["members"]}
    key, value = ("index", op["step"]) if "step" in op else ("id", op["trace"])
    named, kept, gone = [at for at in left if says(at).get(key) == value], {}, set()
    for at in named:
        there = {spelt for name in op["members"] for spelt in (name, IN_AN_END.get(name)) if spelt in says(at)}
        kept[at] = without(left[at], there)
        gone |= withheld(kept[at]) - withheld(left[at])
    need(named and gone)
    if "step" in op:
        of_seals = {name for names, those in ((HASHED, ("behaviour_hash", "root_hash")), (SUMMED, ("totals",)))
                    if gone & names for name in those}
        for at in left:
            going = {name for name in of_seals & set(says(at)) if name not in withheld(left[at])}
            if says(at)["op"] == "complete_run" and going:
                kept[at] = without(left[at], going)
    replaces = {}
    for by in {holder[at] for at in kept if at in holder}:
        for one in earlier[by]["remainders"]:
            kept.setdefault(int(one["log_index"]), one)
        replaces.update((int(one["log_index"]), one) for one in earlier[by]["replaces"])
        said = {name: earlier[by][name] for name in ("reason", "by") if name in earlier[by]}
        replaces[by] = {"log_index": Number(by), **said}
    in_order = [{**one, "log_index": Number(at)} for at, one in sorted(kept.items())]
    return {**op, "remainders": in_order, "replaces": [one for _, one in sorted(replaces.items())]}


def gaps(steps):
    """Indices missing below the largest one present: the count, and the first 100 ranges, half-open."""
    ranges, following = [], 0
    for step in steps:
        index = int(step["index"])
        if index > following:
            ranges.append([following, index])
        following = index + 1
    return {"count": sum(end - begin for begin, end in ranges), "ranges": ranges[:100]}


def totals(steps):
    ns = sum(nanoseconds(step["duration_ms"]) for step in steps)
    result = {
        "successes": sum(step["status"] == "success" for step in steps),
        "failures": sum(step["status"] == "failure" for step in steps),
        "cost_cents": cents(sum(micro_cents(step["cost_cents"]) for step in steps)),
        "duration_ms": min(float(ns) / 1e6, DURATION_MAX),
    }
    tokens = [int(step["tokens"]) for step in steps if "tokens" in step]
    if tokens:
        result["tokens"] = sum(tokens)
    return result


def seal(completion, bodies, leaf_hashes):
    """The body of the first seal of a run, over the bodies of its entries so far and their leaf hashes."""
    need(bodies[0]["op"] == "start_run")
    start = bodies[0]
    steps = sorted((body for body in bodies if body["op"] == "record_step"), key=lambda step: int(step["index"]))
    plan, _, _, behaviour, root = fold(start.get("plan"), start["seed"], steps, completion["status"])
    computed = {"behaviour_hash": behaviour, "root_hash": root}
    if plan is not None:
        computed["plan_hash"] = plan
    need(all(completion.get(claim, value) == value for claim, value in computed.items()))
    return {
        **completion, **computed, "n": 0, "run_root": merkle.root_of(leaf_hashes).hex(), "entries": len(bodies),
        "steps": len(steps), "traces": sum(body["op"] == "record_trace" for body in bodies), "gaps": gaps(steps),
        "totals": totals(steps),
    }
