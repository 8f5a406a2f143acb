#!/usr/bin/env python3
"""Holds the second verifier to the fixtures: each bundle of vectors/bundles/, what is forged of one of them here, and
each flipped bit of the small one, for the reason that the first verifier gives."""

import base64
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.dont_write_bytecode = True

import tracekeep_verify as verifier  # noqa: E402

BUNDLES = Path(__file__).resolve().parent.parent / "vectors" / "bundles"
SEED, ORDER = bytes([7] * 32), 2**252 + 27742317777372353535851937790883648493
# What the first verifier finds by recomputing files that this one says it does not recompute.
ELSEWHERE = {"wrong_controls", "wrong_debrief"}


def verdicts_of(blob, case):
    old = case["old_checkpoint"]
    keys = [verifier.key_of(text) for text in case["keys"]]
    verdicts, _ = verifier.verify(blob, keys, old and old.encode())
    return {aspect: list(verdict) for aspect, verdict in verdicts.items()}


def flips(case, blob, runs):
    """Each bit of a bundle: refused for the stated reason, or it changes nothing of the verdicts."""
    wrong = 0
    for first, last, reason in runs:
        for at in range(first, last + 1):
            flipped = bytearray(blob)
            flipped[at // 8] ^= 1 << at % 8
            verdicts = verdicts_of(bytes(flipped), case)
            found = verdicts["integrity"][1] if verdicts["integrity"][0] == "fail" else None
            if found != reason or (reason is None and verdicts != case["verdicts"]):
                wrong += 1
                print("bit %d of %s: %s, and not %s" % (at, case["name"], found, reason))
    return wrong


def canonical(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def sign(text):
    return Ed25519PrivateKey.from_private_bytes(SEED).sign(text)


def sign_weakly(text):
    """With the neutral point for the signature's own, which is of small order."""
    neutral, key = b"\1" + bytes(31), Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
    secret = int.from_bytes(hashlib.sha512(SEED).digest()[:32], "little") & ~7 & ~(3 << 254) | 1 << 254
    factor = int.from_bytes(hashlib.sha512(neutral + key + text).digest(), "little")
    return neutral + (factor * secret % ORDER).to_bytes(32, "little")


def forged(blob, change=None, line=None, sign=sign):
    """The bundle with other claims or another line of its first step, signed by the fixtures' own key."""
    with zipfile.ZipFile(io.BytesIO(blob)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    envelope = json.loads(members["manifest.json"])
    statement = json.loads(base64.b64decode(envelope["payload"]))
    if line:
        first, second, rest = members["records.jsonl"].split(b"\n", 2)
        second = json.loads(second)
        line(second)
        members["records.jsonl"] = b"\n".join([first, canonical(second), rest])
    for row in statement["subject"]:
        row["digest"]["sha256"] = hashlib.sha256(members[row["name"]]).hexdigest()
    if change:
        change(statement["predicate"])
    payload = canonical(statement)
    signature = sign(b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload))
    envelope["payload"] = base64.b64encode(payload).decode()
    envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    members["manifest.json"] = canonical(envelope)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for name, data in members.items():
            made.writestr(name, data)
    return target.getvalue()


class Stream(io.RawIOBase):
    """What cannot be sought in, so that lengths are told behind each member."""
    def __init__(self):
        self.written = b""

    def writable(self):
        return True

    def write(self, data):
        self.written += bytes(data)
        return len(data)


def streamed(blob):
    """The same members, deflated, as another tool writes them to a pipe."""
    stream = Stream()
    with zipfile.ZipFile(io.BytesIO(blob)) as source, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            with target.open(name, "w", force_zip64=name < "m") as member:
                member.write(source.read(name))
    return stream.written


def forgeries(blob):
    """Bundles, and why each is refused: a member of another type, one too many, one too few."""
    claims = {
        "tenant_id": 5, "exported_by": None, "created_at": "a", "options": [], "incident_id": {}, "missing": [5],
        "period": {"from": "a", "to": "b"}, "run_id": 5, "kind": "x", "more": 1,
    }
    for name, value in claims.items():
        change = (lambda claim, name=name, value=value: claim.update({name: value}))
        yield name, forged(blob, change), "malformed_manifest"
    yield "no_options", forged(blob, lambda claim: claim.pop("options")), "malformed_manifest"
    leaf = {"kind": 5, "run": None, "seq": "1", "recorded_at": 5, "commit": [], "v": True, "ledger": 5}
    for name, value in leaf.items():
        change = (lambda line, name=name, value=value: line["leaf"].update({name: value}))
        yield "leaf_" + name, forged(blob, line=change), "malformed_record"
    for name, value in {"log_index": "1", "members": None, "leaf": [], "more": 1}.items():
        change = (lambda line, name=name, value=value: line.update({name: value}))
        yield "line_" + name, forged(blob, line=change), "malformed_record"
    for name, value in {"number": 5, "short": ["a"], "of_number": [5, "a", "b"]}.items():
        change = (lambda line, value=value: line["members"].insert(0, value))
        yield "member_" + name, forged(blob, line=change), "malformed_record"
    yield "no_zip", b"", "not_a_zip"
    yield "small_order", forged(blob, sign=sign_weakly), "bad_signature"
    yield "bytes_in_front", b"more" + blob, "stray_bytes"
    yield "bytes_behind", blob + b"more", "stray_bytes"


def key_text(name, typed):
    ident = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4].hex()
    return "%s+%s+%s" % (name, ident, base64.b64encode(typed).decode())


def bad_keys(good):
    """Texts that are no key to trust."""
    name, ident, text = good.split("+", 2)
    typed = base64.b64decode(text)
    beyond = typed[:1] + (2**255 - 18).to_bytes(32, "little")
    yield "malformed_key", [
        "", "%s+%s" % (name, ident), "%s+%08x+%s" % (name, int(ident, 16) ^ 1, text), key_text("a b", typed),
        key_text(name, b"\2" + typed[1:]), key_text(name, typed[:-1]), key_text(name, beyond),
    ]
    yield "weak_key", [key_text(name, b"\1" + point) for point in sorted(verifier.WEAK)]


def accepted_keys(good):
    for reason, texts in bad_keys(good):
        for text in texts:
            try:
                verifier.key_of(text)
                yield text, "accepted"
            except verifier.Refused as refused:
                if refused.args[0] != reason:
                    yield text, refused.args[0]


def main():
    cases = json.loads((BUNDLES / "cases.json").read_text(encoding="utf-8"))
    wrong = 0
    for case in cases:
        verdicts = verdicts_of((BUNDLES / (case["name"] + ".zip")).read_bytes(), case)
        stated = {aspect: list(verdict) for aspect, verdict in case["verdicts"].items()}
        left = "not_recomputed" in verdicts["completeness"][2]
        if left and stated["completeness"][1] in ELSEWHERE:
            stated["completeness"] = verdicts["completeness"]
        elif left and "not_recomputed" not in stated["completeness"][2]:
            stated["completeness"][2] = stated["completeness"][2] + ["not_recomputed"]
        if verdicts != stated:
            wrong += 1
            print("%s:\n    stated   %s\n    computed %s" % (case["name"], case["verdicts"], verdicts))
    whole = next(case for case in cases if case["name"] == "evidence")
    blob, count = (BUNDLES / "evidence.zip").read_bytes(), 0
    for name, bundle in {"signed again": forged(blob), "as a stream": streamed(blob)}.items():
        if verdicts_of(bundle, whole) != whole["verdicts"]:
            wrong += 1
            print("%s, unchanged, it does not verify" % name)
    for name, bundle, reason in forgeries(blob):
        count += 1
        found = verdicts_of(bundle, whole)["integrity"]
        if found != ["fail", reason, []]:
            wrong += 1
            print("forged %s: %s, and not %s" % (name, found, reason))
    for text, found in accepted_keys(whole["keys"][0]):
        wrong += 1
        print("key %s: %s" % (text, found))
    for name, runs in json.loads((BUNDLES / "flipped.json").read_text(encoding="utf-8")).items():
        small = next(case for case in cases if case["name"] == name)
        wrong += flips(small, (BUNDLES / (name + ".zip")).read_bytes(), runs)
    print("%d bundles, %d forgeries, %d wrong" % (len(cases), count, wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
