#!/usr/bin/env python3
"""Holds the second verifier to the fixtures: each bundle of vectors/bundles/, and each flipped bit of the small one."""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import tracekeep_verify as verifier  # noqa: E402

BUNDLES = Path(__file__).resolve().parent.parent / "vectors" / "bundles"


def verdicts_of(blob, case):
    old = case["old_checkpoint"]
    keys = [verifier.Key(text) for text in case["keys"]]
    return {aspect: list(verdict) for aspect, verdict in verifier.verify(blob, keys, old and old.encode()).items()}


def flips(case, blob, step):
    """A flipped bit is refused, or changes nothing of the verdicts."""
    wrong = 0
    for at in range(0, len(blob) * 8, step):
        flipped = bytearray(blob)
        flipped[at // 8] ^= 1 << at % 8
        verdicts = verdicts_of(bytes(flipped), case)
        if verdicts != case["verdicts"] and not any(outcome == "fail" for outcome, _, _ in verdicts.values()):
            wrong += 1
            print("bit %d of %s: %s" % (at, case["name"], verdicts))
    return wrong


def main():
    cases = json.loads((BUNDLES / "cases.json").read_text(encoding="utf-8"))
    wrong = 0
    for case in cases:
        verdicts = verdicts_of((BUNDLES / (case["name"] + ".zip")).read_bytes(), case)
        if verdicts != case["verdicts"]:
            wrong += 1
            print("%s:\n    stated   %s\n    computed %s" % (case["name"], case["verdicts"], verdicts))
    small = next(case for case in cases if case["name"] == "erased")
    wrong += flips(small, (BUNDLES / "erased.zip").read_bytes(), int(sys.argv[1]) if sys.argv[1:] else 97)
    print("%d bundles, %d wrong" % (len(cases), wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
