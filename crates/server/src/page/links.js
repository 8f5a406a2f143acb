// The page's own addresses, and links to them.

import { BRIEF_MAX, el, full, line, plain, recorded } from "./elements.js";

export const runLink = (id, root) =>
  `#/run/${encodeURIComponent(id)}${root ? `?root=${encodeURIComponent(root)}` : ""}`;

/** The list of runs, filtered: `filters` are pairs of a filter's name and its value. */
export const runsLink = (filters) => `#/runs${filters.length ? `?${new URLSearchParams(filters)}` : ""}`;

export const idLink = (href, id, title) => el("a", { class: "id", href, title }, line(id));

/** An agent's name, as a link to its runs; a long one only says what it is. */
export const agentLink = (agent) =>
  (agent.length > BRIEF_MAX ? full(agent) : el("a", { href: runsLink([["agent", agent]]) }, recorded(agent)));

export const tagLinks = (tags) =>
  tags.map((tag) => el("a", { class: "tag", href: runsLink([["tag", tag]]), title: plain(tag) }, line(tag)));
