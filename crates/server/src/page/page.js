// Tracekeep's page: the runs of a ledger, and one run with its tree and steps, live.
//
// Everything that was recorded is hostile: values, keys, names and ids. It reaches the page as text nodes and as
// `title`, `data-*` and field values only; it reaches a URL only as an id, through encodeURIComponent.

const RUNS_LIMIT = 50;
const NODES_LIMIT = 500;
const PAGE_LIMIT_MAX = 1000; // the API's
const FOLLOW_MAX = 2000; // rows up to which a list that is wholly loaded grows by itself
const BRIEF_MAX = 200; // characters of a summary
const MEMBERS_MAX = 200; // members of a JSON value shown at a time
const MARKS_MAX = 2000; // unseen characters marked one by one in one text
const INDENT_MAX = 24; // levels; beyond, the depth is written out
const REFRESH_MS = 600; // between two refreshes at least
const RETRY_MS = 3000; // after one that failed
const FILTERS = ["status", "tag", "agent", "correlation", "parent"];
const TONES = new Map([
  ["completed", "good"], ["success", "good"], ["ok", "good"], ["failed", "bad"], ["failure", "bad"], ["error", "bad"],
  ["aborted", "bad"], ["running", "busy"], ["open", "busy"], ["retry", "busy"], ["root ended", "good"],
]);

// --- Nodes

/** An element. Functions are listeners, `data` is the dataset, everything else an attribute; children become text. */
function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  return children.flat(Infinity)
    .filter((child) => child !== undefined && child !== null && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

// Controls, bidi, zero-width and other characters that show nothing or move what stands beside them. The variation
// selector that only makes an emoji colourful is left alone.
const UNSEEN = String.raw`(?!(?<=\p{Emoji})\ufe0f)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]`;
const UNSEEN_IN_TEXT = new RegExp(String.raw`(?:(?![\n\t])${UNSEEN})+`, "gu");
const UNSEEN_IN_LINE = new RegExp(`(?:${UNSEEN})+`, "gu");

const ESCAPES = new Map([["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);

function escaped(characters) {
  return Array.from(characters, (character) => {
    const code = character.codePointAt(0).toString(16);
    return ESCAPES.get(character) ?? (code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`);
  }).join("");
}

/** Recorded text with its unseen characters written out, isolated from the direction of what stands around it. */
function recorded(text, unseen = UNSEEN_IN_TEXT) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(unseen)) {
    // A text made of such characters would cost a node each.
    if (parts.length > 2 * MARKS_MAX) return el("bdi", {}, parts, text.slice(from).replace(unseen, escaped));
    parts.push(text.slice(from, match.index), el("span", { class: "unseen" }, escaped(match[0])));
    from = match.index + match[0].length;
  }
  return el("bdi", {}, parts, text.slice(from));
}

function cut(text) {
  // The pattern takes a pair of surrogates whole.
  return text.length <= BRIEF_MAX ? text : `${text.slice(0, BRIEF_MAX).replace(/[\ud800-\udbff]$/, "")}…`;
}

const line = (text) => recorded(cut(String(text)), UNSEEN_IN_LINE);
const plain = (text) => cut(String(text)).replace(UNSEEN_IN_LINE, escaped);

/** A text in full: long ones behind their beginning. */
function full(text) {
  if (text.length <= BRIEF_MAX) return recorded(text);
  return lazy(el("summary", {}, line(text)), () => el("pre", {}, recorded(text)));
}

/** A <details> whose inside is made when it is first opened. */
function lazy(summary, inside, open = false) {
  const details = el("details", {}, summary);
  const fill = () => {
    if (details.open && details.childElementCount === 1) details.append(...nodes([inside()]));
  };
  details.addEventListener("toggle", fill);
  details.open = open;
  fill(); // the event comes too late for who measures or reads at once
  return details;
}

const state = (word) => el("span", { class: `state ${TONES.get(word) ?? "dull"}` }, line(word));
const mark = (word) => el("span", { class: "mark" }, word);
const tags = (all) => all.map((tag) => el("span", { class: "tag" }, line(tag)));

// --- JSON

/** A number that a double would not hold: its digits as they were sent. */
class Exact {
  constructor(source) {
    this.source = source;
  }
  toString() {
    return this.source;
  }
  toJSON() {
    return JSON.rawJSON ? JSON.rawJSON(this.source) : this.source;
  }
}

let keepsSource = false;
JSON.parse("1", (_, value, context) => {
  keepsSource = context?.source === "1";
  return value;
});

function parse(text) {
  if (!keepsSource) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && String(value) !== context.source ? new Exact(context.source) : value);
}

function number(value) {
  const rounded = !keepsSource && Number.isInteger(value) && !Number.isSafeInteger(value);
  return rounded ? `≈ ${value}` : String(value); // an old browser lost digits: say so
}

const isNested = (value) => value !== null && typeof value === "object" && !(value instanceof Exact);
// Sorted as canonical JSON is; JavaScript alone would put keys that look like numbers first.
const members = (value) => (Array.isArray(value) ? value.map((item, at) => [at, item])
  : Object.keys(value).sort().map((key) => [key, value[key]]));

/** The beginning of a value's JSON, never more work than what is shown. */
function brief(value) {
  let out = "";
  const write = (item) => {
    if (out.length > BRIEF_MAX) return;
    if (typeof item === "string") out += JSON.stringify(item.slice(0, BRIEF_MAX + 1));
    else if (!isNested(item)) out += item === null || typeof item === "boolean" ? item : number(item);
    else {
      const list = Array.isArray(item);
      out += list ? "[" : "{";
      for (const [at, key] of (list ? item : Object.keys(item).sort()).entries()) {
        if (out.length > BRIEF_MAX) return;
        if (at > 0) out += ", ";
        if (!list) out += `${JSON.stringify(key.slice(0, BRIEF_MAX))}: `;
        write(list ? key : item[key]);
      }
      out += list ? "]" : "}";
    }
  };
  write(value);
  return out;
}

/** A value as a tree of nodes, nested ones behind a summary; `label` stands before it. */
function json(value, level = 0, label = []) {
  if (typeof value === "string") return [label, el("pre", {}, "\"", recorded(value), "\"")];
  if (!isNested(value)) return [label, value === null || typeof value === "boolean" ? String(value) : number(value)];
  const all = members(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (all.length === 0) return [label, open + close];
  const summary = el("summary", {}, label, `${open} ${all.length} ${close}`);
  return lazy(summary, () => jsonMembers(all, level), level < 2 && all.length <= 50);
}

function jsonMembers(all, level) {
  const list = el("ul", { class: "json" });
  const fill = (from) => {
    const to = Math.min(all.length, from + MEMBERS_MAX);
    for (const [key, item] of all.slice(from, to)) {
      const label = [el("span", { class: "key" }, recorded(String(key), UNSEEN_IN_LINE)), ": "];
      list.append(el("li", {}, json(item, level + 1, label)));
    }
    if (to === all.length) return;
    const more = el("button", { type: "button", click: () => {
      more.parentElement.remove();
      fill(to);
    } }, `${all.length - to} more`);
    list.append(el("li", {}, more));
  };
  fill(0);
  return list;
}

// --- Times and figures

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Nanoseconds of an RFC 3339 time in UTC; undefined where it is none. */
function nanos(time) {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(time ?? "");
  const seconds = parts ? Date.parse(`${parts[1]}Z`) : NaN;
  return Number.isNaN(seconds) ? undefined : BigInt(seconds) * 1000000n + BigInt((parts[2] ?? "").padEnd(9, "0"));
}

function when(time) {
  const at = nanos(time);
  if (at === undefined) return time && line(time);
  return el("time", { datetime: time, title: `${time} (UTC)` }, WHEN.format(new Date(Number(at / 1000000n))));
}

function span(ms) {
  const size = Math.abs(ms);
  if (size === 0) return "0 ms";
  if (size < 1) return `${Number((ms * 1000).toPrecision(3))} µs`;
  if (size < 1000) return `${Number(ms.toPrecision(3))} ms`;
  if (size < 60_000) return `${Number((ms / 1000).toPrecision(3))} s`;
  const seconds = Math.round(size / 1000);
  const parts = [[seconds / 86400, "d"], [(seconds / 3600) % 24, "h"], [(seconds / 60) % 60, "min"], [seconds % 60, "s"]]
    .map(([count, unit]) => [Math.floor(count), unit]);
  const first = parts.findIndex(([count]) => count > 0);
  return (ms < 0 ? "−" : "") + parts.slice(first, first + 2).map(([count, unit]) => `${count} ${unit}`).join(" ");
}

function between(from, to) {
  const [start, end] = [nanos(from), nanos(to)];
  return start === undefined || end === undefined ? undefined : span(Number(end - start) / 1e6);
}

const duration = (ms) => (ms === undefined || ms === null ? undefined : span(Number(ms)));
const present = (value) => value !== undefined && value !== null;

// --- The API

/** An answer that is not what was asked for. */
class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `the server answered ${status}`);
    this.status = status;
    this.code = problem?.code ?? `HTTP ${status}`;
  }
}

// Dots alone would climb out of the path, whatever is encoded.
const isId = (text) => /^[\x21-\x7e]{1,255}$/.test(text) && text !== "." && text !== "..";
const runPath = (id) => `runs/${encodeURIComponent(id)}`;
const runLink = (id, root) => `#/run/${encodeURIComponent(id)}${root ? `?root=${encodeURIComponent(root)}` : ""}`;

async function get(path, params, signal) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => present(value))).toString();
  const response = await fetch(`/api/v1/${path}${query && `?${query}`}`, { signal });
  const text = await response.text();
  let body;
  try {
    body = parse(text);
  } catch {
    throw new Refused(response.status);
  }
  if (!response.ok) throw new Refused(response.status, body);
  return body;
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function problem(error) {
  return el("div", { class: "problem", role: "alert" }, state("error"), " ", line(error.message), " ",
    error.code && el("code", {}, line(error.code)));
}

// --- Lists that are paged and stay in place while they change

/** Changes the page while what the reader looks at stays where it is. */
function steadily(change) {
  const middle = document.elementFromPoint(innerWidth / 2, innerHeight / 2);
  const anchor = scrollY > 0 ? middle?.closest("[data-row], section") : undefined;
  const top = anchor?.getBoundingClientRect().top;
  change();
  if (anchor?.isConnected) scrollBy(0, anchor.getBoundingClientRect().top - top);
}

class Listing {
  /** `fill` writes an item into its row in `box`; `grows`: new items come last, and are followed to the end. */
  constructor({ path, params = {}, limit, key, tag, fill, box, signal, grows = true, changed = () => {} }) {
    Object.assign(this, { path, params, limit, key, tag, fill, box, signal, grows, changed });
    this.rows = new Map();
    this.cursor = undefined;
    this.turn = Promise.resolve(); // one request at a time, so that no older answer overwrites a newer one
    this.button = el("button", { type: "button", hidden: true, click: () => this.more().catch(report) }, "Load more");
  }

  inTurn(work) {
    const result = this.turn.then(work);
    this.turn = result.catch(() => {});
    return result;
  }

  more() {
    return this.inTurn(async () => {
      const page = await this.page(this.limit, this.cursor);
      for (const item of page.items) this.put(item, null);
      this.ends(page.next_cursor);
    });
  }

  /** Reads again what is loaded, and `added` more where the reader would see others pushed out. */
  refresh(added = 0) {
    return this.inTurn(async () => {
      const loaded = this.rows.size;
      const follows = this.grows && !this.cursor && loaded < FOLLOW_MAX;
      const more = follows ? this.limit : Math.min(scrollY > 0 ? added : 0, this.limit);
      const wanted = Math.max(this.limit, loaded + more);
      const items = [];
      let cursor;
      do {
        if (cursor) await pause(REFRESH_MS / 3); // whoever only watches must not load the server
        const page = await this.page(Math.min(PAGE_LIMIT_MAX, wanted - items.length), cursor);
        items.push(...page.items);
        cursor = page.next_cursor;
      } while (cursor && items.length < wanted);
      steadily(() => this.replace(items, cursor));
    });
  }

  page(limit, cursor) {
    return get(this.path, { ...this.params, limit, cursor }, this.signal);
  }

  replace(items, cursor) {
    const wanted = new Set(items.map(this.key));
    for (const [key, row] of this.rows) {
      if (!wanted.has(key)) {
        row.element.remove();
        this.rows.delete(key);
      }
    }
    let next = this.box.firstElementChild;
    for (const item of items) {
      const element = this.put(item, next);
      if (element === next) next = next.nextElementSibling;
    }
    this.ends(cursor);
  }

  /** Writes an item's row, and moves it before `next` unless it is there: a move would lose the focus. */
  put(item, next) {
    const key = this.key(item);
    const text = JSON.stringify(item);
    let row = this.rows.get(key);
    if (!row) {
      row = { element: el(this.tag, { data: { row: "" } }), text: undefined };
      this.rows.set(key, row);
    }
    if (row.text !== text) {
      const focused = row.element.contains(document.activeElement);
      this.fill(row.element, item);
      if (focused) row.element.querySelector("summary, a")?.focus({ preventScroll: true });
      row.text = text;
    }
    if (row.element !== next) this.box.insertBefore(row.element, next);
    return row.element;
  }

  ends(cursor) {
    this.cursor = cursor ?? undefined;
    this.button.hidden = !this.cursor;
    this.changed(this.rows.size);
  }
}

/** Fills a row that opens; one that was open stays open. */
function fillOpening(row, summary, inside, open = false) {
  const before = row.querySelector(":scope > details");
  row.replaceChildren(lazy(el("summary", {}, summary), () => el("div", { class: "inside" }, inside()), before ? before.open : open));
}

/** Named facts; absent ones are left out. */
function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.filter(([, value]) => present(value) && value !== "").map(([name, value, wide]) =>
    el("div", { class: wide && "wide" }, el("dt", {}, name), el("dd", {}, value))));
}

const fact = (name, value) => [name, present(value) ? full(String(value)) : undefined];
const isEmpty = (value) => !present(value) || (isNested(value) && Object.keys(value).length === 0);
const jsonFact = (name, value) => [name, isEmpty(value) ? undefined : el("div", { class: "json" }, json(value)), true];

// --- The runs

const runState = (run) => (run.status === "running" && run.root_ended_at ? "root ended" : run.status);
const runDuration = (run) => between(run.started_at, run.completed_at ?? run.root_ended_at);
const cents = (cost) => (present(cost) ? `${cost} ¢` : undefined);

const COLUMNS = [
  ["Status", "", (run) => state(runState(run))],
  ["Run", "id", (run) => el("a", { href: runLink(run.run_id) }, line(run.run_id))],
  ["Agent", "agent", (run) => present(run.agent_id) && line(run.agent_id)],
  ["Goal", "goal", (run) => present(run.goal) && el("div", {}, line(run.goal))],
  ["Started", "when", (run) => when(run.started_at)],
  ["Duration", "number", runDuration],
  ["Steps", "number", (run) => number(run.steps)],
  ["Traces", "number", (run) => number(run.traces)],
  ["Failures", "number", (run) => el("span", { class: String(run.failures) !== "0" && "bad" }, number(run.failures))],
  ["Cost", "number", (run) => cents(run.cost_cents)],
  ["Tokens", "number", (run) => present(run.tokens) && number(run.tokens)],
  ["Source", "", (run) => line(run.source)],
];

function fillRun(row, run) {
  Object.assign(row.dataset, { runId: run.run_id, status: run.status });
  row.replaceChildren(...COLUMNS.map(([label, kind, cell]) => el("td", { class: kind, data: { label } }, cell(run))));
}

function filterForm(params) {
  const go = (event) => {
    event.preventDefault();
    const chosen = [...new FormData(form)].filter(([, value]) => value !== "");
    location.hash = `#/runs${chosen.length ? `?${new URLSearchParams(chosen)}` : ""}`;
  };
  const statuses = ["", "running", "completed", "failed", "aborted"].map((status) =>
    el("option", { value: status, selected: status === (params.status ?? "") }, status || "any"));
  const form = el("form", { class: "filters", submit: go, change: go },
    el("label", {}, "Status", el("select", { name: "status" }, statuses)),
    FILTERS.slice(1).map((name) => el("label", {}, name[0].toUpperCase() + name.slice(1),
      el("input", { name, value: params[name], autocomplete: "off", spellcheck: "false" }))),
    el("button", {}, "Filter"), Object.keys(params).length > 0 && el("a", { href: "#/runs" }, "all runs"));
  return form;
}

function welcome() {
  const body = "'{\"run_id\":\"run-1\",\"goal\":\"say hello\"}'";
  return el("div", { class: "empty" },
    el("p", {}, "Nothing is recorded yet. Point an agent that has OpenTelemetry here:"),
    el("pre", {}, `export OTEL_EXPORTER_OTLP_ENDPOINT=${location.origin}`),
    el("p", {}, "or record a run by hand:"),
    el("pre", {}, `curl ${location.origin}/api/v1/runs -H 'content-type: application/json' -d ${body}`),
    el("p", { class: "quiet" }, "It appears here by itself."));
}

function runsView(query, signal) {
  const params = Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]).filter(([, value]) => value));
  const filtered = Object.keys(params).length > 0;
  const box = el("tbody");
  const table = el("table", { hidden: true },
    el("thead", {}, el("tr", {}, COLUMNS.map(([label, kind]) => el("th", { class: kind === "number" && kind, scope: "col" }, label)))), box);
  const none = el("div", { hidden: true }, filtered ? el("p", {}, "No run matches.") : welcome());
  const changed = (count) => {
    table.hidden = count === 0;
    none.hidden = count !== 0;
  };
  const runs = new Listing({ path: "runs", params, limit: RUNS_LIMIT, key: (run) => run.run_id, tag: "tr", fill: fillRun, box, signal, grows: false, changed });
  return {
    name: "runs",
    title: () => "Runs",
    element: el("section", {}, el("h1", {}, "Runs"), filterForm(params), el("div", { class: "wide-table" }, table), none, el("p", {}, runs.button)),
    refresh: (kinds) => runs.refresh(kinds.filter(([, kind]) => kind === "run_started").length),
  };
}

// --- One run

function runFacts(run) {
  const violation = isEmpty(run.violation) ? undefined : run.violation;
  return [
    facts([
      ["Goal", present(run.goal) ? full(run.goal) : undefined, true],
      ["Agent", present(run.agent_id) ? full(run.agent_id) : undefined],
      ["Started", when(run.started_at)], ["Completed", when(run.completed_at)],
      ["Root span ended", when(run.root_ended_at)], ["Duration", runDuration(run)],
      ["Steps", `${number(run.steps)} (${number(run.successes)} succeeded, ${number(run.failures)} failed)`],
      ["Traces", number(run.traces)], ["Cost", cents(run.cost_cents)], ["Time in steps", duration(run.duration_ms)],
      ["Tokens", present(run.tokens) ? number(run.tokens) : undefined], fact("Source", run.source),
      fact("Termination reason", run.termination_reason), fact("Policy snapshot", run.policy_snapshot_id),
      ["Correlation", present(run.correlation_id) ? idLink(`#/runs?correlation=${encodeURIComponent(run.correlation_id)}`, run.correlation_id) : undefined],
      ["Part of", present(run.parent_run_id) ? idLink(runLink(run.parent_run_id), run.parent_run_id) : undefined],
      ["Its parts", el("a", { href: `#/runs?parent=${encodeURIComponent(run.run_id)}` }, "runs started by this one")],
      ["Tags", run.tags?.length ? tags(run.tags) : undefined],
    ]),
    violation && facts([jsonFact("Policy violation", violation)]),
    lazy(el("summary", {}, "Hashes, seals and places in the log"), () => facts([
      hash("Plan hash", run.plan_hash), hash("Behaviour hash", run.behaviour_hash), hash("Root hash", run.root_hash),
      hash("Root of the run's own tree", run.run_root), ["Seals", number(run.seals)], ["Entries", number(run.entries)],
      ["Seed", present(run.seed) ? number(run.seed) : undefined], ["Frozen time", when(run.frozen_timestamp)],
      ["First log index", number(run.log_index)], ["First recorded", when(run.recorded_at)],
      jsonFact("Missing step indices", run.gaps?.count ? run.gaps : undefined),
    ])),
    facts([jsonFact("Plan", run.plan), jsonFact("Metadata", run.metadata), jsonFact("Completion metadata", run.completion_metadata)]),
  ];
}

const idLink = (href, id, title) => el("a", { class: "id", href, title }, line(id));
const hash = (name, value) => [name, present(value) ? el("code", {}, value) : undefined, true];

/** What a trace is, in one line. */
function traceBrief({ type, ...of }) {
  switch (type) {
    case "ToolCall": return [of.tool_name, brief(of.arguments)];
    case "Decision": return [`${of.question} → ${of.chosen}`];
    case "Query": return [of.query_type, of.query, present(of.results_count) && `(${number(of.results_count)} results)`];
    case "Thought": return [of.content];
    case "Error": return [`${of.error_type}: ${of.message}`];
    default: return [brief(of.data ?? of)];
  }
}

function fillNode(runId, root) {
  return (row, node) => {
    const depth = Number(node.depth);
    row.dataset.depth = depth;
    row.setAttribute("aria-level", depth + 1);
    row.style.setProperty("--depth", Math.min(depth, INDENT_MAX));
    const deep = depth > INDENT_MAX && el("span", { class: "quiet number" }, `level ${depth}`);
    if (!node.trace) {
      row.dataset.missingId = node.missing;
      row.className = "missing";
      row.replaceChildren(...nodes([deep, " ", mark("missing"), " ", el("span", { class: "id" }, line(node.missing)), " ",
        el("span", { class: "quiet" }, "named as a parent, not recorded yet")]));
      return;
    }
    const trace = node.trace;
    const type = trace.trace_type;
    delete row.dataset.missingId;
    row.className = "";
    Object.assign(row.dataset, { traceId: trace.id, status: trace.status });
    const took = duration(type.duration_ms) ?? between(trace.occurred_at, trace.ended_at);
    fillOpening(row, [
      deep, state(trace.status), el("span", { class: "kind" }, line(type.type === "Custom" ? type.name : type.type)),
      el("span", { class: "brief" }, traceBrief(type).filter(Boolean).map((part) => [line(part), " "])),
      trace.late && mark("late"), trace.orphan && mark("orphan"), took && el("span", { class: "number" }, took),
    ], () => traceInside(runId, node), trace.id === root);
  };
}

function traceInside(runId, { trace, children }) {
  const { type, ...of } = trace.trace_type;
  return [
    facts([
      ["Id", idLink(runLink(runId, trace.id), trace.id, "show only this and what hangs below")],
      ["Parent", present(trace.parent_id) ? idLink(runLink(runId, trace.parent_id), trace.parent_id) : undefined],
      ["Children", number(children)], ["Type", line(type)], ["Began", when(trace.occurred_at)], ["Ended", when(trace.ended_at)],
      ["Late", trace.late ? "recorded after the run was sealed" : undefined],
      ["Orphan", trace.orphan ? "its parent would have closed a cycle, or was too far down to tell" : undefined],
      ["Tags", trace.tags?.length ? tags(trace.tags) : undefined],
      ["Log index", number(trace.log_index)], ["Number in the run", number(trace.seq)], ["Recorded", when(trace.recorded_at)],
      ["Ended at log index", present(trace.ended_log_index) ? number(trace.ended_log_index) : undefined],
    ]),
    facts([fact("Error", trace.error),
      ...Object.keys(of).map((name) => jsonFact(name.replaceAll("_", " "), of[name])),
      jsonFact("metadata", trace.metadata), jsonFact("OpenTelemetry span", trace.otel)]),
  ];
}

function fillStep(row, step) {
  Object.assign(row.dataset, { stepIndex: step.index, status: step.status });
  fillOpening(row, [
    el("span", { class: "number" }, number(step.index)), state(step.status), el("span", { class: "kind" }, line(step.skill_name)),
    el("span", { class: "brief" }, line(brief(step.params)), present(step.outcome_data) && [" → ", line(brief(step.outcome_data))]),
    step.outcome_category && el("span", { class: "category" }, line(step.outcome_category)), el("span", { class: "number" }, cents(step.cost_cents)),
    el("span", { class: "number" }, duration(step.duration_ms)),
  ], () => stepInside(step));
}

function stepInside(step) {
  return [
    facts([
      fact("Outcome", step.outcome_category), fact("Outcome code", step.outcome_code), ["Cost", cents(step.cost_cents)],
      ["Duration", duration(step.duration_ms)], ["Tokens", present(step.tokens) ? number(step.tokens) : undefined],
      ["Retries before", number(step.retry_count)], ["When", when(step.occurred_at)], fact("Idempotency key", step.idempotency_key),
      fact("In a replay", step.replay_behavior), fact("Randomness before", step.rng_state_before),
      ["Reasoning", present(step.trace_id) ? idLink(runLink(step.run_id, step.trace_id), step.trace_id) : undefined],
      ["Log index", number(step.log_index)], ["Number in the run", number(step.seq)], ["Recorded", when(step.recorded_at)],
      hash("Input hash", step.input_hash), hash("Output hash", step.output_hash),
    ]),
    facts([jsonFact("params", step.params), jsonFact("outcome data", step.outcome_data)]),
  ];
}

const TREE_KINDS = ["trace", "trace_ended"];
const RUN_KINDS = ["run_started", "run_described", "sealed", "key"];

function runView(id, query, signal) {
  const root = query.get("root") ?? undefined;
  const head = el("div");
  const treeBox = el("ol", { class: "rows" });
  const stepBox = el("ol", { class: "rows" });
  const nodeKey = (node) => (node.trace ? `t ${node.trace.id}` : `m ${node.missing}`);
  const tree = new Listing({ path: `${runPath(id)}/tree`, params: { root }, limit: NODES_LIMIT, key: nodeKey, tag: "li", fill: fillNode(id, root), box: treeBox, signal });
  const stepSection = el("section", { hidden: true });
  const jump = el("button", { type: "button", hidden: true, click: () => stepSection.scrollIntoView() }, "to the steps");
  const steps = new Listing({ path: `${runPath(id)}/steps`, limit: NODES_LIMIT, key: (step) => String(step.index), tag: "li", fill: fillStep, box: stepBox, signal,
    changed: (count) => { stepSection.hidden = jump.hidden = count === 0; } });
  stepSection.append(el("h2", {}, "Steps"), stepBox, el("p", {}, steps.button));
  const whole = root && el("p", {}, "Only what hangs below ", el("code", {}, line(root)), ". ", el("a", { href: runLink(id) }, "Show the whole tree"));
  let run;
  let shown;

  async function readHead() {
    run = await get(runPath(id), {}, signal);
    const text = JSON.stringify(run);
    if (text === shown) return;
    shown = text;
    steadily(() => head.replaceChildren(...nodes([
      el("h1", {}, state(runState(run)), " ", el("span", { class: "id" }, line(run.run_id))), runFacts(run)])));
  }

  return {
    name: "run",
    title: () => `${run ? `${runState(run)} · ` : ""}${plain(id)}`,
    element: el("div", { data: { run: id } }, head, el("section", {}, el("h2", {}, "Traces ", jump), whole, treeBox, el("p", {}, tree.button)), stepSection),
    async refresh(events) {
      const kinds = events.filter(([of]) => of === id || of === undefined).map(([, kind]) => kind);
      if (kinds.length === 0) return;
      const count = (known) => kinds.filter((kind) => known.includes(kind)).length;
      const others = kinds.length - count([...RUN_KINDS, ...TREE_KINDS, "step"]);
      await readHead();
      if (others || count(TREE_KINDS)) await tree.refresh(count(["trace"]));
      if (others || count(["step"])) await steps.refresh(count(["step"]));
    },
  };
}

// --- Where we are, and what is new

const main = document.getElementById("main");
let current; // { hash, view, abort }
let left; // the list that was left for a run, to come back to it as it was
let heard = []; // [run, kind] of the entries since the last refresh; both undefined: anything may have changed
let timer;
let refreshing = false;
let rest = 0; // when the next refresh may begin

let complaint;

function report(error) {
  if (error?.name === "AbortError") return;
  complaint?.remove();
  complaint = error && problem(error);
  if (complaint) main.prepend(complaint);
}

function viewOf(hash, signal) {
  const [path, query] = hash.replace(/^#\/?/, "").split(/\?(.*)/s, 2);
  const params = new URLSearchParams(query);
  if (!path.startsWith("run/")) return runsView(params, signal);
  let id = "";
  try {
    id = decodeURIComponent(path.slice("run/".length));
  } catch {
    // Left empty, which is no id.
  }
  if (isId(id)) return runView(id, params, signal);
  return { name: "run", title: () => "Not a run id", element: problem(new Error("that is not a run id")), refresh: async () => {} };
}

function route() {
  const { hash } = location;
  if (current?.view.name === "runs") left = { ...current, scroll: scrollY };
  else current?.abort.abort();
  const back = left?.hash === hash ? left : undefined;
  const abort = back?.abort ?? new AbortController();
  current = { hash, abort, view: back?.view ?? viewOf(hash, abort.signal) };
  document.body.dataset.view = current.view.name;
  document.title = `${current.view.title()} · Tracekeep`;
  report();
  main.replaceChildren(current.view.element);
  scrollTo(0, back?.scroll ?? 0);
  heard = [[undefined, undefined]];
  refresh();
}

function hear(run, kind) {
  heard.push([run, kind]);
  // An entry rarely comes alone; and a timer that is set stays set, or a steady stream would put it off for ever.
  if (!refreshing) timer ??= setTimeout(refresh, Math.max(150, rest - performance.now()));
}

/** Brings the view up to date: at once when it is new, else once in a while. */
async function refresh() {
  clearTimeout(timer);
  timer = undefined;
  const { view } = current;
  const events = heard.splice(0);
  const began = performance.now();
  let failed;
  refreshing = true;
  await view.refresh(events).catch((error) => { failed = error; });
  if (view !== current.view) return; // left meanwhile; the new view has its own refresh under way
  refreshing = false;
  report(failed);
  document.title = `${view.title()} · Tracekeep`;
  // A tree that takes long to read is read less often; what the network or a busy server refused is asked for again.
  const ended = performance.now();
  const again = failed && !(failed.status < 500);
  rest = again ? ended + RETRY_MS : Math.max(began + REFRESH_MS, 2 * ended - began);
  if (again) heard.push(...events);
  if (heard.length > 0) timer = setTimeout(refresh, rest - ended);
}

function live(word, text) {
  document.body.dataset.live = word;
  document.getElementById("live").textContent = text;
}

let source;
let retry;

function listen(wait = 1000) {
  source = new EventSource("/api/v1/events");
  source.addEventListener("open", () => {
    wait = 1000;
    live("open", "live");
    hear(); // what was recorded while nobody listened
  });
  source.addEventListener("message", (event) => {
    const { run, kind } = parse(event.data);
    hear(run, kind);
  });
  source.addEventListener("error", () => {
    live("lost", "connection lost, trying again; what you see may be out of date");
    // The browser tries again by itself, unless the server answered with an error.
    if (source.readyState === EventSource.CLOSED) retry = setTimeout(listen, wait, Math.min(wait * 2, 10_000));
  });
}

// A browser opens six connections to a server, for all its tabs: one that nobody looks at gives its own back.
document.addEventListener("visibilitychange", () => {
  source?.close();
  clearTimeout(retry);
  if (document.hidden) live("lost", "paused");
  else listen();
});

history.scrollRestoration = "manual"; // the browser would restore before there is anything to scroll
addEventListener("hashchange", () => {
  route();
  main.focus({ preventScroll: true });
});
route();
if (!document.hidden) listen();
