"""The stream of events: each entry once, in order, from where the listener left off."""

import http.client
import json
import subprocess

from stage import PATIENCE_S, environment, holds, same


class Listener:
    """Reads server-sent events as a browser does."""

    def __init__(self, server, last=None):
        self.connection = http.client.HTTPConnection(server.address, timeout=PATIENCE_S)
        self.connection.request("GET", "/api/v1/events", headers={} if last is None else {"Last-Event-ID": str(last)})
        self.response = self.connection.getresponse()
        same("the status of the stream", self.response.status, 200)
        same("its type", self.response.headers["content-type"], "text/event-stream")

    def next(self):
        """The next event: its id and its data."""
        event = {}
        while True:
            line = self.response.readline().decode()
            holds("the stream goes on", line)
            line = line.rstrip("\n")
            if not line and event:
                return int(event["id"]), json.loads(event["data"])
            name, _, value = line.partition(": ")
            if name:
                event[name] = value

    def close(self):
        # The connection alone would stay open as long as its response is.
        self.response.close()
        self.connection.close()


def record(server, *numbers):
    for number in numbers:
        server.post("runs", {"run_id": f"run-{number}"}, 201)


def check_a_listener_sees_each_entry_once_and_resumes_without_gap(stage):
    with stage.serve() as server:
        record(server, 0)
        listener = Listener(server)
        record(server, 1, 2, 3)
        seen = [listener.next() for _ in range(3)]
        same("from the head on", [number for number, _ in seen], [1, 2, 3])
        listener.close()
        record(server, 4, 5)
        listener = Listener(server, last=seen[-1][0])
        record(server, 6)
        seen += [listener.next() for _ in range(3)]
        same("no gap, nothing twice", [number for number, _ in seen], [1, 2, 3, 4, 5, 6])
        listener.close()
        entries = server.get("log/entries?limit=100")["items"]
        for number, data in seen:
            leaf = entries[number]["leaf"]
            same("an event says where to look, and nothing of what was recorded", data,
                 {"log_index": number, **{name: leaf[name] for name in ("run", "seq", "kind", "recorded_at")}})


def check_resuming_works_after_a_restart_and_from_the_beginning(stage):
    with stage.serve() as server:
        record(server, *range(5))
        server.kill()
    with stage.serve(server.ledger) as server:
        listener = Listener(server, last=1)
        same("after the restart", [listener.next()[0] for _ in range(3)], [2, 3, 4])
        listener.close()
        same("a place that is none", server.ask("GET", "/api/v1/events", last_event_id="x").status, 400)


def check_more_than_one_read_full_of_entries_arrives(stage):
    with stage.serve() as server:
        ops = [{"op": "start_run", "run_id": f"run-{number}"} for number in range(1000)]
        listener = Listener(server)
        server.post("batches", {"ops": ops}, 201)
        server.post("runs", {"run_id": "last"}, 201)
        same("a thousand and one", [listener.next()[0] for _ in range(1001)], list(range(1001)))
        same("SIGTERM ends open streams", server.stop(), 0)
        same("and they end without an error", listener.response.read(), b"")
        listener.close()


def check_tail_follows_as_the_stream_does(stage):
    with stage.serve() as server:
        record(server, 0, 1)
        for where in (["--server", server.url], ["--ledger", str(server.ledger)]):
            tail = subprocess.Popen([stage.binary, "tail", "--from", "0", "--json", *where], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, text=True, env=environment())
            try:
                listener = Listener(server, last=0)
                same("its first line is the first entry", json.loads(tail.stdout.readline())["log_index"], 0)
                same("its second line is the second event", json.loads(tail.stdout.readline()), listener.next()[1])
                listener.close()
            finally:
                tail.kill()
                tail.wait(PATIENCE_S)
                tail.stdout.close()
