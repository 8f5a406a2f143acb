// A run's audit: what should have happened, what was said of it, and the verdict.

import { get, runPath } from "./api.js";
import { el, line, nodes, present } from "./elements.js";
import { fact, facts, jsonFact } from "./facts.js";
import { between, when } from "./figures.js";
import { number } from "./json.js";
import { Listing, fillOpening, keepFocus, steadily } from "./listing.js";
import { mark, state } from "./marks.js";

const LIMIT = 100;
const NONE = ["audit_off", "run_not_found"]; // the run itself says why there is none

const LISTS = [
  ["missing", "Missing"], ["failed", "Failed"], ["rolled_back", "Rolled back"], ["late", "Late"], ["pending", "Still to come"],
  ["drift", "Asked for by nobody"], ["duplicate", "Said again"],
];

const action = (one) => [line(one.domain), " / ", line(one.action)];

/** What one list of the verdict holds, each with the moment that counts. */
function finding(one) {
  const at = present(one.at) ? [" at ", when(one.at)] : present(one.deadline) ? [" by ", when(one.deadline)] : [];
  return el("li", {}, action(one), at, one.superseded && [" ", mark("made up for later")]);
}

function verdictFacts(verdict) {
  const found = LISTS.filter(([name]) => verdict[name]?.length);
  return [
    found.map(([name, title]) => el("div", { class: "findings", data: { list: name } }, el("h3", {}, title), el("ul", {}, verdict[name].map(finding)))),
    verdict.truncated && el("p", { class: "quiet" }, "There is more than is listed."),
  ];
}

function summaryView(summary) {
  const { now, verdict } = summary;
  return [
    facts([
      ["Verdict now", now ? state(now.status) : undefined],
      ["Recorded last", verdict ? [state(verdict.status), " ", when(summary.verdict_recorded_at)] : undefined],
      ["Expected", `${number(summary.expectations)} (${number(summary.open)} open)`], ["Said of it", number(summary.acks)],
      ["Watched", summary.watched ? "yes" : "no"], ["Looked at again", when(summary.due)],
    ]),
    now && verdictFacts(now),
  ];
}

function fillExpectation(row, one) {
  Object.assign(row.dataset, { expectation: one.id, status: one.status });
  fillOpening(row, [
    state(one.status), el("span", { class: "kind" }, action(one)), one.optional && mark("may stay undone"), one.liveness && mark("liveness"),
    el("span", { class: "brief" }, "by ", when(one.deadline)), present(one.acked_at) && el("span", { class: "number" }, between(one.recorded_at, one.acked_at)),
  ], () => facts([
    fact("Id", one.id), ["Deadline", when(one.deadline)], ["Met", when(one.acked_at)], ["Times", number(one.count)],
    ["Recorded", when(one.recorded_at)], ["Received before", when(one.received_at)], ["Log index", number(one.log_index)],
    jsonFact("metadata", one.metadata),
  ]));
}

function fillAck(row, one) {
  Object.assign(row.dataset, { ack: one.id, status: one.status });
  fillOpening(row, [
    state(one.status), el("span", { class: "kind" }, action(one)),
    el("span", { class: "brief" }, line(one.error ?? one.rollback_reason ?? one.result_id ?? "")),
    el("span", { class: "number" }, when(one.received_at ?? one.recorded_at)),
  ], () => facts([
    fact("Id", one.id), fact("Result", one.result_id), fact("Error", one.error), fact("Why it was undone", one.rollback_reason),
    ["Recorded", when(one.recorded_at)], ["Received before", when(one.received_at)], ["Log index", number(one.log_index)],
    jsonFact("metadata", one.metadata),
  ]));
}

/** The section of a run's audit; hidden while nothing was expected or acknowledged. */
export function auditSection(runId, signal) {
  const list = (path, fill) => new Listing({
    path: `${runPath(runId)}/${path}`, limit: LIMIT, key: (one) => one.id, tag: "li", fill, box: el("ol", { class: "rows" }), signal,
  });
  const [expected, acked] = [list("expectations", fillExpectation), list("acks", fillAck)];
  const head = el("div");
  const lists = [["Expected", expected], ["Acknowledged", acked]];
  const element = el("section", { hidden: true, data: { audit: runId } }, el("h2", {}, "Audit"), head,
    lists.map(([title, listing]) => [el("h3", {}, title), listing.box, el("p", {}, listing.button)]));
  let shown;

  return {
    element,
    async refresh() {
      let summary;
      try {
        summary = await get(`${runPath(runId)}/audit`, {}, signal);
      } catch (refused) {
        if (!NONE.includes(refused.code)) throw refused;
        element.hidden = true;
        return;
      }
      element.hidden = !present(summary.now);
      if (element.hidden) return;
      const text = JSON.stringify(summary);
      if (text !== shown) {
        shown = text;
        const refocus = keepFocus(head);
        steadily(() => head.replaceChildren(...nodes(summaryView(summary))));
        refocus();
      }
      await expected.refresh();
      await acked.refresh();
    },
  };
}
