"""What the checks stand on: servers, the command line, HTTP, the browser, and words for what went wrong."""

import calendar
import difflib
import http.client
import json
import os
import pprint
import re
import select
import signal
import subprocess
import sys
import threading
import time
import unicodedata
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# How long anything may take before it counts as hanging. Nothing is measured against it.
PATIENCE_S = 60


class Failed(Exception):
    """A check that did not hold."""


def same(what, got, want):
    """Fails with the difference unless both are equal."""
    if got == want and type(got) is type(want):
        return
    left, right = (pprint.pformat(value, width=110).splitlines() for value in (want, got))
    diff = list(difflib.unified_diff(left, right, "expected", "found", lineterm="", n=2))
    raise Failed(f"{what}:\n" + "\n".join(diff[:80] or [f"expected {want!r}", f"found {got!r}"]))


def holds(what, condition, detail=""):
    """Fails unless the condition holds."""
    if not condition:
        raise Failed(f"{what}{': ' if detail else ''}{detail}")


def environment(**more):
    """The environment without what would lead a child elsewhere."""
    leads = re.compile(r"^(TRACEKEEP_|OTEL_|(https?|all|no)_proxy$)", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not leads.match(name)} | more


# --- HTTP


class Answer:
    """What a server said."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


class Http:
    """Requests to one server: straight to its port, through no proxy."""

    def __init__(self, url):
        self.url = url
        self.address = urlsplit(url).netloc

    def ask(self, method, path, body=None, **headers):
        """Sends one request. Headers are given with _ for -; a body that is not bytes is sent as JSON."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("content-type", "application/json")
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
        try:
            try:
                connection.request(method, path, body, headers)
            except BrokenPipeError:
                pass  # It has answered before it was sent everything, and closed its side.
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path, status=200):
        """What stands under a path of the API."""
        answer = self.ask("GET", f"/api/v1/{path}")
        same(f"the status of GET {path}: {answer}", answer.status, status)
        return answer.json

    def post(self, path, body, status, **headers):
        """The answer to a write, which has to have this status."""
        answer = self.ask("POST", f"/api/v1/{path}", body, **headers)
        same(f"the status of POST {path}: {answer}", answer.status, status)
        return answer.json

    def all(self, path, name="items"):
        """Every item of a list, page by page."""
        items, cursor = [], ""
        while True:
            page = self.get(f"{path}{'&' if '?' in path else '?'}limit=7{cursor}")
            items += page[name]
            if page["next_cursor"] is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"

    def tree(self, run):
        """Every node of a run's forest, in pre-order."""
        return self.all(f"runs/{run}/tree", "nodes")

    def size(self):
        """How many entries the log has."""
        return self.get("log")["tree_size"]


# --- Servers


class Server(Http):
    """`tracekeep serve` on a free port. Killed at the end of a `with`, unless it was stopped before."""

    def __init__(self, binary, ledger, **more):
        self.ledger = ledger
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--ledger", str(ledger)],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ledger.parent, env=environment(**more))
        self.said = []
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(r"at (http://127\.0\.0\.1:\d+)$", line.rstrip()):
                break
        else:
            raise Failed(f"serve ended with {self.process.wait()} and said:\n{''.join(self.said)}")
        super().__init__(found[1])
        # Read on, or a full pipe would stop the server.
        self.reader = threading.Thread(target=lambda: self.said.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()

    def kill(self):
        """SIGKILL: no chance to tidy up."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def stop(self):
        """SIGTERM; gives the exit code, once all that it said is in `said`."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"serve did not end within {PATIENCE_S} s after SIGTERM") from None
        self.reader.join(PATIENCE_S)  # Its last words are read too.
        return code


# --- The browser


class Browser:
    """Chromium, driven by e2e/js/browser.mjs line by line."""

    def __init__(self, chromium, profile, errors):
        self.errors = open(errors, "w+")
        self.process = subprocess.Popen(
            ["node", str(ROOT / "e2e/js/browser.mjs"), chromium, str(profile)], text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=environment())

    def tell(self, command, **given):
        """Sends one command and gives its answer."""
        self.process.stdin.write(json.dumps({"command": command, **given}) + "\n")
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            self.errors.seek(0)
            raise Failed(f"the browser did not answer {command} {given}; it said:\n{self.errors.read()[-4000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(f"the browser could not {command} {given}: {answer['error']}")
        return answer

    def read(self, selector):
        return self.tell("read", selector=selector)["items"]

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.errors.close()


# --- All of it


class Stage:
    """What every check is given: where things are, and how to start them."""

    def __init__(self, binary, out, chromium):
        self.binary, self.out, self.chromium = str(binary), out, chromium
        self.folder = out / f"stage-{os.getpid()}"
        self.folder.mkdir(parents=True)
        self.names = 0
        self.browsers = []

    def new(self, name):
        """A path that nothing stands under yet."""
        self.names += 1
        return self.folder / f"{self.names}-{name}"

    def serve(self, ledger=None, **more):
        return Server(self.binary, ledger or self.new("ledger.db"), **more)

    def browser(self):
        browser = Browser(self.chromium, self.new("profile"), self.new("browser.log"))
        self.browsers.append(browser)
        return browser

    def shot(self, browser, name, whole=True):
        """Keeps a picture of the page under target/e2e, of the whole or of what fits the window."""
        browser.tell("shot", path=str(self.out / f"{name}.png"), whole=whole)

    def run(self, *arguments, expect=0, stdin=None, **more):
        """Runs the command line; gives what it printed to stdout. `expect=None` takes any exit code."""
        done = self.start(*arguments, stdin=stdin, **more)
        if expect is not None and done.returncode != expect:
            line = " ".join(map(str, arguments))
            raise Failed(f"`tracekeep {line}` ended with {done.returncode} instead of {expect}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, *arguments, stdin=None, **more):
        """Runs the command line; gives all of its result."""
        return subprocess.run([self.binary, *map(str, arguments)], input=stdin or "", text=True, capture_output=True,
                              timeout=PATIENCE_S, cwd=self.folder, env=environment(**more))

    def lines(self, *arguments):
        """What `--json` prints: one value a line."""
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]

    def agent(self, language, url):
        """Runs an agent against a server; gives what it says that it sent."""
        command = {"python": [sys.executable, "-B", str(HERE / "agent.py")],
                   "javascript": ["node", str(ROOT / "e2e/js/agent.mjs")]}[language]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=PATIENCE_S,
                              env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=url))
        holds(f"the {language} agent", done.returncode == 0 and done.stderr == "", f"{done.returncode}\n{done.stderr}")
        return json.loads(done.stdout)

    def close(self):
        for browser in self.browsers:
            browser.close()


def fit_for_a_terminal(text):
    """Fails where recorded text could move the cursor, hide something or turn the line around."""
    unseen = {character for character in text.replace("\n", "") if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")}
    same("characters that a terminal must not get", unseen, set())


def nanos(time_text):
    """Nanoseconds since 1970 of a time as the API writes it: UTC, nine digits."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z", time_text)
    holds("a time has nine digits and Z", found, time_text)
    seconds = time.strptime(found[1], "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(seconds) * 10**9 + int(found[2])
