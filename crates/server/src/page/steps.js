// A run's steps.

import { runPath } from "./api.js";
import { el, line, present } from "./elements.js";
import { fact, facts, hash, jsonFact } from "./facts.js";
import { cents, duration, when } from "./figures.js";
import { brief, number } from "./json.js";
import { idLink, runLink } from "./links.js";
import { Listing, fillOpening } from "./listing.js";
import { state } from "./marks.js";

const STEPS_LIMIT = 500;

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

/** The listing of a run's steps; `changed` hears how many there are. */
export function stepsListing(runId, signal, changed) {
  const box = el("ol", { class: "rows" });
  const key = (step) => String(step.index);
  return new Listing({ path: `${runPath(runId)}/steps`, limit: STEPS_LIMIT, key, tag: "li", fill: fillStep, box, signal, changed });
}
