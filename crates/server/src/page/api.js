// The API under /api/v1.

import { present } from "./elements.js";
import { parse } from "./json.js";

/** An answer that is not what was asked for. */
class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `the server answered ${status}`);
    this.status = status;
    this.code = problem?.code ?? `HTTP ${status}`;
  }
}

// Dots alone would climb out of the path, whatever is encoded.
export const isId = (text) => /^[\x21-\x7e]{1,255}$/.test(text) && text !== "." && text !== "..";
// A run may be named as a route is: routes are told apart before the path is decoded.
export const runPath = (id) => (id === "count" ? "runs/%63ount" : `runs/${encodeURIComponent(id)}`);

export async function get(path, params, signal) {
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
