// One run: what is known of it, its traces and its steps.

import { get, runPath } from "./api.js";
import { auditSection } from "./audit.js";
import { el, full, lazy, line, nodes, plain, present } from "./elements.js";
import { fact, facts, hash, isEmpty, jsonFact } from "./facts.js";
import { cents, duration, when } from "./figures.js";
import { number } from "./json.js";
import { agentLink, idLink, runLink, runsLink, tagLinks } from "./links.js";
import { keepFocus, steadily } from "./listing.js";
import { state } from "./marks.js";
import { runDuration, runState } from "./runs.js";
import { stepsListing } from "./steps.js";
import { treeListing } from "./tree.js";

const TREE_KINDS = ["trace", "trace_ended"];
const AUDIT_KINDS = ["expectation", "ack", "status", "verdict", "audit_cleared"];
const RUN_KINDS = ["run_started", "run_described", "sealed", "key"];

function runFacts(run, open) {
  const violation = isEmpty(run.violation) ? undefined : run.violation;
  return [
    facts([
      ["Goal", present(run.goal) ? full(run.goal) : undefined, true],
      ["Agent", present(run.agent_id) ? agentLink(run.agent_id) : undefined],
      ["Started", when(run.started_at)], ["Completed", when(run.completed_at)],
      ["Root span ended", when(run.root_ended_at)], ["Duration", runDuration(run)],
      ["Steps", `${number(run.steps)} (${number(run.successes)} succeeded, ${number(run.failures)} failed)`],
      ["Traces", number(run.traces)], ["Cost", cents(run.cost_cents)], ["Time in steps", duration(run.duration_ms)],
      ["Tokens", present(run.tokens) ? number(run.tokens) : undefined], fact("Source", run.source),
      fact("Termination reason", run.termination_reason), fact("Policy snapshot", run.policy_snapshot_id),
      ["Correlation", present(run.correlation_id) ? idLink(runsLink([["correlation", run.correlation_id]]), run.correlation_id) : undefined],
      ["Part of", present(run.parent_run_id) ? idLink(runLink(run.parent_run_id), run.parent_run_id) : undefined],
      ["Its parts", el("a", { href: runsLink([["parent", run.run_id]]) }, "runs started by this one")],
      ["Tags", run.tags?.length ? tagLinks(run.tags) : undefined],
      ["Held", run.held ? "yes: it is not erased" : undefined],
    ]),
    violation && facts([jsonFact("Policy violation", violation)]),
    lazy(el("summary", {}, "Hashes, seals and places in the log"), () => facts([
      hash("Plan hash", run.plan_hash), hash("Behaviour hash", run.behaviour_hash), hash("Root hash", run.root_hash),
      hash("Root of the run's own tree", run.run_root), ["Seals", number(run.seals)], ["Entries", number(run.entries)],
      ["Seed", present(run.seed) ? number(run.seed) : undefined], ["Frozen time", when(run.frozen_timestamp)],
      ["First log index", number(run.log_index)], ["First recorded", when(run.recorded_at)],
      jsonFact("Missing step indices", run.gaps?.count ? run.gaps : undefined),
    ]), open),
    facts([jsonFact("Plan", run.plan), jsonFact("Metadata", run.metadata), jsonFact("Completion metadata", run.completion_metadata)]),
  ];
}

export function runView(id, query, signal) {
  const root = query.get("root") ?? undefined;
  const head = el("div");
  const tree = treeListing(id, root, signal);
  const stepSection = el("section", { hidden: true });
  const jump = el("button", { type: "button", hidden: true, click: () => stepSection.scrollIntoView() }, "to the steps");
  const steps = stepsListing(id, signal, (count) => { stepSection.hidden = jump.hidden = count === 0; });
  stepSection.append(el("h2", {}, "Steps"), steps.box, el("p", {}, steps.button));
  const audit = auditSection(id, signal);
  const whole = root && el("p", {}, "Only what hangs below ", el("code", {}, line(root)), ". ", el("a", { href: runLink(id) }, "Show the whole tree"));
  let run;
  let shown;

  async function readHead() {
    run = await get(runPath(id), {}, signal);
    const text = JSON.stringify(run);
    if (text === shown) return;
    shown = text;
    const refocus = keepFocus(head);
    const open = head.querySelector(":scope > details")?.open;
    steadily(() => head.replaceChildren(...nodes([
      el("h1", {}, state(runState(run)), " ", el("span", { class: "id" }, line(run.run_id))), runFacts(run, open)])));
    refocus();
  }

  return {
    name: "run",
    title: () => `${run ? `${runState(run)} · ` : ""}${plain(id)}`,
    element: el("div", { data: { run: id } }, head, el("section", {}, el("h2", {}, "Traces ", jump), whole, tree.box, el("p", {}, tree.button)), stepSection, audit.element),
    async refresh(events) {
      const kinds = events.filter(([of]) => of === id || of === undefined).map(([, kind]) => kind);
      if (kinds.length === 0) return;
      const count = (known) => kinds.filter((kind) => known.includes(kind)).length;
      const others = kinds.length - count([...RUN_KINDS, ...TREE_KINDS, ...AUDIT_KINDS, "step"]);
      await readHead();
      if (others || count(TREE_KINDS)) await tree.refresh(count(["trace"]));
      if (others || count(["step"])) await steps.refresh(count(["step"]));
      if (others || count([...AUDIT_KINDS, "sealed"])) await audit.refresh();
    },
  };
}
