"""The command line: what a person types besides `serve`, beside a running server and without one."""

import json
import os
import pty
import re
import subprocess

from stage import PATIENCE_S, ROOT, environment, holds, same


def recorded_demo(stage, get_tree, *where):
    """Records the demo; gives its run id after looking at it through `tree`."""
    [said] = stage.lines("demo", *where)
    nodes = get_tree(said["run_id"])
    holds("the demo is worth looking at", len(nodes) >= 8, f"{len(nodes)} nodes")
    statuses = {node["trace"]["status"] for node in nodes}
    holds("something goes wrong in it, and the rest well", {"ok", "error"} <= statuses, statuses)
    return said["run_id"]


def check_demo_works_without_a_server(stage):
    ledger = stage.new("demo.db")
    run = recorded_demo(stage, lambda run: stage.lines("tree", run, "--ledger", ledger), "--ledger", ledger)
    show = stage.lines("show", run, "--ledger", ledger)
    same("the run, and its steps after it", [show[0]["status"], *(step["index"] for step in show[1:])], ["completed", 0, 1, 2])
    stage.run("fsck", "--ledger", ledger)


def check_demo_works_beside_a_running_server(stage):
    with stage.serve() as server:
        # The file is held by the server: the demo goes through it, named or not.
        for where in (["--ledger", server.ledger], ["--server", server.url]):
            run = recorded_demo(stage, server.tree, *where)
            same("the server knows it", server.get(f"runs/{run}")["status"], "completed")
        same("runs", server.get("runs/count")["count"], 2)

        # The picture in the README.
        browser, tree = stage.browser(), server.tree(run)
        browser.tell("open", url=f"{server.url}/#/run/{run}")
        browser.tell("wait", selector="[data-depth]", count=len(tree))
        browser.tell("wait", selector="[data-step-index]", count=3)
        same("the rows", [row["data"]["traceId"] for row in browser.read("[data-depth]")], [node["trace"]["id"] for node in tree])
        same("the steps", [row["data"]["stepIndex"] for row in browser.read("[data-step-index]")], ["0", "1", "2"])
        stage.shot(browser, "page", whole=False)


def check_record_takes_json_lines_and_tells_what_became_of_each(stage):
    ledger = stage.new("record.db")
    lines = [{"op": "start_run", "run_id": "r"},
             {"ops": [{"op": "record_step", "run_id": "r", "index": index, "skill_name": "s", "params": {}, "status": "success"}
                      for index in range(3)], "key": "k-1"},
             {"op": "complete_run", "run_id": "r", "status": "completed"}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    for outcome in ("recorded", "duplicate"):
        said = stage.run("record", "-", "--ledger", ledger, "--json", stdin=text)
        same("what became of each line", [json.loads(line)["outcome"] for line in said.splitlines()], [outcome] * 3)
    same("steps", len(stage.lines("show", "r", "--ledger", ledger)), 4)


def check_exit_codes_say_what_happened(stage):
    ledger = stage.new("codes.db")
    stage.run("demo", "--ledger", ledger)
    stage.run("show", "nobody", "--ledger", ledger, expect=1)
    stage.run("tree", "nobody", "--ledger", ledger, expect=1)
    stage.run("frobnicate", expect=2)
    stage.run("show", "..", "--ledger", ledger, expect=2)
    stage.run("runs", "--ledger", stage.new("absent.db"), expect=3)
    stage.run("runs", "--server", "http://127.0.0.1:1", expect=3)
    stage.run("doctor", "--ledger", ledger, "--listen", "127.0.0.1:0")
    with stage.serve(ledger) as server:
        listen = server.address
        stage.run("doctor", "--ledger", ledger, "--listen", listen, expect=1)


def check_a_file_that_is_not_a_ledger_is_left_alone(stage):
    strange = stage.new("strange.db")
    strange.write_text("not a ledger, and dear to someone\n" * 100)
    before = strange.read_bytes()
    for command in (["runs"], ["demo"], ["fsck"], ["serve", "--listen", "127.0.0.1:0"]):
        done = stage.start(*command, "--ledger", strange)
        holds(f"`tracekeep {command[0]}` refuses it", done.returncode in (1, 3), f"{done.returncode} {done.stdout}")
        holds("with its code", "not_a_ledger" in done.stderr, done.stderr)
        same("the file", strange.read_bytes(), before)


def check_every_code_of_the_docs_is_explained(stage):
    pages = {page.stem: page.read_text().strip() for page in sorted((ROOT / "docs/errors").glob("*.md"))}
    reasons = re.findall(r"^### `(\w+)`\n\n(.*?)(?=\n##|\Z)", (ROOT / "docs/format/reasons.md").read_text(), re.M | re.S)
    holds("verify has reasons and remarks", len(reasons) > 40, reasons)
    # Some are both: refused by the ledger, and found by whoever verifies.
    for code, text in reasons:
        page = pages.get(code)
        front = f"{page}\n\nWhere `tracekeep verify` says it:" if page else f"# {code}"
        pages[code] = f"{front}\n\n{text.strip()}"
    for code, page in pages.items():
        same(f"explain {code}", stage.run("explain", code).strip(), page)
    stage.run("explain", "no_such_code", expect=1)


def check_complete_seals_and_a_sealed_run_takes_nothing_more(stage):
    with stage.serve() as server:
        server.post("runs", {"run_id": "r"}, 201)
        stage.run("complete", "r", "--status", "failed", "--reason", "the tool broke", "--ledger", server.ledger)
        run = server.get("runs/r")
        same("the run", (run["status"], run["termination_reason"], run["seals"]), ("failed", "the tool broke", 1))
        step = {"index": 0, "skill_name": "s", "params": {}, "status": "success"}
        same("a step after the seal", server.post("runs/r/steps", step, 409)["code"], "sealed")


def check_an_export_tells_whoever_watches_how_far_it_is(stage):
    ledger = stage.new("watched.db")
    [said] = stage.lines("demo", "--ledger", ledger)
    entries = len(stage.lines("traces", said["run_id"], "--ledger", ledger))
    holds("there is something to export", entries > 0)
    export = [stage.binary, "export", said["run_id"], "--ledger", ledger, "-o", stage.new("watched.zip")]
    silent = subprocess.run(export, capture_output=True, text=True, timeout=PATIENCE_S, env=environment(), cwd=stage.folder)
    same("what a pipe is told", (silent.returncode, silent.stderr), (0, ""))
    ours, theirs = pty.openpty()
    again = [*export, "--overwrite"]
    watched = subprocess.Popen(again, stdout=subprocess.DEVNULL, stderr=theirs, env=environment(), cwd=stage.folder)
    os.close(theirs)
    told = b""
    try:
        while part := os.read(ours, 4096):
            told += part
    except OSError:
        pass  # Nobody holds the other end any more.
    finally:
        os.close(ours)
    same("the exit code", watched.wait(PATIENCE_S), 0)
    told = told.decode()
    for word in ("reading, ", "proving, ", "signing, "):
        holds(f"a terminal is told {word!r}", word in told, repr(told))
    holds("the line is taken away in the end", told.endswith("\r\x1b[K"), repr(told))
