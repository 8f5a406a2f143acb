#!/usr/bin/env python3
"""Verifies a Tracekeep bundle from its bytes and a public key: no server, no network, none of Tracekeep's code.

Written from docs/format/bundle.md, to be read before it is run. Python 3.9 or later and the package `cryptography`.
Exit codes: 0 all verdicts pass, 1 one fails, 2 usage or no zip, 3 one is unconfirmed. controls.json, debrief.json and
report.html are held to their signed digests and not recomputed; of the first two the remark `not_recomputed` says so.
"""
import argparse, base64, bisect, hashlib, io, json, os, re, struct, sys, zipfile, zlib
from collections import Counter
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

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

def of(names, shape):
    return dict.fromkeys(names.split(), shape)

# Canonical JSON (docs/format/canonical-json.md): what was read is written again, and has to be the same bytes, so that
# of two members of one name none is passed over.
class Number(str):
    """A number, kept as its text."""

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

def read(text, shape, levels=128):
    value = json.loads(text.decode(), **of("parse_int parse_float parse_constant", number))
    need(write(value, levels).encode() == text)
    return fit(value, shape)

def fit(value, shape):
    """A value of a shape: a pattern of text, a type, a function, [shape of each], {member: shape}, `?` if optional."""
    if isinstance(shape, dict):
        need(type(value) is dict and all(name in value or name[-1] == "?" for name in shape))
        return {name: fit(item, shape[name if name in shape else name + "?"]) for name, item in value.items()}
    if isinstance(shape, list):
        need(type(value) is list)
        return [fit(item, shape[0]) for item in value]
    if isinstance(shape, str):
        need(type(value) is str and re.fullmatch(shape, value, re.A))
    elif isinstance(shape, type):
        need(type(value) is shape)
    else:
        value = shape(value)
    return value

def whole(low, high):
    def shape(value):
        need(low <= int(fit(value, Number)) < high)
        return int(value)
    return shape

def time(value):
    datetime.fromisoformat(fit(value, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")[:19])
    need("1677-09-21T00:12:43.145224192Z" <= value <= "2262-04-11T23:47:16.854775807Z")
    return value

def cost(value):
    """In millionths of a cent."""
    exact = Decimal(fit(value, r"(0|[1-9]\d{0,12})(\.\d{0,5}[1-9])?")) * 10**6
    need(exact <= MOST["cost_cents"])
    return int(exact)

def duration(value):
    """In nanoseconds."""
    exact = float(fit(value, Number)) * 1e6
    need(0 <= exact < 9.223372036854775e18)
    return int(exact) + (exact - int(exact) >= 0.5)

def lasted(nanos):
    """Milliseconds as totals state them: nanoseconds beyond 2^53 have several sums of one text."""
    return Number(double(min(nanos / 1e6, 9223372036854.773)))

def total(value):
    need(lasted(duration(value)) == value)
    return value

def left(part):
    """A member that is shown, [name, value, salt], or withheld, [name, commitment] (docs/format/redaction.md)."""
    need(type(part) is list and len(part) in (2, 3) and [fit(part[0], TEXT), fit(part[-1], HEX)])
    return part

count, integer, small = whole(0, 2**64), whole(-2**63, 2**63), whole(0, 2**32)
TEXT, HEX, NAME = "(?s:.*)", "[0-9a-f]{64}", r"[^\s+\x00-\x1f\x7f-\x9f]{1,255}"
NOTE = "([^\0-\x09\x0b-\x1f]+\n)\n((?:\u2014 %s [^ \n]+\n){1,100})" % NAME
TYPE, FORMAT = "application/vnd.in-toto+json", "https://tracekeep.dev/bundle/v1"
MOST = {"cost_cents": 2**63 - 1, "duration_ms": 2**63 - 1, "tokens": 2**64 - 1}
# The y of the points of small order: no key is one, nor half of a signature.
WEAK = {"00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"}
# The file that a kind of entry stands in, and the ops that it is of. Of a kind that is not known, nothing is.
KINDS = {kind: (file, ops.split(",")) for file, rows in {
    "audit": "expectation=expect ack=ack status=set_expectation_status verdict=reconcile audit_cleared=clear_audit",
    "incidents": "incident=open_incident incident_resolved=resolve_incident",
    "other": "redaction=erase_run,redact hold=hold hold_released=release_hold baseline=set_baseline "
             "export=record_export signing_key=declare_key key=key",
    "run": "run_started=start_run,ensure_run run_described=describe_run sealed=complete_run,seal_run",
    "steps": "step=record_step", "traces": "trace=record_trace trace_ended=end_trace,record_trace",
}.items() for kind, ops in (row.split("=") for row in rows.split())}
# Members that no entry, and none of a kind, withholds.
KEPT = "ended_at id index occurred_at op parent_id run_id status trace_type/name trace_type/type".split()
KEPT_OF = {"sealed": "entries n run_root steps traces", "signing_key": "key", "incident": "incident_id",
           "incident_resolved": "incident_id"}
TOTALS = {**of("successes failures tokens?", count), "cost_cents": cost, "duration_ms": total}
HASHES = "behaviour_hash plan_hash root_hash"
# Members that are looked at, where they are shown.
FACTS = {"step": {"index": small, "status": TEXT, "cost_cents": cost, "duration_ms": duration, "tokens": count,
                  "occurred_at": time},
         "sealed": {**of("entries steps traces", count), **of(HASHES + " run_root", HEX), "status": TEXT,
                    "totals": TOTALS},
         "run_started": {"seed": integer}, "signing_key": {"key": TEXT},
         "incident": {**of("incident_id policy_id policy_name severity summary title violation_type", TEXT),
                      "created_at": time, "violation_step_index": small},
         "redaction": {"op": TEXT, "remainders": [{"log_index": count, "members": [left]}],
                       "replaces": [{"log_index": count, "reason": TEXT, "by?": TEXT}]}}
LINE = {"leaf": {**of("kind ledger run", TEXT), "commit": HEX, "recorded_at": time, "seq": count, "v": count},
        "log_index": count, "members?": [left]}
ENVELOPE = {"payload": TEXT, "payloadType": re.escape(TYPE), "signatures": [of("keyid sig", TEXT)]}
REQUIRED = {"evidence": ["run"], "soc2": ["controls", "period", "run"], "period": ["leaves", "period"],
            "executive_debrief": ["debrief", "incident", "policy", "severity", "violation_at"]}
STATEMENT = {"_type": "https://in-toto[.]io/Statement/v1", "predicateType": TEXT, "predicate": {
    **of("tenant_id exported_by", TEXT), "kind": "|".join(REQUIRED), "ledger": "[0-9a-f]{32}", "created_at": time,
    "checkpoint": {"origin": TEXT, "size": count, "root": HEX}, "options": dict, "period?": of("from to", time),
    "incident?": {**of("incident_id severity? policy?", TEXT), "violation_at?": time}, "totals": TOTALS,
    "counts": of("entries audit incidents other run steps traces erased withheld", count),
    "runs": [{"run_id": TEXT, **of("entries steps traces erased seals unsealed", count)}],
    "withheld": [{"log_index": count, "members": [TEXT], "redaction?": count}],
    "files": [{"name": TEXT, "length": count}], "unproven": [TEXT],
    "completeness": {**of("required missing", [TEXT]), "forced": bool}},
    "subject": [{"name": TEXT, "digest": {"sha256": HEX}}]}
FIELD = "outcome_(category|code|data)|params|replay_behavior|retry_count|rng_state_before|skill_name|status"
COMPARISON = {"run_id": TEXT, "matches?": {
    "own": {**of(HASHES, HEX), "seal": count, "seed": integer}, "beyond": of("groups runs", count),
    "groups": [{"relation": "identical|same_behaviour|diverged", "runs": count, "status": TEXT,
                "examples": [{"run_id": TEXT, "seal": count}]}], "unverifiable": count, "complete": bool,
    "difference?": {"run_id": TEXT, "step?": small, "change": "changed|inserted|deleted", "fields": [FIELD]}}}
NOT_RECOMPUTED = ["controls.json", "debrief.json", "report.html"]
OPEN = ["no_key", "not_checked", "no_consistency_proof", "unknown_old_checkpoint"]
RECORDS = ["audit", "incidents", "other", "run", "steps", "traces"]
NEEDED = {"README.txt", "checkpoint", "proof.json", "report.html", *map("records/{}.jsonl".format, RECORDS)}
NAMES = {"manifest.json", "comparison.json", "consistency.json", "leaves.jsonl", *NEEDED, *NOT_RECOMPUTED}

def unzip(blob):
    """What reads a member of a zip, and their names. Nothing goes to a file, or is read beyond what the zip states."""
    infos, starts, stop, room = {}, {}, 0, 0
    with reading("not_a_zip"):
        bundle = zipfile.ZipFile(io.BytesIO(blob))
        end = len(blob) - 22 - len(bundle.comment)
        stated, = struct.unpack_from("<H", blob, end + 10)
        stated, = struct.unpack_from("<Q", blob, end - 44) if stated == 65535 else (stated,)
    need(max(stated, len(bundle.infolist())) <= 32, "too_many_members")
    for info in bundle.infolist():
        name, kind = info.orig_filename, info.external_attr >> 28
        is_folder = name == "records/" and not info.file_size and not info.compress_size
        need(re.fullmatch(r"(?!/|.*//|(.*/)?\.\.?(/|$))[!-9;-\[\]-~]+", name), "unsafe_name")
        need(is_folder or name[-1] != "/" and kind in (0, 8), "not_a_file")
        need(not info.flag_bits & 1, "encrypted_member")
        need(info.compress_type in (0, 8), "unsupported_compression")
        need(name in NAMES or is_folder, "unknown_member")
        need(name not in infos, "duplicate_member")
        infos[name] = info
    for name, info in sorted(infos.items(), key=lambda item: item[1].header_offset):
        with reading("damaged_member"):
            at = info.header_offset
            need(stop <= at <= stop + room, "stray_bytes")
            magic, flags, method, *sizes, named, extra = struct.unpack_from("<4s2xHH8xIIHH", blob, at)
            need(magic == b"PK\3\4" and blob[at + 30:at + 30 + named] == name.encode())
            need(method == info.compress_type and (flags & 8 or sizes == [info.compress_size, info.file_size]))
        starts[name] = at + 30 + named + extra
        # Behind data that were written as a stream stands a descriptor, in which no other member has room.
        stop, room = starts[name] + info.compress_size, 24 if flags & 8 else 0
    listed = bundle.start_dir + struct.unpack_from("<I", blob, end + 12)[0]
    need(stop <= bundle.start_dir <= stop + room and listed in (end, end - 76), "stray_bytes")

    def member(name, most=2**30):
        need(name in infos, "missing_member")
        info, start = infos[name], starts[name]
        need(info.file_size <= most, "too_large")
        with reading("damaged_member"):
            data = blob[start:start + info.compress_size]
            if info.compress_type:
                packed = zlib.decompressobj(-15)
                data = packed.decompress(data, info.file_size + 1)
                need(packed.eof and not packed.unused_data and not packed.unconsumed_tail)
            need(len(data) == info.file_size and zlib.crc32(data) == info.CRC)
            return data
    return member, infos.keys() - {"records/"}

def unbase64(text):
    data = base64.b64decode(text.encode("ascii"), validate=True)
    need(base64.b64encode(data).decode() == text)
    return data

def is_weak(point):
    return bytes([*point[:31], point[31] & 127]).hex() in WEAK

def key_of(text):
    """A public key as text, NAME+ID+BASE64 (docs/format/evidence.md)."""
    with reading("malformed_key"):
        name, ident, typed = text.split("+", 2)
        typed = unbase64(typed)
        need(re.fullmatch(NAME, name) and ident == sha(name.encode(), b"\n", typed)[:4].hex() and typed[0] == 1)
        need(int.from_bytes(typed[1:], "little") % 2**255 < 2**255 - 19)
        need(not is_weak(typed[1:]), "weak_key")
        return SimpleNamespace(text=text, short=name + "+" + ident, key=Ed25519PublicKey.from_public_bytes(typed[1:]))

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
        need(len(data) <= 2**16)
        text, tail = re.fullmatch(NOTE, data.decode()).groups()
        rows = [(name, unbase64(row)) for name, row in re.findall("\u2014 ([^ \n]+) (.+)\n", tail)]
        need(all(len(row) > 4 and len(name.encode()) < 256 for name, row in rows))
    signers = signed(text.encode(), [(name + "+" + row[:4].hex(), row[4:]) for name, row in rows], keys, "short")
    with reading("malformed_checkpoint"):
        origin, size, root, *rest = text[:-1].split("\n")
        need(origin and all(rest) and len(unbase64(root)) == 32 and re.fullmatch(r"0|[1-9]\d{0,19}", size, re.A))
        return {"origin": origin, "size": count(Number(size)), "root": unbase64(root).hex()}, signers

def manifest(data, keys):
    """The claims, the digest of each file, and which keys have signed them."""
    with reading("malformed_manifest"):
        envelope = read(data, ENVELOPE)
        payload = unbase64(envelope["payload"])
        rows = [(row["keyid"], unbase64(row["sig"])) for row in envelope["signatures"]]
        need(1 <= len(rows) <= 100)
    signers = signed(b"DSSEv1 28 %s %d %s" % (TYPE.encode(), len(payload), payload), rows, keys, "text")
    with reading("malformed_manifest"):
        need(fit(read(payload, dict)["predicateType"], TEXT) == FORMAT, "unknown_format")
        statement = read(payload, STATEMENT)
        claims, files = statement["predicate"], {row["name"]: row["digest"]["sha256"] for row in statement["subject"]}
        need([row["name"] for row in statement["subject"]] == sorted(files) == [row["name"] for row in claims["files"]])
    return claims, files, signers

def entries(file, data, ledger, size):
    """The entries of a file of records, or bare leaves: their places, leaf hashes, and what of them matters here."""
    rows = []
    need(data[-1:] in (b"", b"\n"), "malformed_record")
    for text in data.split(b"\n")[:-1]:
        with reading("malformed_record"):
            line = read(text, LINE, 136)
            row, parts = SimpleNamespace(**line["leaf"], index=line["log_index"]), line.get("members", [])
            need(row.v == 1)
            need(row.ledger == ledger, "wrong_ledger", "identity")
            names = [fit(part[0], r"[ !#-\[\]-~]*") for part in parts]
            need(names == sorted(set(names)) and not (file == "leaves" and "members" in line))
            need(row.index < size, "beyond_checkpoint")
            need(not rows or rows[-1].index < row.index, "misordered")
            row.file, ops = KINDS.get(row.kind, ("other", None))
            need(file in ("leaves", row.file), "misfiled")
            row.hash = sha(b"\0", text[len('{"leaf":'):text.index(b',"log_index":')])
            row.is_erased, row.withheld = "members" not in line, [part[0] for part in parts if len(part) == 2]
            row.raw = {part[0]: part[1] for part in parts if len(part) == 3}
            commits = [bytes.fromhex(part[1]) if len(part) == 2 else
                       sha(b"tracekeep/member/1\n", bytes.fromhex(part[2]), write(part[:2]).encode()) for part in parts]
            need(row.is_erased or sha(b"tracekeep/commit/1\n", *commits).hex() == row.commit, "wrong_commitment")
            facts = FACTS.get(row.kind, {})
            row.shown = {name: fit(row.raw[name], facts[name]) for name in facts if name in row.raw}
            need(row.is_erased or not ops or is_held(row, ops))
        rows.append(row)
    return rows

def is_held(row, ops):
    """Whether the body's op and run are those of the leaf, and nothing is withheld that other checks stand on."""
    run = fit(row.raw.get("run_id", row.run if row.kind in ("export", "incident_resolved") else ""), TEXT)
    kept = {*KEPT, *KEPT_OF.get(row.kind, "").split()} & set(row.withheld)
    return row.run == ("" if row.kind == "baseline" else run) and row.raw["op"] in ops and not kept

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
    """A bundle of which every byte is accounted for, and every entry is in the log."""
    member, names = unzip(blob)
    claims, files, signers = manifest(member("manifest.json", 2**26), keys)
    room, ledger, bare = 2**30, claims["ledger"], ["leaves"] * (claims["kind"] == "period")
    need(names <= {*files, "manifest.json"}, "unknown_member")
    need({*NEEDED, *map("{}.jsonl".format, bare)} <= set(files), "missing_member")
    for row in claims["files"]:
        data = member(row["name"], room)
        need(len(data) == row["length"], "wrong_length")
        need(sha(data).hex() == files[row["name"]], "wrong_digest")
        room -= len(data)
    now, also = checkpoint(member("checkpoint", 2**16), keys)
    size = now["size"]
    need(now["origin"] == "tracekeep/" + ledger, "wrong_origin", "identity")
    need(claims["checkpoint"] == now, "wrong_checkpoint")
    rows = [row for file in RECORDS for row in entries(file, member("records/%s.jsonl" % file), ledger, size)]
    rows.sort(key=lambda row: row.index)
    leaves = [row for file in bare for row in entries(file, member("leaves.jsonl"), ledger, size)]
    with reading("malformed_proof"):
        proof = read(member("proof.json"), {"nodes": [HEX], "size": count})
    with reading("wrong_proof"):
        shown, nodes = sorted({(row.index, row.hash) for row in rows + leaves}), map(bytes.fromhex, proof["nodes"])
        need(proof["size"] == size and len(dict(shown)) == len(shown))
        need(root_of(shown, nodes, 0, size, 0, len(shown)).hex() == now["root"] and not [*nodes])
    with reading("malformed_proof"):
        grows = {**of("from to", count), "hashes": [HEX]}
        consistency = read(member("consistency.json"), grows) if "consistency.json" in files else {}
        need(consistency.get("to", size) == size)
    return SimpleNamespace(member=member, claims=claims, files=set(files), rows=rows, leaves=leaves, now=now, size=size,
                           consistency=consistency, keys=keys, signers=signers & also)

# What the records are held to. Each returns its remarks.
def integrity(it):
    if it.old is None:
        return []
    with reading("unknown_old_checkpoint", is_whole=True):
        old, signers = checkpoint(it.old, it.keys)
        need(signers and old["origin"] == it.now["origin"])
    size, proof = old["size"], it.consistency
    need(size <= it.size, "older_than_known")
    need(size == it.size or size == proof.get("from"), "no_consistency_proof")
    with reading("wrong_consistency"):
        roots = bytes.fromhex(old["root"]), bytes.fromhex(it.now["root"])
        nodes = map(bytes.fromhex, proof["hashes"] if size != it.size else [])
        need((grown(size, it.size, nodes, roots[0]) if size else (sha(), roots[1])) == roots and not [*nodes])
    return []

def identity(it):
    declared = [row.shown.get("key") for row in it.rows if row.kind == "signing_key"]
    need(not declared or not it.keys or declared[-1] in it.signers, "superseded_key")
    return [] if declared else ["key_not_declared"]

def in_time(it):
    times, created_at = sorted({(row.index, row.recorded_at) for row in it.rows + it.leaves}), it.claims["created_at"]
    need(all(a[1] <= b[1] for a, b in zip(times, times[1:])), "time_runs_back")
    index, latest = times[-1] if times else (None, "")
    need(latest == created_at or index != it.size - 1 and latest < created_at, "wrong_created_at")
    return ["created_at_not_shown"] * (index != it.size - 1)

def new_run(run_id):
    """What is claimed of a run, what its steps add up to, and the roots of complete subtrees, (leaves, hash)."""
    return SimpleNamespace(claim={"run_id": run_id, **of("entries steps traces erased seals unsealed", 0)}, tree=[],
                           sums=of("successes failures cost_cents duration_ms", 0), is_whole=True)

def add(run, row):
    """Adds the next entry."""
    counted = {"step": ["steps"], "trace": ["traces"], "sealed": ["seals"]}.get(row.kind, [])
    for name in ["entries", "unsealed"] + counted + ["erased"] * row.is_erased:
        run.claim[name] += 1
    run.claim["unsealed"] *= row.kind != "sealed"
    if row.kind == "step":
        run.is_whole &= {"status", "cost_cents", "duration_ms"} <= set(row.shown) and "tokens" not in row.withheld
        for name in MOST.keys() & row.shown.keys():
            run.sums[name] = min(run.sums.get(name, 0) + row.shown[name], MOST[name])
        run.sums["successes"] += row.shown.get("status") == "success"
        run.sums["failures"] += row.shown.get("status") == "failure"
    run.tree.append((1, row.hash))
    while len(run.tree) > 1 and run.tree[-2][0] == run.tree[-1][0]:
        (size, first), (_, second) = run.tree[-2:]
        run.tree[-2:] = [(2 * size, sha(b"\1", first, second))]

def totals(run):
    return {**run.sums, "duration_ms": lasted(run.sums["duration_ms"])}

def hold_to(run, seal):
    """In what a seal is wrong about the entries in front of it."""
    root = run.tree[-1][1] if run.tree else sha()
    for _, node in reversed(run.tree[:-1]):
        root = sha(b"\1", node, root)
    said = {**run.claim, "run_root": root.hex(), "totals": totals(run), **seal}
    is_root = said["entries"] == run.claim["entries"] and said["run_root"] == root.hex()
    is_total = all(said[name] == run.claim[name] for name in ("steps", "traces"))
    is_total &= not run.is_whole or said["totals"] == totals(run)
    return ["wrong_run_root"] * (not is_root) + ["wrong_totals"] * (not is_total)

def incident(rows, incident_id):
    """What the records say of an incident."""
    said = [row for row in rows if row.kind == "incident" and row.shown.get("incident_id") == incident_id]
    need(said, "wrong_incident")
    told, place = said[0].shown, ("step", said[0].run or None, said[0].shown.get("violation_step_index", -1))
    times = [row.shown.get("occurred_at") for row in rows if (row.kind, row.run, row.shown.get("index")) == place]
    found = {"incident_id": incident_id, "policy": told.get("policy_id", told.get("policy_name")),
             "severity": told.get("severity"), "violation_at": [*times, None][0] or told.get("created_at")}
    return {name: value for name, value in found.items() if value is not None}

def completeness(it):
    claims, runs, all_of_it, counts, faults = it.claims, {}, new_run(""), Counter(), set()
    about, stated, period = claims.get("incident", {}), claims["completeness"], claims.get("period")
    for row in it.rows:
        counts.update(["entries", row.file], erased=row.is_erased, withheld=len(row.withheld))
        add(all_of_it, row)
        if row.run:
            run = runs.setdefault(row.run, new_run(row.run))
            faults |= {"missing_entry"} if row.seq != run.claim["entries"] else set()
            faults |= set(hold_to(run, row.shown)) if row.kind == "sealed" else set()
            add(run, row)
    for reason in ("missing_entry", "wrong_run_root", "wrong_totals"):
        need(reason not in faults, reason)
    need(claims["counts"] == {name: counts[name] for name in claims["counts"]}, "wrong_counts")
    need(claims["totals"] == totals(all_of_it), "wrong_totals")
    need(claims["runs"] == [runs[run_id].claim for run_id in sorted(runs)], "wrong_runs")
    times = [row.recorded_at for row in it.rows if row.run]
    is_touched = period and any(period["from"] <= at for at in times) and any(at < period["to"] for at in times)
    there = {**about, **claims, **of("steps totals", True), **{name.split(".")[0]: True for name in it.files},
             "run": runs, "period": period if claims["kind"] == "period" else is_touched}
    required = sorted(["created_at", "exported_by", "steps", "tenant_id", "totals", *REQUIRED[claims["kind"]]])
    missing = [name for name in required if not there.get(name)]
    need((stated["required"], stated["missing"]) == (required, missing), "wrong_completeness")
    need(claims["unproven"] == sorted({"comparison.json", "report.html"} & it.files), "wrong_completeness")
    need(not missing or stated["forced"], "incomplete")
    need(not about or about == incident(it.rows, about["incident_id"]), "wrong_incident")
    if "comparison.json" in it.files:
        with reading("wrong_comparison"):
            compared(it, read(it.member("comparison.json"), COMPARISON))
    need(not period or period["from"] <= period["to"], "wrong_period")
    if period and claims["kind"] == "period":
        in_period(it, period["from"], period["to"], runs)
    ends = {(run.claim["seals"] > 0, run.claim["unsealed"] > 0) for run in runs.values()}
    remarks = {"run_not_sealed": (False, True) in ends, "entries_after_seal": (True, True) in ends, "forced": missing,
               "comparison_not_proven": "comparison.json" in it.files,
               "not_recomputed": {"controls.json", "debrief.json"} & it.files}
    return [remark for remark, is_so in remarks.items() if is_so]

def own(rows):
    """What a run is compared by, as its latest seal and its start state it; nothing where any of it is not shown."""
    seal = [rows[0], *[row for row in rows if row.kind == "sealed"]][-1]
    found = {name: seal.shown.get(name) for name in HASHES.split()}
    found.update(seal=seal.index, seed=rows[0].shown.get("seed"))
    return None if None in found.values() else found, seal.shown.get("status")

def relation_of(mine, other):
    if not other or any(mine[name] != other[name] for name in ("plan_hash", "seed")):
        return None
    same = [name for name in ("root_hash", "behaviour_hash") if mine[name] == other[name]]
    return {"root_hash": "identical", "behaviour_hash": "same_behaviour"}[same[0]] if same else "diverged"

def compared(it, said):
    """What is said of runs that are shown is what their records say; of others it is claimed."""
    runs, run_id, matches = {}, said["run_id"], said.get("matches")
    for row in it.rows:
        runs.setdefault(row.run, []).append(row)
    known = {name: own(rows) for name, rows in runs.items() if name}
    mine, ended = known[run_id]
    need((matches and matches["own"]) == mine)
    if not matches:
        return
    groups, beyond, difference = matches["groups"], matches["beyond"], matches.get("difference")
    many, others = [group["runs"] for group in groups], [group for group in groups if group["relation"] != "identical"]
    examples = [(one["run_id"], one["seal"], place) for place, group in enumerate(groups) for one in group["examples"]]
    places, names = {row.index: (row.run, row.kind) for row in it.rows + it.leaves}, {name for name, _, _ in examples}
    need(len(groups) <= min(50, len(others) + 1) and many == sorted(many, reverse=True) and 0 not in many)
    need(all(len(group["examples"]) == min(group["runs"], 5) for group in groups))
    need(beyond["groups"] <= beyond["runs"] and bool(beyond["groups"]) == bool(beyond["runs"]))
    need(not beyond["runs"] or len(groups) == 50)
    need(len(names | {run_id}) == len(examples) + 1 and bool(others) == bool(difference))
    need(all(seal < it.size and places.get(seal, (name, "sealed")) == (name, "sealed") for name, seal, _ in examples))
    # What is claimed of shown runs, and each of them that matches is counted: groups and root hashes go in pairs.
    need(all(group["status"] == ended for group in groups if group not in others))
    roots, unnamed = set(), Counter()
    for name, seal, place in [example for example in examples if example[0] in known]:
        (other, status), group = known[name], groups[place]
        need((relation_of(mine, other), status) == (group["relation"], group["status"]) and other["seal"] == seal)
        roots.add((place, other["root_hash"]))
    need(len({place for place, _ in roots}) == len({root for _, root in roots}) == len(roots))
    others_shown = [known[name] for name in known.keys() - names - {run_id}]
    unnamed.update((relation_of(mine, other), status or "") for other, status in others_shown)
    for (relation, status), count in unnamed.items():
        alike = [group for group in groups if (group["relation"], group["status"]) == (relation, status)]
        room = beyond["runs"] + sum(group["runs"] - len(group["examples"]) for group in alike)
        need(relation is None or not matches["complete"] or count <= room)
    if difference:
        steps, other = [{row.shown.get("index"): row for row in reversed(runs.get(name, []))
                         if row.kind == "step" and row.index < known[name][0]["seal"]}
                        for name in (run_id, difference["run_id"])]
        held_difference(difference, others[0], ended, steps, other if difference["run_id"] in known else None)

def held_difference(said, group, ended, steps, others):
    """Holds a difference to the steps of the run, and of the other where these are shown."""
    place, change, fields = said.get("step"), said["change"], said["fields"]
    need(said["run_id"] == group["examples"][0]["run_id"] and fields and fields == sorted(set(fields)))
    if place is None:
        return need(change == "changed" and fields == ["status"] and ended != group["status"])
    need((place in steps) == (change != "inserted"))
    need(others is None or (place in others) == (change != "deleted"))
    if others and change == "changed":
        both = steps[place], others[place]
        for name in fields:
            a, b = [[write(row.raw[name])] if name in row.raw else name in row.withheld for row in both]
            need(True in (a, b) or a != b)

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
            for part in entry["members"]:
                by.setdefault((entry["log_index"], part[0], len(part)), row.index)
    for row in it.rows:
        grounds = {}
        for name in row.withheld:
            grounds.setdefault(by.get((row.index, name, 2), -1), []).append(name)
        claimed += [{"log_index": row.index, "members": names, **({"redaction": ground} if ground >= 0 else {})}
                    for ground, names in sorted(grounds.items())]
    need(it.claims["withheld"] == claimed, "wrong_withheld")
    for row in [row for row in reversed(it.rows) if row.run]:
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
    print(json.dumps({"not_recomputed_here": NOT_RECOMPUTED}))
    outcomes = {outcome for outcome, _, _ in verdicts.values()}
    unreadable = verdicts["integrity"][1] == "not_a_zip"
    sys.exit(2 if unreadable else 1 if "fail" in outcomes else 3 if "unconfirmed" in outcomes else 0)

if __name__ == "__main__":
    main()
