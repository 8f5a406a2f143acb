#!/usr/bin/env python3
"""Verifies a Tracekeep bundle from its bytes and a public key: no server, no network, none of Tracekeep's code.

Written from docs/format/bundle.md, to be read before it is run. Python 3.9 or later and the package `cryptography`.
Exit codes: 0 all verdicts pass, 1 one fails, 2 usage or no zip, 3 one is unconfirmed.
controls.json, debrief.json and report.html are held to their signed digests alone and not recomputed; of controls.json
and debrief.json, which Tracekeep recomputes, the remark `not_recomputed` says so.
"""
import argparse, base64, bisect, hashlib, json, os, re, struct, sys, zlib
from collections import Counter
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

def of(names, shape):
    return dict.fromkeys(names.split(), shape)

NOT_RECOMPUTED = ["controls.json", "debrief.json", "report.html"]
OPEN = ["no_key", "not_checked", "no_consistency_proof", "unknown_old_checkpoint"]
TYPE, FORMAT = "application/vnd.in-toto+json", "https://tracekeep.dev/bundle/v1"
BASIC = ["created_at", "exported_by", "steps", "tenant_id", "totals"]
REQUIRED = {"evidence": ["run"], "soc2": ["controls", "period", "run"], "period": ["leaves", "period"],
            "executive_debrief": ["debrief", "incident", "policy", "severity", "violation_at"]}
# The file that a kind of entry stands in, and the ops that it is of. Of a kind that is not known, nothing is.
KINDS = {kind: (file, ops.split(",")) for file, rows in {
    "audit": "expectation=expect ack=ack status=set_expectation_status verdict=reconcile audit_cleared=clear_audit",
    "incidents": "incident=open_incident incident_resolved=resolve_incident",
    "other": "redaction=erase_run,redact hold=hold hold_released=release_hold baseline=set_baseline "
             "export=record_export signing_key=declare_key key=key",
    "run": "run_started=start_run,ensure_run run_described=describe_run sealed=complete_run,seal_run",
    "steps": "step=record_step", "traces": "trace=record_trace trace_ended=end_trace,record_trace",
}.items() for kind, ops in (row.split("=") for row in rows.split())}
RECORDS = ["records/%s.jsonl" % file for file in ("audit", "incidents", "other", "run", "steps", "traces")]
NEEDED = {"README.txt", "checkpoint", "proof.json", "report.html", *RECORDS}
NAMES = {"manifest.json", "comparison.json", "consistency.json", "leaves.jsonl", *NEEDED, *NOT_RECOMPUTED}
KEPT = "ended_at id index occurred_at op parent_id run_id status trace_type/name trace_type/type".split()
KEPT_OF = {"sealed": "entries n run_root steps traces", "signing_key": "key", "incident": "incident_id",
           "incident_resolved": "incident_id"}
MOST = {"cost_cents": 2**63 - 1, "duration_ms": 2**63 - 1, "tokens": 2**64 - 1}
# The y of the points of small order: no key is one, nor half of a signature.
WEAK = {"00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"}

class Refused(Exception):
    """Its arguments: the reason, and the verdicts that it fails."""

def need(condition, reason=None, *aspects):
    if not condition:
        raise Refused(reason, *aspects)

@contextmanager
def reading(reason, *aspects, is_whole=False):
    """Whatever goes wrong in reading a part has that part's reason, unless it has one of its own."""
    try:
        yield
    except Exception as error:
        is_told = isinstance(error, Refused) and error.args[0] and not is_whole
        raise error if is_told else Refused(reason, *aspects) from None

def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

class Number(str):
    """A number of canonical JSON (docs/format/canonical-json.md), kept as its text."""

def number(token):
    need(abs(float(token)) < float("inf") and token != "-0")
    need(token.lstrip("-").isdigit() or token == double(float(token)))
    return Number(token)

def double(value):
    exact = Decimal(repr(value or 0.0)).normalize()
    return format(exact, "f" if 1e-6 <= abs(value) < 1e21 or not value else "e")

def write(value, levels=999):
    need(levels or not isinstance(value, (dict, list)))
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{%s}" % ",".join([write(name) + ":" + write(value[name], levels - 1) for name in names])
    if isinstance(value, list):
        return "[%s]" % ",".join([write(item, levels - 1) for item in value])
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)

def unique(pairs):
    need(len(dict(pairs)) == len(pairs))
    return dict(pairs)

def read(text, shape, levels=128):
    """What stands in canonical form, and in its shape."""
    value = json.loads(text.decode(), object_pairs_hook=unique, **of("parse_int parse_float parse_constant", number))
    need(write(value, levels).encode() == text)
    return fit(value, shape)

def fit(value, shape):
    """A value of a shape: a pattern of text, a type, a function, [shape of each], {member: shape}, `?` if optional."""
    if isinstance(shape, dict):
        need(isinstance(value, dict) and all(name in value or name[-1] == "?" for name in shape))
        return {name: fit(item, shape[name if name in shape else name + "?"]) for name, item in value.items()}
    if isinstance(shape, list):
        need(isinstance(value, list))
        return [fit(item, shape[0]) for item in value]
    if isinstance(shape, str):
        need(type(value) is str and re.fullmatch(shape, value, re.A))
        return value
    need(not isinstance(shape, type) or type(value) is shape)
    return value if isinstance(shape, type) else shape(value)

def count(value):
    need(fit(value, Number).isdigit() and len(value) < 21 and int(value) < 2**64)
    return int(value)

def integer(value):
    need(fit(value, Number).lstrip("-").isdigit() and -2**63 <= int(value) < 2**63)
    return int(value)

def index(value):
    need(count(value) < 2**32)
    return int(value)

def time(value):
    datetime.fromisoformat(fit(value, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")[:19])
    need("1677-09-21T00:12:43.145224192Z" <= value <= "2262-04-11T23:47:16.854775807Z")
    return value

def cost(value):
    """In millionths of a cent."""
    exact = Decimal(fit(value, r"(0|[1-9]\d{0,12})(\.\d{1,6})?")) * 10**6
    need(exact <= MOST["cost_cents"])
    return int(exact)

def duration(value):
    """In nanoseconds."""
    exact = float(fit(value, Number)) * 1e6
    need(0 <= exact < 9.223372036854775e18)
    return int(exact) + (exact - int(exact) >= 0.5)

def left(part):
    """A member that is shown, [name, value, salt], or withheld, [name, commitment] (docs/format/redaction.md)."""
    need(isinstance(part, list) and len(part) in (2, 3) and [fit(part[0], TEXT), fit(part[-1], HEX)])
    return part

TEXT, HEX, NAME = "(?s:.*)", "[0-9a-f]{64}", r"[^\s+\x00-\x1f\x7f-\x9f]{1,255}"
TOTALS = {**of("successes failures tokens?", count), "cost_cents": cost, "duration_ms": duration}
FACTS = {"run_started": {"seed": integer}, "step": {"index": index, "status": TEXT, "cost_cents": cost, "duration_ms": duration, "tokens": count},
         "sealed": {**of("entries steps traces", count), **of("behaviour_hash plan_hash root_hash run_root", HEX), "totals": TOTALS},
         "incident": {"incident_id": TEXT}, "signing_key": {"key": TEXT},
         "redaction": {"op": TEXT, "remainders": [{"log_index": count, "members": [left]}],
                       "replaces": [{"log_index": count, "reason": TEXT, "by?": TEXT}]}}
LINE = {"leaf": {**of("kind ledger run", TEXT), "commit": HEX, "recorded_at": time, "seq": count, "v": count},
        "log_index": count, "members?": [left]}
ENVELOPE = {"payload": TEXT, "payloadType": re.escape(TYPE), "signatures": [of("keyid sig", TEXT)]}
STATEMENT = {"_type": "https://in-toto[.]io/Statement/v1", "predicateType": TEXT, "predicate": {
    **of("tenant_id exported_by", TEXT), "kind": "|".join(REQUIRED), "ledger": "[0-9a-f]{32}", "created_at": time,
    "checkpoint": {"origin": TEXT, "size": count, "root": HEX}, "options": dict, "period?": of("from to", time),
    "incident?": {**of("incident_id severity? policy?", TEXT), "violation_at?": time}, "totals": TOTALS,
    "counts": of("entries audit incidents other run steps traces erased withheld", count),
    "runs": [{"run_id": TEXT, **of("entries steps traces erased seals unsealed", count)}],
    "withheld": [{"log_index": count, "members": [TEXT], "redaction?": count}], "unproven": [TEXT],
    "files": [{"name": TEXT, "length": count}],
    "completeness": {**of("required missing", [TEXT]), "forced": bool}},
    "subject": [{"name": TEXT, "digest": {"sha256": HEX}}]}

CAME_BACK = ["outcome_data", "rng_state_before"]
FIELDS = ["outcome_category", "outcome_code", "params", "replay_behavior", "retry_count", "skill_name", "status"]
COMPARISON = {"run_id": TEXT, "matches?": {
    "own": {**of("behaviour_hash plan_hash root_hash", HEX), "seal": count, "seed": integer},
    "groups": [{"relation": "identical|same_behaviour|diverged", "runs": count, "status": TEXT,
                "examples": [{"run_id": TEXT, "seal": count}]}],
    "beyond": of("groups runs", count), "unverifiable": count, "complete": bool,
    "difference?": {"run_id": TEXT, "step?": index, "change": "changed|inserted|deleted", "fields": [TEXT]}}}

class Archive:
    """A zip, read by hand: nothing is unpacked to a file, or read beyond the length that the zip states."""
    def __init__(self, blob):
        self.blob, self.members, self.places, places = blob, {}, {}, []
        with reading("not_a_zip"):
            end = blob.rindex(b"PK\5\6", max(0, len(blob) - 65557))
            entries, size, offset, comment = struct.unpack_from("<HIIH", blob, end + 10)
            before = 0 if blob[offset:offset + 4] == b"PK\1\2" else end - size - offset
            need(entries <= 32, "too_many_members")
            need(before >= 0)
            listed = at = before + offset
            for _ in range(entries):
                fields = struct.unpack_from("<4s4xHH4xIIIHHH4xII", blob, at)
                magic, flags, method, crc, packed, length, named, extra, note, mode, place = fields
                name, at = blob[at + 46:at + 46 + named].decode("latin-1"), at + 46 + named + extra + note
                need(magic == b"PK\1\2" and at <= end)
                places.append((before + place, name, crc, packed, length))
                need(re.fullmatch(r"(?!/|.*//|(.*/)?\.\.?(/|$))[!-9;-\[\]-~]+", name), "unsafe_name")
                if name == "records/" and not length:
                    continue
                need(name[-1] != "/" and mode >> 28 in (0, 8), "not_a_file")
                need(not flags & 1, "encrypted_member")
                need(method in (0, 8), "unsupported_compression")
                need(name in NAMES, "unknown_member")
                need(name not in self.members, "duplicate_member")
                self.members[name] = method, length, crc
        stop, room = 0, 0
        for place, name, *stated in sorted(places):
            with reading("damaged_member"):
                need(stop <= place <= stop + room, "stray_bytes")
                magic, named, extra = struct.unpack_from("<4s22xHH", blob, place)
                need(magic == b"PK\3\4" and blob[place + 30:place + 30 + named] == name.encode())
            start = place + 30 + named + extra
            stop = start + stated[1]
            self.places[name] = start, stop
            # Behind what was written as a stream its CRC and lengths stand once more: too little for another member.
            room = 24
        need(stop <= listed <= stop + room and end + 22 + comment == len(blob), "stray_bytes")
        need(at == end or at + 76 == end and blob[at:at + 4] == b"PK\6\6", "stray_bytes")

    def read(self, name, most=2**30):
        need(name in self.members, "missing_member")
        (start, stop), (method, length, crc) = self.places[name], self.members[name]
        need(length <= most, "too_large")
        with reading("damaged_member"):
            data = self.blob[start:stop]
            data = zlib.decompressobj(-15).decompress(data, length + 1) if method else data
            need(len(data) == length and zlib.crc32(data) == crc)
            return data

def unbase64(text):
    data = base64.b64decode(text.encode("ascii"), validate=True)
    need(base64.b64encode(data).decode() == text)
    return data

def is_weak(point):
    return bytes([*point[:31], point[31] & 127]).hex() in WEAK

class Key:
    """A public key as text, NAME+ID+BASE64 (docs/format/evidence.md)."""
    def __init__(self, text):
        with reading("malformed_key"):
            name, ident, typed = text.split("+", 2)
            typed, self.text, self.short = unbase64(typed), text, name + "+" + ident
            need(re.fullmatch(NAME, name) and ident == sha(name.encode(), b"\n", typed)[:4].hex())
            need(typed[0] == 1 and int.from_bytes(typed[1:], "little") % 2**255 < 2**255 - 19)
            self.key = Ed25519PublicKey.from_public_bytes(typed[1:])
            need(not is_weak(typed[1:]), "weak_key")

def signed(text, rows, keys, called):
    """Those of the keys that have signed a text; rows of other keys are passed over."""
    found = [(key, signature) for name, signature in rows for key in keys if getattr(key, called) == name]
    with reading("bad_signature", "integrity", "identity"):
        for key, signature in found:
            key.key.verify(signature, text)
            need(not is_weak(signature[:32]))
    need(found or not keys, "unknown_signer", "integrity", "identity")
    return {key.text for key, _ in found}

def checkpoint(data, keys):
    """Origin, size and root of a signed note, and which keys have signed it."""
    with reading("malformed_note"):
        at = data.rindex(b"\n\n") + 1
        text, tail = data[:at].decode(), data[at + 1:].decode()
        lines = [re.fullmatch("\u2014 (%s) ([^ ]+)" % NAME, line) for line in tail[:-1].split("\n")]
        need(len(data) <= 2**16 and not re.search(r"[\0-\x09\x0b-\x1f]", text))
        need(tail[-1] == "\n" and len(lines) <= 100)
        rows = [(line[1] + "+" + unbase64(line[2])[:4].hex(), unbase64(line[2])[4:]) for line in lines]
        need(all(signature and len(name.encode()) < 265 for name, signature in rows))
    signers = signed(data[:at], rows, keys, "short")
    with reading("malformed_checkpoint"):
        origin, size, root, *rest = text[:-1].split("\n")
        need(origin and all(rest) and len(unbase64(root)) == 32 and re.fullmatch(r"0|[1-9]\d{0,19}", size, re.A))
        return {"origin": origin, "size": count(Number(size)), "root": unbase64(root).hex()}, signers

def manifest(data, keys):
    with reading("malformed_manifest"):
        envelope = read(data, ENVELOPE)
        payload = unbase64(envelope["payload"])
        rows = [(row["keyid"], unbase64(row["sig"])) for row in envelope["signatures"]]
        need(1 <= len(rows) <= 100)
    signers = signed(b"DSSEv1 28 %s %d %s" % (TYPE.encode(), len(payload), payload), rows, keys, "text")
    with reading("malformed_manifest"):
        raw = read(payload, dict)
        need(fit(raw["predicateType"], TEXT) == FORMAT, "unknown_format")
        statement = fit(raw, STATEMENT)
        claims, files = statement["predicate"], {row["name"]: row["digest"]["sha256"] for row in statement["subject"]}
        need([row["name"] for row in statement["subject"]] == sorted(files) == [row["name"] for row in claims["files"]])
        need(write(raw["predicate"]["totals"]) == written(claims["totals"]))
    return claims, files, signers

def entries(archive, name, ledger, size):
    """The entries of a file of records, or bare leaves: their places, leaf hashes, and what of them matters here."""
    rows, is_bare, data = [], name == "leaves.jsonl", archive.read(name)
    need(not data or data.endswith(b"\n"), "malformed_record")
    for text in data[:-1].split(b"\n") if data else []:
        with reading("malformed_record"):
            line = read(text, LINE, 136)
            row, parts = SimpleNamespace(**line["leaf"], index=line["log_index"]), line.get("members", [])
            need(row.v == 1)
            need(row.ledger == ledger, "wrong_ledger", "identity")
            names = [fit(part[0], r"[ !#-\[\]-~]*") for part in parts]
            need(names == sorted(set(names)) and not (is_bare and "members" in line))
            need(row.index < size, "beyond_checkpoint")
            need(not rows or rows[-1].index < row.index, "misordered")
            need(is_bare or name == file_of(row.kind), "misfiled")
            commits = [sha(b"tracekeep/member/1\n", bytes.fromhex(part[2]), write(part[:2]).encode()) if len(part) == 3
                       else bytes.fromhex(part[1]) for part in parts]
            row.is_erased, row.withheld = "members" not in line, [part[0] for part in parts if len(part) == 2]
            need(row.is_erased or sha(b"tracekeep/commit/1\n", *commits).hex() == row.commit, "wrong_commitment")
            row.hash = sha(b"\0", text[len('{"leaf":'):text.index(b',"log_index":')])
            row.raw, facts = {part[0]: part[1] for part in parts if len(part) == 3}, FACTS.get(row.kind, {})
            row.shown = {name: fit(row.raw[name], facts[name]) for name in facts if name in row.raw}
            need(row.is_erased or row.kind not in KINDS or is_held(row))
        rows.append(row)
    return rows

def is_held(row):
    """Whether the body's op and run are those of the leaf, and nothing is withheld that other checks stand on."""
    kept = {*KEPT, *KEPT_OF.get(row.kind, "").split()}
    runs = ["" if row.kind == "baseline" else fit(row.raw["run_id"], TEXT)] if "run_id" in row.raw else [""]
    runs += [row.run] * ("run_id" not in row.raw and row.kind in ("export", "incident_resolved"))
    return row.run in runs and row.raw["op"] in KINDS[row.kind][1] and not kept & set(row.withheld)

def file_of(kind):
    return "records/%s.jsonl" % KINDS.get(kind, ["incidents" if kind.startswith("incident") else "other"])[0]

def root_of(leaves, nodes, begin, end, first, last):
    """The root over begin..end, from leaves[first:last] and the next nodes (docs/format/bundle.md, Proof)."""
    if first == last or end - begin < 2:
        return sha() if end == 0 else next(nodes) if first == last else leaves[first][1]
    middle = begin + (1 << (end - begin - 1).bit_length() - 1)
    cut = bisect.bisect_left(leaves, (middle,), first, last)
    return sha(b"\1", root_of(leaves, nodes, begin, middle, first, cut), root_of(leaves, nodes, middle, end, cut, last))

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

def opened(blob, keys):
    archive = Archive(blob)
    claims, files, signers = manifest(archive.read("manifest.json", 2**26), keys)
    need(set(archive.members) <= {*files, "manifest.json"}, "unknown_member")
    is_period, room, ledger = claims["kind"] == "period", 2**30, claims["ledger"]
    need({*NEEDED, *["leaves.jsonl"] * is_period} <= set(files) and "manifest.json" not in files, "missing_member")
    for row in claims["files"]:
        data = archive.read(row["name"], room)
        need(len(data) == row["length"], "wrong_length")
        need(sha(data).hex() == files[row["name"]], "wrong_digest")
        room -= len(data)
    now, also = checkpoint(archive.read("checkpoint", 2**16), keys)
    need(now["origin"] == "tracekeep/" + ledger, "wrong_origin", "identity")
    need(claims["checkpoint"] == now, "wrong_checkpoint")
    rows = [row for name in RECORDS for row in entries(archive, name, ledger, now["size"])]
    rows.sort(key=lambda row: row.index)
    need(len({row.index for row in rows}) == len(rows), "misordered")
    leaves = entries(archive, "leaves.jsonl", ledger, now["size"]) if is_period else []
    with reading("malformed_proof"):
        proof = read(archive.read("proof.json"), {"nodes": [HEX], "size": count})
    with reading("wrong_proof"):
        shown, nodes = sorted({(row.index, row.hash) for row in rows + leaves}), map(bytes.fromhex, proof["nodes"])
        need(proof["size"] == now["size"] and len(dict(shown)) == len(shown))
        need(root_of(shown, nodes, 0, now["size"], 0, len(shown)).hex() == now["root"] and not [*nodes])
    consistency = None
    if "consistency.json" in files:
        with reading("malformed_proof"):
            consistency = read(archive.read("consistency.json", 2**26), {**of("from to", count), "hashes": [HEX]})
            need(consistency["to"] == now["size"])
    return SimpleNamespace(archive=archive, claims=claims, files=files, rows=rows, leaves=leaves, now=now, size=now["size"],
                           consistency=consistency, keys=keys, signers=signers & also)

# What the records are held to. Each returns its remarks.
def integrity(it):
    if it.old is None:
        return []
    with reading("unknown_old_checkpoint", is_whole=True):
        old, signers = checkpoint(it.old, it.keys)
        need(signers and old["origin"] == it.now["origin"])
    need(old["size"] <= it.size, "older_than_known")
    is_same = old["size"] == it.size
    need(is_same or it.consistency and it.consistency["from"] == old["size"], "no_consistency_proof")
    with reading("wrong_consistency"):
        roots = bytes.fromhex(old["root"]), bytes.fromhex(it.now["root"])
        proof = map(bytes.fromhex, [] if is_same else it.consistency["hashes"])
        found = grown(old["size"], it.size, proof, roots[0]) if old["size"] else (sha(), roots[1])
        need(found == roots and not [*proof])
    return []

def identity(it):
    declared = [row.shown.get("key") for row in it.rows if row.kind == "signing_key"]
    need(not declared or not it.keys or declared[-1] in it.signers, "superseded_key")
    return [] if declared else ["key_not_declared"]

def in_time(it):
    times, created_at = sorted({(row.index, row.recorded_at) for row in it.rows + it.leaves}), it.claims["created_at"]
    need(all(a[1] <= b[1] for a, b in zip(times, times[1:])), "time_runs_back")
    index, latest = times[-1] if times else (None, "")
    is_shown = index == it.size - 1
    need(latest == created_at or not is_shown and latest < created_at, "wrong_created_at")
    return [] if is_shown else ["created_at_not_shown"]

def written(sums):
    """Totals as they are written: nanoseconds beyond 2^53 have several sums of one text."""
    cents = ("%d.%06d" % divmod(sums["cost_cents"], 10**6)).rstrip("0").rstrip(".")
    milliseconds = Number(double(min(sums["duration_ms"] / 1e6, 9223372036854.773)))
    return write({**sums, "cost_cents": cents, "duration_ms": milliseconds})

def new_run(run_id):
    """What is claimed of a run, what its steps add up to, and the roots of complete subtrees, (leaves, hash)."""
    return SimpleNamespace(claim={"run_id": run_id, **of("entries steps traces erased seals unsealed", 0)}, tree=[],
                           sums=of("successes failures cost_cents duration_ms", 0), is_whole=True)

def add(run, row):
    """Adds the next entry."""
    counted = {"step": ["steps"], "trace": ["traces"], "sealed": ["seals"]}.get(row.kind, [])
    for name in counted + ["entries", "unsealed"] + ["erased"] * row.is_erased:
        run.claim[name] += 1
    run.claim["unsealed"] *= row.kind != "sealed"
    if row.kind == "step":
        run.is_whole &= {"status", "cost_cents", "duration_ms"} <= set(row.shown) and "tokens" not in row.withheld
        for name in set(MOST) & set(row.shown):
            run.sums[name] = min(run.sums.get(name, 0) + row.shown[name], MOST[name])
        run.sums["successes"] += row.shown.get("status") == "success"
        run.sums["failures"] += row.shown.get("status") == "failure"
    run.tree.append((1, row.hash))
    while len(run.tree) > 1 and run.tree[-2][0] == run.tree[-1][0]:
        (size, first), (_, second) = run.tree[-2:]
        run.tree[-2:] = [(2 * size, sha(b"\1", first, second))]

def hold_to(run, seal):
    """Holds a seal to the entries in front of it."""
    root = run.tree[-1][1] if run.tree else sha()
    for _, node in reversed(run.tree[:-1]):
        root = sha(b"\1", node, root)
    said = {**run.claim, "run_root": root.hex(), "totals": run.sums, **seal}
    need(said["entries"] == run.claim["entries"] and said["run_root"] == root.hex(), "wrong_run_root")
    need(all(said[name] == run.claim[name] for name in ("steps", "traces")), "wrong_totals")
    need(not run.is_whole or written(said["totals"]) == written(run.sums), "wrong_totals")

def incident(rows, claimed):
    """What the records say of the incident that is claimed."""
    said = [row for row in rows if row.kind == "incident" and row.shown.get("incident_id") == claimed["incident_id"]]
    need(said, "wrong_incident")
    raw, place = said[0].raw, ("step", said[0].run or None, said[0].raw.get("violation_step_index", -1))
    times = [row.raw.get("occurred_at") for row in rows if (row.kind, row.run, row.raw.get("index")) == place]
    found = {"incident_id": claimed["incident_id"], "severity": raw.get("severity"),
             "policy": raw.get("policy_id", raw.get("policy_name")),
             "violation_at": [*times, None][0] or raw.get("created_at")}
    return {name: value for name, value in found.items() if value is not None}

def completeness(it):
    claims, runs, all_of_it, counts = it.claims, {}, new_run(""), Counter()
    for row in it.rows:
        counts.update(["entries", file_of(row.kind)[8:-6]], erased=row.is_erased, withheld=len(row.withheld))
        add(all_of_it, row)
        if row.run:
            run = runs.setdefault(row.run, new_run(row.run))
            need(row.seq == run.claim["entries"], "missing_entry")
            if row.kind == "sealed":
                hold_to(run, row.shown)
            add(run, row)
    need(claims["counts"] == {name: counts[name] for name in claims["counts"]}, "wrong_counts")
    need(written(claims["totals"]) == written(all_of_it.sums), "wrong_totals")
    need(claims["runs"] == [runs[run_id].claim for run_id in sorted(runs)], "wrong_runs")
    about, stated, period = claims.get("incident", {}), claims["completeness"], claims.get("period")
    times = [row.recorded_at for row in it.rows if row.run]
    is_touched = period and any(period["from"] <= at for at in times) and any(at < period["to"] for at in times)
    there = {**claims, **of("steps totals", True), "period": period if claims["kind"] == "period" else is_touched,
             "run": runs, "leaves": "leaves.jsonl" in it.files, "controls": "controls.json" in it.files,
             "debrief": "debrief.json" in it.files}
    required = sorted(BASIC + REQUIRED[claims["kind"]])
    missing = [name for name in required if not there.get(name, name in about)]
    need((stated["required"], stated["missing"]) == (required, missing), "wrong_completeness")
    need(claims["unproven"] == sorted({"comparison.json", "report.html"} & set(it.files)), "wrong_completeness")
    need(not missing or stated["forced"], "incomplete")
    need(not about or about == incident(it.rows, about), "wrong_incident")
    if "comparison.json" in it.files:
        with reading("wrong_comparison"):
            comparison(it)
    need(not period or period["from"] <= period["to"], "wrong_period")
    if period and claims["kind"] == "period":
        in_period(it, period["from"], period["to"], runs)
    ends = {(run.claim["seals"] > 0, run.claim["unsealed"] > 0) for run in runs.values()}
    remarks = {"run_not_sealed": (False, True) in ends, "entries_after_seal": (True, True) in ends, "forced": missing,
               "comparison_not_proven": "comparison.json" in it.files,
               "not_recomputed": {"controls.json", "debrief.json"} & set(it.files)}
    return [remark for remark, is_so in remarks.items() if is_so]

def own(rows, run_id):
    """What a run is compared by: of its latest seal and its start. Nothing where any of it is not shown."""
    rows = [row for row in rows if row.run == run_id]
    seal = ([row for row in rows if row.kind == "sealed"] or [None])[-1]
    if not seal or rows[0].kind != "run_started":
        return None
    found = {"seal": seal.index, **{name: seal.shown.get(name) for name in ("behaviour_hash", "plan_hash", "root_hash")},
             "seed": rows[0].shown.get("seed")}
    return None if None in found.values() else found

def relation(a, b):
    need((a["plan_hash"], a["seed"]) == (b["plan_hash"], b["seed"]))
    same = a["behaviour_hash"] == b["behaviour_hash"]
    return "identical" if a["root_hash"] == b["root_hash"] else "same_behaviour" if same else "diverged"

def comparison(it):
    said, runs = read(it.archive.read("comparison.json"), COMPARISON), {row.run for row in it.rows}
    run_id, matches = said["run_id"], said.get("matches")
    need(run_id in runs and (matches and matches["own"]) == own(it.rows, run_id))
    if not matches:
        return
    groups, many = matches["groups"], [group["runs"] for group in matches["groups"]]
    examples = [(group["relation"], one["run_id"], one["seal"]) for group in groups for one in group["examples"]]
    need(len(groups) <= 50 and many == sorted(many, reverse=True) and 0 not in many)
    need([group["relation"] for group in groups].count("identical") < 2)
    need(all(len(group["examples"]) == min(group["runs"], 5) for group in groups))
    need(len({run_id, *[name for _, name, _ in examples]}) == len(examples) + 1)
    for stated, name, seal in examples:
        other = own(it.rows, name) if name in runs else None
        need(seal < it.size and (name not in runs or other["seal"] == seal))
        need(name not in runs or relation(matches["own"], other) == stated)
    others, difference = [group for group in groups if group["relation"] != "identical"], matches.get("difference")
    need(bool(others) == bool(difference))
    if difference:
        steps = {row.shown["index"] for row in it.rows
                 if row.kind == "step" and row.run == run_id and row.index < matches["own"]["seal"] and not row.is_erased}
        step, fields, is_same = difference.get("step"), difference["fields"], others[0]["relation"] == "same_behaviour"
        need(difference["run_id"] == others[0]["examples"][0]["run_id"])
        need((difference["change"] == "changed") if step is None
             else (step in steps) == (difference["change"] != "inserted"))
        allowed = ["status"] if step is None else FIELDS + CAME_BACK
        need(fields and fields == sorted(set(fields)))
        need(set(fields) <= set(allowed) & set(CAME_BACK if is_same else allowed))

def in_period(it, start, end, runs):
    leaves, shown = it.leaves, {row.index for row in it.rows}
    first, last = (leaves[0], leaves[-1]) if leaves else (None, None)
    need(first.index == 0 or first.recorded_at < start if leaves else not it.size, "missing_leaf")
    need(not leaves or last.index + 1 == it.size or last.recorded_at >= end, "missing_leaf")
    need(not leaves or last.index - first.index + 1 == len(leaves), "missing_leaf")
    starts = [row for row in leaves if row.kind == "run_started" and row.seq == 0 and start <= row.recorded_at < end]
    need(all(row.run in runs for row in starts), "missing_run")
    need(all(row.index in shown for row in leaves if row.run in runs), "missing_entry")

def redaction(it):
    by, claimed, named = {}, [], set()
    for row in it.rows:
        for entry in row.shown.get("remainders", []):
            for name in [part[0] for part in entry["members"] if len(part) == 2]:
                by.setdefault((entry["log_index"], name), row.index)
    for row in it.rows:
        grounds = {}
        for name in row.withheld:
            grounds.setdefault(by.get((row.index, name), -1), []).append(name)
        claimed += [{"log_index": row.index, "members": names, **({"redaction": ground} if ground >= 0 else {})}
                    for ground, names in sorted(grounds.items())]
    need(it.claims["withheld"] == claimed, "wrong_withheld")
    for row in (row for row in reversed(it.rows) if row.run):
        need(not row.is_erased or {(row.run, "all"), (row.run, row.index)} & named, "unnamed_erasure")
        took = [entry["log_index"] for entry in row.shown.get("remainders", []) + row.shown.get("replaces", [])]
        named |= {(row.run, entry) for entry in took + ["all"] * (row.shown.get("op") == "erase_run")}
    return ["members_withheld"] * bool(claimed) + ["entries_erased"] * any(row.is_erased for row in it.rows)

CHECKS = {"integrity": integrity, "identity": identity, "time": in_time, "completeness": completeness,
          "redaction": redaction}

def verify(blob, keys, old=None):
    """The five verdicts: {aspect: (outcome, reason or None, remarks)}."""
    verdicts = dict.fromkeys(CHECKS, ("unconfirmed", "not_checked", []))
    try:
        it = opened(blob, keys)
    except Refused as refused:
        return {**verdicts, **dict.fromkeys(refused.args[1:] or ["integrity"], ("fail", refused.args[0], []))}
    it.old = old
    for aspect, check in CHECKS.items():
        try:
            remarks = check(it)
            verdicts[aspect] = ("pass", None, remarks) if keys else ("unconfirmed", "no_key", [])
        except Refused as refused:
            verdicts[aspect] = ("unconfirmed" if refused.args[0] in OPEN else "fail", refused.args[0], [])
    return verdicts

def keys_of(argument):
    text = argument if "+" in argument and not os.path.exists(argument) else open(argument, encoding="utf-8").read()
    return [Key(line.strip()) for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=argparse.FileType("rb"))
    parser.add_argument("--key", action="append", default=[], help="the ledger's public key, or a file with one a line")
    parser.add_argument("--checkpoint", type=argparse.FileType("rb"), help="a checkpoint of the same log from before")
    args = parser.parse_args()
    try:
        keys = [key for argument in args.key for key in keys_of(argument)]
    except (OSError, ValueError, Refused) as error:
        parser.error(str(error))
    verdicts = verify(args.bundle.read(), keys, args.checkpoint and args.checkpoint.read())
    for aspect, (outcome, reason, remarks) in verdicts.items():
        print(json.dumps({"aspect": aspect, "outcome": outcome, "reason": reason, "remarks": remarks}))
    print(json.dumps({"not_recomputed_here": NOT_RECOMPUTED}))
    outcomes = {outcome for outcome, _, _ in verdicts.values()}
    unreadable = verdicts["integrity"][1] == "not_a_zip"
    sys.exit(2 if unreadable else 1 if "fail" in outcomes else 3 if "unconfirmed" in outcomes else 0)

if __name__ == "__main__":
    main()
