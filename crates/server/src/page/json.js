// JSON: read without losing digits, shown in one line or as a tree that opens.

import { BRIEF_MAX, UNSEEN_IN_LINE, el, lazy, recorded } from "./elements.js";

const MEMBERS_MAX = 200; // members of a value shown at a time

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

export function parse(text) {
  if (!keepsSource) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && String(value) !== context.source ? new Exact(context.source) : value);
}

export function number(value) {
  const rounded = !keepsSource && Number.isInteger(value) && !Number.isSafeInteger(value);
  return rounded ? `≈ ${value}` : String(value); // an old browser lost digits: say so
}

export const isNested = (value) => value !== null && typeof value === "object" && !(value instanceof Exact);
// Sorted as canonical JSON is; JavaScript alone would put keys that look like numbers first.
const members = (value) => (Array.isArray(value) ? value.map((item, at) => [at, item])
  : Object.keys(value).sort().map((key) => [key, value[key]]));

/** The beginning of a value's JSON, never more work than what is shown. */
export function brief(value) {
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
export function json(value, level = 0, label = []) {
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
