#!/usr/bin/env python3
"""Verifies a Tracekeep bundle from its bytes and a public key: no server, no network, none of Tracekeep's code.

Written from docs/format/bundle.md, to be read before it is run. Python 3.9 or later and the package `cryptography`.
Exit codes: 0 all verdicts pass, 1 one fails, 2 usage or no zip, 3 one is unconfirmed.
"""
import argparse, base64, hashlib, io, json, re, struct, sys, unicodedata, zipfile, zlib
from collections import Counter
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ASPECTS = ["integrity", "identity", "time", "completeness", "redaction"]
OPEN = {"no_key", "not_checked", "no_consistency_proof", "unknown_old_checkpoint"}
RECORDS = ["records/%s.jsonl" % name for name in ("audit", "incidents", "other", "run", "steps", "traces")]
NEEDED = ["README.txt", "checkpoint", "proof.json", "report.html"] + RECORDS
NAMES = NEEDED + "manifest.json comparison.json consistency.json controls.json debrief.json leaves.jsonl".split()
TYPE, PREDICATE_TYPE, STATEMENT_TYPE = ("application/vnd.in-toto+json", "https://tracekeep.dev/bundle/v1",
                                        "https://in-toto.io/Statement/v1")
PREDICATE = {"kind", "ledger", "tenant_id", "exported_by", "created_at", "checkpoint", "options", "incident", "period",
             "files", "counts", "totals", "runs", "withheld", "completeness"}
BASIC = ["created_at", "exported_by", "steps", "tenant_id", "totals"]
REQUIRED = {"evidence": BASIC + ["run"], "soc2": BASIC + ["run", "controls", "period"],
            "executive_debrief": BASIC + ["debrief", "incident", "policy", "severity", "violation_at"],
            "period": BASIC + ["leaves", "period"]}
COUNTS = "entries audit incidents other run steps traces erased withheld".split()
BOTH, MIB = ("integrity", "identity"), 1 << 20


class Refused(Exception):
    def __init__(self, reason, *aspects):
        self.reason, self.aspects = reason, aspects or ("integrity",)

def need(condition, reason, *aspects):
    if not condition:
        raise Refused(reason, *aspects)

@contextmanager
def reading(reason):
    """Whatever is not there, or not of its type, is malformed."""
    try:
        yield
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, zlib.error):
        raise Refused(reason) from None

def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

# Canonical JSON (docs/format/canonical-json.md). A number is kept as its canonical text.
class Number(str):
    pass

def number(token):
    value = float(token)
    if abs(value) == float("inf") or value != value:
        raise ValueError
    return Number(("0" if token == "-0" else token) if token.lstrip("-").isdigit() else double(value))

def double(value):
    if value == 0:
        return "0"
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits, sign = whole + ("" if fraction == "0" else fraction), "-" * (value < 0)
    point = len(whole) + int(exponent or 0) - (len(digits) - len(digits.lstrip("0")))
    digits = digits.strip("0")
    if 0 < point <= 21:
        digits = digits.ljust(point, "0")
        return sign + digits[:point] + ("." + digits[point:] if digits[point:] else "")
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    return "%s%s%se%+d" % (sign, digits[0], "." + digits[1:] if len(digits) > 1 else "", point - 1)

ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}

def write(value):
    if isinstance(value, (Number, int)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return '"%s"' % re.sub(r'["\\\x00-\x1f]', lambda it: ESCAPES.get(it[0]) or "\\u%04x" % ord(it[0]), value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(write(name) + ":" + write(value[name]) for name in names) + "}"

def members(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)

def depth(value):
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, inner), default=0) if isinstance(value, (dict, list)) else 0

def read(text, known, optional=(), deepest=128):
    """An object with these members, in canonical form; of its own members none is null."""
    value = json.loads(text.decode(), parse_int=number, parse_float=number, parse_constant=number, object_pairs_hook=members)
    if write(value).encode() != text or depth(value) > deepest or not set(known) <= set(value) <= {*known, *optional}:
        raise ValueError
    return value

def matching(pattern, value):
    if isinstance(value, Number) or not re.fullmatch(pattern, value, re.A | re.S):
        raise ValueError
    return value

def integer(value):
    if not isinstance(value, Number) or not value.isdigit() or int(value) >= 1 << 64:
        raise ValueError
    return int(value)

def unhex(value):
    return bytes.fromhex(matching("[0-9a-f]{64}", value))

def unbase64(text):
    data = base64.b64decode(text.encode("ascii"), validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError
    return data

def time(value):
    datetime.strptime(matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", value)[:19], "%Y-%m-%dT%H:%M:%S")
    if not "1677-09-21T00:12:43.145224192Z" <= value <= "2262-04-11T23:47:16.854775807Z":
        raise ValueError
    return value

# Costs in millionths of a cent, durations in nanoseconds (docs/format/wire.md).
def micro(cost):
    whole, _, part = matching(r"(0|[1-9]\d*)(\.\d{1,6})?", cost).partition(".")
    return int(whole) * 10**6 + int(part.ljust(6, "0"))

def nanoseconds(duration):
    exact = float(duration) * 1e6
    if not isinstance(duration, Number) or not 0 <= exact < 9.223372036854775e18:
        raise ValueError
    return int(exact) + (exact - int(exact) >= 0.5)

class Archive:
    """The zip: nothing is unpacked to a file, and nothing is read beyond the length that it states."""
    def __init__(self, blob):
        end = blob.rfind(b"PK\5\6", max(0, len(blob) - 65557))
        need(0 <= end <= len(blob) - 22, "not_a_zip")
        count, size = struct.unpack_from("<HI", blob, end + 10)
        need(count <= 32 and size <= MIB, "too_many_members")
        try:
            infos = zipfile.ZipFile(io.BytesIO(blob)).infolist()
        except Exception as error:
            raise Refused("unsafe_name" if isinstance(error, UnicodeDecodeError) else "not_a_zip") from None
        need(len(infos) <= 32, "too_many_members")
        self.blob, self.infos = blob, {}
        for info in infos:
            name = info.orig_filename
            parts = (name[:-1] if name.endswith("/") else name).split("/")
            need(re.fullmatch(r"[!-9;-\[\]-~]+", name) and not {"", ".", ".."} & set(parts), "unsafe_name")
            if name == "records/" and info.file_size == 0:
                continue
            need(name[-1] != "/" and info.external_attr >> 28 in (0, 8), "not_a_file")
            need(not info.flag_bits & 1, "encrypted_member")
            need(info.compress_type in (0, 8), "unsupported_compression")
            need(name in NAMES, "unknown_member")
            need(name not in self.infos, "duplicate_member")
            self.infos[name] = info

    def read(self, name, most=1 << 30):
        need(name in self.infos, "missing_member")
        info, at = self.infos[name], self.infos[name].header_offset
        need(info.file_size <= most, "too_large")
        with reading("damaged_member"):
            named, extra = struct.unpack("<HH", self.blob[at:at + 30][26:].ljust(4))
            data = self.blob[at + 30 + named + extra:][:info.compress_size]
            intact = self.blob[at:at + 4] == b"PK\3\4" and self.blob[at + 30:at + 30 + named] == name.encode()
            if info.compress_type == 8:
                data = zlib.decompressobj(-15).decompress(data, info.file_size + 1)
            need(intact and len(data) == info.file_size and zlib.crc32(data) == info.CRC, "damaged_member")
        return data

class Key:
    """A public key as text, NAME+ID+BASE64 (docs/format/evidence.md); none of small order."""
    WEAK = ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"]

    def __init__(self, text):
        with reading("malformed_key"):
            self.text, (self.name, ident, typed) = text, text.split("+", 2)
            typed = unbase64(typed)
            y = typed[1:32] + bytes([typed[32] & 127])
            self.id = sha(self.name.encode(), b"\n", typed)[:4]
            need(len(typed) == 33 and typed[0] == 1 and ident == self.id.hex() and is_name(self.name), "malformed_key")
            need(int.from_bytes(y, "little") < 2**255 - 19, "malformed_key")
            need(y.hex() not in self.WEAK, "weak_key")
            self.key = Ed25519PublicKey.from_public_bytes(typed[1:])

    def check(self, signature, text):
        try:
            self.key.verify(signature, text)
        except InvalidSignature:
            raise Refused("bad_signature", *BOTH) from None

def is_name(name):
    return 0 < len(name.encode()) < 256 and not any(c.isspace() or unicodedata.category(c) == "Cc" or c == "+" for c in name)

def checkpoint(data, keys):
    """Origin, size and root of a signed note, and which keys have signed it."""
    with reading("malformed_note"):
        at, signers, rows = data.rindex(b"\n\n") + 1, [], []
        text, tail = data[:at].decode(), data[at + 1:].decode()
        lines = [re.fullmatch("\u2014 ([^ ]+) ([^ ]+)", line) for line in tail[:-1].split("\n")]
        need(tail.endswith("\n") and len(data) <= 64 << 10 and len(lines) <= 100, "malformed_note")
        need(not re.search(r"[\x00-\x09\x0b-\x1f]", text), "malformed_note")
        rows = [(line[1], unbase64(line[2])) for line in lines]
        need(all(is_name(name) and len(signature) > 4 for name, signature in rows), "malformed_note")
    for name, signature in rows:
        for key in (key for key in keys if (key.name, key.id) == (name, signature[:4])):
            key.check(signature[4:], data[:at])
            signers.append(key.text)
    need(signers or not keys, "unknown_signer", *BOTH)
    with reading("malformed_checkpoint"):
        origin, size, root, *rest = text[:-1].split("\n")
        need(origin and all(rest) and int(matching("0|[1-9][0-9]*", size)) < 1 << 64, "malformed_checkpoint")
        need(len(unbase64(root)) == 32, "malformed_checkpoint")
        return origin, int(size), unbase64(root), signers

def manifest(data, keys):
    with reading("malformed_manifest"):
        envelope, signed = read(data, ["payload", "payloadType", "signatures"]), not keys
        payload, rows = unbase64(envelope["payload"]), [(row["keyid"], unbase64(row["sig"])) for row in envelope["signatures"]]
        need(envelope["payloadType"] == TYPE and 1 <= len(rows) <= 100, "malformed_manifest")
    for ident, signature in rows:
        for key in (key for key in keys if key.text == ident):
            key.check(signature, b"DSSEv1 28 %s %d %s" % (TYPE.encode(), len(payload), payload))
            signed = True
    need(signed, "unknown_signer", *BOTH)
    with reading("malformed_manifest"):
        statement = read(payload, ["_type", "predicate", "predicateType", "subject"])
        need(statement["predicateType"] == PREDICATE_TYPE, "unknown_format")
        claims, files = statement["predicate"], [(row["name"], row["digest"]["sha256"]) for row in statement["subject"]]
        lengths = [(row["name"], integer(row["length"])) for row in claims["files"]]
        need(statement["_type"] == STATEMENT_TYPE and claims["kind"] in REQUIRED, "malformed_manifest")
        need(PREDICATE - {"incident", "period"} <= set(claims) <= PREDICATE, "malformed_manifest")
        need(all(claims.get(name, 0) is not None for name in PREDICATE) and time(claims["created_at"]), "malformed_manifest")
        names = [name for name, _ in files]
        need(names == sorted(set(names), key=str.encode) == [name for name, _ in lengths], "malformed_manifest")
        matching("[0-9a-f]{32}", claims["ledger"])
    return claims, dict(files), lengths

# Records: an entry's place, leaf hash, and what of it matters here.
def records(data, ledger, size, name):
    rows, is_leaves = [], name == "leaves.jsonl"
    need(not data or data.endswith(b"\n"), "malformed_record")
    for text in data[:-1].split(b"\n") if data else []:
        with reading("malformed_record"):
            line = read(text, ["leaf", "log_index"], [] if is_leaves else ["members"], 136)
            leaf, index, left = line["leaf"], integer(line["log_index"]), line.get("members")
            commit, kind, run, seq, at, version = (leaf[key] for key in "commit kind run seq recorded_at v".split())
            need(len(leaf) == 7 and version == "1" and unhex(commit) and time(at), "malformed_record")
            need(leaf["ledger"] == ledger, "wrong_ledger", "identity")
            need("members" not in line or left is not None, "malformed_record")
            names = [matching(r"[ !#-\[\]-~]*", part[0]) for part in left or []]
            need(names == sorted(set(names)) and all(len(part) in (2, 3) for part in left or []), "malformed_record")
            commits = [unhex(part[1]) if len(part) == 2 else sha(b"tracekeep/member/1\n", unhex(part[2]), write(part[:2]).encode())
                       for part in left or []]
            shown = read_shown(kind, {part[0]: part[1] for part in left or [] if len(part) == 3})
        need(index < size, "beyond_checkpoint")
        need(not rows or rows[-1]["index"] < index, "misordered")
        need(is_leaves or name == file_of(kind), "misfiled")
        need(left is None or sha(b"tracekeep/commit/1\n", *commits).hex() == commit, "wrong_commitment")
        rows.append({"index": index, "kind": kind, "run": run, "seq": integer(seq), "at": at, "erased": left is None, "shown": shown,
                     "hash": sha(b"\0", write(leaf).encode()), "withheld": [part[0] for part in left or [] if len(part) == 2]})
    return rows

def file_of(kind):
    named = {"run": "run_started run_described sealed", "steps": "step", "traces": "trace trace_ended",
             "audit": "expectation ack status verdict audit_cleared"}
    found = [name for name, kinds in named.items() if kind in kinds.split(" ")]
    return "records/%s.jsonl" % (found[0] if found else "incidents" if kind.startswith("incident") else "other")

def read_shown(kind, shown):
    """What is looked at in an entry of a kind; a member that its kind could not have there is malformed."""
    def remainder(value):
        integer(value["log_index"]), [unhex(part[1:][-1]) for part in value["members"]]
        return value
    text = lambda value: matching(".*", value)
    totals = lambda value: {name: {"cost_cents": micro, "duration_ms": nanoseconds}.get(name, integer)(value[name]) for name in value}
    readers = {"step": {"status": text, "cost_cents": micro, "duration_ms": nanoseconds, "tokens": integer},
               "sealed": {"entries": integer, "run_root": unhex, "steps": integer, "traces": integer, "totals": totals},
               "incident": {"incident_id": text}, "signing_key": {"key": text}, "redaction": {
                   "op": text, "remainders": lambda rows: [remainder(row) for row in rows],
                   "replaces": lambda rows: [{"log_index": str(integer(row["log_index"])), "members": []} for row in rows]}}
    return {name: reader(shown[name]) for name, reader in readers.get(kind, {}).items() if name in shown}

def fold(begin, end, leaves, nodes):
    """The root over begin..end, from leaves (index, hash) and the next nodes (docs/format/bundle.md, Proof)."""
    if not leaves or end - begin == 1:
        need(leaves or nodes, "wrong_proof")
        return leaves[0][1] if leaves else nodes.pop(0)
    middle = begin + (1 << (end - begin - 1).bit_length() - 1)
    cut = next((place for place, leaf in enumerate(leaves) if leaf[0] >= middle), len(leaves))
    left = fold(begin, middle, leaves[:cut], nodes)
    return sha(b"\1", left, fold(middle, end, leaves[cut:], nodes))

def grown(old, new, proof, old_root=None):
    """The roots of the first `old` and of all `new` leaves of a subtree (RFC 9162 section 2.1.4.1)."""
    if old == new:
        node = old_root or proof.pop(0)
        return node, node
    half = 1 << (new - 1).bit_length() - 1
    if old <= half:
        before, now = grown(old, half, proof, old_root)
        return before, sha(b"\1", now, proof.pop(0))
    before, now = grown(old - half, new - half, proof)
    left = proof.pop(0)
    return sha(b"\1", left, before), sha(b"\1", left, now)

def open_bundle(blob, keys):
    archive = Archive(blob)
    claims, digests, lengths = manifest(archive.read("manifest.json", 64 * MIB), keys)
    need(set(archive.infos) <= set(digests) | {"manifest.json"}, "unknown_member")
    period, room = claims["kind"] == "period", 1 << 30
    need({*NEEDED, *["leaves.jsonl"] * period} <= set(digests) and "manifest.json" not in digests, "missing_member")
    for name, length in lengths:
        data = archive.read(name, room)
        need(len(data) == length, "wrong_length")
        need(sha(data).hex() == digests[name], "wrong_digest")
        room -= length
    origin, size, root, signers = checkpoint(archive.read("checkpoint", 64 << 10), keys)
    need(origin == "tracekeep/" + claims["ledger"], "wrong_origin", "identity")
    need(claims["checkpoint"] == {"origin": origin, "size": str(size), "root": root.hex()}, "wrong_checkpoint")
    rows = [row for name in RECORDS for row in records(archive.read(name), claims["ledger"], size, name)]
    rows.sort(key=lambda row: row["index"])
    need(len({row["index"] for row in rows}) == len(rows), "misordered")
    leaves = records(archive.read("leaves.jsonl"), claims["ledger"], size, "leaves.jsonl") if period else []
    with reading("malformed_proof"):
        proof = read(archive.read("proof.json"), ["nodes", "size"])
        stated, nodes = integer(proof["size"]), [unhex(node) for node in proof["nodes"]]
    shown = sorted({(row["index"], row["hash"]) for row in rows + leaves})
    need(stated == size and len(dict(shown)) == len(shown), "wrong_proof")
    need((fold(0, size, shown, nodes) if size else sha()) == root and not nodes, "wrong_proof")
    consistency = None
    if "consistency.json" in archive.infos:
        with reading("malformed_proof"):
            proof = read(archive.read("consistency.json", 64 * MIB), ["from", "hashes", "to"])
            consistency = integer(proof["from"]), [unhex(text) for text in proof["hashes"]]
            need(integer(proof["to"]) == size, "malformed_proof")
    return claims, rows, leaves, consistency, (origin, size, root, signers), list(digests)

def extends(old, keys, now, consistency):
    try:
        origin, size, root, _ = checkpoint(old, keys)
    except Refused:
        raise Refused("unknown_old_checkpoint") from None
    need(keys and origin == now[0], "unknown_old_checkpoint")
    need(size <= now[1], "older_than_known")
    need(size == now[1] or consistency and consistency[0] == size, "no_consistency_proof")
    proof = [] if size == now[1] else list(consistency[1])
    with reading("wrong_consistency"):
        roots = grown(size, now[1], proof, root) if size else (sha(), now[2])
        need(roots == (root, now[2]) and not proof, "wrong_consistency")
    return []

# What the records are held to.
def declared(rows, signers):
    keys = [row["shown"]["key"] for row in rows if row["kind"] == "signing_key" and "key" in row["shown"]]
    return [] if keys and keys[-1] in signers else ["key_not_declared"]

def in_time(claims, rows, leaves, size):
    last = sorted({(row["index"], row["at"]) for row in rows + leaves})
    need(all(a[1] <= b[1] for a, b in zip(last, last[1:])), "time_runs_back")
    is_last = bool(last) and last[-1][0] + 1 == size
    need(not last or last[-1][1] == claims["created_at"] or not is_last and last[-1][1] < claims["created_at"], "wrong_created_at")
    return [] if is_last else ["created_at_not_shown"]

def totals(rows):
    steps, most = [row["shown"] for row in rows if row["kind"] == "step"], (1 << 63) - 1
    add = lambda name: sum(step.get(name, 0) for step in steps)
    status = Counter(step.get("status") for step in steps)
    tokens = {"tokens": min(add("tokens"), (1 << 64) - 1)} if any("tokens" in step for step in steps) else {}
    return {"successes": status["success"], "failures": status["failure"], "cost_cents": min(add("cost_cents"), most),
            "duration_ms": min(add("duration_ms"), most), **tokens}

def written(sums):
    """Totals as they are written: nanoseconds beyond 2^53 have several sums of one text."""
    cost = ("%d.%06d" % divmod(sums["cost_cents"], 10**6)).rstrip("0").rstrip(".")
    duration = Number(double(min(sums["duration_ms"] / 1e6, 9223372036854.773)))
    return write({**sums, "cost_cents": cost, "duration_ms": duration})

def check_run(entries):
    need([row["seq"] for row in entries] == list(range(len(entries))), "missing_entry")
    stack, whole, kinds = [], True, Counter()  # The roots of complete subtrees, (leaves, hash), the largest first.
    for place, row in enumerate(entries):
        seal = row["shown"] if row["kind"] == "sealed" else {}
        root = stack[-1][1] if stack else sha()
        for _, node in reversed(stack[:-1] if "run_root" in seal else []):
            root = sha(b"\1", node, root)
        need(seal.get("entries", place) == place and seal.get("run_root", root) == root, "wrong_run_root")
        need((seal.get("steps", kinds["step"]), seal.get("traces", kinds["trace"])) == (kinds["step"], kinds["trace"]), "wrong_totals")
        need(not whole or "totals" not in seal or written(seal["totals"]) == written(totals(entries[:place])), "wrong_totals")
        kinds[row["kind"]] += 1
        is_shown = {"status", "cost_cents", "duration_ms"} <= set(row["shown"]) and "tokens" not in row["withheld"]
        whole &= row["kind"] != "step" or is_shown
        stack.append((1, row["hash"]))
        while len(stack) > 1 and stack[-2][0] == stack[-1][0]:
            stack[-2:] = [(2 * stack[-1][0], sha(b"\1", stack[-2][1], stack[-1][1]))]

def complete(claims, rows, leaves, size, files):
    runs, claimed = {row["run"]: [] for row in sorted(rows, key=lambda row: row["run"].encode()) if row["run"]}, []
    for row in rows:
        runs.get(row["run"], []).append(row)
    for run, entries in runs.items():
        check_run(entries)
        kinds, erased = Counter(row["kind"] for row in entries), sum(row["erased"] for row in entries)
        last = max((place for place, row in enumerate(entries, 1) if row["kind"] == "sealed"), default=0)
        claimed.append({"run_id": run, "entries": len(entries), "steps": kinds["step"], "traces": kinds["trace"],
                        "erased": erased, "seals": kinds["sealed"], "unsealed": len(entries) - last})
    counts = Counter(file_of(row["kind"])[8:-6] for row in rows)
    counts.update(entries=len(rows), erased=sum(row["erased"] for row in rows), withheld=sum(len(row["withheld"]) for row in rows))
    need(write(claims["counts"]) == write({name: counts[name] for name in COUNTS}), "wrong_counts")
    need(write(claims["totals"]) == written(totals(rows)), "wrong_totals")
    need(write(claims["runs"]) == write(claimed), "wrong_runs")
    incident, stated = claims.get("incident", {}), claims["completeness"]
    there = {"controls": "controls.json" in files, "debrief": "debrief.json" in files, "leaves": "leaves.jsonl" in files,
             "exported_by": claims["exported_by"], "tenant_id": claims["tenant_id"], "incident": incident, "run": runs,
             "period": "period" in claims, **{name: name in incident for name in ("policy", "severity", "violation_at")}}
    required = sorted(REQUIRED[claims["kind"]])
    missing = [name for name in required if not there.get(name, True)]
    need([required, missing] == [stated["required"], stated["missing"]], "wrong_completeness")
    need(not missing or stated["forced"], "incomplete")
    need(not incident or incident["incident_id"] in [row["shown"].get("incident_id") for row in rows], "wrong_incident")
    start, end = (claims["period"]["from"], claims["period"]["to"]) if "period" in claims else ("", "")
    need(start <= end, "wrong_period")
    if claims["kind"] == "period":
        places = [row["index"] for row in leaves]
        need(places == list(range(*(places[0], places[-1] + 1))) if places else not size, "missing_leaf")
        need(not places or places[0] == 0 or leaves[0]["at"] < start, "missing_leaf")
        need(not places or places[-1] + 1 == size or leaves[-1]["at"] >= end, "missing_leaf")
        starts = [row for row in leaves if (row["kind"], row["seq"]) == ("run_started", 0) and start <= row["at"] < end]
        need(all(row["run"] in runs for row in starts), "missing_run")
    remarks = {"run_not_sealed": any(not run["seals"] for run in claimed),
               "entries_after_seal": any(run["seals"] and run["unsealed"] for run in claimed), "forced": missing}
    return [name for name, is_so in remarks.items() if is_so]

def redacted(claims, rows):
    by, named, erased, claimed = {}, {}, set(), []
    for row in rows:
        for left in row["shown"].get("remainders", []):
            for part in (part for part in left["members"] if len(part) == 2):
                by.setdefault((left["log_index"], part[0]), row["index"])
    for row in rows:
        grounds = {}
        for name in row["withheld"]:
            grounds.setdefault(by.get((str(row["index"]), name), -1), []).append(name)
        for ground, names in sorted(grounds.items()):
            claimed.append({"log_index": row["index"], "members": names, **({"redaction": ground} if ground >= 0 else {})})
    need(write(claims["withheld"]) == write(claimed), "wrong_withheld")
    for row in (row for row in reversed(rows) if row["run"]):
        run, shown = row["run"], row["shown"]
        need(not row["erased"] or run in erased or str(row["index"]) in named.get(run, ()), "unnamed_erasure")
        erased |= {run} if shown.get("op") == "erase_run" else set()
        took = shown.get("remainders", []) + shown.get("replaces", [])
        named.setdefault(run, set()).update(left["log_index"] for left in took)
    return ["members_withheld"] * bool(claimed) + ["entries_erased"] * any(row["erased"] for row in rows)

def verify(blob, keys, old=None):
    """The five verdicts: {aspect: (outcome, reason or None, remarks)}."""
    verdicts = {aspect: ("unconfirmed", "not_checked", []) for aspect in ASPECTS}
    def conclude(aspect, check):
        try:
            remarks = check()
            verdicts[aspect] = ("pass", None, remarks) if keys else ("unconfirmed", "no_key", [])
        except Refused as refused:
            verdicts[aspect] = ("unconfirmed" if refused.reason in OPEN else "fail", refused.reason, [])
    try:
        claims, rows, leaves, consistency, now, files = open_bundle(blob, keys)
    except Refused as refused:
        verdicts.update((aspect, ("fail", refused.reason, [])) for aspect in refused.aspects)
        return verdicts
    conclude("integrity", lambda: extends(old, keys, now, consistency) if old is not None else [])
    conclude("identity", lambda: declared(rows, now[3]))
    conclude("time", lambda: in_time(claims, rows, leaves, now[1]))
    conclude("completeness", lambda: complete(claims, rows, leaves, now[1], files))
    conclude("redaction", lambda: redacted(claims, rows))
    return verdicts

def keys_of(argument):
    text = argument if "+" in argument and not Path(argument).exists() else Path(argument).read_text()
    return [Key(line.strip()) for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", action="append", default=[], help="the ledger's public key, or a file with one a line")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint of the same log from before")
    args = parser.parse_args()
    try:
        keys = [key for argument in args.key for key in keys_of(argument)]
        verdicts = verify(args.bundle.read_bytes(), keys, args.checkpoint and args.checkpoint.read_bytes())
    except (OSError, ValueError, Refused) as error:
        parser.error(getattr(error, "reason", None) or str(error))
    for aspect, (outcome, reason, remarks) in verdicts.items():
        print(json.dumps({"aspect": aspect, "outcome": outcome, "reason": reason, "remarks": remarks}))
    outcomes = {outcome for outcome, _, _ in verdicts.values()}
    unreadable = verdicts["integrity"][1] == "not_a_zip"
    sys.exit(2 if unreadable else 1 if "fail" in outcomes else 3 if "unconfirmed" in outcomes else 0)

if __name__ == "__main__":
    main()
