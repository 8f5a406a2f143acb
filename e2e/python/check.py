"""Runs every check: each function named check_* of the modules check_*.py beside this file, in their order.

Every check starts what it needs and states what has to hold; one that does not hold fails the whole. `--only WORD` runs
those whose name contains the word, for developers.
"""

import argparse
import importlib
import inspect
import shutil
import sys
import time
import traceback
from pathlib import Path

from stage import HERE, Failed, Stage


def checks():
    for path in sorted(HERE.glob("check_*.py")):
        module = importlib.import_module(path.stem)
        found = [(name, check) for name, check in vars(module).items()
                 if name.startswith("check_") and inspect.isfunction(check) and check.__module__ == path.stem]
        if not found:
            sys.exit(f"{path.name} has no checks")
        yield from ((f"{path.stem.removeprefix('check_')}: {name.removeprefix('check_').replace('_', ' ')}", check)
                    for name, check in found)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--binary", required=True, type=Path)
    arguments.add_argument("--out", required=True, type=Path, help="where screenshots and what was recorded are kept")
    arguments.add_argument("--chromium", required=True)
    arguments.add_argument("--only", default="")
    given = arguments.parse_args()
    for old in given.out.glob("stage-*"):
        shutil.rmtree(old)
    stage = Stage(given.binary.resolve(), given.out.resolve(), given.chromium)
    failed, passed = [], 0
    try:
        for name, check in checks():
            if given.only not in name:
                continue
            began = time.monotonic()
            try:
                check(stage)
            except Failed as why:
                failed.append(name)
                print(f"FAILED {name}\n{why}\n", flush=True)
            except Exception:  # A check that breaks has not held.
                failed.append(name)
                print(f"FAILED {name}\n{traceback.format_exc()}\n", flush=True)
            else:
                passed += 1
                print(f"ok     {name} ({time.monotonic() - began:.1f} s)", flush=True)
    finally:
        stage.close()
    print(f"end to end: {passed} checks hold, {len(failed)} do not")
    for name in failed:
        print(f"  {name}")
    if failed or not passed:
        print(f"what was recorded and said: {stage.folder}")
        sys.exit(1)
    shutil.rmtree(stage.folder)


if __name__ == "__main__":
    main()
