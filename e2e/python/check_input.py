"""Bad input at the door of the API: refused whole, with a stable code, and nothing that was there is harmed."""

from stage import fit_for_a_terminal, holds, same

TYPE = {"type": "Thought", "content": "x"}
JSON = {"content_type": "application/json"}


def nested(depth):
    return b'{"run_id":"deep","metadata":{"a":' + b"[" * depth + b"]" * depth + b"}}"


# What it is: path, body, headers, status, code. A body that is not bytes is sent as JSON.
CASES = {
    "JSON that ends early": ("runs", b'{"run_id":"x"', JSON, 400, "malformed_json"),
    "nothing at all": ("runs", b"", JSON, 400, "malformed_json"),
    "two values": ("runs", b"{} {}", JSON, 400, "malformed_json"),
    "not UTF-8": ("runs", b'{"goal":"\xff"}', JSON, 400, "invalid_utf8"),
    "a lone surrogate": ("runs", b'{"goal":"\\ud800"}', JSON, 400, "lone_surrogate"),
    "a name twice": ("runs", b'{"goal":"a","goal":"b"}', JSON, 400, "duplicate_name"),
    "a name twice, far inside": ("runs", b'{"metadata":{"a":[{"b":1,"b":1}]}}', JSON, 400, "duplicate_name"),
    "a number beyond all": ("runs", b'{"metadata":{"a":1e999}}', JSON, 400, "number_out_of_range"),
    "NaN": ("runs", b'{"metadata":{"a":NaN}}', JSON, 400, "malformed_json"),
    "an array instead of an object": ("runs", [], {}, 400, "invalid_member"),
    "an unknown member": ("runs", {"run_id": "x", "colour": "red"}, {}, 400, "unknown_member"),
    "a member of the wrong type": ("runs", {"run_id": 7}, {}, 400, "invalid_member"),
    "an id with a blank": ("runs", {"run_id": "a b"}, {}, 400, "invalid_id"),
    "an id of two dots": ("runs", {"run_id": ".."}, {}, 400, "invalid_id"),
    "an id that is too long": ("runs", {"run_id": "x" * 256}, {}, 400, "invalid_id"),
    "a control character in an id": ("runs", {"run_id": "a\u0000"}, {}, 400, "invalid_id"),
    "a million tags": ("runs", {"tags": ["t"] * 1_000_000}, {}, 400, "too_many"),
    "deeper than allowed": ("runs", nested(200), JSON, 400, "too_deep"),
    "deeper than any stack": ("runs", nested(1_000_000), JSON, 400, "too_deep"),
    "an op of 5 MiB": ("runs", {"goal": "x" * (5 << 20)}, {}, 413, "too_large"),
    "a request of 17 MiB": ("runs", {"goal": "x" * (17 << 20)}, {}, 413, "too_large"),
    "too many ops": ("batches", {"ops": [{"op": "start_run"}] * 1001}, {}, 400, "invalid_batch"),
    "no ops": ("batches", {"ops": []}, {}, 400, "invalid_batch"),
    "a cost that is a number": ("runs/run-1/steps", {"index": 0, "skill_name": "s", "params": {}, "status": "success",
                                                     "cost_cents": 0.25}, {}, 400, "invalid_member"),
    "an index beyond the last": ("runs/run-1/steps", {"index": 1_000_000, "skill_name": "s", "params": {}, "status": "success"},
                                 {}, 400, "number_out_of_range"),
    "a time that is none": ("runs/run-1/traces", {"trace_type": TYPE, "occurred_at": "2026-02-30T00:00:00Z"}, {}, 400, "invalid_time"),
    "a parent that is not there": ("runs/run-1/traces", {"trace_type": TYPE, "parent_id": "nobody"}, {}, 404, "parent_not_found"),
    "a run that is not there": ("runs/nobody/traces", {"trace_type": TYPE}, {}, 404, "run_not_found"),
    "a wrong claim": ("runs/run-1/complete", {"status": "completed", "root_hash": "0" * 64}, {}, 422, "hash_mismatch"),
    "a form": ("runs", b"goal=x", {"content_type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    "a key that is no key": ("runs", {}, {"idempotency_key": "a b"}, 400, "invalid_id"),
    "a foreign host": ("runs", {}, {"host": "evil.example"}, 403, "forbidden_host"),
}

READS = {
    "runs/nobody": (404, "run_not_found"),
    "runs/run-1/traces/nobody": (404, "trace_not_found"),
    "runs/run-1/steps/7": (404, "step_not_found"),
    "runs?limit=0": (400, "invalid_parameter"),
    "runs?limit=1001": (400, "invalid_parameter"),
    "runs?colour=red": (400, "invalid_parameter"),
    "runs?cursor=x": (400, "invalid_cursor"),
    "log/proof/99": (404, "entry_not_found"),
    "nowhere": (404, "route_not_found"),
}


def refused(name, answer, status, code):
    same(f"the status of {name}: {answer}", answer.status, status)
    same(f"the type of {name}", answer.headers["content-type"], "application/problem+json")
    problem = answer.json
    same(f"the code of {name}: {problem}", (problem["code"], problem["status"], problem["outcome"]), (code, status, "not_applied"))
    holds(f"{name} has words and a page", problem["detail"] and problem["type"] == f"/errors/{code}", problem)


def check_bad_input_is_refused_and_nothing_is_harmed(stage):
    with stage.serve() as server:
        server.post("runs", {"run_id": "run-1"}, 201)
        log = server.get("log")
        for name, (path, body, headers, status, code) in CASES.items():
            refused(name, server.ask("POST", f"/api/v1/{path}", body, **headers), status, code)
        for path, (status, code) in READS.items():
            refused(path, server.ask("GET", f"/api/v1/{path}"), status, code)
        same("the log", server.get("log"), log)
        same("the exit code after SIGTERM", server.stop(), 0)
    stage.run("fsck", "--ledger", server.ledger)


def check_strange_but_lawful_text_comes_back_as_it_was_sent(stage):
    goal = "\u0000\u001b[31m \u202e <script> ' \" \\ \U0001f6eb \uffff " + "é" * 1000
    with stage.serve() as server:
        server.post("runs", {"run_id": "!~/%2e", "goal": goal, "metadata": {"": {"__proto__": goal}}}, 201)
        run = server.get("runs/!~%2F%252e")
        same("the run", (run["run_id"], run["goal"], run["metadata"]), ("!~/%2e", goal, {"": {"__proto__": goal}}))
        fit_for_a_terminal(stage.run("show", "!~/%2e", "--ledger", server.ledger))


def check_a_run_is_not_taken_for_a_route_of_its_name(stage):
    with stage.serve() as server:
        server.post("runs", {"run_id": "count", "goal": "not a number"}, 201)
        same("the run", server.get("runs/%63ount")["goal"], "not a number")
        server.post("runs/count/traces", {"id": "counts", "trace_type": {"type": "Thought", "content": "one"}}, 201)
        same("the trace", server.get("runs/count/traces/%63ounts")["trace_type"]["content"], "one")
        browser = stage.browser()
        browser.tell("open", url=f"{server.url}/#/run/count")
        browser.tell("wait", selector='[data-trace-id="counts"]')
        [main] = browser.read("#main")
        holds("the page shows its goal", "not a number" in main["text"], main)


def check_large_integers_keep_their_digits(stage):
    digits = "123456789012345678901234567890"
    with stage.serve() as server:
        body = b'{"run_id":"big","metadata":{"n":' + digits.encode() + b"}}"
        same("the status", server.ask("POST", "/api/v1/runs", body, **JSON).status, 201)
        holds("the digits, through the API", digits.encode() in server.ask("GET", "/api/v1/runs/big").body)
        holds("the digits, through the file", digits in stage.run("show", "big", "--json", "--ledger", server.ledger))
        same("an equal one", server.ask("POST", "/api/v1/runs", body, **JSON).status, 200)
        other = body.replace(b"890}", b"891}")
        same("one that a float would not tell from it", server.ask("POST", "/api/v1/runs", other, **JSON).status, 409)
