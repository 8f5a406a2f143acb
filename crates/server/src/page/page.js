// Tracekeep's page: the runs of a ledger, and one run with its tree and steps, live.
//
// Here are its routes, and when a view is read again.

import { isId } from "./api.js";
import { follow } from "./live.js";
import { problem, report } from "./problem.js";
import { runView } from "./run.js";
import { runsView } from "./runs.js";

const REFRESH_MS = 600; // between two refreshes at least
const RETRY_MS = 3000; // after one that failed

const main = document.getElementById("main");
let current; // { hash, view, abort }
let left; // the list that was left for a run, to come back to it as it was
let heard = []; // [run, kind] of the entries since the last refresh; both undefined: anything may have changed
let timer;
let refreshing = false;
let rest = 0; // when the next refresh may begin

function viewOf(hash, signal) {
  // `runs/ID` is how the API calls a run.
  const [path, query] = hash.replace(/^#\/?/, "").replace(/^runs\/(?=[^?])/, "run/").split(/\?(.*)/s, 2);
  const params = new URLSearchParams(query);
  if (!path.startsWith("run/")) return runsView(params, signal);
  let id = "";
  try {
    id = decodeURIComponent(path.slice("run/".length));
  } catch {
    // Left empty, which is no id.
  }
  if (isId(id)) return runView(id, params, signal);
  return { name: "run", title: () => "Not a run id", element: problem(new Error("that is not a run id")), refresh: async () => {} };
}

function route() {
  const { hash } = location;
  if (current?.view.name === "runs") left = { ...current, scroll: scrollY };
  else current?.abort.abort();
  const back = left?.hash === hash ? left : undefined;
  const abort = back?.abort ?? new AbortController();
  current = { hash, abort, view: back?.view ?? viewOf(hash, abort.signal) };
  document.body.dataset.view = current.view.name;
  document.title = `${current.view.title()} · Tracekeep`;
  report();
  main.replaceChildren(current.view.element);
  scrollTo(0, back?.scroll ?? 0);
  heard = [[undefined, undefined]];
  refresh();
}

function hear(run, kind) {
  heard.push([run, kind]);
  // An entry rarely comes alone; and a timer that is set stays set, or a steady stream would put it off for ever.
  if (!refreshing) timer ??= setTimeout(refresh, Math.max(150, rest - performance.now()));
}

/** Brings the view up to date: at once when it is new, else once in a while. */
async function refresh() {
  clearTimeout(timer);
  timer = undefined;
  const { view } = current;
  const events = heard.splice(0);
  const began = performance.now();
  let failed;
  refreshing = true;
  await view.refresh(events).catch((error) => { failed = error; });
  if (view !== current.view) return; // left meanwhile; the new view has its own refresh under way
  refreshing = false;
  report(failed);
  document.title = `${view.title()} · Tracekeep`;
  // A tree that takes long to read is read less often; what the network or a busy server refused is asked for again.
  const ended = performance.now();
  const again = failed && !(failed.status < 500);
  rest = again ? ended + RETRY_MS : Math.max(began + REFRESH_MS, 2 * ended - began);
  if (again) heard.push(...events);
  if (heard.length > 0) timer = setTimeout(refresh, rest - ended);
}

history.scrollRestoration = "manual"; // the browser would restore before there is anything to scroll
addEventListener("hashchange", () => {
  route();
  main.focus({ preventScroll: true });
});
route();
follow(hear);
