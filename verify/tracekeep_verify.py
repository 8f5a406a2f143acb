#!/usr/bin/env python3
"""Verifies a Tracekeep bundle from its bytes and a public key, by docs/format/bundle.md: no server, no network, none of
Tracekeep's code. Needs Python 3.9 and the package `cryptography`. Exits with 0 if all verdicts pass, 1 if one fails, 2
on usage or no zip, 3 if one is unconfirmed. Controls, debrief, comparison, report: held to their digests alone."""
import argparse, base64, bisect, contextlib, datetime, decimal, functools, hashlib, json, os, re, struct, types, zlib
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

class Refused(ValueError): pass  # its argument is the reason
def need(condition, reason=None):
    if not condition: raise Refused(reason)
def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()
def split(begin, end): return begin + (1 << (end - begin - 1).bit_length() - 1)  # where a tree is halved (RFC 9162)

@contextlib.contextmanager
def reading(reason):  # whatever goes wrong in reading a part has that part's reason, unless it has one of its own
    try:
        yield
    except Exception as error:
        raise error if isinstance(error, Refused) and error.args[0] else Refused(reason) from None

def read(text, shape, levels=128):  # canonical JSON: what was read is written again, and is the same bytes
    need(write(value := json.loads(text.decode()), levels).encode() == text and fits(value, shape))
    return value

def write(value, levels=999):
    need(levels or not isinstance(value, (dict, list)))
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{%s}" % ",".join([write(name) + ":" + write(value[name], levels - 1) for name in names])
    if isinstance(value, list):
        return "[%s]" % ",".join([write(item, levels - 1) for item in value])
    need(not isinstance(value, (int, float)) or abs(float(value)) < 1e999 and (value or type(value) is not float))
    if isinstance(value, float):
        return format(decimal.Decimal(repr(value)).normalize(), "f" if 1e-6 <= abs(value) < 1e21 else "e")
    return json.dumps(value, ensure_ascii=False)

def fits(value, shape):  # {member: shape}, optional ones with "?"; or [shape of each]; or a pattern of its JSON
    if isinstance(shape, dict):
        known = {name.rstrip("?"): name for name in shape}
        return isinstance(value, dict) and value.keys() <= known.keys() and all(
            fits(value[name], shape[known[name]]) for name in known if name in value or name in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    return re.fullmatch(shape, write(value), re.A | re.S) and (type(value) is not int or value < 2**64) and (
        shape != TIME or FIRST <= value <= LAST and datetime.date.fromisoformat(value[:10]))

ANY, TEXT, HEX, COUNT = ".*", '".*"', '"[0-9a-f]{64}"', "[0-9]{1,20}"
TIME = r'"\d{4}-\d\d-\d\dT([01]\d|2[0-3])(:[0-5]\d){2}\.\d{9}Z"'
FIRST, LAST = "1677-09-21T00:12:43.145224192Z", "2262-04-11T23:47:16.854775807Z"
NAME = r"[^\s+\x00-\x1f\x7f-\x9f]+"
NOTE = "([^\0-\x09\x0b-\x1f]+\n)\n((?:\u2014 %s [^ \n]+\n){1,100})" % NAME
TYPE, FORMAT = "application/vnd.in-toto+json", "https://tracekeep.dev/bundle/v1"
P, Y8 = 2**255 - 19, 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826
WEAK = {(y + sign).to_bytes(32, "little") for y in (0, 1, P - 1, Y8, P - Y8) for sign in (0, 2**255)}  # of small order
NEEDED = {"README.txt", "checkpoint", "manifest.json", "proof.json", "records.jsonl", "report.html"}
NAMES = NEEDED | {"comparison.json", "controls.json", "debrief.json"}
REQUIRED = {"evidence": ["exported_by", "run", "tenant_id"], "period": ["exported_by", "period", "tenant_id"],
            "soc2": ["controls", "exported_by", "period", "run", "tenant_id"], "executive_debrief": [
                "debrief", "exported_by", "incident", "policy", "severity", "tenant_id", "violation_at"]}
ENVELOPE = {"payload": TEXT, "payloadType": '"%s"' % re.escape(TYPE), "signatures": [{"keyid": TEXT, "sig": TEXT}]}
REPLACES, PERIOD = [{"log_index": COUNT, "reason": TEXT, "by?": TEXT}], {"from": TIME, "to": TIME}
CLAIMS = {"kind": '"(%s)"' % "|".join(REQUIRED), "exported_by": TEXT, "created_at": TIME, "incident_id?": TEXT,
          "tenant_id": TEXT, "missing": [TEXT], "options": "{.*}", "run_id?": TEXT, "period?": PERIOD}
STATEMENT = {"_type": '"https://in-toto[.]io/Statement/v1"', "predicateType": TEXT, "predicate": CLAIMS,
             "subject": [{"digest": {"sha256": HEX}, "name": TEXT}]}
LEAF = {"kind": TEXT, "ledger": TEXT, "run": TEXT, "commit": HEX, "recorded_at": TIME, "seq": COUNT, "v": "1"}
LINE = {"leaf": LEAF, "log_index": COUNT, "members?": [r'\["[ !#-\[\]-~]*",(.*,)?"[0-9a-f]{64}"\]']}
KEPT = {*("incident:incident_id incident_resolved:incident_id sealed:entries sealed:run_root signing_key:key "
          "ended_at id index occurred_at op parent_id run_id status trace_type/name trace_type/type").split()}

def unzip(blob):  # the members, one right after the other, as the directory behind them says; not a byte besides
    end, members, stops, room = blob.rfind(b"PK\5\6"), {}, [0], 2**30
    need(0 <= end <= len(blob) - 22, "not_a_zip")
    count, again, length, at, comment = struct.unpack_from("<HHIIH", blob, end + 8)
    need(count <= 32, "too_many_members")
    is_end = at + length == end == len(blob) - 22 and (again, comment) == (count, 0)
    need(is_end and blob[end - 20:end - 16] != b"PK\6\7", "stray_bytes")  # the mark of yet another directory
    for _ in range(count):
        with reading("not_a_zip"):
            magic, flags, method, packed, size, named, extra, more, kind, begin = struct.unpack_from(
                "<4s4xHH8xIIHHH4xII", blob, at)
            need(magic == b"PK\1\2" and at + 46 + named + extra + more <= end)
        said, name, at = blob[at + 8:at + 30], blob[at + 46:at + 46 + named].decode("latin-1"), at + 46 + named
        fields, at, room, is_plain = blob[at:at + extra], at + extra + more, room - size, not (kind & 24 or flags & 1)
        need(name in NAMES - members.keys() and {kind >> 28, method} <= {0, 8} and is_plain, "unexpected_member")
        need(begin in stops, "stray_bytes")
        need(room >= 0, "too_large")
        with reading("damaged_member"):
            # With flag bit 3 the CRC and the lengths stand behind the data, and maybe 0 or the greatest in front.
            tells = [said[8:20], bytes(12), bytes(4) + b"\xff" * 8][:3 if flags & 8 else 1]
            magic, here, extra = struct.unpack_from("<4s2x22sH", blob, begin)
            need(magic == b"PK\3\4" and here[8:20] in tells and (method or not flags & 8))
            need(here[:8] + here[20:] + blob[begin + 30:begin + 30 + named] == said[:8] + said[20:] + name.encode())
            start = begin + 30 + named + extra
            stop, data = start + packed, blob[start:start + packed]
            if method:
                inflating = zlib.decompressobj(-15)
                data = inflating.decompress(data, size + 1)
                need(inflating.eof and not inflating.unused_data)
            need(len(data) == size and stop <= len(blob))
        tails = [mark + said[8:12] + struct.pack(form, packed, size) for mark in (b"", b"PK\7\10")
                 for form in ("<II", "<QQ")] if flags & 8 else [b""]
        stops = [stop + len(tail) for tail in tails if blob.startswith(tail, stop)]
        # Some tools unpack a member under the name that a field of this form has (Unicode path).
        need(not re.search(b"(?s)up..\1", fields + b"||||" + blob[start - extra:start]), "unexpected_member")
        members[name] = data
    need(end - length in stops and at == end, "stray_bytes")
    return members

def unbase64(text):
    need(base64.b64encode(data := base64.b64decode(text, validate=True)).decode() == text)
    return data

def key_of(text):  # NAME+ID+BASE64 (docs/format/evidence.md); signatures name a key by NAME+ID
    with reading("malformed_key"):
        name, ident, typed = text.split("+", 2)
        typed = unbase64(typed)
        need(re.fullmatch(NAME, name) and len(name.encode()) < 256 and typed[0] == 1)
        need(ident == sha(name.encode(), b"\n", typed)[:4].hex() and int.from_bytes(typed[1:], "little") % 2**255 < P)
        need(typed[1:] not in WEAK, "weak_key")
        return name + "+" + ident, text, Ed25519PublicKey.from_public_bytes(typed[1:])

def signers(text, rows, keys, origin):  # those of the log's keys, by its origin for a name, that have signed a text
    found = [(key, mark) for name, mark in rows for key in keys if key[0] == name and name.startswith(origin + "+")]
    with reading("bad_signature"):
        for key, mark in found: need(mark[:32] not in WEAK and key[2].verify(mark, text) is None)
    need(found or not keys, "unknown_signer")
    return {key[1] for key, _ in found}

def checkpoint(data, keys):  # origin, size and root of a signed note, and who has signed it
    with reading("malformed_checkpoint"):
        text, tail = re.fullmatch(NOTE, data.decode() if len(data) <= 2**16 else "").groups()
        rows = [(name, unbase64(row)) for name, row in re.findall("\u2014 ([^ \n]+) (.+)\n", tail)]
        origin, size, root, *rest = text[:-1].split("\n")
        log = types.SimpleNamespace(origin=origin, size=int(size), root=unbase64(root))
        need(all([origin, *rest, *[row[4:] for _, row in rows]]) and str(log.size) == size and len(log.root) == 32)
        need(0 <= log.size < 2**64 and all(len(name.encode()) < 256 for name, _ in rows))
    log.by = signers(text.encode(), [(name + "+" + row[:4].hex(), row[4:]) for name, row in rows], keys, origin)
    return log

def manifest(members, keys, origin):  # what is claimed, and who has signed that and each other member's digest
    with reading("malformed_manifest"):
        need(len(members["manifest.json"]) <= 2**22 and members["manifest.json"].count(b"{") <= 101)
        envelope = read(members.pop("manifest.json"), ENVELOPE)
        payload = unbase64(envelope["payload"])
        rows = [(row["keyid"], unbase64(row["sig"])) for row in envelope["signatures"]]
    by = signers(b"DSSEv1 28 %s %d %s" % (TYPE.encode(), len(payload), payload), rows, keys, origin)
    with reading("malformed_manifest"):
        need(read(payload, ANY)["predicateType"] == FORMAT, "unknown_format")
        statement = read(payload, STATEMENT)
    files = [{"name": name, "digest": {"sha256": sha(members[name]).hex()}} for name in sorted(members)]
    need(statement["subject"] == files, "wrong_members")
    return statement["predicate"], by

def entries(data, log):  # the lines by log index, each with its leaf hash and what is shown of the entry
    rows, (*texts, rest) = [], data.split(b"\n")
    need(not rest, "malformed_record")
    for text in texts:
        with reading("malformed_record"):
            line = read(text, LINE, 136)
            row, parts = types.SimpleNamespace(**line["leaf"], index=line["log_index"]), line.get("members", [])
            names, row.shown = [part[0] for part in parts], {part[0]: part[1] for part in parts if part[2:]}
            row.is_bare, row.withheld, commits = "members" not in line, set(names) - row.shown.keys(), []
            need(names == sorted(set(names)) and all(len(part) < 4 for part in parts))
            need("tracekeep/" + row.ledger == log.origin and re.fullmatch("[0-9a-f]{32}", row.ledger), "wrong_ledger")
            need((rows[-1].index if rows else -1) < row.index < log.size, "misordered")
            for name, *value, last in parts:  # [name, value, salt], or [name, commitment] where it is withheld
                opened = [b"tracekeep/member/1\n", bytes.fromhex(last), write([name, *value]).encode()]
                commits += [write(name).encode(), sha(*opened) if value else opened[1]]
            need(row.is_bare or sha(b"tracekeep/commit/1\n", *commits).hex() == row.commit, "wrong_commitment")
            need(KEPT.isdisjoint(row.withheld | {row.kind + ":" + name for name in row.withheld}))  # never so
            need(row.kind != "redaction" or fits(row.shown.get("replaces", []), REPLACES))
            row.hash = sha(b"\0", write(line["leaf"]).encode())
        rows.append(row)
    return rows

def roots(leaves, nodes, begin, end, old):  # over begin..end and what of it is below `old`, from known (index, hash)
    if not leaves or end - begin < 2:
        root = leaves[0][1] if leaves else next(nodes) if end else sha()
        return root, root if end <= old else None
    middle = split(begin, end)
    cut = bisect.bisect_left(leaves, (middle,))
    left, left_old = roots(leaves[:cut], nodes, begin, middle, old)
    right, right_old = roots(leaves[cut:], nodes, middle, end, old)
    return sha(b"\1", left, right), sha(b"\1", left, right_old) if right_old else left_old

def opened(blob, keys):  # every byte is accounted for, and every line is in the log
    members = unzip(blob)
    need(NEEDED <= members.keys(), "missing_member")
    it = checkpoint(members["checkpoint"], keys)
    it.claims, by = manifest(members, keys, it.origin)
    it.files, it.keys, it.signers, it.rows = members.keys(), keys, it.by & by, entries(members["records.jsonl"], it)
    with reading("wrong_proof"):
        need(len(members["proof.json"]) <= 4300 * (len(it.rows) + 1))  # 64 nodes for each leaf, and for one more
        it.nodes = [bytes.fromhex(node) for node in read(members["proof.json"], {"nodes": [HEX]})["nodes"]]
        it.known, nodes = [(row.index, row.hash) for row in it.rows], iter(it.nodes)
        need(roots(it.known, nodes, 0, it.size, 0)[0] == it.root and not [*nodes])
    it.runs = {row.run: [] for row in it.rows if row.run and not row.is_bare}  # their bare leaves are of erased entries
    it.told = [row for row in it.rows if row.run in it.runs]
    for row in it.told: it.runs[row.run].append(row)
    return it

def integrity(it, note):  # each of these five gives its remarks, and whether there is cause for them
    old = note is None and it
    with contextlib.suppress(Refused):
        old = old or checkpoint(note, it.keys)
    need(old and (old is it or it.keys and old.origin == it.origin and old.size), "unknown_old_checkpoint")
    need(old.size <= it.size, "older_than_known")
    need(old.size == it.size or old.size - 1 in dict(it.known), "no_consistency_proof")
    need(roots(it.known, iter(it.nodes), 0, it.size, old.size)[1] == old.root, "wrong_consistency")

def identity(it, _):
    declared = [row.shown.get("key") for row in it.rows if row.kind == "signing_key"]
    need(not declared or not it.keys or declared[-1] in [*it.signers], "superseded_key")
    return {"key_not_declared": not declared}

def time(it, _):  # the last entry was recorded at created_at, and none before an earlier one
    times, last = {(row.index, row.recorded_at) for row in it.rows}, it.size - 1
    rising = sorted(times | {(last, it.claims["created_at"])})
    need(all(a[0] < b[0] and a[1] <= b[1] for a, b in zip(rising, rising[1:])), "time_runs_back")
    return {"created_at_not_shown": last not in dict(times)}

def completeness(it, _):
    claims, kind, runs = it.claims, it.claims["kind"], it.runs.values()
    need(all(row.seq == seq for run in runs for seq, row in enumerate(run)), "missing_entry")
    for run in runs:
        @functools.cache  # what is in front of one seal is in front of the next
        def root(begin, end, run=run):
            if end - begin < 2: return run[begin].hash if end else sha()
            return sha(b"\1", root(begin, split(begin, end)), root(split(begin, end), end))
        for seal in [row for row in run if row.kind == "sealed" and not row.is_bare]:
            stated = write([seal.shown.get("entries"), seal.shown.get("run_root")])
            need(stated == write([seal.seq, root(0, seal.seq).hex()]), "wrong_run_root")
    about = next((row.shown for row in it.rows if (row.kind, row.run, row.shown.get("incident_id")) ==
                  ("incident", claims.get("run_id", ""), claims.get("incident_id", it))), {})
    need(about or "incident_id" not in claims, "wrong_incident")
    start, end = claims.get("period", {"from": "", "to": ""}).values()
    is_period = any(start <= row.recorded_at < end for row in it.told) or kind == "period" and start < end
    steps = [write(row.shown["index"]) for row in it.told if {"index", "occurred_at"} <= row.shown.keys()
             and (row.kind, row.run) == ("step", claims.get("run_id"))]
    is_timed = "violation_step_index" in about and write(about["violation_step_index"]) in steps
    there = {**claims, "run": claims.get("run_id") in it.runs, "incident": about, "period": is_period,
             "severity": "severity" in about, "policy": about.keys() & {"policy_id", "policy_name"},
             "violation_at": "violation_at" in about or is_timed, **{name.split(".")[0]: True for name in it.files}}
    need(claims["missing"] == [name for name in REQUIRED[kind] if not there.get(name)], "incomplete")
    if kind == "period" and start < end:
        first = max([row.index for row in it.rows if row.recorded_at < start], default=-1) + 1
        last = min([row.index for row in it.rows if row.recorded_at >= end], default=it.size)
        within = [row for row in it.rows if first <= row.index < last]
        need(len(within) == max(last - first, 0), "missing_leaf")
        need(all(row.run in it.runs for row in within if row.kind == "run_started"), "missing_entry")
    return {"end_not_proven": any(run[-1].kind != "sealed" for run in runs), "forced": claims["missing"],
            "comparison_not_proven": "comparison.json" in it.files,
            "not_recomputed": it.files & {"controls.json", "debrief.json"}}

def redaction(it, _):
    erased, replaced = set(), set()
    for row in reversed(it.told):
        is_named = row.run in erased or row.kind == "redaction" and (row.run, row.index) in replaced
        need(is_named if row.is_bare else row.run not in erased, "unnamed_erasure")
        if row.kind == "redaction":
            replaced |= {(row.run, entry["log_index"]) for entry in row.shown.get("replaces", [])}
            erased |= {row.run} if row.shown.get("op") == "erase_run" else set()
    return {"members_withheld": any(row.withheld for row in it.rows), "entries_erased": any(r.is_bare for r in it.told)}

CHECKS = dict(integrity=integrity, identity=identity, time=time, completeness=completeness, redaction=redaction)
def verify(blob, keys, note=None):  # {aspect: (outcome, reason or None, remarks)}, claims; a checkpoint from before
    verdicts = dict.fromkeys(CHECKS, ("unconfirmed", "not_checked", []))
    try:
        it = opened(blob, keys)
    except Refused as refused:
        is_of_both = refused.args[0] in ("bad_signature", "unknown_signer", "wrong_ledger")
        return {**verdicts, **dict.fromkeys([*CHECKS][:1 + is_of_both], ("fail", refused.args[0], []))}, None
    for aspect, check in CHECKS.items():
        try:
            remarks = [remark for remark, is_so in (check(it, note) or {}).items() if is_so]
            verdicts[aspect] = ("pass", None, remarks) if keys else ("unconfirmed", "no_key", [])
        except Refused as refused:
            is_open = refused.args[0] in ("no_consistency_proof", "unknown_old_checkpoint")
            verdicts[aspect] = ("unconfirmed" if is_open else "fail", refused.args[0], [])
    return verdicts, {"origin": it.origin, "size": it.size, **it.claims}

def keys_of(text):  # each a line of a file, or the text is one
    lines = open(text, encoding="utf-8").read().splitlines() if os.path.isfile(text) else [text]
    return [key_of(line.strip()) for line in lines if line.strip() and line[0] != "#"] or [key_of("")]

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=argparse.FileType("rb"))
    parser.add_argument("--key", type=keys_of, action="extend", default=[], help="the ledger's public key, or a file")
    parser.add_argument("--checkpoint", type=argparse.FileType("rb"), help="a checkpoint of the same log from before")
    args = parser.parse_args()
    verdicts, claims = verify(args.bundle.read(), args.key, args.checkpoint and args.checkpoint.read())
    print(json.dumps({"claims": claims}))
    for aspect, (outcome, reason, remarks) in verdicts.items():
        print(json.dumps({"aspect": aspect, "outcome": outcome, "reason": reason, "remarks": remarks}))
    found = [outcome for outcome, _, _ in verdicts.values()]
    code = 1 if "fail" in found else 3 * ("unconfirmed" in found)
    raise SystemExit(2 if verdicts["integrity"][1] == "not_a_zip" else code)
if __name__ == "__main__": main()
