// The runs of a ledger, newest first.

import { el, line, present } from "./elements.js";
import { between, cents, when } from "./figures.js";
import { number } from "./json.js";
import { agentLink, runLink, runsLink, tagLinks } from "./links.js";
import { Listing } from "./listing.js";
import { state } from "./marks.js";

const RUNS_LIMIT = 50;
const FILTERS = ["status", "tag", "agent", "correlation", "parent"];
const TAGS_MAX = 4; // of one run

export const runState = (run) => (run.status === "running" && run.root_ended_at ? "root ended" : run.status);
export const runDuration = (run) => between(run.started_at, run.completed_at ?? run.root_ended_at);

const fewTags = (tags) =>
  [tagLinks(tags.slice(0, TAGS_MAX)), tags.length > TAGS_MAX && el("span", { class: "quiet" }, `${tags.length - TAGS_MAX} more`)];

const COLUMNS = [
  ["Status", "", (run) => state(runState(run))],
  ["Run", "id", (run) => el("a", { href: runLink(run.run_id) }, line(run.run_id))],
  ["Agent", "agent", (run) => present(run.agent_id) && agentLink(run.agent_id)],
  ["Goal", "goal", (run) => [present(run.goal) && el("div", {}, line(run.goal)), fewTags(run.tags ?? [])]],
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
    location.hash = runsLink(chosen);
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

export function runsView(query, signal) {
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
