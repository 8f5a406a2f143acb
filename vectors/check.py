#!/usr/bin/env python3
"""Recomputes every hash in the vectors from its inputs, without any of Tracekeep's code: standard library only.

Prints a line for each file, and exits with 1 if anything differs. Usage: python3 vectors/check.py [DIRECTORY]
"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import audit  # noqa: E402
import jcs  # noqa: E402
import merkle  # noqa: E402
import record  # noqa: E402

HERE = Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
VECTORS = HERE if HERE.is_dir() else HERE.parent


class Check:
    """Counts what was compared; keeps what differs."""

    def __init__(self, file):
        self.file, self.count, self.wrong = file, 0, []

    def equal(self, what, stated, computed):
        self.count += 1
        if stated != computed:
            self.wrong.append("%s: %s\n    states   %s\n    computed %s" % (self.file, what, stated, computed))


def load(name):
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def cases(name, members):
    """The cases of a file; each has exactly these members, so that nothing in it goes unchecked."""
    for place, case in enumerate(load(name)["cases"]):
        if set(case) != set(members.split()):
            raise ValueError("%s, case %d: members %s" % (name, place, sorted(case)))
        yield case.get("name", str(place)), case


def generated(members):
    """Generated members are plain strings: they need no canonical form."""
    return jcs.read(json.dumps(members))


def official(check):
    folder = VECTORS / "json" / "rfc8785"
    for path in sorted((folder / "input").iterdir()):
        expected = (folder / "output" / path.name).read_text(encoding="utf-8")
        check.equal(path.name, expected, jcs.canonical(path.read_bytes()))


def profile(check):
    """Of what is refused the code is compared; the path is the reader's own."""
    for case in load("json/tk-jcs-1.json"):
        try:
            computed = {"canonical": jcs.canonical(bytes.fromhex(case["input_hex"]))}
        except jcs.Refused as refused:
            computed = {"error": str(refused)}
        stated = {name: case[name] for name in ("canonical", "error") if name in case}
        check.equal(case["name"], stated, computed)


def trees(check):
    try:
        check.count += merkle.check(load("merkle.json"))
    except ValueError as error:
        check.wrong.append(str(error))


def hash_request(check):
    for name, case in cases("hash_request.json", "value canonical hash"):
        check.equal(name + ", canonical", case["canonical"], jcs.canonical(case["value"]))
        check.equal(name, case["hash"], record.sha256(jcs.canonical(case["value"]).encode()).hex())


READERS = {"time": record.time, "cost": record.cost, "duration": record.duration, "id": record.ident, "seed": record.I64}


def wire(check):
    for _, case in cases("wire.json", "kind sent recorded"):
        try:
            recorded = jcs.write(READERS[case["kind"]](jcs.read(case["sent"])))
        except ValueError:
            recorded = None
        check.equal("%(kind)s %(sent)s" % case, case["recorded"], recorded)


def entry(check, name, case, body):
    """The body, the salts, the members and the commitment of one entry; gives the commitment."""
    check.equal(name + ", body", case["body"], jcs.write(body))
    salt = bytes.fromhex(case["salt"])
    computed = [
        {
            "name": member,
            "salt": record.member_salt(salt, member).hex(),
            "value": jcs.write(value),
            "m": record.member_commitment(salt, member, value).hex(),
        }
        for member, value in record.members(body)
    ]
    check.equal(name + ", members", case["members"], computed)
    commit = record.commit(body, salt)
    check.equal(name + ", commit", case["commit"], commit.hex())
    return commit


def bodies(check):
    for name, case in cases("body.json", "name sent generated body random place salt members commit"):
        salt = record.entry_salt(bytes.fromhex(case["random"]), case["place"])
        check.equal(name + ", salt", case["salt"], salt.hex())
        entry(check, name, case, record.record(case["sent"], generated(case["generated"])))


def audits(check):
    before = []
    for name, case in cases("audit.json", "name recorded_at sent generated body random place salt members commit"):
        salt = record.entry_salt(bytes.fromhex(case["random"]), case["place"])
        check.equal(name + ", salt", case["salt"], salt.hex())
        body = record.record(case["sent"], generated(case["generated"]))
        if body["op"] == "reconcile":
            body["verdict"] = audit.verdict(before, case["recorded_at"])
        before.append((case["recorded_at"], body))
        entry(check, name, case, body)


def remainders(check):
    for name, case in cases("remainder.json", "name body salt log_index withhold withheld remainder stays commit"):
        body, salt = jcs.read(case["body"]), bytes.fromhex(case["salt"])
        left = record.remainder(case["log_index"], body, salt, case["withhold"])
        check.equal(name + ", remainder", case["remainder"], jcs.write(left))
        # From here on, from the text alone.
        left = jcs.read(case["remainder"])
        check.equal(name + ", withheld", case["withheld"], [part[0] for part in left["members"] if len(part) == 2])
        check.equal(name + ", stays", case["stays"], jcs.write(record.stays(left)))
        check.equal(name + ", commit", case["commit"], record.commit_of_remainder(left).hex())
        check.equal(name + ", commit of the body", case["commit"], record.commit(body, salt).hex())


def leaves(check):
    for name, case in cases("leaf.json", "ledger run seq kind recorded_at commit leaf leaf_hash"):
        recorded_at = record.time(case["recorded_at"])
        commit = bytes.fromhex(case["commit"])
        leaf = record.leaf(case["ledger"], case["run"], case["seq"], case["kind"], recorded_at, commit)
        check.equal(name + ", leaf", case["leaf"], leaf)
        check.equal(name + ", leaf_hash", case["leaf_hash"], merkle.leaf_hash(leaf.encode()).hex())


def step_of(sent):
    return record.record(sent, {"occurred_at": "1970-01-01T00:00:00Z"})


def steps(check):
    members = "name sent input_hash output_hash behaviour behaviour_leaf exact exact_leaf"
    for name, case in cases("steps.json", members):
        step = step_of(case["sent"])
        check.equal(name + ", input_hash", case["input_hash"], step["input_hash"])
        check.equal(name + ", output_hash", case["output_hash"], step.get("output_hash"))
        for tag, text in zip(("behaviour", "exact"), record.step_texts(step)):
            check.equal("%s, %s" % (name, tag), case[tag], text)
            check.equal("%s, %s leaf" % (name, tag), case[tag + "_leaf"], merkle.leaf_hash(text.encode()).hex())


def determinism(check):
    members = "name plan seed steps status plan_hash header end gaps behaviour_hash root_hash"
    for name, case in cases("determinism.json", members):
        plan = None if case["plan"] is None else jcs.read(case["plan"])
        run = [step_of(sent) for sent in case["steps"]]
        plan_hash, header, end, behaviour, root = record.fold(plan, case["seed"], run, case["status"])
        check.equal(name + ", plan_hash", case["plan_hash"], plan_hash)
        check.equal(name + ", header", case["header"], record.leaf_text("exact", header))
        check.equal(name + ", end", case["end"], record.leaf_text("exact", end))
        check.equal(name + ", gaps", case["gaps"], record.gaps(run))
        check.equal(name + ", behaviour_hash", case["behaviour_hash"], behaviour)
        check.equal(name + ", root_hash", case["root_hash"], root)


def compare(check):
    runs = {}
    for case in load("determinism.json")["cases"]:
        plan = None if case["plan"] is None else jcs.read(case["plan"])
        run = [step_of(sent) for sent in case["steps"]]
        _, header, end, behaviour, root = record.fold(plan, case["seed"], run, case["status"])
        texts = [record.leaf_text("exact", header), *(record.step_texts(step)[1] for step in run),
                 record.leaf_text("exact", end)]
        runs[case["name"]] = (behaviour, root, [text.encode() for text in texts], [int(step["index"]) for step in run])

    def proof(run, place):
        _, root, texts, _ = run
        return {"leaf": json.loads(texts[place].split(b"\n", 1)[1]), "leaf_hash": merkle.leaf_hash(texts[place]).hex(),
                "tree_size": len(texts), "root": root, "hashes": [hash.hex() for hash in merkle.path(place, texts)]}

    for name, case in cases("compare.json", "a b verdict part step leaf_index a_proof b_proof"):
        a, b = runs[case["a"]], runs[case["b"]]
        verdict = "identical" if a[1] == b[1] else "same_behaviour" if a[0] == b[0] else "diverged"
        place = next(place for place, (one, other) in enumerate(zip(a[2], b[2])) if one != other)
        # The lowest index of the two leaves, where one of them is a step.
        indices = [run[3][place - 1] for run in (a, b) if 0 < place <= len(run[3])]
        part = "header" if place == 0 else "step" if indices else "end"
        check.equal(name + ", verdict", case["verdict"], verdict)
        check.equal(name + ", part", case["part"], part)
        check.equal(name + ", step", case["step"], min(indices, default=None))
        check.equal(name + ", leaf_index", case["leaf_index"], place)
        check.equal(name + ", a_proof", case["a_proof"], proof(a, place))
        check.equal(name + ", b_proof", case["b_proof"], proof(b, place))


KINDS = {"start_run": "run_started", "ensure_run": "run_started", "describe_run": "run_described", "record_step": "step",
         "record_trace": "trace", "end_trace": "trace_ended", "complete_run": "sealed", "key": "key"}


def seal(check):
    """Records the batches of seal.json one after the other, as a ledger does."""
    log = load("seal.json")
    stated = iter(log["entries"])
    runs, hashes = {}, []
    for batch in log["batches"]:
        first = len(hashes)
        sent = [(op["sent"], generated(op["generated"])) for op in batch["ops"]]
        if batch["key"] is not None:
            ops = list(range(first, first + len(sent)))
            sent.append((json.dumps({"op": "key", "key": batch["key"], "ops": ops}), {}))
        for place, (op, more) in enumerate(sent):
            body = record.record(op, more)
            run, kind = body.get("run_id", ""), KINDS[body["op"]]
            seen = runs.setdefault(run, [])
            if kind == "sealed":
                body = record.seal(body, [body for body, _ in seen], [leaf_hash for _, leaf_hash in seen])
            case = next(stated)
            name = "entry %d" % len(hashes)
            salt = record.entry_salt(bytes.fromhex(batch["random"]), place)
            for what, computed in (("run", run), ("seq", len(seen)), ("kind", kind), ("place", place), ("salt", salt.hex()),
                                   ("recorded_at", batch["recorded_at"])):
                check.equal("%s, %s" % (name, what), case[what], computed)
            commit = entry(check, name, case, body)
            leaf = record.leaf(log["ledger"], run, len(seen), kind, record.time(batch["recorded_at"]), commit)
            leaf_hash = merkle.leaf_hash(leaf.encode())
            check.equal(name + ", leaf", case["leaf"], leaf)
            check.equal(name + ", leaf_hash", case["leaf_hash"], leaf_hash.hex())
            seen.append((body, leaf_hash))
            hashes.append(leaf_hash)
        check.equal("tree_size", batch["tree_size"], len(hashes))
        check.equal("root at %d" % len(hashes), batch["root"], merkle.root_of(hashes).hex())
    check.equal("entries", len(log["entries"]), len(hashes))


def receipt(check):
    log = load("seal.json")
    ends = [batch["tree_size"] for batch in log["batches"]]
    hashes = [bytes.fromhex(entry["leaf_hash"]) for entry in log["entries"]]

    def outcome(new):
        return "recorded" if new else "duplicate"

    for name, case in cases("receipt.json", "name ops receipt"):
        ops = []
        for op in case["ops"]:
            held = log["entries"][op["log_index"]]
            answer = {"outcome": outcome(op["new"]), "log_index": op["log_index"], "leaf_hash": held["leaf_hash"]}
            if held["kind"] == "run_started":
                answer["run_id"] = held["run"]
            if held["kind"] == "trace":
                answer["id"] = json.loads(held["body"])["id"]
            ops.append(answer)
        last = max(op["log_index"] for op in case["ops"])
        size = min(end for end in ends if end > last)
        computed = {
            "outcome": outcome(any(op["new"] for op in case["ops"])),
            "tree_size": size,
            "root": merkle.root_of(hashes[:size]).hex(),
            "ops": ops,
        }
        check.equal(name, case["receipt"], computed)


def redaction(check):
    log = load("seal.json")
    entries = [(jcs.read(entry["body"]), bytes.fromhex(entry["salt"])) for entry in log["entries"]]
    commits = [entry["commit"] for entry in log["entries"]]
    hashes = [bytes.fromhex(entry["leaf_hash"]) for entry in log["entries"]]
    members = "name sent random recorded_at log_index body salt commit leaf leaf_hash erased root"
    for name, case in cases("redaction.json", members):
        check.equal(name + ", log_index", case["log_index"], len(entries))
        body = record.redaction(record.record(case["sent"], {}), entries)
        check.equal(name + ", body", case["body"], jcs.write(body))
        # From here on, from the text alone.
        body = jcs.read(case["body"])
        for left in body["remainders"]:
            at = int(left["log_index"])
            check.equal("%s, commit of %d" % (name, at), commits[at], record.commit_of_remainder(left).hex())
        for left in body["remainders"] + body["replaces"]:
            entries[int(left["log_index"])] = None
        salt = record.entry_salt(bytes.fromhex(case["random"]), 0)
        check.equal(name + ", salt", case["salt"], salt.hex())
        commit = record.commit(body, salt)
        check.equal(name + ", commit", case["commit"], commit.hex())
        seq = sum(json.loads(entry["leaf"])["run"] == body["run_id"] for entry in log["entries"])
        seq += len(entries) - len(log["entries"])
        leaf = record.leaf(log["ledger"], body["run_id"], seq, "redaction", record.time(case["recorded_at"]), commit)
        leaf_hash = merkle.leaf_hash(leaf.encode())
        check.equal(name + ", leaf", case["leaf"], leaf)
        check.equal(name + ", leaf_hash", case["leaf_hash"], leaf_hash.hex())
        entries.append((body, salt))
        commits.append(commit.hex())
        hashes.append(leaf_hash)
        check.equal(name + ", erased", case["erased"], [at for at, entry in enumerate(entries) if entry is None])
        check.equal(name + ", root", case["root"], merkle.root_of(hashes).hex())


FILES = {
    "json/rfc8785": official,
    "json/tk-jcs-1.json": profile,
    "merkle.json": trees,
    "hash_request.json": hash_request,
    "wire.json": wire,
    "body.json": bodies,
    "audit.json": audits,
    "remainder.json": remainders,
    "leaf.json": leaves,
    "steps.json": steps,
    "determinism.json": determinism,
    "compare.json": compare,
    "seal.json": seal,
    "receipt.json": receipt,
    "redaction.json": redaction,
}


def main():
    failed = False
    unknown = {path.name for path in VECTORS.glob("*.json")} - set(FILES)
    if unknown:
        print("nothing checks", ", ".join(sorted(unknown)))
        failed = True
    for file, run in FILES.items():
        check = Check(file)
        try:
            run(check)
        except (OSError, LookupError, TypeError, ValueError, AttributeError, StopIteration) as error:
            check.wrong.append("%s: %s: %s" % (file, type(error).__name__, error))
        print("%-20s %4d checked, %d wrong" % (file, check.count, len(check.wrong)))
        for line in check.wrong:
            print("  " + line)
        failed |= bool(check.wrong) or check.count == 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
