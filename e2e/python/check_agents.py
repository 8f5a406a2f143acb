"""Two SDKs, two encodings, one agent: what was sent is what every reader shows.

The page is open on the list of runs before an agent starts, so that it has to show both runs by itself.
"""

import functools
import re

from agent import HOSTILE, MODEL
from stage import Failed, fit_for_a_terminal, holds, nanos, same

# The agent's story in the order in which a tree is walked: span, depth, type, status.
STORY = [
    ("invoke_agent travel-desk", 0, "invoke_agent", "ok"),
    ("plan", 1, "Decision", "ok"),
    (f"chat {MODEL}", 1, "Thought", "ok"),
    ("execute_tool search_flights", 1, "ToolCall", "error"),
    ("GET /flights", 2, "GET /flights", "error"),
    (f"chat {MODEL}", 1, "Thought", "ok"),
    ("execute_tool search_flights", 1, "ToolCall", "ok"),
    ("GET /flights", 2, "GET /flights", "ok"),
    (f"chat {MODEL}", 1, "Thought", "ok"),
    ("retrieve fare rules", 1, "Query", "ok"),
    (f"chat {MODEL}", 1, "Thought", "ok"),
    ("guard budget", 1, "Decision", "ok"),
    ("execute_tool hold_seat", 1, "ToolCall", "ok"),
    (f"chat {MODEL}", 1, "Thought", "ok"),
]
LANGUAGES = ["python", "javascript"]


class Told:
    """What happened: the server, the open page, and what each agent says that it sent."""

    def __init__(self, stage):
        self.stage = stage
        self.server = stage.serve()
        self.browser = stage.browser()
        self.sent, self.seen_live = {}, {}
        try:
            self.browser.tell("open", url=f"{self.server.url}/")
            self.browser.tell("wait", selector='body[data-live="open"]')
        except Failed as why:
            self.seen_live = {language: why for language in LANGUAGES}
        for language in LANGUAGES:
            self.sent[language] = stage.agent(language, self.server.url)
            self.seen_live.setdefault(language, self.appears(self.sent[language]["trace_id"]))
        self.after_live = self.browser.tell("notes")

    def appears(self, run):
        """Whether the page shows the run, with its root ended: None, or why it does not."""
        try:
            self.browser.tell("wait", selector=f'[data-run-id="{run}"]:has-text("root ended")')
        except Failed as why:
            return why
        return None

    def tree(self, language):
        return self.server.tree(self.sent[language]["trace_id"])

    def open_run(self, language):
        """Opens a run on the page; gives the rows of its tree."""
        run = self.sent[language]["trace_id"]
        self.browser.tell("open", url=f"{self.server.url}/#/run/{run}")
        self.browser.tell("wait", selector="[data-depth]", count=len(STORY))
        return self.browser.read("[data-depth]")


@functools.cache
def told(stage):
    return Told(stage)


def for_each_agent(check):
    """A check that has to hold for both agents."""
    @functools.wraps(check)
    def both(stage):
        for language in LANGUAGES:
            try:
                check(told(stage), language)
            except Failed as why:
                raise Failed(f"of the {language} agent: {why}") from None
    both.__module__ = check.__module__
    return both


def type_name(trace):
    kind = trace["trace_type"]
    return kind["name"] if kind["type"] == "Custom" else kind["type"]


def attributes(trace):
    """The attributes of a span as it was kept."""
    return {pair["key"]: pair["value"] for pair in trace["otel"]["span"]["attributes"]}


# --- What was sent is what the API gives


@for_each_agent
def check_the_tree_is_what_the_agent_did(told, language):
    nodes = told.tree(language)
    names = {span["id"]: span["name"] for span in told.sent[language]["spans"]}
    found = [(names[node["trace"]["id"]], node["depth"], type_name(node["trace"]), node["trace"]["status"]) for node in nodes]
    same("the tree", found, STORY)


@for_each_agent
def check_ids_parents_times_and_statuses_are_those_that_were_sent(told, language):
    sent = {span["id"]: span for span in told.sent[language]["spans"]}
    nodes = told.tree(language)
    same("the ids", sorted(node["trace"]["id"] for node in nodes), sorted(sent))
    above = []
    for node in nodes:
        trace, depth = node["trace"], node["depth"]
        span = sent[trace["id"]]
        found = {
            "id": trace["id"], "parent_id": trace.get("parent_id"), "name": span["name"],
            "start": str(nanos(trace["occurred_at"])), "end": str(nanos(trace["ended_at"])),
            "status": trace["status"], "events": [event["name"] for event in trace["otel"]["span"].get("events", [])],
        }
        same(f"span {span['name']}", found, span)
        same("the run", trace["run_id"], told.sent[language]["trace_id"])
        # Pre-order: the parent is the last one seen a level higher, and siblings stand in the order of their start.
        above[depth:] = [trace]
        same("the parent", trace.get("parent_id"), above[depth - 1]["id"] if depth else None)
        children = [other for other in sent.values() if other["parent_id"] == trace["id"]]
        same("the number of children", node["children"], len(children))
    for parent in sent:
        starts = [(node["trace"]["occurred_at"], node["trace"]["log_index"])
                  for node in nodes if node["trace"].get("parent_id") == parent]
        same("the order of siblings", starts, sorted(starts))


@for_each_agent
def check_the_run_is_told_by_its_root_and_its_resource(told, language):
    # By its parent, which it has not: a span below it may begin in the same tick of the clock.
    root = next(span for span in told.sent[language]["spans"] if span["parent_id"] is None)
    run = told.server.get(f"runs/{told.sent[language]['trace_id']}")
    found = {name: run.get(name) for name in ["agent_id", "goal", "source", "status", "traces", "steps", "seals"]}
    same("the run", found, {"agent_id": "travel-desk", "goal": root["name"], "source": "otlp", "status": "running",
                            "traces": len(STORY), "steps": 0, "seals": 0})
    same("its start and its end", (nanos(run["started_at"]), nanos(run["root_ended_at"])), (int(root["start"]), int(root["end"])))
    holds("telemetry states no seed", "seed" not in run, run)


@for_each_agent
def check_tools_arguments_results_and_tags_are_understood(told, language):
    calls = [node["trace"] for node in told.tree(language) if node["trace"]["trace_type"]["type"] == "ToolCall"]
    found = [(call["trace_type"]["tool_name"], call["trace_type"]["arguments"], call["trace_type"].get("result"), call["tags"])
             for call in calls]
    where, hits = {"origin": "FRA", "destination": "LIS"}, [{"flight": "TP571", "eur": 289.4}, {"flight": "LH1166", "eur": 412.5}]
    same("the calls", found, [
        ("search_flights", where, None, ["external"]),
        ("search_flights", where, {"hits": hits, "advert": HOSTILE}, ["external", "retry"]),
        ("hold_seat", {"flight": "TP571", "seat": "14C"}, {"hold": "h-TP571-14C", "minutes": 45}, ["external"]),
    ])
    counts = told.server.get(f"runs/{told.sent[language]['trace_id']}/traces/counts")
    same("the tags counted", counts["tags"], [{"name": "external", "count": 3}, {"name": "retry", "count": 1}])
    same("the types counted", {kind["name"]: kind["count"] for kind in counts["types"]},
         {"Decision": 2, "GET /flights": 2, "Query": 1, "Thought": 5, "ToolCall": 3, "invoke_agent": 1})


@for_each_agent
def check_questions_to_the_index_find_what_the_tree_shows(told, language):
    traces = [node["trace"] for node in told.tree(language)]
    by_time = sorted(traces, key=lambda trace: (trace["occurred_at"], trace["log_index"]))
    path = f"runs/{told.sent[language]['trace_id']}/traces"
    questions = {
        "": lambda trace: True,
        "?type=ToolCall": lambda trace: type_name(trace) == "ToolCall",
        "?tag=retry": lambda trace: "retry" in trace["tags"],
        "?status=error": lambda trace: trace["status"] == "error",
        "?roots=true": lambda trace: "parent_id" not in trace,
        f"?parent={traces[3]['id']}": lambda trace: trace.get("parent_id") == traces[3]["id"],
    }
    for question, matches in questions.items():
        same(f"{path}{question}", told.server.all(path + question), [trace for trace in by_time if matches(trace)])
    same("one by its id", told.server.get(f"{path}/{traces[3]['id']}"), traces[3])


@for_each_agent
def check_the_failed_tool_keeps_its_exception(told, language):
    failed = [node["trace"] for node in told.tree(language) if node["trace"]["status"] == "error"]
    same("what failed", [type_name(trace) for trace in failed], ["ToolCall", "GET /flights"])
    for trace in failed:
        [event] = trace["otel"]["span"]["events"]
        exception = {pair["key"]: pair["value"].get("stringValue") for pair in event["attributes"]}
        same("the exception", (event["name"], exception["exception.type"], exception["exception.message"]),
             ("exception", "TimeoutError", "the supplier did not answer within 5 s"))
        holds("where it happened", "agent." in exception["exception.stacktrace"], exception)


@for_each_agent
def check_every_attribute_is_kept(told, language):
    root, *_, search = [node["trace"] for node in told.tree(language)][:7]
    same("text with everything in it", attributes(root)["hostile.<b>key</b>"], {"stringValue": HOSTILE})
    same("a list", attributes(search)["tag.tags"],
         {"arrayValue": {"values": [{"stringValue": "external"}, {"stringValue": "retry"}]}})
    chat = told.tree(language)[2]["trace"]
    same("a float and an integer", (attributes(chat)["gen_ai.request.temperature"], attributes(chat)["gen_ai.usage.input_tokens"]),
         ({"doubleValue": 0.2}, {"intValue": "60"}))


def check_both_encodings_come_to_the_same_record(stage):
    def essence(language):
        """A run without what differs between two executions: ids, times, and what an SDK says of itself."""
        return [(node["depth"], node["children"], node["trace"]["status"], node["trace"]["tags"], node["trace"]["metadata"],
                 {name: value for name, value in node["trace"]["trace_type"].items() if name != "duration_ms"},
                 sorted(attributes(node["trace"]).items(), key=lambda pair: pair[0]))
                for node in told(stage).tree(language)]

    same("what came as JSON against what came as protobuf", essence("javascript"), essence("python"))


# --- The command line shows the same


@for_each_agent
def check_the_command_line_gives_what_the_api_gives(told, language):
    run = told.sent[language]["trace_id"]
    wanted = {"show": [told.server.get(f"runs/{run}")], "tree": told.tree(language)}
    for where in (["--server", told.server.url], ["--ledger", told.server.ledger]):
        for command, want in wanted.items():
            same(f"tracekeep {command} {where[0]}", told.stage.lines(command, run, *where), want)
        runs = told.stage.lines("runs", *where)
        same(f"tracekeep runs {where[0]}", runs, told.server.all("runs"))


@for_each_agent
def check_a_person_reads_the_same_tree(told, language):
    run, nodes = told.sent[language]["trace_id"], told.tree(language)
    for where in (["--server", told.server.url], ["--ledger", told.server.ledger]):
        text = told.stage.run("tree", run, *where)
        rows = [re.fullmatch(r"( *)(\S.*) \[(\w+) [\d.]+ ms\] (\w{16})", line) for line in text.splitlines()]
        holds("every line is a node", all(rows), text)
        same("depth, status and id of each line",
             [(len(row[1]) // 2, row[3], row[4]) for row in rows],
             [(node["depth"], node["trace"]["status"], node["trace"]["id"]) for node in nodes])
        shown = told.stage.run("show", run, *where)
        holds("show says that the root ended", "root ended" in shown, shown)
        fit_for_a_terminal(text + shown)


# --- And so does the page


@for_each_agent
def check_the_page_shows_a_run_live(told, language):
    if told.seen_live[language]:
        raise told.seen_live[language]
    same("how often the page was loaded", told.after_live["loads"], 1)


@for_each_agent
def check_the_page_shows_the_tree_that_the_api_gives(told, language):
    rows = told.open_run(language)
    nodes = told.tree(language)
    same("id, depth and status of each row",
         [(row["data"]["traceId"], row["data"]["depth"], row["data"]["status"]) for row in rows],
         [(node["trace"]["id"], str(node["depth"]), node["trace"]["status"]) for node in nodes])
    for row, node in zip(rows, nodes):
        holds("a row says its type", type_name(node["trace"]) in row["text"], row["text"])
        holds("a row can be seen", not row["hidden"], row)
    [main] = told.browser.read("#main")
    holds("the page says that the root ended", "root ended" in main["text"], main["text"])
    told.stage.shot(told.browser, f"run-{language}")


@for_each_agent
def check_hostile_text_is_shown_and_does_nothing(told, language):
    told.open_run(language)
    # The root carries the text as an attribute, the retried search as its result: open both, with all that is inside.
    for node in (told.tree(language)[0], told.tree(language)[6]):
        row = f'[data-trace-id="{node["trace"]["id"]}"]'
        told.browser.tell("click", selector=f"{row} summary")
        told.browser.tell("wait", selector=f"{row} dl")
        closed = f"{row} details:not([open]) > summary"
        while told.browser.tell("count", selector=closed)["count"]:
            told.browser.tell("click", selector=closed)
            # What is inside is made once it is open.
            told.browser.tell("wait", selector=f"{row} details[open] > summary:only-child", count=0)
        [shown] = told.browser.read(row)
        holds("the text is shown as text", "<script>alert('page')</script><img src=x onerror=alert(1)>" in shown["text"], shown["text"])
        for hidden in "\u202e\u2066\u200b\x00\x1b":
            holds("what cannot be seen is spelt out", hidden not in shown["text"], repr(shown["text"]))
    for intruder in ("#main script", "#main img", "#main [onerror]", "#main iframe"):
        same(f"elements {intruder}", told.browser.tell("count", selector=intruder)["count"], 0)
    told.stage.shot(told.browser, f"hostile-{language}")


def check_the_list_of_runs_agrees_with_the_api(stage):
    story = told(stage)
    story.browser.tell("open", url=f"{story.server.url}/#/runs")
    story.browser.tell("wait", selector="[data-run-id]", count=len(LANGUAGES))
    runs, rows = story.server.all("runs"), story.browser.read("[data-run-id]")
    same("the runs, newest first", [row["data"]["runId"] for row in rows], [run["run_id"] for run in runs])
    for row, run in zip(rows, runs):
        for text in (run["run_id"], "travel-desk", run["goal"], "root ended"):
            holds("a row says what the run says", text in row["text"], row["text"])
    stage.shot(story.browser, "runs")


def check_the_page_did_nothing_that_it_must_not(stage):
    # Last of this file: it looks back on all that the page was shown.
    same("dialogs, policy violations, errors, foreign requests", told(stage).browser.tell("notes")["misdeeds"], [])


def check_the_record_is_in_order_and_the_server_stops_cleanly(stage):
    story = told(stage)
    same("the exit code after SIGTERM, with the page still open", story.server.stop(), 0)
    stage.run("fsck", "--ledger", story.server.ledger)
    for language in LANGUAGES:
        run = story.sent[language]["trace_id"]
        same("the tree out of the file alone", len(stage.lines("tree", run, "--ledger", story.server.ledger)), len(STORY))
