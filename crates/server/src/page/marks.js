// Words that carry a meaning, and its colour.

import { el, line } from "./elements.js";

const TONES = new Map([
  ["completed", "good"], ["success", "good"], ["ok", "good"], ["failed", "bad"], ["failure", "bad"], ["error", "bad"],
  ["aborted", "bad"], ["running", "busy"], ["open", "busy"], ["retry", "busy"], ["root ended", "good"],
  ["COMPLETE", "good"], ["ACKED", "good"], ["SUCCESS", "good"], ["PENDING", "busy"], ["INCOMPLETE", "bad"], ["STALE", "bad"],
  ["MISSING", "bad"], ["FAILED", "bad"], ["ROLLED_BACK", "bad"],
]);

export const state = (word) => el("span", { class: `state ${TONES.get(word) ?? "dull"}` }, line(word));
export const mark = (word) => el("span", { class: "mark" }, word);
export const tags = (all) => all.map((tag) => el("span", { class: "tag" }, line(tag)));
