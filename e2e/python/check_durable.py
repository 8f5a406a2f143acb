"""First write wins, and what was acknowledged stays: through kill -9, a restart, a full stop."""

import copy
import threading

from stage import PATIENCE_S, Failed, holds, same

BATCH = {"ops": [
    {"op": "start_run", "run_id": "run-1", "goal": "find flights", "plan": [{"skill": "search"}]},
    {"op": "record_trace", "run_id": "run-1", "id": "t-1", "tags": ["why"],
     "trace_type": {"type": "Thought", "content": "search first", "confidence": 0.9}},
    {"op": "record_trace", "run_id": "run-1", "id": "t-2", "parent_id": "t-1",
     "trace_type": {"type": "ToolCall", "tool_name": "search", "arguments": {"q": "FRA-LIS"}}},
    {"op": "record_step", "run_id": "run-1", "index": 0, "skill_name": "search", "params": {"q": "FRA-LIS"}, "status": "success"},
]}


def without_outcome(receipt):
    return {name: value for name, value in receipt.items() if name not in ("outcome", "ops")} | {
        "ops": [{name: value for name, value in op.items() if name != "outcome"} for op in receipt["ops"]]}


def outcomes(receipt):
    return {receipt["outcome"], *(op["outcome"] for op in receipt["ops"])}


def changed():
    other = copy.deepcopy(BATCH)
    other["ops"][1]["trace_type"]["content"] = "guess first"
    return other


def holds_still(server, original):
    """The same batch is a duplicate with its receipt, another body a conflict, and the original's root still proves."""
    size = server.size()
    again = server.post("batches", BATCH, 200)
    same("outcomes of the second time", outcomes(again), {"duplicate"})
    same("the receipt of the second time", without_outcome(again), without_outcome(original))
    conflict = server.post("batches", changed(), 409)
    same("the conflict", (conflict["code"], conflict["outcome"], conflict["status"]), ("conflict", "not_applied", 409))
    holds("both digests", set(conflict["digests"]) == {"recorded", "sent"}, conflict)
    same("entries", server.size(), size)
    proof = server.get(f"log/consistency?from={original['tree_size']}")
    same("the root that the receipt states", proof["from_root"], original["root"])
    for op in original["ops"]:
        inclusion = server.get(f"log/proof/{op['log_index']}?size={original['tree_size']}")
        same("an entry of the receipt", (inclusion["leaf_hash"], inclusion["root"]), (op["leaf_hash"], original["root"]))


def check_the_same_batch_is_a_duplicate_and_another_body_a_conflict_also_after_kill_9(stage):
    with stage.serve() as server:
        original = server.post("batches", BATCH, 201)
        same("outcomes of the first time", outcomes(original), {"recorded"})
        holds_still(server, original)
        run, tree = server.get("runs/run-1"), server.tree("run-1")
        server.kill()
    with stage.serve(server.ledger) as server:
        holds_still(server, original)
        same("the run", server.get("runs/run-1"), run)
        same("the tree", server.tree("run-1"), tree)
        same("the exit code after SIGTERM", server.stop(), 0)
    stage.run("fsck", "--ledger", server.ledger)
    with stage.serve(server.ledger) as server:
        holds_still(server, original)


def check_a_key_replays_its_batch_and_no_other_also_after_kill_9(stage):
    key = {"idempotency_key": '"pay-7"'}
    with stage.serve() as server:
        first = server.ask("POST", "/api/v1/batches", BATCH, **key)
        same(f"the status: {first}", first.status, 201)
        server.kill()
    with stage.serve(server.ledger) as server:
        size = server.size()
        # Bare and quoted keys are the same.
        for again in (key, {"idempotency_key": "pay-7"}):
            replay = server.ask("POST", "/api/v1/batches", BATCH, **again)
            same(f"the replay: {replay}", (replay.status, replay.headers["idempotency-replayed"]), (200, "true"))
            same("its receipt", without_outcome(replay.json), without_outcome(first.json))
        same("another body under the key", server.post("batches", changed(), 422, **key)["code"], "key_reused")
        same("entries", server.size(), size)


def check_half_a_batch_is_never_seen(stage):
    half = copy.deepcopy(BATCH)
    half["ops"].append({"op": "record_trace", "run_id": "run-1", "id": "t-9", "parent_id": "nobody",
                        "trace_type": {"type": "Thought", "content": "x"}})
    with stage.serve() as server:
        refused = server.post("batches", half, 404)
        same("the code", refused["code"], "parent_not_found")
        holds("the parent is named", "nobody" in refused["detail"], refused)
        same("entries", server.size(), 0)
        same("the run", server.get("runs/run-1", 404)["code"], "run_not_found")


def check_sigterm_finishes_what_is_under_way_and_loses_nothing(stage):
    writers, acknowledged, trouble, under_way = 8, [], [], threading.Semaphore(0)
    with stage.serve() as server:
        def write(writer):
            number = 0
            while True:
                run = f"run-{writer}-{number}"
                try:
                    answer = server.ask("POST", "/api/v1/runs", {"run_id": run})
                except OSError:
                    return  # The server takes nothing any more.
                except Exception as why:
                    return trouble.append(f"{run}: {why!r}")
                if answer.status != 201:
                    return trouble.append(f"{run}: {answer}")
                acknowledged.append((run, answer.json))
                number += 1
                under_way.release()

        threads = [threading.Thread(target=write, args=(writer,), daemon=True) for writer in range(writers)]
        for thread in threads:
            thread.start()
        for _ in range(100):
            if not under_way.acquire(timeout=PATIENCE_S):
                raise Failed(f"the writers do not write: {trouble}")
        same("the exit code after SIGTERM under load", server.stop(), 0)
        for thread in threads:
            thread.join(PATIENCE_S)
        same("answers that are neither a receipt nor a closed door", trouble, [])
        holds("it says that it stopped", "stopped" in "".join(server.said), server.said)
    with stage.serve(server.ledger) as server:
        for run, receipt in acknowledged:
            same("what was acknowledged", server.get(f"runs/{run}")["log_index"], receipt["log_index"])
        holds("nothing came twice", server.size() - len(acknowledged) in range(writers + 1), f"{server.size()} entries")


def check_two_servers_never_write_to_one_file(stage):
    with stage.serve() as server:
        server.post("runs", {"run_id": "run-1"}, 201)
        second = stage.start("serve", "--listen", "127.0.0.1:0", "--ledger", server.ledger)
        same(f"the exit code of the second: {second.stderr}", second.returncode, 3)
        holds("it names the holder", str(server.process.pid) in second.stderr and "ledger_locked" in second.stderr, second.stderr)
        same("the first goes on", server.post("runs", {"run_id": "run-2"}, 201)["log_index"], 1)
