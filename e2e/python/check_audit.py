"""The audit contract: an agent with three workers, one of which dies, told alike by the page, the command line and the
webhook. The webhook is heard over TLS."""

import base64
import hashlib
import hmac
import json
import queue
import signal
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from stage import PATIENCE_S, Failed, environment, holds, same

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RUN = "run-of-three"
WORKERS = ["fetch", "summarize", "publish"]
DEADLINE_MS = 12_000
# The findings that the page, a verdict on the command line and the webhook's all list.
LISTS = ["missing", "failed", "rolled_back", "late", "pending", "drift", "duplicate"]


class Receiver:
    """Who is told, over TLS, with a certificate that a CA of the test's own signed. Confirms the second time it is told."""

    def __init__(self, folder):
        self.ca, told = certificates(folder), queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                told.put((dict(self.headers.items()), body))
                self.send_response(503 if told.qsize() == 1 else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.told, self.server = told, HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "own.pem", folder / "own.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def settings(self, ca):
        """What makes a server tell it, trusting a CA."""
        return {"TRACEKEEP_WEBHOOK_URL": self.url, "TRACEKEEP_WEBHOOK_SECRET": SECRET, "TRACEKEEP_WEBHOOK_CA": str(ca),
                "TRACEKEEP_WEBHOOK_ALLOW_PRIVATE": "on"}

    def next(self):
        """One event: its id, its signature and what it says."""
        try:
            headers, body = self.told.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise Failed("the receiver was told nothing") from None
        named = {name.lower(): value for name, value in headers.items()}
        signed = f"{named['webhook-id']}.{named['webhook-timestamp']}.".encode() + body
        mac = hmac.new(base64.b64decode(SECRET.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        same("the signature", named["webhook-signature"], "v1," + base64.b64encode(mac).decode())
        return named["webhook-id"], json.loads(body)


def certificates(folder):
    """A CA, and what it signed for 127.0.0.1."""
    folder.mkdir()
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")

    def openssl(line):
        subprocess.run(["openssl", *line.split()], check=True, capture_output=True, cwd=folder)

    openssl("req -x509 -newkey rsa:2048 -noenc -keyout ca.key -out ca.pem -days 2 -subj /CN=CA-of-a-test")
    openssl("req -newkey rsa:2048 -noenc -keyout own.key -out own.csr -subj /CN=receiver")
    openssl("x509 -req -in own.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names -out own.pem")
    return folder / "ca.pem"


def expectation(domain, action):
    return {"op": "expect", "run_id": RUN, "domain": domain, "action": action, "deadline_ms": DEADLINE_MS}


def findings(verdict):
    """What a verdict lists: for each list, which actions."""
    return {name: [f"{one['domain']} / {one['action']}" for one in verdict[name]] for name in LISTS if verdict[name]}


def on_the_page(browser):
    """What the page says: the verdict now and as recorded last, what each list holds, and where each expectation stands."""
    section = f"[data-audit='{RUN}']"
    heads = [item["text"] for item in browser.read(f"{section} > div:first-of-type dd .state")]
    lists = {item["data"]["list"]: [line.split(" by ")[0].split(" at ")[0] for line in item["text"].splitlines()[1:] if line]
             for item in browser.read(f"{section} [data-list]")}
    stands = {item["data"]["expectation"]: item["data"]["status"] for item in browser.read(f"{section} [data-expectation]")}
    acked = {item["data"]["ack"]: item["data"]["status"] for item in browser.read(f"{section} [data-ack]")}
    return heads, lists, stands, acked


def check_an_agent_with_three_workers_of_which_one_dies_is_told_alike(stage):
    receiver, browser = Receiver(stage.new("receiver")), stage.browser()
    with stage.serve(**receiver.settings(receiver.ca)) as server:
        at = ["--server", server.url]
        # In one batch, so that all of it is due at one moment.
        ops = [{"op": "start_run", "run_id": RUN, "goal": "publish a digest", "agent_id": "digest"},
               *(expectation("workers", worker) for worker in WORKERS), expectation("orchestrator", "finalize_run")]
        stage.run("record", "-", *at, stdin=json.dumps({"ops": ops}) + "\n")
        workers = {worker: subprocess.Popen([stage.binary, "record", "-", *at], text=True, stdin=subprocess.PIPE,
                                            stdout=subprocess.DEVNULL, cwd=stage.folder, env=environment())
                   for worker in WORKERS}
        workers["publish"].kill()
        same("how that worker ended", workers["publish"].wait(PATIENCE_S), -signal.SIGKILL)
        for worker in ("fetch", "summarize"):
            ack = {"op": "ack", "run_id": RUN, "id": f"by-{worker}", "domain": "workers", "action": worker}
            workers[worker].communicate(json.dumps(ack) + "\n", timeout=PATIENCE_S)
            same(f"how worker {worker} ended", workers[worker].returncode, 0)

        browser.tell("open", url=f"{server.url}/#/run/{RUN}")
        browser.tell("wait", selector="[data-ack]", count=2)
        heads, _, stands, _ = on_the_page(browser)
        same("the page before the deadline", (heads, sorted(stands.values())), (["PENDING"], ["ACKED", "ACKED", "PENDING", "PENDING"]))
        loads = browser.tell("notes")["loads"]

        watched = json.loads(stage.run("audit", "watch", RUN, *at, "--json", expect=1))
        same("the command line's verdict", watched["status"], "STALE")
        same("what it finds", findings(watched), {"missing": ["orchestrator / finalize_run", "workers / publish"]})

        event, body = receiver.next()
        again, repeated = receiver.next()
        same("an event that was not confirmed, told again", (again, repeated), (event, body))
        same("the webhook's verdict", (body["event_id"], body["run_id"], body["verdict"]), (event, RUN, watched))

        # The page was open all the while.
        browser.tell("wait", selector=f"[data-audit='{RUN}'] [data-status='MISSING']", count=2)
        heads, lists, stands, acked = on_the_page(browser)
        same("the page's verdict, now and as recorded", heads, [watched["status"]] * 2)
        same("what the page finds", lists, findings(watched))
        shown = stage.run("audit", "show", RUN, *at, "--json", expect=1)
        [summary, *listed] = [json.loads(line) for line in shown.splitlines()]
        same("where each stands", stands, {one["id"]: one["status"] for one in listed})
        named = {one["action"]: one["status"] for one in listed}
        same("who is missing", named, {"fetch": "ACKED", "summarize": "ACKED", "publish": "MISSING", "finalize_run": "MISSING"})
        same("who acknowledged", acked, {"by-fetch": "SUCCESS", "by-summarize": "SUCCESS"})
        same("the recorded verdict", (summary["verdict"], summary["verdict_log_index"]), (watched, body["log_index"]))
        stage.shot(browser, "audit")
        notes = browser.tell("notes")
        same("what the page must not do", (notes["misdeeds"], notes["loads"]), ([], loads))
        holds("what was not confirmed is logged with why", any("503" in line for line in server.said), server.said)


def check_a_receiver_that_another_ca_vouches_for_is_told_nothing_and_that_is_logged(stage):
    receiver, other = Receiver(stage.new("receiver")), certificates(stage.new("other"))
    with stage.serve(**receiver.settings(other)) as server:
        server.post("runs", {"run_id": RUN}, 201)
        server.post(f"runs/{RUN}/acks", {"domain": "workers", "action": "nobody-asked"}, 201)
        same("the verdict", server.post(f"runs/{RUN}/reconcile", {}, 200)["status"], "INCOMPLETE")
        tries = b'tracekeep_webhooks_total{outcome="failed"}'
        holds("it is tried", any(tries in server.ask("GET", "/metrics").body for _ in range(100_000)))
        same("the exit code after SIGTERM", server.stop(), 0)
    holds("why is logged", any("its certificate is not trusted" in line for line in server.said), server.said)
    holds("nothing was told", receiver.told.empty())
