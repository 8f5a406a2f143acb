// What went wrong, said on the page.

import { el, line } from "./elements.js";
import { state } from "./marks.js";

let complaint;

/** Says above the view what went wrong, in place of what was said before; nothing, when nothing did. */
export function report(error) {
  if (error?.name === "AbortError") return;
  complaint?.remove();
  complaint = error && problem(error);
  if (complaint) document.getElementById("main").prepend(complaint);
}

export function problem(error) {
  return el("div", { class: "problem", role: "alert" }, state("error"), " ", line(error.message), " ",
    error.code && el("code", {}, line(error.code)));
}
