#!/usr/bin/env python3
"""Verifies a Tracekeep bundle from its bytes and a public key: no server, no network, none of Tracekeep's code.

Written from docs/format/bundle.md, to be read before it is run. Python 3.9 or later and the package `cryptography`.
Exit codes: 0 all verdicts pass, 1 one fails, 2 usage or no zip, 3 one is unconfirmed. What was made of the records,
comparison.json, controls.json, debrief.json and report.html, is held to its signed digest and not made again.
"""
import argparse, base64, bisect, contextlib, datetime, hashlib, json, os, re, struct, sys, types, zlib
from decimal import Decimal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

class Refused(Exception):
    """Its argument is the reason."""

def need(condition, reason=None):
    if not condition:
        raise Refused(reason)

@contextlib.contextmanager
def reading(reason):
    """Whatever goes wrong in reading a part has that part's reason, unless it has one of its own."""
    try:
        yield
    except Exception as error:
        raise error if isinstance(error, Refused) and error.args[0] else Refused(reason) from None

def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

# Canonical JSON (docs/format/canonical-json.md): what was read is written again, and has to be the same bytes.
def read(text, shape, levels=128):
    value = json.loads(text.decode())
    need(write(value, levels).encode() == text and fits(value, shape))
    return value

def write(value, levels=999):
    need(levels or not isinstance(value, (dict, list)))
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{%s}" % ",".join([write(name) + ":" + write(value[name], levels - 1) for name in names])
    if isinstance(value, list):
        return "[%s]" % ",".join([write(item, levels - 1) for item in value])
    need(not isinstance(value, (int, float)) or abs(float(value)) < float("inf"))
    if isinstance(value, float):
        return format(Decimal(repr(value)).normalize(), "f" if 1e-6 <= abs(value) < 1e21 else "e")
    return json.dumps(value, ensure_ascii=False)

def fits(value, shape):
    """Whether a value is of a shape: a pattern, (limit, types of number), [shape of each], {member: shape}, a type."""
    if isinstance(shape, str):
        return type(value) is str and re.fullmatch(shape, value, re.A | re.S) and (
            shape != TIME or TIMES[0] <= value <= TIMES[1] and datetime.date.fromisoformat(value[:10]))
    if isinstance(shape, tuple):
        return type(value) in shape[1:] and 0 <= value < shape[0]
    if isinstance(shape, list):
        return type(value) is list and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, dict):
        known = {name.rstrip("?"): item for name, item in shape.items()}
        return (type(value) is dict and value.keys() <= known.keys() and
                all(fits(value[name], item) for name, item in known.items() if name in value or name in shape))
    return type(value) is shape

TEXT, HEX, COUNT = ".*", "[0-9a-f]{64}", (2**64, int)
TIME = r"\d{4}-\d\d-\d\dT([01]\d|2[0-3])(:[0-5]\d){2}\.\d{9}Z"
TIMES = "1677-09-21T00:12:43.145224192Z", "2262-04-11T23:47:16.854775807Z"
NAME = r"[^\s+\x00-\x1f\x7f-\x9f]+"
NOTE = "([^\0-\x09\x0b-\x1f]+\n)\n((?:\u2014 %s [^ \n]+\n){1,100})" % NAME
TYPE, FORMAT = "application/vnd.in-toto+json", "https://tracekeep.dev/bundle/v1"
# The y of the points of small order: no key is one, nor half of a signature.
WEAK = {0, 1, 2**255 - 20, 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826,
        0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7}
NEEDED = {"README.txt", "checkpoint", "manifest.json", "proof.json", "records.jsonl", "report.html"}
NAMES = NEEDED | {"comparison.json", "controls.json", "debrief.json", "leaves.jsonl"}
REQUIRED = {"evidence": ["exported_by", "run", "tenant_id"], "period": ["exported_by", "period", "tenant_id"],
            "soc2": ["controls", "exported_by", "period", "run", "tenant_id"], "executive_debrief": [
                "debrief", "exported_by", "incident", "policy", "severity", "tenant_id", "violation_at"]}
TOLD = {"created_at": "violation_at", "policy_id": "policy", "policy_name": "policy", "severity": "severity"}
ENVELOPE = {"payload": TEXT, "payloadType": re.escape(TYPE), "signatures": [{"keyid": TEXT, "sig": TEXT}]}
CLAIMS = {"kind": "|".join(REQUIRED), "tenant_id": TEXT, "exported_by": TEXT, "created_at": TIME, "options": dict,
          "incident_id?": TEXT, "period?": {"from": TIME, "to": TIME}, "totals": dict, "missing": [TEXT]}
STATEMENT = {"_type": "https://in-toto[.]io/Statement/v1", "predicateType": TEXT, "predicate": CLAIMS, "subject": list}
PROOF = {"nodes": [HEX], "consistency?": {"from": COUNT, "hashes": [HEX]}}
LEAF = {"kind": TEXT, "ledger": TEXT, "run": TEXT, "commit": HEX, "recorded_at": TIME, "seq": COUNT, "v": (2, int)}
LINE = {"leaf": LEAF, "log_index": COUNT, "members?": [list]}
# Of kinds of entries the members that something is computed with, in each that is not erased those without "?".
FACTS = {"step": {"index": (2**32, int), "status": TEXT, "cost_cents?": r"(0|[1-9]\d{0,12})(\.\d{0,5}[1-9])?",
                  "duration_ms?": (9223372036854.775, int, float), "tokens?": COUNT},
         "incident": {"incident_id": TEXT, "created_at?": TIME, "policy_id?": TEXT, "policy_name?": TEXT,
                      "severity?": TEXT},
         "incident_resolved": {"incident_id": TEXT}, "sealed": {"entries": COUNT, "run_root": HEX, "status?": TEXT},
         "redaction": {"replaces?": [{"log_index": COUNT, "reason": TEXT, "by?": TEXT}]},
         "signing_key": {"key": TEXT}, "trace": {"id": TEXT, "trace_type/type": TEXT}}
# What an entry is and where it stands is never withheld.
KEPT = {*"ended_at id index occurred_at op parent_id run_id status trace_type/name trace_type/type".split()}

def renames(extra):
    """Whether an extra field gives an entry another name, which some tools unpack it under."""
    while len(extra) > 3 and extra[:2] != b"up":
        extra = extra[4 + int.from_bytes(extra[2:4], "little"):]
    return len(extra) > 3

def unzip(blob):
    """The members of a zip: entry after entry, the directory in the same order, its end, and not a byte besides."""
    with reading("not_a_zip"):
        end = blob[:len(blob) - 18].rindex(b"PK\5\6", max(len(blob) - 22 - 65535, 0))
        *counts, length, start = struct.unpack_from("<HHII", blob, end + 8)
        at, rows, front = end - length, [], end - length - start
        need(front >= 0 and len(blob) >= 22)
        while at < end:
            magic, flags, *stated, named, extra, more, kind, begin = struct.unpack_from("<4s4xHH8xIIHHH4xII", blob, at)
            name, to = blob[at + 46:at + 46 + named].decode("latin-1"), at + 46 + named + extra
            is_plain = {kind >> 28, stated[0]} <= {0, 8} and not flags & 1 and not renames(blob[to - extra:to])
            rows.append((name, is_plain, front + begin, stated))
            at = to + more
            need(magic == b"PK\1\2" and at <= end)
            need(len(rows) <= 32, "too_many_members")
    members, stop, slack, room = {}, 0, 0, 2**30
    for name, is_plain, begin, stated in rows:
        method, packed, size = stated
        need(name in NAMES - members.keys() and is_plain, "unexpected_member")
        need(stop <= begin <= stop + slack, "stray_bytes")
        room -= size
        need(room >= 0, "too_large")
        with reading("damaged_member"):
            magic, flags, *local, named, extra = struct.unpack_from("<4s2xHH8xIIHH", blob, begin)
            need(magic == b"PK\3\4" and blob[begin + 30:begin + 30 + named] == name.encode())
            need(local[0] == method == 8 if flags & 8 else local == stated)
            begin += 30 + named + extra
            need(not renames(blob[begin - extra:begin]), "unexpected_member")
            # Behind data that were written as a stream stands a descriptor, in which no other member has room.
            stop, slack = begin + packed, 24 if flags & 8 else 0
            data = blob[begin:stop]
            need(len(data) == packed)
            if method:
                packed = zlib.decompressobj(-15)
                data = packed.decompress(data, size + 1)
                need(packed.eof and not packed.unused_data)
            need(len(data) == size)
        members[name] = data
    need(stop <= end - length <= stop + slack and counts == [len(rows)] * 2, "stray_bytes")
    need(end + 22 == len(blob) and blob[-2:] == b"\0\0", "stray_bytes")
    return members

def unbase64(text):
    data = base64.b64decode(text.encode("ascii"), validate=True)
    need(base64.b64encode(data).decode() == text)
    return data

def y_of(point):
    return int.from_bytes(point, "little") % 2**255

def key_of(text):
    """A public key of the text NAME+ID+BASE64 (docs/format/evidence.md); signatures name it by NAME+ID."""
    with reading("malformed_key"):
        name, ident, typed = text.split("+", 2)
        typed = unbase64(typed)
        need(re.fullmatch(NAME, name) and len(name.encode()) < 256 and typed[0] == 1)
        need(ident == sha(name.encode(), b"\n", typed)[:4].hex())
        need(y_of(typed[1:]) < 2**255 - 19)
        need(y_of(typed[1:]) not in WEAK, "weak_key")
        key = Ed25519PublicKey.from_public_bytes(typed[1:])
        return types.SimpleNamespace(text=text, id=name + "+" + ident, key=key)

def signers(text, rows, keys):
    """Those of the keys that have signed a text; rows of other keys are passed over."""
    found = [(key, signature) for name, signature in rows for key in keys if key.id == name]
    with reading("bad_signature"):
        for key, signature in found:
            key.key.verify(signature, text)
            need(y_of(signature[:32]) not in WEAK)
    need(found or not keys, "unknown_signer")
    return {key.text for key, _ in found}

def checkpoint(data, keys):
    """Origin, size and root of a signed note, and who has signed it."""
    with reading("malformed_checkpoint"):
        need(len(data) <= 2**16)
        text, tail = re.fullmatch(NOTE, data.decode()).groups()
        rows = [(name, unbase64(row)) for name, row in re.findall("\u2014 ([^ \n]+) (.+)\n", tail)]
        origin, size, root, *rest = text[:-1].split("\n")
        need(all([origin, *rest, *[row[4:] for _, row in rows]]) and re.fullmatch(r"0|[1-9]\d{0,19}", size, re.A))
        log = types.SimpleNamespace(origin=origin, size=int(size), root=unbase64(root))
        need(len(log.root) == 32 and fits(log.size, COUNT) and all(len(name.encode()) < 256 for name, _ in rows))
    log.by = signers(text.encode(), [(name + "+" + row[:4].hex(), row[4:]) for name, row in rows], keys)
    return log

def manifest(members, keys):
    """What is claimed, and who has signed that and the digest of each other member."""
    with reading("malformed_manifest"):
        need(len(members["manifest.json"]) <= 2**26)
        envelope = read(members["manifest.json"], ENVELOPE)
        payload = unbase64(envelope["payload"])
        rows = [(row["keyid"], unbase64(row["sig"])) for row in envelope["signatures"]]
    by = signers(b"DSSEv1 28 %s %d %s" % (TYPE.encode(), len(payload), payload), rows, keys)
    with reading("malformed_manifest"):
        need(read(payload, dict)["predicateType"] == FORMAT, "unknown_format")
        statement = read(payload, STATEMENT)
        period = statement["predicate"].get("period", {"from": "", "to": "-"})
        need(period["from"] < period["to"])
    names = sorted(members.keys() - {"manifest.json"})
    files = [{"name": name, "digest": {"sha256": sha(members[name]).hex()}} for name in names]
    need(statement["subject"] == files, "wrong_members")
    return statement["predicate"], by

def entries(data, log):
    """The entries in a file of lines, by log index, each with its leaf hash and what is shown of it."""
    rows = []
    need(data[-1:] in (b"", b"\n"), "malformed_record")
    for text in data.split(b"\n")[:-1]:
        with reading("malformed_record"):
            line = read(text, LINE, 136)
            row, parts = types.SimpleNamespace(**line["leaf"], index=line["log_index"]), line.get("members", [])
            need(all(len(part) in (2, 3) and fits(part[0], r"[ !#-\[\]-~]*") and fits(part[-1], HEX) for part in parts))
            need(row.v and [part[0] for part in parts] == sorted({part[0] for part in parts}))
            need(fits(row.ledger, "[0-9a-f]{32}") and "tracekeep/" + row.ledger == log.origin, "wrong_ledger")
            need((rows[-1].index if rows else -1) < row.index < log.size, "misordered")
            # A member is [name, value, salt], or [name, commitment] where it is withheld (docs/format/redaction.md).
            row.shown, row.is_erased = {part[0]: part[1] for part in parts if len(part) == 3}, "members" not in line
            row.is_whole = len(row.shown) == len(parts)
            commits = [write(part[0]).encode() + (bytes.fromhex(part[1]) if len(part) == 2 else
                       sha(b"tracekeep/member/1\n", bytes.fromhex(part[2]), write(part[:2]).encode())) for part in parts]
            row.hash = sha(b"\0", write(line["leaf"]).encode())
            need(row.is_erased or sha(b"tracekeep/commit/1\n", *commits).hex() == row.commit, "wrong_commitment")
            facts = {} if row.is_erased else {"op": TEXT, **FACTS.get(row.kind, {})}
            need(fits({name: row.shown[name] for name in row.shown if {name, name + "?"} & facts.keys()}, facts))
            need(not KEPT & {part[0] for part in parts if len(part) == 2})
        rows.append(row)
    return rows

def root_of(leaves, nodes, begin, end):
    """The root over begin..end, from the leaves that are known there, (index, hash), and the next nodes."""
    if not leaves or end - begin < 2:
        return leaves[0][1] if leaves else next(nodes) if end else sha()
    middle = begin + (1 << (end - begin - 1).bit_length() - 1)
    cut = bisect.bisect_left(leaves, (middle,))
    return sha(b"\1", root_of(leaves[:cut], nodes, begin, middle), root_of(leaves[cut:], nodes, middle, end))

def grown(old, new, proof, old_root=None):
    """The roots of the first `old` and of all `new` leaves of a subtree (RFC 9162 section 2.1.4.1)."""
    if old == new:
        return (old_root or next(proof),) * 2
    half = 1 << (new - 1).bit_length() - 1
    if old <= half:
        before, now = grown(old, half, proof, old_root)
        return before, sha(b"\1", now, next(proof))
    before, now = grown(old - half, new - half, proof)
    first = next(proof)
    return sha(b"\1", first, before), sha(b"\1", first, now)

def opened(blob, keys, note):
    """A bundle of which every byte is accounted for, and every entry is in the log."""
    members = unzip(blob)
    need(NEEDED <= members.keys(), "missing_member")
    claims, by = manifest(members, keys)
    log = checkpoint(members["checkpoint"], keys)
    # A key of the log has its origin for a name; of others nothing here is believed.
    own = [key for key in keys if key.id.startswith(log.origin + "+")]
    by, noted = [signed & {key.text for key in own} for signed in (by, log.by)]
    need(not keys or by and noted, "wrong_ledger")
    rows, leaves = [entries(members.get(name, b""), log) for name in ("records.jsonl", "leaves.jsonl")]
    with reading("malformed_proof"):
        proof = read(members["proof.json"], PROOF)
    with reading("wrong_proof"):
        known, nodes = sorted({(row.index, row.hash) for row in rows + leaves}), map(bytes.fromhex, proof["nodes"])
        need(len(dict(known)) == len(known) and root_of(known, nodes, 0, log.size) == log.root and not [*nodes])
    return types.SimpleNamespace(claims=claims, files=members.keys(), log=log, rows=rows, leaves=leaves, keys=own,
                           signers=by & noted, note=note, consistency=proof.get("consistency", {"from": None}))

# What a bundle is held to. Each returns its remarks.
def integrity(it):
    if it.note is None:
        return []
    try:
        old = checkpoint(it.note, it.keys)
        need(old.by and old.origin == it.log.origin and old.size)
    except Refused:
        raise Refused("unknown_old_checkpoint") from None
    need(old.size <= it.log.size, "older_than_known")
    need(old.size in (it.log.size, it.consistency["from"]), "no_consistency_proof")
    with reading("wrong_consistency"):
        nodes = map(bytes.fromhex, it.consistency["hashes"] if old.size < it.log.size else [])
        need(grown(old.size, it.log.size, nodes, old.root) == (old.root, it.log.root) and not [*nodes])
    return []

def identity(it):
    declared = [row.shown.get("key") for row in it.rows if row.kind == "signing_key"]
    need(not declared or not it.keys or declared[-1] in it.signers, "superseded_key")
    return [] if declared else ["key_not_declared"]

def in_time(it):
    """The entry in front of the checkpoint's size was recorded at created_at, and none before an earlier one."""
    times, last = {(row.index, row.recorded_at) for row in it.rows + it.leaves}, it.log.size - 1
    rising = sorted(times | {(last, it.claims["created_at"])})
    need(all(a[0] < b[0] and a[1] <= b[1] for a, b in zip(rising, rising[1:])), "time_runs_back")
    return [] if last in dict(times) else ["created_at_not_shown"]

def totals(steps):
    """What steps add up to, as far as they are shown."""
    def of(name):
        return [step[name] for step in steps if name in step]
    return {"steps": len(steps), "failures": of("status").count("failure"), "tokens": sum(of("tokens")),
            "micro_cents": sum(int(Decimal(cost) * 10**6) for cost in of("cost_cents")),
            "nanoseconds": sum(round(duration * 1e6) for duration in of("duration_ms"))}

def completeness(it):
    claims, runs, kind = it.claims, {}, it.claims["kind"]
    for row in it.rows:
        runs.setdefault(row.run, []).append(row)
    runs.pop("", None)
    need(all(row.seq == seq for run in runs.values() for seq, row in enumerate(run)), "missing_entry")
    for seal, run in [(row, run) for run in runs.values() for row in run if row.kind == "sealed" and not row.is_erased]:
        root = root_of([(row.seq, row.hash) for row in run[:seal.seq]], iter(()), 0, seal.seq).hex()
        need((seal.shown.get("entries"), seal.shown.get("run_root")) == (seal.seq, root), "wrong_run_root")
    need(write(claims["totals"]) == write(totals([row.shown for row in it.rows if row.kind == "step"])), "wrong_totals")
    about = [row.shown for row in it.rows if row.kind == "incident" and not row.is_erased
             and row.shown["incident_id"] == claims.get("incident_id")]
    need(about or "incident_id" not in claims, "wrong_incident")
    period = claims.get("period", {"from": "", "to": ""})
    is_touched = any(period["from"] <= row.recorded_at < period["to"] for run in runs.values() for row in run)
    there = {"run": runs, "incident": about, "period": "period" in claims if kind == "period" else is_touched,
             "tenant_id": claims["tenant_id"], "exported_by": claims["exported_by"]}
    told = [name.split(".")[0] for name in it.files] + [TOLD.get(name) for name in [*about, {}][0]]
    there.update(dict.fromkeys(told, True))
    need(claims["missing"] == [name for name in REQUIRED[kind] if not there.get(name)], "incomplete")
    if kind == "period" and "period" in claims:
        in_period(it, runs, period["from"], period["to"])
    remarks = {"run_not_sealed": any(run[-1].kind != "sealed" for run in runs.values()), "forced": claims["missing"],
               "comparison_not_proven": "comparison.json" in it.files,
               "not_recomputed": it.files & {"controls.json", "debrief.json"}}
    return [remark for remark, is_so in remarks.items() if is_so]

def in_period(it, runs, start, end):
    """No entry of a run that started in the period is left out, of those between the leaves around it."""
    leaves, indices = it.leaves, [leaf.index for leaf in it.leaves]
    is_whole = leaves and (indices[0] == 0 or leaves[0].recorded_at < start)
    is_whole = is_whole and (indices[-1] + 1 == it.log.size or leaves[-1].recorded_at >= end)
    need(is_whole and len(leaves) == indices[-1] - indices[0] + 1 or not it.log.size, "missing_leaf")
    started = {leaf.run for leaf in leaves if leaf.kind == "run_started" and start <= leaf.recorded_at < end}
    shown = {row.index for row in it.rows}
    needed = [leaf for leaf in leaves if leaf.kind == "signing_key" or leaf.run in started | runs.keys()]
    need(all(leaf.index in shown for leaf in needed), "missing_entry")

def redaction(it):
    named = set()
    for row in reversed(it.rows):
        need(not row.is_erased or {(row.run, row.index), row.run} & named, "unnamed_erasure")
        if row.kind == "redaction":
            named |= {(row.run, entry["log_index"]) for entry in row.shown.get("replaces", [])}
            named |= {row.run} if row.shown.get("op") == "erase_run" else set()
    remarks = {"members_withheld": any(not row.is_whole for row in it.rows),
               "entries_erased": any(row.is_erased for row in it.rows)}
    return [remark for remark, is_so in remarks.items() if is_so]

CHECKS = dict(integrity=integrity, identity=identity, time=in_time, completeness=completeness, redaction=redaction)

def verify(blob, keys, note=None):
    """The five verdicts: {aspect: (outcome, reason or None, remarks)}. The note is a checkpoint from before."""
    verdicts = dict.fromkeys(CHECKS, ("unconfirmed", "not_checked", []))
    try:
        it = opened(blob, keys, note)
    except Refused as refused:
        is_of_both = refused.args[0] in ("bad_signature", "unknown_signer", "wrong_ledger")
        failed = dict.fromkeys(["integrity", "identity"][:1 + is_of_both], ("fail", refused.args[0], []))
        return {**verdicts, **failed}
    for aspect, check in CHECKS.items():
        try:
            remarks = check(it)
            verdicts[aspect] = ("pass", None, remarks) if keys else ("unconfirmed", "no_key", [])
        except Refused as refused:
            is_open = refused.args[0] in ("no_consistency_proof", "unknown_old_checkpoint")
            verdicts[aspect] = ("unconfirmed" if is_open else "fail", refused.args[0], [])
    return verdicts

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=argparse.FileType("rb"))
    parser.add_argument("--key", action="append", default=[], help="the ledger's public key, or a file with one a line")
    parser.add_argument("--checkpoint", type=argparse.FileType("rb"), help="a checkpoint of the same log from before")
    args = parser.parse_args()
    try:
        texts = [text if "+" in text and not os.path.exists(text) else open(text).read() for text in args.key]
        keys = [key_of(line.strip()) for text in texts for line in text.splitlines() if line.strip() and line[0] != "#"]
    except (OSError, ValueError, Refused) as error:
        parser.error(str(error))
    verdicts = verify(args.bundle.read(), keys, args.checkpoint and args.checkpoint.read())
    for aspect, (outcome, reason, remarks) in verdicts.items():
        print(json.dumps({"aspect": aspect, "outcome": outcome, "reason": reason, "remarks": remarks}))
    outcomes = {outcome for outcome, _, _ in verdicts.values()}
    is_read = verdicts["integrity"][1] != "not_a_zip"
    sys.exit((1 if "fail" in outcomes else 3 if "unconfirmed" in outcomes else 0) if is_read else 2)

if __name__ == "__main__":
    main()
