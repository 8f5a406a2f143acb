"""What the README tells a newcomer to type, typed as it stands there."""

import json
import re
import subprocess
import sys
from pathlib import Path

from stage import PATIENCE_S, ROOT, environment, holds, same

URL = "http://127.0.0.1:4318"


def block(word):
    """The one shell block of the README that contains a word."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    found = [text for text in blocks if word in text]
    same(f"shell blocks of the README with {word!r}", len(found), 1)
    return found[0]


def typed(stage, server, text, talk=()):
    """Types it into bash, against a server on a free port; gives the lines that came back. `talk` is what each line on
    stderr says something of, in order."""
    holds("the README says where the server is", URL in text, text)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text.replace(URL, server.url).replace("verify/", f"{ROOT}/verify/")], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=PATIENCE_S, cwd=stage.folder,
        env=environment(TRACEKEEP_LEDGER=str(server.ledger), PATH=":".join((
            str(Path(stage.binary).parent), str(Path(sys.executable).parent), environment()["PATH"]))))
    same(f"the exit code; it said:\n{done.stdout}{done.stderr}", done.returncode, 0)
    said = done.stderr.splitlines()
    same(f"lines on stderr: {done.stderr}", len(said), len(talk))
    for line, word in zip(said, talk):
        holds(f"stderr says {word!r}", word in line, line)
    return done.stdout.splitlines()


def check_recording_by_hand_works_as_written(stage):
    text = block("post()")
    posts = len(re.findall(r"^post ", text, re.MULTILINE))
    with stage.serve() as server:
        lines = typed(stage, server, text)
        receipts = [json.loads(line) for line in lines[:posts]]
        same("what became of each line", [receipt["outcome"] for receipt in receipts], ["recorded"] * posts)
        same("where each stands in the log", [receipt["log_index"] for receipt in receipts], list(range(posts)))
        same("the size that each receipt states", [receipt["tree_size"] for receipt in receipts], list(range(1, posts + 1)))

        # `show`, `tree`, and the API's tree, which ends the block, agree with each other.
        shown, tree = "\n".join(lines[posts:-1]), json.loads(lines[-1])["nodes"]
        same("the tree", [(node["trace"]["id"], node["depth"], node["trace"]["status"]) for node in tree],
             [("t-1", 0, "ok"), ("t-2", 1, "ok")])
        for word in ("run-1", "completed", "planner", "find flights", "search", "web_search", "t-1", "  ToolCall", "[ok 150.0 ms] t-2"):
            holds(f"show and tree say {word!r}", word in shown, shown)
        run = server.get("runs/run-1")
        same("the run", {name: run[name] for name in ("status", "steps", "traces", "successes", "cost_cents", "seals", "seed")},
             {"status": "completed", "steps": 1, "traces": 2, "successes": 1, "cost_cents": "0.25", "seals": 1, "seed": 42})

        # "Send a line again: 200 and the original receipt."
        again = [json.loads(line) for line in typed(stage, server, text)[:posts]]
        same("the receipts of a second time", again, [{**receipt, "outcome": "duplicate"} for receipt in receipts])
        same("entries", server.size(), posts)

        # "Send another body under the same id: 409, naming the members that differ."
        conflict = server.post("runs/run-1/steps", {"index": 0, "skill_name": "guess", "params": {"q": "FRA-LIS"}, "status": "success"}, 409)
        same("the code", conflict["code"], "conflict")
        holds("the members that differ", "skill_name" in conflict["detail"], conflict)


def shown_below(text):
    """The output that the README shows below a shell block."""
    after = (ROOT / "README.md").read_text().split(f"```sh\n{text}```\n\n```\n", 1)
    same(f"the README shows what comes of {text!r}", len(after), 2)
    return after[1].split("```", 1)[0]


def timeless(text):
    """The text without what another day or another machine's pace changes."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME", text)
    return re.sub(r"\b(?!150\.0)\d+\.\d ms", "… ms", text)


def check_an_agents_decision_is_recorded_and_found_as_written(stage):
    names = "".join(block("post()").splitlines(keepends=True)[:2])
    record, ask, look = block('"run_id":"trip"'), block("ids()"), block("tracekeep tree trip")
    with stage.serve() as server:
        receipts = [json.loads(line) for line in typed(stage, server, names + record)]
        same("what became of each line", [receipt["outcome"] for receipt in receipts], ["recorded"] * 9)
        for text in (ask, look):
            found = "".join(f"{line}\n" for line in typed(stage, server, names + text))
            same("what comes of it", timeless(found), timeless(shown_below(text)))


def check_runs_are_compared_as_written(stage):
    names = "".join(block("post()").splitlines(keepends=True)[:2])
    compare = block("tracekeep diff")
    with stage.serve() as server:
        found = "".join(f"{line}\n" for line in typed(stage, server, names + compare))
        same("what comes of it", found, shown_below(compare))


def check_a_run_is_replayed_as_written(stage):
    names = "".join(block("post()").splitlines(keepends=True)[:2])
    replay = block("tracekeep replay")
    with stage.serve() as server:
        found = "".join(f"{line}\n" for line in typed(stage, server, names + replay))
        same("what comes of it", found, shown_below(replay))


def check_runs_are_found_as_written(stage):
    names = "".join(block("post()").splitlines(keepends=True)[:2])
    record, find = block("tracekeep diff"), block("tracekeep runs --count")
    with stage.serve() as server:
        typed(stage, server, names + record)
        found = "".join(f"{line}\n" for line in typed(stage, server, names + find, ("no runs", "conflict")))
        same("what comes of it", found, shown_below(find))


def check_a_payment_is_made_once_as_written(stage):
    names = "".join(block("post()").splitlines(keepends=True)[:2])
    pay = block("tracekeep idem")
    with stage.serve() as server:
        found = "".join(f"{line}\n" for line in typed(stage, server, names + pay))
        same("what comes of it", found, shown_below(pay))
        same("entries of the log", server.size(), 0)


def check_runs_are_held_and_erased_as_written(stage):
    names = "".join(block("post()").splitlines(keepends=True)[:2])
    text = block("tracekeep gc")
    with stage.serve() as server:
        found = "".join(f"{line}\n" for line in typed(stage, server, names + text, ("held",)))
        same("what comes of it", found, shown_below(text))


def check_a_member_is_withheld_as_written(stage):
    names = "".join(block("post()").splitlines(keepends=True)[:2])
    text = block("tracekeep redact")
    with stage.serve() as server:
        found = "".join(f"{line}\n" for line in typed(stage, server, names + text))
        same("what comes of it", found, shown_below(text))


def check_what_happened_is_handed_over_as_written(stage):
    names = "".join(block("post()").splitlines(keepends=True)[:2])
    with stage.serve() as server:
        same("what opening it says", typed(stage, server, names + block("tracekeep incidents open")), ["recorded 4 inc-7"])
        for word in ("verdicts()", "tracekeep incidents resolve"):
            text = block(word)
            found = "".join(f"{line}\n" for line in typed(stage, server, names + text))
            same("what comes of it", found, shown_below(text))


def check_the_addresses_that_the_readme_names_answer(stage):
    text = (ROOT / "README.md").read_text()
    paths = set(re.findall(r"http://127\.0\.0\.1:4318(/[\w./]*)", text)) | set(re.findall(r"`(/[a-z]+)`", text))
    holds("the README names some", {"/", "/openapi.json", "/healthz", "/readyz", "/metrics"} <= paths, paths)
    with stage.serve() as server:
        for path in sorted(paths - {"/api/v1"}):
            same(f"the status of GET {path}", server.ask("GET", path).status, 200)
        document = json.loads((ROOT / "docs/openapi.json").read_text())
        same("docs/openapi.json against what is served", server.ask("GET", "/openapi.json").json, document)


def check_agents_find_the_server_by_the_variable_that_the_readme_names(stage):
    text = block("OTEL_EXPORTER_OTLP_ENDPOINT")
    with stage.serve() as server:
        sent = stage.agent("python", server.url)
        wanted = re.sub(r"\bRUN\b", sent["trace_id"], text.replace("python my_agent.py", "true"))
        text = re.sub(r"  +#.*$", "", wanted, flags=re.MULTILINE)
        lines = typed(stage, server, text)
        holds("the run is in the list", any(sent["trace_id"] in line for line in lines), lines)
        for span in sent["spans"]:
            same(f"lines of the tree and of the list that end in {span['id']}", sum(line.endswith(span["id"]) for line in lines), 2)


def check_a_rotated_key_is_followed_as_written(stage):
    path = ":".join((str(Path(stage.binary).parent), environment()["PATH"]))
    stage.run("record", stdin='{"op":"start_run","run_id":"signed"}\n')
    for text in map(block, ("tracekeep log proof 0", "tracekeep log witness-export", "tracekeep keys follow")):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE_S, cwd=stage.folder, env=environment(PATH=path))
        same(f"the exit code; it said:\n{done.stdout}{done.stderr}", done.returncode, 0)
        same("what comes of it", done.stdout, shown_below(text))
