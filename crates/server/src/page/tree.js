// A run's traces as a tree, whose rows stand flat and in pre-order; what hangs below a node folds.

import { runPath } from "./api.js";
import { el, line, nodes, present } from "./elements.js";
import { fact, facts, jsonFact } from "./facts.js";
import { between, duration, when } from "./figures.js";
import { brief, number } from "./json.js";
import { idLink, runLink } from "./links.js";
import { Listing, fillOpening } from "./listing.js";
import { mark, state, tags } from "./marks.js";

const NODES_LIMIT = 500;
const INDENT_MAX = 24; // levels; beyond, the depth is written out

const nodeKey = (node) => (node.trace ? `t ${node.trace.id}` : `m ${node.missing}`);

/** Which nodes of a tree are folded. */
class Folds {
  constructor(box) {
    this.box = box;
    this.keys = new Set();
  }

  /** The button that folds what hangs below a node, where there is something. */
  button(node) {
    if (String(node.children) === "0") return [];
    const key = nodeKey(node);
    const button = el("button", { type: "button", class: "fold", "aria-label": "what hangs below",
      "aria-expanded": String(!this.keys.has(key)), click: () => {
        if (!this.keys.delete(key)) this.keys.add(key);
        button.setAttribute("aria-expanded", String(!this.keys.has(key)));
        this.apply();
      } });
    return [button];
  }

  /** Hides the rows below folded ones, and shows the others. */
  apply() {
    let folded = Infinity; // the depth of the folded node that the row may hang below
    for (const row of this.box.children) {
      const depth = Number(row.dataset.depth);
      row.hidden = depth > folded;
      if (!row.hidden) folded = this.keys.has(row.dataset.row) ? depth : Infinity;
    }
  }
}

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

function fillNode(runId, root, folds) {
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
      row.prepend(...folds.button(node));
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
    row.prepend(...folds.button(node));
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

/** The listing of a run's tree, or of what hangs below one of its traces. */
export function treeListing(runId, root, signal) {
  const box = el("ol", { class: "rows tree" });
  const folds = new Folds(box);
  const [path, fill, changed] = [`${runPath(runId)}/tree`, fillNode(runId, root, folds), () => folds.apply()];
  return new Listing({ path, member: "nodes", params: { root }, limit: NODES_LIMIT, key: nodeKey, tag: "li", fill, box, signal, changed });
}
