// Named facts.

import { el, full, present } from "./elements.js";
import { isNested, json } from "./json.js";

/** Named facts; absent ones are left out. */
export function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.filter(([, value]) => present(value) && value !== "").map(([name, value, wide]) =>
    el("div", { class: wide && "wide" }, el("dt", {}, name), el("dd", {}, value))));
}

export const fact = (name, value) => [name, present(value) ? full(String(value)) : undefined];
export const isEmpty = (value) => !present(value) || (isNested(value) && Object.keys(value).length === 0);
export const jsonFact = (name, value) => [name, isEmpty(value) ? undefined : el("div", { class: "json" }, json(value)), true];
export const hash = (name, value) => [name, present(value) ? el("code", {}, value) : undefined, true];
